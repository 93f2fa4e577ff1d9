"""The states of a connection at the server, and what its session asks the shell to do."""

from __future__ import annotations

import enum

import msgspec

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

    # Members are told apart by identity. Enum's own hash is a call in Python, and what may
    # arrive is looked up for every frame.
    __hash__ = object.__hash__


_ANY_TIME = (HeadRequest, ReceiptsRequest, HistoryRequest, CursorReport, AcknowledgedDigest)
ALLOWED: dict[State, tuple[type, ...]] = {
    State.AWAITING_HELLO: (Hello,),
    State.AUTHORISING: (),
    State.PAGING: (*_ANY_TIME, SnapshotRequest, Ping, Pong),
    State.LIVE: (*_ANY_TIME, Push, Ping, Pong),
    State.CLOSED: (),
}
"""Which messages may arrive in which state."""


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """Base of what the shell has to do: a struct, since one is made for every frame."""


class Authenticate(_Asked, frozen=True):
    """Find out who this is; answer with ``authenticated`` or ``not_authenticated``."""

    hello: Hello


class Admit(_Asked, frozen=True):
    """Compare the run, fence older connections, read the log; answer with ``admitted``."""

    hello: Hello
    user: str
    roles: frozenset[str]


class Submit(_Asked, frozen=True):
    """Decide these ops; answer with ``answered`` after their commit."""

    push: Push


class LookUpReceipts(_Asked, frozen=True):
    """Look up receipts after all that was submitted before; answer with ``receipts_found``."""

    request: int
    op_ids: tuple[str, ...]


class ReadHead(_Asked, frozen=True):
    """Answer with ``head_read``."""

    request: int


class ReadSnapshots(_Asked, frozen=True):
    """Answer with ``snapshots_read``."""

    request: int
    paging: Paging


class ReadHistory(_Asked, frozen=True):
    """Answer with ``history_read``."""

    request: HistoryRequest


class NoteCursor(_Asked, frozen=True):
    """What the replica holds durably, and what it has not got rid of."""

    seq: int
    outbox: OutboxSummary


class NoteAcknowledged(_Asked, frozen=True):
    """A digest for reconciliation."""

    digest: AcknowledgedDigest


class GoLive(_Asked, frozen=True):
    """From now on send every log entry above ``after_seq``, in order."""

    after_seq: int


class Send(_Asked, frozen=True):
    """Put a message on the wire."""

    message: ServerMessage


class Close(_Asked, frozen=True):
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
