"""What is recorded some time after it happened: kept here until a transaction takes it along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crdtsync.protocol.messages import PushedOp

MAX_FAILED_OPS = 5_000
"""Ops of failed pushes that wait in memory for a disk that takes them: 1 MB or so. Of
more, the newest are kept: what fails now matters more than what failed an hour ago."""

MAX_COMPLETED = 10_000
"""Groups and connections whose times wait to be written; beyond it the oldest stay unknown."""


@dataclass(frozen=True, slots=True)
class FailedPush:
    """A push that no group decided: its ops were told to come back."""

    request_id: str
    space: str
    replica_id: str
    user: str
    received_us: int
    reason: str
    ops: Sequence[PushedOp]


@dataclass(slots=True)
class TraceNotes:
    """Rows that a later transaction completes or adds."""

    groups: list[tuple[int, int, int]] = field(default_factory=list)
    """(committed_us, published_us, id)."""
    ended: list[tuple[int, int, int]] = field(default_factory=list)
    """(ended_us, close code, id) of connections."""
    failed: list[FailedPush] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups or self.ended or self.failed)

    def add_failed(self, push: FailedPush) -> None:
        """One more; the oldest go where there are too many."""
        self.failed.append(push)
        self._bound()

    def followed_by(self, newer: TraceNotes) -> TraceNotes:
        """Both, for when a transaction that took these along has failed."""
        both = TraceNotes(
            [*self.groups, *newer.groups][-MAX_COMPLETED:],
            [*self.ended, *newer.ended][-MAX_COMPLETED:],
            [*self.failed, *newer.failed],
        )
        both._bound()
        return both

    def _bound(self) -> None:
        ops = sum(len(push.ops) for push in self.failed)
        while ops > MAX_FAILED_OPS and len(self.failed) > 1:
            ops -= len(self.failed.pop(0).ops)
