"""The states of a connection at the server, and what its session asks the shell to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from crdtsync.protocol.messages import (
    AcknowledgedDigest,
    CursorReport,
    HeadRequest,
    Hello,
    HistoryRequest,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Push,
    ReceiptsRequest,
    ServerMessage,
    SnapshotRequest,
)


class State(enum.Enum):
    """Where a connection is."""

    AWAITING_HELLO = "awaiting hello"
    AUTHORISING = "authorising"
    PAGING = "paging"
    LIVE = "live"
    CLOSED = "closed"


_ANY_TIME = (HeadRequest, ReceiptsRequest, HistoryRequest, CursorReport, AcknowledgedDigest)
ALLOWED: dict[State, tuple[type, ...]] = {
    State.AWAITING_HELLO: (Hello,),
    State.AUTHORISING: (),
    State.PAGING: (*_ANY_TIME, SnapshotRequest, Ping, Pong),
    State.LIVE: (*_ANY_TIME, Push, Ping, Pong),
    State.CLOSED: (),
}
"""Which messages may arrive in which state."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Find out who this is; answer with ``authenticated`` or ``not_authenticated``."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Admit:
    """Compare the run, fence older connections, read the log; answer with ``admitted``."""

    hello: Hello
    user: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Submit:
    """Decide these ops; answer with ``answered`` after their commit."""

    push: Push


@dataclass(frozen=True, slots=True)
class LookUpReceipts:
    """Look up receipts after all that was submitted before; answer with ``receipts_found``."""

    request: int
    op_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadHead:
    """Answer with ``head_read``."""

    request: int


@dataclass(frozen=True, slots=True)
class ReadSnapshots:
    """Answer with ``snapshots_read``."""

    request: int
    paging: Paging


@dataclass(frozen=True, slots=True)
class ReadHistory:
    """Answer with ``history_read``."""

    request: HistoryRequest


@dataclass(frozen=True, slots=True)
class NoteCursor:
    """What the replica holds durably, and what it has not got rid of."""

    seq: int
    outbox: OutboxSummary


@dataclass(frozen=True, slots=True)
class NoteAcknowledged:
    """A digest for reconciliation."""

    digest: AcknowledgedDigest


@dataclass(frozen=True, slots=True)
class GoLive:
    """From now on send every log entry above ``after_seq``, in order."""

    after_seq: int


@dataclass(frozen=True, slots=True)
class Send:
    """Put a message on the wire."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket when what was sent before is out."""

    code: int
    words: str


Action = (
    Authenticate
    | Admit
    | Submit
    | LookUpReceipts
    | ReadHead
    | ReadSnapshots
    | ReadHistory
    | NoteCursor
    | NoteAcknowledged
    | GoLive
    | Send
    | Close
)
