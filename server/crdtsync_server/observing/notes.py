"""What is recorded some time after it happened: kept here until a transaction takes it along."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crdtsync.documents.ops import is_op_id
from crdtsync.protocol.earlier import plausible_earlier
from crdtsync.protocol.messages import EarlierAttempt, Push, PushedOp
from crdtsync_server.storage.keys import uuid_bytes

if TYPE_CHECKING:
    from crdtsync_server.work import Origin

MAX_NAME_CHARS = 256
"""Of a collection, record or field that an op which was not accepted named."""

MAX_FAILED_OPS = 5_000
"""Ops of failed pushes that wait in memory for a disk that takes them. Of more, the newest
are kept: what fails now matters more than what failed an hour ago."""

MAX_FAILED_BYTES = 8 * 1_048_576
"""What they may take there. Pushes with short names and few earlier attempts stay below it."""

MAX_COMPLETED = 10_000
"""Groups and connections whose times wait to be written; beyond it the oldest stay unknown."""

CHAR_BYTES = 4
PUSH_BYTES = 600
OP_BYTES = 400
EARLIER_BYTES = 400
"""What each takes in memory at most, names aside."""


@dataclass(frozen=True, slots=True)
class FailedOp:
    """Of an op that was told to come back, what a row about it holds. Never its values."""

    op_key: bytes
    collection: str
    record: str
    created_us: int
    attempts: int
    earlier: tuple[EarlierAttempt, ...]
    """Plausible ones, told by the op's own author."""

    @classmethod
    def of(cls, pushed: PushedOp, sender: str) -> FailedOp:
        """Of an op whose op_id is one, as ``sender`` pushed it."""
        op = pushed.op
        return cls(
            uuid_bytes(op.op_id),
            op.collection[:MAX_NAME_CHARS],
            op.record[:MAX_NAME_CHARS],
            pushed.created_us,
            pushed.attempts,
            plausible_earlier(pushed.earlier) if pushed.earlier and op.user == sender else (),
        )

    @property
    def size_bytes(self) -> int:
        """What it takes in memory at most."""
        names = len(self.collection) + len(self.record)
        return OP_BYTES + CHAR_BYTES * names + EARLIER_BYTES * len(self.earlier)


@dataclass(frozen=True, slots=True)
class FailedPush:
    """A push that no group decided: its ops were told to come back."""

    request_key: bytes
    space: str
    replica_id: str
    user: str
    received_us: int
    reason: str
    count: int
    """How many ops it had; ``ops`` may be fewer."""
    ops: tuple[FailedOp, ...]
    size_bytes: int
    """What it takes in memory at most."""

    @classmethod
    def of(cls, origin: Origin, push: Push, received_us: int, reason: str) -> FailedPush:
        """What is kept of ``push``: at most ``MAX_FAILED_OPS`` and ``MAX_FAILED_BYTES``."""
        names = len(origin.space) + len(origin.replica_id) + len(origin.user)
        size_bytes = PUSH_BYTES + CHAR_BYTES * names
        ops: list[FailedOp] = []
        for pushed in push.ops[:MAX_FAILED_OPS]:
            if is_op_id(pushed.op.op_id):
                op = FailedOp.of(pushed, origin.user)
                if size_bytes + op.size_bytes > MAX_FAILED_BYTES:
                    break
                size_bytes += op.size_bytes
                ops.append(op)
        return cls(
            uuid_bytes(push.request_id),
            origin.space,
            origin.replica_id,
            origin.user,
            received_us,
            reason,
            len(push.ops),
            tuple(ops),
            size_bytes,
        )


class FailedPushes:
    """The newest failed pushes, oldest first; adding one costs the same however many wait."""

    def __init__(self, pushes: Iterable[FailedPush] = ()) -> None:
        self.pushes: deque[FailedPush] = deque()
        self.ops = 0
        self.size_bytes = 0
        for push in pushes:
            self.add(push)

    def __len__(self) -> int:
        return len(self.pushes)

    def add(self, push: FailedPush) -> None:
        """One more; the oldest go where there are too many."""
        self.pushes.append(push)
        self.ops += len(push.ops)
        self.size_bytes += push.size_bytes
        while self.ops > MAX_FAILED_OPS or self.size_bytes > MAX_FAILED_BYTES:
            gone = self.pushes.popleft()
            self.ops -= len(gone.ops)
            self.size_bytes -= gone.size_bytes


@dataclass(slots=True)
class TraceNotes:
    """Rows that a later transaction completes or adds."""

    groups: list[tuple[int, int, int]] = field(default_factory=list)
    """(committed_us, published_us, id)."""
    ended: list[tuple[int, int, int]] = field(default_factory=list)
    """(ended_us, close code, id) of connections."""
    failed: FailedPushes = field(default_factory=FailedPushes)

    def __bool__(self) -> bool:
        return bool(self.groups or self.ended or self.failed)

    def extend(self, newer: TraceNotes) -> None:
        """Take ``newer`` in: the transaction that took these along has failed."""
        self.groups.extend(newer.groups)
        self.ended.extend(newer.ended)
        del self.groups[:-MAX_COMPLETED], self.ended[:-MAX_COMPLETED]
        for push in newer.failed.pushes:
            self.failed.add(push)
