"""What connections ask of ingest, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from crdtsync.documents.ops import Op
from crdtsync.documents.state import RecordState
from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import (
    AcknowledgedDigest,
    Answer,
    Hello,
    Landmark,
    OutboxSummary,
    Push,
    Receipt,
)
from crdtsync_server.access.quotas import Bucket
from crdtsync_server.observing.notes import TraceNotes
from crdtsync_server.observing.recorded import Recorded

REPORTS_WAITING_BYTES = 16 * 1_048_576
"""Reports of acknowledged ops that wait for a transaction, of all replicas together: two
thousand devices with 500 ops each. Beyond it reports are dropped, and made again when their
replica connects the next time."""

REPORTS_WAITING_PER_REPLICA = 8
"""An honest device sends 4 at once, and the next a minute later."""

REPORT_BYTES = 512
"""What a report takes in memory besides its op_ids."""


@dataclass(slots=True, eq=False)
class Origin:
    """The connection that something came from, as far as ingest must know it."""

    space: str
    replica_id: str
    user: str
    roles: frozenset[str]
    fenced: bool = False
    """A newer connection of the replica was accepted, or the sign-in has ended: what is not
    yet decided is dropped."""
    allowance: Bucket | None = None
    """How many ops this connection may still send; None where only those of the user and
    the space count."""
    skew_us: int = 0
    """The device's clock minus the server's, as its hello arrived."""
    connection_id: int | None = None
    """The row of ``connections``, once its admission is committed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of this machine that passes: nothing was decided."""

    reason: str
    words: str
    retry_after_ms: int


Check = Callable[[Op, RecordState], None]


class PushWork(msgspec.Struct, eq=False):
    """Decide these ops. ``done`` gets one answer per op; it is never called when fenced."""

    origin: Origin
    push: Push
    size_bytes: int
    done: Callable[[Sequence[Answer]], None]
    check: Check | None = None
    """A condition on the record as the op finds it (If-Match); raises InvalidOp. An op that
    is known already is not checked again."""
    received_us: int = 0
    """When its frame was read; ingest sets it where that is not known."""


@dataclass(slots=True, eq=False)
class LookUpWork:
    """Find receipts, after everything that was submitted before."""

    origin: Origin
    op_ids: tuple[str, ...]
    done: Callable[[Sequence[Receipt] | Fault], None]


@dataclass(slots=True, eq=False)
class AdmitWork:
    """Judge a hello's run, note it, and fence older connections of the replica."""

    origin: Origin
    hello: Hello
    done: Callable[[Admission | Fault], None]


Work = PushWork | LookUpWork | AdmitWork


@dataclass(frozen=True, slots=True)
class CursorNote:
    """The newest report of a replica; an older one that was not stored yet is replaced."""

    seq: int
    outbox: OutboxSummary
    at_us: int


@dataclass(frozen=True, slots=True)
class AcknowledgedNote:
    """A digest for reconciliation, as it came."""

    space: str
    replica_id: str
    digest: AcknowledgedDigest
    at_us: int


class Reports:
    """Reports of acknowledged ops that wait for a transaction, the oldest first, within bounds.

    What is beyond the bounds is dropped, and not what is there already: a report is of use
    only where those before it were stored.
    """

    __slots__ = ("_notes", "_of_replica", "_size_bytes")

    def __init__(self) -> None:
        self._notes: list[AcknowledgedNote] = []
        self._of_replica: dict[tuple[str, str], int] = {}
        self._size_bytes = 0

    def add(self, note: AcknowledgedNote) -> bool:
        """Whether there was room for it."""
        key = (note.space, note.replica_id)
        size_bytes = REPORT_BYTES + len(note.digest.op_ids)
        waiting = self._of_replica.get(key, 0)
        if (
            waiting >= REPORTS_WAITING_PER_REPLICA
            or self._size_bytes + size_bytes > REPORTS_WAITING_BYTES
        ):
            return False
        self._notes.append(note)
        self._of_replica[key] = waiting + 1
        self._size_bytes += size_bytes
        return True

    def __iter__(self) -> Iterator[AcknowledgedNote]:
        return iter(self._notes)

    def __len__(self) -> int:
        return len(self._notes)


@dataclass(slots=True)
class Notes:
    """What replicas report about themselves: stored soon, in bulk, with some group."""

    cursors: dict[tuple[str, str], CursorNote] = field(default_factory=dict)
    acknowledged: Reports = field(default_factory=Reports)
    trace: TraceNotes = field(default_factory=TraceNotes)

    def __bool__(self) -> bool:
        return bool(self.cursors or self.acknowledged or self.trace)


@dataclass(frozen=True, slots=True)
class Published:
    """The committed log entries of one space in one group, encoded once for all readers."""

    space: str
    first_seq: int
    entries: list[bytes]
    head: Landmark


Result = Sequence[Answer] | Sequence[Receipt] | Admission | None
"""Of a work item; None where a newer connection fenced its origin off."""


@dataclass(frozen=True, slots=True)
class GroupResult:
    """What a committed group decided."""

    results: list[Result]
    published: list[Published]
    recorded: Recorded | None = None
    """What it recorded of itself; None where nothing is counted or traced."""
