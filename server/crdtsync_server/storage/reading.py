"""The reading side of the store: committed data only, never behind a group (invariant 2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from crdtsync.database import StorageError
from crdtsync.documents.redaction import redact_entry, redact_record
from crdtsync.documents.state import (
    LogEntry,
    Removal,
    StoredRecord,
    decode_stored,
    in_form_of_today,
)
from crdtsync.policy import Visibility
from crdtsync.protocol.messages import History, HistoryRequest, Landmark, Paging, SnapshotRow
from crdtsync_server.sight import Sight
from crdtsync_server.storage.keys import position, seq_of, uuid_text
from crdtsync_server.storage.receipts import ENTRY_DECODER

PAGE_ROWS = 500
PAGE_BYTES = 262_144
"""A page of snapshots ends after so many rows or bytes, but never before its first row.
A replica counts the server as silent until a page is whole: on a slow network a much
larger one would end every connection, and a first sync would never end."""

LOG_PAGE_BYTES = 262_144
"""One frame of changes for a reader that catches up."""

HISTORY_PAGE_ENTRIES = 200
HISTORY_PAGE_BYTES = 1_048_576

HISTORY_STEPS = 10_000
"""Entries that are walked to find the first of a page. A page that goes on from the
one before needs none of them."""


@dataclass(slots=True)
class Countdown:
    """How many records a paging has still to send: counted once, then counted down.

    Counting walks the index of all that is left, which for every page would cost more
    than the page itself. Records that come meanwhile are not in it: it is an estimate.
    """

    at: Paging | None = None
    """The place that ``remaining`` was told for; asked for any other, it is counted anew."""
    remaining: int = 0


class SnapshotPageRead(msgspec.Struct, frozen=True):
    """A page of records, their states still encoded."""

    rows: tuple[SnapshotRow, ...]
    paging: Paging | None
    head: Landmark
    remaining: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """Consecutive log entries, still encoded."""

    first_seq: int
    entries: list[bytes]


class reading:  # noqa: N801 - reads as a statement: `with reading(connection):`
    """One consistent view of the committed data."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def read_log(
    connection: sqlite3.Connection, sql: Mapping[str, str], space: str, after_seq: int
) -> LogPage:
    """The next log entries above ``after_seq``, up to about ``LOG_PAGE_BYTES``."""
    entries: list[bytes] = []
    with reading(connection):
        row = connection.execute(sql["find_space"], (space,)).fetchone()
        if row is not None:
            space_id, head_seq, _, _, log_start = row
            if after_seq + 1 < log_start:
                raise StorageError("the log was cut meanwhile; connect again to get snapshots")
            size_bytes = 0
            bounds = (position(space_id, after_seq), position(space_id, head_seq))
            for (entry,) in connection.execute(sql["log_page"], bounds):
                entries.append(entry)
                size_bytes += len(entry)
                if size_bytes >= LOG_PAGE_BYTES:
                    break
    return LogPage(after_seq + 1, entries)


def read_snapshots(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space: str,
    paging: Paging,
    seen: Visibility,
    countdown: Countdown,
) -> SnapshotPageRead:
    """The page at ``paging``: downwards from ``before``, then upwards from ``after``.

    Records hold what ``seen`` lets the reader have, and those without any of it are left out,
    or are empty where the reader may still hold something of them.
    ``countdown`` is the connection's own and goes on with the page.
    """
    with reading(connection):
        row = connection.execute(sql["find_space"], (space,)).fetchone()
        if row is None:
            return SnapshotPageRead((), None, Landmark(0, b""), 0)
        space_id, head_seq, digest = row[:3]
        page = _Page(space_id, seen)
        head = Landmark(head_seq, digest)
        following = paging
        if following.before:
            following = page.downwards(connection, sql, following)
        if not following.before and not page.is_full:
            upwards = page.upwards(connection, sql, following, head_seq)
            if upwards is None:
                return SnapshotPageRead(tuple(page.rows), None, head, 0)
            following = upwards
        if countdown.at == paging:
            remaining = max(countdown.remaining - page.looked_at, 0)
        else:
            remaining = _count_remaining(connection, sql, space_id, following, head_seq)
        countdown.at, countdown.remaining = following, remaining
    return SnapshotPageRead(tuple(page.rows), following, head, remaining)


class _Page:
    """Rows of one page while it fills."""

    def __init__(self, space_id: int, seen: Visibility) -> None:
        self.rows: list[SnapshotRow] = []
        self.looked_at = 0
        self._space_id = space_id
        self._seen = seen
        self._size_bytes = 0
        self._steps = 0
        """Log entries that were looked at for records of which nothing is left to see."""

    @property
    def is_full(self) -> bool:
        return (
            self.looked_at >= PAGE_ROWS
            or self._size_bytes >= PAGE_BYTES
            or self._steps >= HISTORY_STEPS
        )

    def downwards(
        self, connection: sqlite3.Connection, sql: Mapping[str, str], paging: Paging
    ) -> Paging:
        bounds = (position(self._space_id, 0), position(self._space_id, paging.before))
        cursor = connection.execute(sql["records_below"], bounds)
        last = self._take(cursor)
        if self.is_full:
            return Paging(paging.head, last, 0)
        return Paging(paging.head, 0, paging.head)

    def upwards(
        self, connection: sqlite3.Connection, sql: Mapping[str, str], paging: Paging, head_seq: int
    ) -> Paging | None:
        bounds = (position(self._space_id, paging.after), position(self._space_id, head_seq))
        cursor = connection.execute(sql["records_above"], bounds)
        last = self._take(cursor, lambda place: self._emptied(connection, sql, place))
        return Paging(paging.head, 0, last) if self.is_full else None

    def _take(
        self,
        cursor: sqlite3.Cursor,
        otherwise: Callable[[int], StoredRecord | None] = lambda place: None,
    ) -> int:
        last = 0
        hiding = self._seen.hiding
        for collection, record, place, state in cursor:
            if collection in hiding:
                stored = redact_record(collection, decode_stored(state), self._seen)
                if stored is None and self._seen.sees_collection(collection):
                    stored = otherwise(place)
            else:
                # The state goes out as it lies there, without being decoded.
                stored = cast(StoredRecord, msgspec.Raw(in_form_of_today(state)))
            if stored is not None:
                self.rows.append(SnapshotRow(collection, record, stored))
            self.looked_at += 1
            self._size_bytes += len(state)
            last = place
            if self.is_full:
                break
        return seq_of(last)

    def _emptied(
        self, connection: sqlite3.Connection, sql: Mapping[str, str], place: int
    ) -> StoredRecord | None:
        """An empty record in place of one of which nothing is left to see, but once was.

        The reader may hold what was seen (the elements of a set that were all removed
        since), and would never hear that it is gone. What every op wrote to stays in the
        log for ever. One that never had anything for this reader is not told of.
        """
        seq = seq_of(place)
        while seq and self._steps < HISTORY_STEPS:
            self._steps += 1
            key = (position(self._space_id, seq),)
            entry = ENTRY_DECODER.decode(connection.execute(sql["log_entry"], key).fetchone()[0])
            roots = entry.outcomes
            if entry.revived or any(self._seen.may_read(entry.collection, one) for one in roots):
                return StoredRecord(entry.seq, entry.effective_us, entry.user, (), {})
            seq = entry.prev_seq
        return None


def _count_remaining(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    paging: Paging,
    head_seq: int,
) -> int:
    below = max(paging.before - 1, 0)
    (count,) = connection.execute(
        sql["count_records"], (position(space_id, 0), position(space_id, below))
    ).fetchone()
    above = paging.after if not paging.before else paging.head
    (more,) = connection.execute(
        sql["count_records"], (position(space_id, above), position(space_id, head_seq))
    ).fetchone()
    return int(count) + int(more)


def read_history(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space: str,
    asked: HistoryRequest,
    sight: Sight,
) -> History:
    """The record's log entries, newest first, walked by ``prev_seq``.

    Below the start of the log follow the entries of which something is kept. What the
    reader may not see is not there.
    """
    entries: list[LogEntry] = []
    kept: list[LogEntry] = []
    with reading(connection):
        row = connection.execute(sql["find_space"], (space,)).fetchone()
        if row is None:
            return History(asked.request, (), True, False)
        space_id, head_seq, log_start = row[0], row[1], row[4]
        seq = _newest_seq(connection, sql, space_id, head_seq, asked)
        size_bytes = 0
        for _ in range(HISTORY_STEPS):
            if seq < log_start or len(entries) >= HISTORY_PAGE_ENTRIES:
                break
            (data,) = connection.execute(sql["log_entry"], (position(space_id, seq),)).fetchone()
            entry = ENTRY_DECODER.decode(data)
            if not asked.before_seq or seq < asked.before_seq:
                shown = redact_entry(entry, sight.seen, sight.user)
                if isinstance(shown, LogEntry):
                    entries.append(shown)
                    size_bytes += len(data)
            seq = entry.prev_seq
            if size_bytes >= HISTORY_PAGE_BYTES:
                break
        more = seq >= log_start and bool(entries)
        if not more and 0 < seq < log_start:
            found = _read_kept(connection, sql, space_id, asked, log_start)
            shown_kept = (redact_entry(entry, sight.seen, sight.user) for entry in found)
            kept = [entry for entry in shown_kept if isinstance(entry, LogEntry)]
    room = HISTORY_PAGE_ENTRIES - len(entries)
    more = more or len(kept) > room
    is_all = seq == 0 and not 0 < asked.before_seq < log_start
    return History(asked.request, (*entries, *kept[:room]), more or is_all, more)


def _read_kept(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    asked: HistoryRequest,
    log_start: int,
) -> list[LogEntry]:
    """What is left of the record's trimmed entries, newest first: values that history still
    tells of, and what made the last losers lose."""
    key = (space_id, asked.collection, asked.record)
    row = connection.execute(sql["record_position"], key).fetchone()
    found: dict[int, LogEntry] = {}

    def entry_at(seq: int) -> LogEntry:
        if seq not in found:
            (data,) = connection.execute(sql["log_entry"], (position(space_id, seq),)).fetchone()
            found[seq] = msgspec.structs.replace(ENTRY_DECODER.decode(data), writes={})
        return found[seq]

    bounds = (row[1], position(space_id, log_start))
    for root, op_key, place, value, why, left_seq in connection.execute(
        sql["kept_of_record"], bounds
    ):
        seq = seq_of(place)
        entry_at(seq).writes[root] = (value,)
        if left_seq is not None:
            remover = entry_at(left_seq)
            gone = Removal(root, uuid_text(op_key), 0, why)
            found[left_seq] = msgspec.structs.replace(remover, removed=(*remover.removed, gone))
    below = asked.before_seq or log_start
    return [found[seq] for seq in sorted(found, reverse=True) if seq < below]


def _newest_seq(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    head_seq: int,
    asked: HistoryRequest,
) -> int:
    if 0 < asked.before_seq <= head_seq:
        # The usual case: a page goes on from the last entry of the one before.
        place = position(space_id, asked.before_seq)
        row = connection.execute(sql["log_entry"], (place,)).fetchone()
        entry = None if row is None else ENTRY_DECODER.decode(row[0])
        if entry and (entry.collection, entry.record) == (asked.collection, asked.record):
            return entry.prev_seq
    key = (space_id, asked.collection, asked.record)
    row = connection.execute(sql["record_position"], key).fetchone()
    return 0 if row is None else seq_of(row[0])
