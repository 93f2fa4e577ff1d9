"""History: every value that a field had, by whom, when, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crdtsync.catalogue import message, reason
from crdtsync.documents.conflict import moment
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import FieldPolicy
from crdtsync.replica.sync import Sync

HISTORY_PAGES = 50
"""Pages of a record's log that one ``history`` call asks for at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastValue:
    """One value that somebody wrote into a field."""

    value: Any
    user: str
    at: datetime  # when its author wrote it, by the author's clock (UTC)
    op_id: str
    seq: int  # 0 while it is pending here
    visible: bool  # whether it still stands
    left_because: str | None  # superseded, lost_received, lost_user_time, late, revived
    replaced_by: str | None  # the op_id that made it leave
    replaced_by_user: str | None

    def why(self, lang: str = "en") -> str:
        """What became of it, in words."""
        if self.seq == 0 and self.left_because is None:
            return message("history_pending", lang)
        if self.left_because is None:
            return message("history_stands" if self.visible else "history_left", lang)
        return reason(
            self.left_because,
            lang,
            **({"name": self.replaced_by_user} if self.replaced_by_user else {}),
        )


@dataclass(frozen=True, slots=True)
class FieldHistory(Sequence[PastValue]):
    """The past of a field, newest first.

    ``complete`` is False where only this device's knowledge was to be had, or
    where the server's retention has cut the rest.
    """

    values: tuple[PastValue, ...]
    complete: bool

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[PastValue]:
        return iter(self.values)


def field_history(
    field: FieldPolicy, entries: Iterable[LogEntry], state: RecordState, *, complete: bool
) -> FieldHistory:
    """Put together what log entries (any order) and the shown record say about a field."""
    left: dict[tuple[str, int], tuple[str, LogEntry]] = {}
    written: dict[tuple[str, int], PastValue] = {}
    ordered = sorted(entries, key=lambda entry: entry.seq)
    for entry in ordered:
        for gone in entry.removed:
            if gone.root == field.root:
                left[gone.op_id, gone.n] = (gone.why, entry)
    visible = {(entry.op_id, entry.n): entry for entry in state.visible(field.root)}
    for entry in ordered:
        for n, value in enumerate(entry.writes.get(field.root, ())):
            key = (entry.op_id, n)
            why, by = left.get(key, (None, None))
            written[key] = PastValue(
                value=field.decode(value),
                user=entry.user,
                at=moment(entry.time_us),
                op_id=entry.op_id,
                seq=entry.seq,
                visible=key in visible,
                left_because=why,
                replaced_by=by.op_id if by else None,
                replaced_by_user=by.user if by else None,
            )
    for key, shown in visible.items():
        # Entries of snapshots (older than what is known of the log) and pending ones.
        if key not in written and not shown.op_id.startswith("fold:"):
            written[key] = PastValue(
                value=field.decode(shown.value),
                user=shown.user,
                at=moment(shown.time_us),
                op_id=shown.op_id,
                seq=shown.seq,
                visible=True,
                left_because=None,
                replaced_by=None,
                replaced_by_user=None,
            )
    for covered, coverer in state.hidden.get(field.root, {}).values():
        key = (covered.op_id, covered.n)
        past = written.get(key)
        if past is None or past.left_because is None:
            written[key] = PastValue(
                value=field.decode(covered.value),
                user=covered.user,
                at=moment(covered.time_us),
                op_id=covered.op_id,
                seq=covered.seq,
                visible=False,
                left_because="superseded",
                replaced_by=coverer,
                replaced_by_user=None,
            )
    newest_first = sorted(
        written.values(), key=lambda past: (past.seq == 0, past.seq, past.at), reverse=True
    )
    return FieldHistory(tuple(newest_first), complete)


async def ask_server(
    sync: Sync, collection: str, record_id: str, entries: dict[int, LogEntry]
) -> bool:
    """Add what the server's log says about a record; whether that is all of it.

    Raises ConnectionLost.
    """
    before_seq = 0
    for _ in range(HISTORY_PAGES):
        page = await sync.ask_history(collection, record_id, before_seq)
        for entry in page.entries:
            if isinstance(entry, LogEntry):
                entries[entry.seq] = entry
        if not page.more or not page.entries:
            return page.complete
        before_seq = page.entries[-1].seq
    return False
