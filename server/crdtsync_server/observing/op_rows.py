"""What is stored about one op, as far as the reader may know it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from crdtsync.documents.state import LogEntry
from crdtsync_server.observing.finding import SQL, Finder, Question, space_of
from crdtsync_server.observing.trace_types import Status
from crdtsync_server.storage.receipts import ENTRY_DECODER

SHOWN_ATTEMPTS = 50
"""Attempts of one op that are shown, the newest ones."""

SHOWN_HOLDERS = 100
"""Replicas that have an op, those that got it first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An op of a push that did not enter the log by it."""

    result: str
    code: str | None
    named: str | None
    """The field that a refusal names."""
    collection: str
    record: str
    created_us: int
    number: int
    request_id: bytes
    space_id: int
    replica: int
    user: str
    received_us: int
    decided_us: int | None
    committed_us: int | None

    @property
    def field(self) -> str | None:
        """The name of that field, without its shape."""
        return None if self.named is None else self.named.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An op that is in the log, with what its row says besides."""

    space_id: int
    entry: LogEntry
    roots: tuple[str, ...]
    """The fields that it wrote and the reader may read."""
    request_id: bytes
    replica: int
    attempts: int
    created_us: int


@dataclass(frozen=True, slots=True)
class Told:
    """An attempt without success that the device told of later."""

    request_id: bytes
    sent_us: int
    ended: str
    space_id: int
    replica: int
    told_us: int


@dataclass(frozen=True, slots=True)
class Device:
    """A replica, for people."""

    replica_id: str
    user: str
    name: str


@dataclass(frozen=True, slots=True)
class Way:
    """When the push that brought an op into the log went through the server."""

    received_us: int
    decided_us: int | None
    committed_us: int | None
    published_us: int | None


class OpReader:
    """Reads about ops within one consistent view of the database."""

    def __init__(self, connection: sqlite3.Connection, question: Question, finder: Finder) -> None:
        self._connection = connection
        self._seen = question.seen
        self._reader = question.user
        self._finder = finder
        self._devices: dict[int, Device] = {}

    def space_name(self, space_id: int) -> str:
        """The name of a space that the reader may enter."""
        return self._finder.space_name(space_id) or ""

    def is_known(self, key: bytes) -> bool:
        """Whether the reader may know of this op."""
        accepted = self.accepted(key)
        return accepted is not None or bool(self.attempts(key, accepted))

    def accepted(self, key: bytes) -> Accepted | None:
        """The op as it is in the log; None where it is not, or nothing of it may be read."""
        row = self._run("place_of_op", key).fetchone()
        if row is None or self._finder.space_name(space_of(row[0])) is None:
            return None
        data, *rest = self._run("log_row", row[0]).fetchone()
        entry = ENTRY_DECODER.decode(data)
        roots = tuple(
            root for root in entry.outcomes if self._seen.may_read(entry.collection, root)
        )
        return Accepted(space_of(row[0]), entry, roots, *rest) if roots else None

    def attempts(self, key: bytes, accepted: Accepted | None) -> list[Attempt]:
        """Attempts that did not enter the log, newest first."""
        rows = [Attempt(*row) for row in self._run("attempts_of_op", key, SHOWN_ATTEMPTS)]
        return [one for one in rows if self._may_know(one, accepted)]

    def _may_know(self, one: Attempt, accepted: Accepted | None) -> bool:
        """Whether the reader may know of an attempt; which fields it wrote is not stored."""
        if self._finder.space_name(one.space_id) is None:
            return False
        if self._seen.is_full or one.user == self._reader:
            return True
        if one.collection not in self._seen.hiding:
            return one.collection in self._seen.collections
        if accepted is None or not self._seen.sees_collection(one.collection):
            # It may have written nothing but what is hidden.
            return False
        same = (accepted.entry.collection, accepted.entry.record) == (one.collection, one.record)
        return same and (one.field is None or self._seen.may_read_field(one.collection, one.field))

    def told(self, key: bytes) -> list[Told]:
        """Attempts that its device told of, oldest first."""
        rows = [Told(*row) for row in self._run("told_of_op", key)]
        return [one for one in rows if self._finder.space_name(one.space_id) is not None]

    def way(self, accepted: Accepted) -> Way | None:
        """How it went through the server; None where that is no longer kept."""
        entry = accepted.entry
        row = self._run(
            "request_near",
            entry.received_us,
            accepted.request_id,
            accepted.space_id,
            entry.seq,
        ).fetchone()
        return None if row is None else Way(*row)

    def holders(self, accepted: Accepted) -> list[tuple[Device, int]]:
        """Replicas that reported to have it, and when they first did."""
        rows = self._run("holders", accepted.space_id, accepted.entry.seq, SHOWN_HOLDERS)
        return [(_device(*row[:3]), row[3]) for row in rows]

    def device(self, row_id: int) -> Device:
        """A replica by its row."""
        if row_id not in self._devices:
            row = self._run("replica", row_id).fetchone()
            self._devices[row_id] = _device(*(row or ("", "", "")))
        return self._devices[row_id]

    def skew_us(self, replica: int, at_us: int) -> int:
        """The device's clock minus the server's, as of its last hello before ``at_us``."""
        row = self._run("skew_at", replica, at_us).fetchone()
        return 0 if row is None else int(row[0])

    def _run(self, name: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(SQL[name], values)


def _device(replica_id: str, user: str, name: str) -> Device:
    return Device(replica_id, user, name or replica_id[:8])


def status_of(accepted: Accepted | None, attempts: list[Attempt]) -> Status:
    """Where an op stands, as far as the server knows."""
    if accepted is not None:
        return "synced"
    result = attempts[0].result
    return "refused" if result == "refused" else "held" if result == "held" else "transient"
