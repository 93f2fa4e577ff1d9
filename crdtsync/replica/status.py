"""How sync stands, in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crdtsync.catalogue import message, reason_told


class SyncState(StrEnum):
    """One word for the state of a replica."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    SIGNED_OUT = "signed out"
    SYNCING = "syncing"
    SYNCED = "synced"
    NEEDS_ATTENTION = "needs attention"


SKEW_TOLD_ABOVE_S = 120
"""A device's clock that is off by more than this is worth telling its user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A snapshot of how sync stands. ``message`` says it in words."""

    state: SyncState
    pending: int = 0  # ops that wait to be sent
    sending: int = 0  # ops on their way, acknowledged ones included
    failed: int = 0  # ops that failed: retried by themselves, or waiting for a person
    needs_person: int = 0  # of those, the ones that wait for a person
    conflicts: int = 0  # records with a field in conflict
    signed_out_ops: int = 0  # ops of other users of this device
    last_synced: datetime | None = None
    next_retry: datetime | None = None
    oldest_pending: datetime | None = None
    behind: int = 0  # changes of others that are known to be on their way
    first_sync_done: int = 0  # records received by a first sync that is under way
    first_sync_total: int | None = None  # None: no first sync is under way
    clock_skew_s: float = 0.0  # this device's clock minus the server's
    storage_full: bool = False  # the last write found no space; over when one succeeds
    problem: str | None = None  # why the connection failed last, in English
    problem_code: str | None = None  # the server's code for it, where sync has stopped
    now: datetime | None = None

    @property
    def waiting(self) -> int:
        """Every op that the server's log has not brought back."""
        return self.pending + self.sending + self.failed

    def message(self, lang: str = "en") -> str:
        """One or two sentences for the person who holds the device."""
        parts = [self._main(lang)]
        if abs(self.clock_skew_s) > SKEW_TOLD_ABOVE_S:
            parts.append(message("clock_wrong", lang, n=round(abs(self.clock_skew_s) / 60)))
        return " ".join(parts)

    def _main(self, lang: str) -> str:
        if self.storage_full:
            return message("storage_full", lang)
        if self.state is SyncState.NEEDS_ATTENTION:
            if self.needs_person:
                return message("failed_needs_person", lang, n=self.needs_person)
            return message(
                "stopped", lang, reason=reason_told(self.problem_code, self.problem or "", lang)
            )
        if self.state is SyncState.SIGNED_OUT:
            return message("signed_out", lang, n=self.waiting)
        if self.state is SyncState.SYNCED:
            time = self.last_synced.astimezone().strftime("%H:%M") if self.last_synced else ""
            return message("synced", lang, time=time).strip()
        if self.next_retry is not None and self.waiting:
            seconds = 0.0
            if self.now is not None:
                seconds = (self.next_retry - self.now).total_seconds()
            return message("failed_retrying", lang, n=max(math.ceil(seconds), 1))
        if self.state is SyncState.SYNCING and self.waiting:
            return message("syncing", lang, n=self.waiting)
        if self.waiting:
            return message("saved_offline", lang, n=self.waiting)
        if self.state is SyncState.SYNCING:
            if self.first_sync_total is None:
                return message("receiving", lang, done=0, total=self.behind)
            return message(
                "receiving", lang, done=self.first_sync_done, total=self.first_sync_total
            )
        return message("connecting" if self.state is not SyncState.OFFLINE else "offline", lang)
