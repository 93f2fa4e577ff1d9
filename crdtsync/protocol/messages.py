"""Every message of protocol version 1 (PROTOCOL.md tells their order and meaning).

Messages are msgpack arrays ``[name, field, …]``. New fields are only ever added
at the end with a default, so an older peer reads a newer message.
"""

from __future__ import annotations

import msgspec

from crdtsync.documents.ops import Op
from crdtsync.documents.state import LogEntry, Outcome, StoredRecord, Stub

PROTOCOL_VERSION = 1
SUBPROTOCOL = "crdtsync.v1"


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of what travels in a frame."""


class Part(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of what travels inside a message."""


class OutboxSummary(Part, frozen=True):
    """What a device has not got rid of yet, for the people who run the server."""

    pending: int = 0
    failed: int = 0
    oldest_age_ms: int = 0
    signed_out: int = 0
    reasons: dict[str, int] = {}
    """Failed ops by the code of their last failure, the 8 most frequent ones."""


class Landmark(Part, frozen=True):
    """A point of the log that the replica holds, to notice a server from a backup."""

    seq: int
    digest: bytes


class Paging(Part, frozen=True):
    """Where a replica is in paging through snapshots.

    First downwards from ``before`` (exclusive, 0 = this part is done), newest
    record first; then upwards from ``after`` over what changed meanwhile.
    """

    head: int
    before: int
    after: int


class Limits(Part, frozen=True):
    """What the server accepts on this connection; a replica keeps to it."""

    frame_bytes: int = 1_048_576
    ops_per_push: int = 200
    ops_in_flight: int = 1_000
    heartbeat_ms: int = 20_000
    silence_ms: int = 60_000


# ── from the replica ────────────────────────────────────────────────────────


class Hello(Message, tag="hello", frozen=True):
    """The first frame of a connection."""

    protocol: int
    space: str
    user: str
    token: str | None
    replica_id: str
    run: str
    """UUID v4, new each time the replica is opened."""
    previous_runs: tuple[str, ...]
    """Runs that the server may know as this replica's last one."""
    software: str
    policy_version: int
    policy_hash: str
    cursor: Landmark
    landmarks: tuple[Landmark, ...]
    """Up to 32 (seq, digest), exponentially spaced back from the cursor."""
    client_us: int
    outbox: OutboxSummary = OutboxSummary()
    device: str = ""
    """A name for people: "tablet", "ward phone 3"."""
    view: str = ""
    """The way of seeing under which this replica's records were sent ("": all of it)."""


class EarlierAttempt(Part, frozen=True):
    """An attempt without success, as the device remembers it."""

    request_id: str
    sent_us: int
    """The device's clock."""
    ended: str
    """How (protocol/earlier.py): ``cut``, ``no_answer``, ``stopped``, ``held``,
    ``transient:REASON`` or ``refused:CODE``."""


class PushedOp(Part, frozen=True):
    """An op on its way, with what the server must know about its delivery."""

    op: Op
    after: str | None
    """This outbox's previous unaccepted op on the same record, as of sending."""
    created_us: int
    attempts: int
    """Times that this op was sent, this one included."""
    earlier: tuple[EarlierAttempt, ...] = ()
    """The newest 8 attempts before this one that had no success, for traces."""


class Push(Message, tag="push", frozen=True):
    """Ops to accept. The answer is one ``Answers`` with the same request_id."""

    request_id: str
    ops: tuple[PushedOp, ...]


class HeadRequest(Message, tag="head?", frozen=True):
    """What is the head of the log now? (for ``synced()``)"""

    request: int


class ReceiptsRequest(Message, tag="receipts?", frozen=True):
    """Which of these ops did the server accept? Answered in order with what is in flight."""

    request: int
    op_ids: tuple[str, ...]


class CursorReport(Message, tag="cursor", frozen=True):
    """Everything up to ``seq`` is durable on this replica."""

    seq: int
    outbox: OutboxSummary = OutboxSummary()


class AcknowledgedDigest(Message, tag="acknowledged", frozen=True):
    """Reconciliation: which own ops this replica saw acknowledged in (from_seq, to_seq].

    ``digest`` is the XOR of blake2b-128 over each op_id, so order plays no part. Own are
    all ops that were in this replica's queue; the server may know some of them from
    another replica, where a file was copied, so the op_ids are named as well.
    """

    from_seq: int
    to_seq: int
    count: int
    digest: bytes
    op_ids: bytes = b""
    """The 16 bytes of each op_id, in the order of the log; "" from an older replica."""


class SnapshotRequest(Message, tag="snapshots?", frozen=True):
    """The next page of snapshots."""

    request: int
    paging: Paging


class HistoryRequest(Message, tag="history?", frozen=True):
    """The log entries of one record, newest first, below ``before_seq`` (0 = from the newest)."""

    request: int
    collection: str
    record: str
    before_seq: int = 0


class Ping(Message, tag="ping", frozen=True):
    """Are you there? Either side may ask."""

    sent_us: int


class Pong(Message, tag="pong", frozen=True):
    """Yes. ``sent_us`` is the ping's, ``now_us`` this side's clock."""

    sent_us: int
    now_us: int


# ── from the server ─────────────────────────────────────────────────────────


class Welcome(Message, tag="welcome", frozen=True):
    """The connection stands."""

    protocol: int
    user: str
    roles: tuple[str, ...]
    head: Landmark
    server_us: int
    policy_version: int
    policy_hash: str
    policy: str | None
    """The policy file, if the replica's is older."""
    limits: Limits
    paging: Paging | None
    """Set where the replica has to page through snapshots before it is live."""
    diverged: int | None
    """The last common seq, where the server's log is not the one that the replica knows."""
    view: str = ""
    """The way of seeing that the roles give; another one than the hello's means that
    ``paging`` starts anew, and that what is hidden now must go."""
    acknowledged: int | None = None
    """The seq up to which this server has this replica's digests of acknowledged ops: the
    next one begins there. None: it never heard of the replica, or is an older server."""


class Refused(Message, tag="refused", frozen=True):
    """The connection is refused and closed after this frame."""

    code: str
    words: str
    retry: bool
    retry_after_ms: int = 0


class Changes(Message, tag="changes", frozen=True):
    """Log entries in order, without gaps."""

    entries: tuple[LogEntry | Stub, ...]


class Receipt(Part, tag="receipt", frozen=True):
    """The op is in the log. The same op_id always gets the same receipt."""

    op_id: str
    seq: int
    received_us: int
    outcomes: dict[str, Outcome]


class Held(Part, tag="held", frozen=True):
    """Not judged: the op named by ``after`` is not accepted."""

    op_id: str
    after: str


class RefusedOp(Part, tag="refused", frozen=True):
    """Judged and not accepted; needs a person. Not a receipt: a retry is judged anew."""

    op_id: str
    code: str
    field: str | None
    words: str
    params: dict[str, str] = {}


class Transient(Part, tag="transient", frozen=True):
    """Not judged because of a fault that passes; send it again after the delay."""

    op_id: str
    reason: str
    retry_after_ms: int


Answer = Receipt | Held | RefusedOp | Transient


class Answers(Message, tag="answers", frozen=True):
    """One answer per op of a push, in its order, sent after the commit."""

    request_id: str
    answers: tuple[Answer, ...]


class Head(Message, tag="head", frozen=True):
    """The head of the log when ``HeadRequest`` was read."""

    request: int
    head: Landmark


class Receipts(Message, tag="receipts", frozen=True):
    """The receipts that exist; op_ids that are not listed were never accepted."""

    request: int
    receipts: tuple[Receipt, ...]


class SnapshotRow(Part, frozen=True):
    """One record, as of ``stored.seq``."""

    collection: str
    record: str
    stored: StoredRecord


class SnapshotPage(Message, tag="snapshots", frozen=True):
    """A page of records. ``paging`` is what to ask for next; None ends it at ``head``."""

    request: int
    rows: tuple[SnapshotRow, ...]
    paging: Paging | None
    head: Landmark
    remaining: int
    """Records still to come, for progress; an estimate."""


class History(Message, tag="history", frozen=True):
    """Entries newest first. ``complete`` is False where retention has cut the rest."""

    request: int
    entries: tuple[LogEntry | Stub, ...]
    complete: bool
    more: bool


class Goodbye(Message, tag="goodbye", frozen=True):
    """The server closes this connection after this frame, and why."""

    code: int
    words: str
    retry_after_ms: int


ClientMessage = (
    Hello
    | Push
    | HeadRequest
    | ReceiptsRequest
    | CursorReport
    | AcknowledgedDigest
    | SnapshotRequest
    | HistoryRequest
    | Ping
    | Pong
)
ServerMessage = (
    Welcome
    | Refused
    | Changes
    | Answers
    | Head
    | Receipts
    | SnapshotPage
    | History
    | Ping
    | Pong
    | Goodbye
)
