"""What connections ask of ingest, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True, eq=False)
class Origin:
    """The connection that something came from, as far as ingest must know it."""

    space: str
    replica_id: str
    user: str
    roles: frozenset[str]
    fenced: bool = False
    """A newer connection of the replica was accepted: what is not yet decided is dropped."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of this machine that passes: nothing was decided."""

    reason: str
    words: str
    retry_after_ms: int


@dataclass(slots=True, eq=False)
class PushWork:
    """Decide these ops. ``done`` gets one answer per op; it is never called when fenced."""

    origin: Origin
    push: Push
    size_bytes: int
    done: Callable[[Sequence[Answer]], None]


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


@dataclass(slots=True)
class Notes:
    """What replicas report about themselves: stored soon, in bulk, with some group."""

    cursors: dict[tuple[str, str], CursorNote] = field(default_factory=dict)
    acknowledged: list[AcknowledgedNote] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.cursors or self.acknowledged)


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
