"""One look at a space: a reading job's transaction, as a person may see it.

Everything that a job reads goes through here: what the person may not read is
gone before anything is made of it. A look sees committed data only (invariant 2)
and is short: it runs on the store's one reading connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from crdtsync.database import queries
from crdtsync.documents.redaction import redact_entry, redact_state
from crdtsync.documents.state import LogEntry, Outcome, RecordState
from crdtsync.policy import CollectionPolicy, Policy
from crdtsync_server.sight import Sight
from crdtsync_server.storage.keys import position, seq_of, uuid_bytes, uuid_text
from crdtsync_server.storage.reading import reading
from crdtsync_server.storage.receipts import ENTRY_DECODER
from crdtsync_server.storage.store import Store

T = TypeVar("T")

SQL = queries("crdtsync_server.rest", "queries.sql")

HTTP_REPLICA = "http"
"""What the log names as the replica of an op that a thin client wrote."""

JOB_S = 0.01
"""After which a job of many parts leaves the rest to its next one: everybody who reads waits
for the one reading connection."""

HIDDEN_STEPS = 500
"""Entries of a record that are walked to find the newest one that its reader may know of."""

WALKED_PER_JOB = 1_000
"""Hidden entries, after which a job takes no further record: about 10 ms."""


class LogHead(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """A log entry without its values, which are skipped and not decoded."""

    seq: int
    digest: bytes
    op_id: str
    user: str
    collection: str
    record: str
    time_us: int
    received_us: int
    effective_us: int
    writes: msgspec.Raw
    removed: msgspec.Raw
    outcomes: dict[str, Outcome]
    prev_seq: int
    revived: bool = False


_HEADS = msgspec.msgpack.Decoder(LogHead)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an op came in."""

    entry: LogHead
    request_id: str
    device: str


@dataclass(frozen=True, slots=True)
class KnownOp:
    """An op that is in some space's log."""

    space: str
    content_digest: bytes
    entry: LogEntry


class Look:
    """A space as one person may see it, within one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, policy: Policy, sight: Sight, space: str
    ) -> None:
        self.policy = policy
        self.sight = sight
        self.space = space
        self.walked = 0
        """Entries of the log that were looked at for the sake of what is hidden."""
        self._begun_s = time.perf_counter()
        self._connection = connection
        self._sql = {**store.sql, **SQL}
        row = self.one("find_space", space)
        self.is_known = row is not None
        """Whether anything was ever written there, or any replica came."""
        found = (0, 0, b"", 0, 1) if row is None else row
        self.space_id: int = found[0]
        self.head_seq: int = found[1]
        self.digest: bytes = found[2]
        self.log_start: int = found[4]

    @property
    def has_time(self) -> bool:
        """Whether the job may begin a further part of its work."""
        return time.perf_counter() - self._begun_s < JOB_S

    # ── rows ────────────────────────────────────────────────────────────────

    def one(self, name: str, *values: object) -> Any:
        """The first row of a named query, or None."""
        return self._connection.execute(self._sql[name], values).fetchone()

    def all(self, name: str, *values: object) -> list[Any]:
        """Every row of a named query; its LIMIT bounds them."""
        return self._connection.execute(self._sql[name], values).fetchall()

    def iterate(self, name: str, *values: object) -> sqlite3.Cursor:
        """The rows of a named query, one by one."""
        return self._connection.execute(self._sql[name], values)

    # ── the log ─────────────────────────────────────────────────────────────

    def head_of(self, seq: int) -> LogHead | None:
        """The log entry at ``seq`` without its values."""
        row = self.one("log_entry", position(self.space_id, seq))
        return None if row is None else _HEADS.decode(row[0])

    def entry_at(self, seq: int) -> LogEntry | None:
        """The log entry at ``seq``, whole: redact it before it is shown."""
        row = self.one("log_entry", position(self.space_id, seq))
        return None if row is None else ENTRY_DECODER.decode(row[0])

    def delivery_of(self, seq: int) -> Delivery | None:
        """By which request and device the op at ``seq`` came."""
        row = self.one("log_row", position(self.space_id, seq))
        if row is None:
            return None
        return Delivery(_HEADS.decode(row[0]), uuid_text(row[1]), row[2] or "")

    def known_op(self, op_id: str) -> KnownOp | None:
        """The op in the log of whatever space, if it was ever accepted."""
        row = self.one("find_receipt", uuid_bytes(op_id))
        return None if row is None else KnownOp(row[3], row[1], ENTRY_DECODER.decode(row[2]))

    def kept_value(self, entry: LogEntry, root: str) -> str | None:
        """The value that a trimmed entry wrote into a register, if it is still kept."""
        row = self.one("record_position", self.space_id, entry.collection, entry.record)
        if row is None:
            return None
        found = self.one("kept_value", row[1], root, uuid_bytes(entry.op_id))
        return None if found is None else str(found[0])

    def seen_entry(self, entry: LogEntry) -> LogEntry | None:
        """The entry as this person may have it; None where nothing of it may be read."""
        shown = redact_entry(entry, self.sight.seen, self.sight.user)
        return shown if isinstance(shown, LogEntry) else None

    def may_know(self, head: LogHead) -> bool:
        """Whether the entry touched something that this person may read."""
        seen = self.sight.seen
        if head.revived and seen.sees_collection(head.collection):
            return True
        return any(seen.may_read(head.collection, root) for root in head.outcomes)

    # ── records ─────────────────────────────────────────────────────────────

    def whole_state(self, collection: str, record: str) -> RecordState:
        """The record with what is hidden: for judging a write, never for showing."""
        row = self.one("find_record", self.space_id, collection, record)
        if row is None:
            return RecordState(collection, record)
        return RecordState.decode(collection, record, row[1])

    def state(self, rules: CollectionPolicy, record: str) -> RecordState | None:
        """The record as this person may see it; None where nothing of it may be read."""
        state = self.whole_state(rules.name, record)
        return state if self.show(state) else None

    def shown_of(self, whole: RecordState) -> RecordState | None:
        """A record that was read whole as this person may see it, as one of its own."""
        state = whole.copy()
        return state if self.show(state) else None

    def true_seq(self, collection: str, record: str) -> int:
        """The newest entry of a record, hidden ones included: never to be shown. 0: none."""
        row = self.one("record_position", self.space_id, collection, record)
        return 0 if row is None else seq_of(row[0])

    def seq_of_state(self, rules: CollectionPolicy, record: str) -> int:
        """``seq`` of what ``state`` gives, 0 for None; where nothing is hidden, without
        reading the record."""
        if rules.name not in self.sight.seen.hiding:
            return self.true_seq(rules.name, record)
        state = self.state(rules, record)
        return 0 if state is None else state.seq

    def show(self, state: RecordState) -> bool:
        """Take what is hidden out of a state; False where nothing is left, or ever was.

        ``state.seq``, ``updated_us`` and ``updated_by`` become those of the newest entry of
        the log that touched something this person may read.
        """
        if not state.seq:
            return False
        if state.collection not in self.sight.seen.hiding:
            return True
        true_seq = state.seq
        if not redact_state(state, self.sight.seen):
            return False
        head = self.newest_known(true_seq)
        if head is not None:
            state.seq, state.updated_us, state.updated_by = head.seq, head.received_us, head.user
        return True

    def newest_known(self, seq: int) -> LogHead | None:
        """From ``seq`` back along its record: the newest entry that this person may know of."""
        for _ in range(HIDDEN_STEPS):
            self.walked += 1
            head = self.head_of(seq)
            if head is None or self.may_know(head):
                return head
            seq = head.prev_seq
        return None


async def look(
    store: Store, policy: Policy, sight: Sight, space: str, job: Callable[[Look], T]
) -> T:
    """Run ``job`` in one reading transaction. Raises StorageError, and what the job raises."""

    def within(connection: sqlite3.Connection) -> T:
        with reading(connection):
            return job(Look(connection, store, policy, sight, space))

    return await store.read(within)
