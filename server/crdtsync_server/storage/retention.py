"""Retention: cutting old log detail, a bounded slice at a time.

The server keeps, and for how long:

========================  ==========================================================
log, receipts             one row each per op, for ever: op_id, content digest, seq,
                          received_at, outcomes, digest of the chain, request_id. The
                          *detail* of a log row (values, what it removed) goes with age
kept_values               a value that left a record, until the row that removed it is
                          trimmed; the last loser of a field until the row of a later
                          loss is trimmed (invariant 7). A few rows per field
records                   what a record holds, deleted ones too (they can be restored):
                          at most ``MAX_RECORD_BYTES`` each
conflicts, their events   for ever: who chose what, when. At most one event per op and
                          field that opened, changed or closed a conflict
graves                    until the superseded op arrives; for ever if it never does,
                          because it may (one row per entry that was named unseen)
replicas                  one row per replica, for ever: which device received what
acknowledged              the newest ``RANGES_KEPT`` per replica, older ones folded into one
policies, spaces          one row each, for ever
connections, groups,      how ops travelled: with the age of the log, and bounded in number
requests, attempts, …     (observing/trimming.py)
========================  ==========================================================

A row's detail goes when the row is older than the retention. The values of
registers (everything that is not a counter or a set of its own) live longer
where they stand longer: one that a record still shows is in the record, and
when it leaves it stays in history for the stated time from then on. Readers
whose cursor lies below ``spaces.log_start`` get snapshots.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crdtsync.database import transaction
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId
from crdtsync.documents.state import LogEntry, RecordState, Removal
from crdtsync_server.storage.keys import position, uuid_bytes
from crdtsync_server.storage.receipts import ENTRY_DECODER, ENTRY_ENCODER

SLICE_ROWS = 250
"""Log rows that one transaction trims at most: about 10 ms, less than a full group of ops."""

SLICE_BYTES = 2 * 1_048_576
"""And at most so many bytes of log entries; at least one row in any case."""

RECORD_BYTES = 4 * 1_048_576
"""Of records that a slice reads to see what they still show; beyond it the slice ends."""

SLICE_SPACES = 500
"""Spaces that one step looks at in search of old rows."""

REGISTER = "r/"

_LOST = ("lost_received", "lost_user_time")

ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of trimming did."""

    rows: int
    """Log rows that were trimmed."""
    space_id: int | None
    """Where the next step goes on; None when nothing more is due."""


def trim_step(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    *,
    from_space: int = 0,
    before_us: int,
    keep_entries: int = 0,
    max_rows: int = SLICE_ROWS,
) -> Step:
    """Trim the next rows that were received before ``before_us``: one space, one transaction.

    The newest ``keep_entries`` of each space stay whatever their age. When it
    raises, nothing of the step happened; the same step may be tried again.
    """
    spaces = connection.execute(
        sql["spaces_to_trim"], (from_space, keep_entries, SLICE_SPACES)
    ).fetchall()
    for space_id, head_seq, log_start in spaces:
        below_seq = head_seq - keep_entries + 1
        trimmed = trim_slice(
            connection,
            sql,
            space_id,
            log_start,
            below_seq=below_seq,
            before_us=before_us,
            max_rows=max_rows,
        )
        if trimmed:
            return Step(trimmed, space_id)
    return Step(0, spaces[-1][0] + 1 if len(spaces) == SLICE_SPACES else None)


def trim_old(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    *,
    before_us: int,
    keep_entries: int = 0,
    max_rows: int = SLICE_ROWS,
) -> int:
    """Every step that is due, at once, in all spaces; how many rows were trimmed."""
    rows = 0
    from_space: int | None = 0
    while from_space is not None:
        step = trim_step(
            connection,
            sql,
            from_space=from_space,
            before_us=before_us,
            keep_entries=keep_entries,
            max_rows=max_rows,
        )
        rows += step.rows
        from_space = step.space_id
    return rows


def trim_log(
    connection: sqlite3.Connection, sql: Mapping[str, str], space: str, keep_from_seq: int
) -> None:
    """Trim a space's log below ``keep_from_seq``, whatever its age, at once."""
    while True:
        row = connection.execute(sql["find_space"], (space,)).fetchone()
        if row is None:
            return
        space_id, head_seq, _, _, log_start = row
        below_seq = min(keep_from_seq, head_seq + 1)
        if not trim_slice(connection, sql, space_id, log_start, below_seq=below_seq):
            return


def trim_slice(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    log_start: int,
    *,
    below_seq: int,
    before_us: int = ENDLESS,
    max_rows: int = SLICE_ROWS,
) -> int:
    """Trim the next rows of a space in one transaction; how many there were."""
    if log_start >= below_seq:
        return 0
    bounds = (position(space_id, log_start), position(space_id, below_seq - 1), max_rows)
    due: list[tuple[Any, ...]] = []
    size_bytes = 0
    for row in connection.execute(sql["log_rows"], bounds):
        entry = ENTRY_DECODER.decode(row[2])
        size_bytes += len(row[2])
        # received_at never runs backwards within a space: the first young row ends it.
        if entry.received_us >= before_us or (due and size_bytes > SLICE_BYTES):
            break
        due.append((*row, entry))
    if not due:
        return 0
    with transaction(connection):
        trimmed = _trim_rows(connection, sql, space_id, due)
        connection.execute(sql["set_log_start"], (log_start + trimmed, space_id))
    return trimmed


def _trim_rows(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    rows: Sequence[tuple[Any, ...]],
) -> int:
    values = _Values(connection, sql, space_id)
    short: list[tuple[Any, ...]] = []
    for place, content, _, request_id, replica, attempts, created_us, entry in rows:
        if values.read_bytes > RECORD_BYTES:
            break
        values.follow(place, entry)
        data = ENTRY_ENCODER.encode(_shortened(entry))
        short.append((place, content, data, request_id, replica, attempts, created_us))
    values.store()
    # A row that is only updated leaves its page as large as it was, and pages in the
    # middle of the log are never filled again. Rows that are written anew are packed.
    connection.execute(sql["delete_log_rows"], (short[0][0], short[-1][0]))
    connection.executemany(sql["append_log"], short)
    return len(short)


def _shortened(entry: LogEntry) -> LogEntry:
    """A receipt, a link of the digest chain, and a step of its record's walk."""
    kept: dict[str, tuple[str, ...]] = {}
    deletion = entry.writes.get(DELETION_ROOT)
    if deletion is not None:
        # Deletes are told from restores by their mark, which later deletes judge by.
        mark = DeleteMark.parse(deletion[0])
        kept[DELETION_ROOT] = (DeleteMark(mark.deleted, (), mark.seq).text(),)
    return msgspec.structs.replace(entry, writes=kept, removed=())


_Key = tuple[int, str, bytes]
"""(record row, root, op_id): a register's value."""


@dataclass(slots=True)
class _Kept:
    """A row of ``kept_values`` besides its key."""

    place: int
    value: str
    why: str | None = None
    left_seq: int | None = None


class _Values:
    """What becomes of register values while rows are trimmed, oldest row first."""

    def __init__(
        self, connection: sqlite3.Connection, sql: Mapping[str, str], space_id: int
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._space_id = space_id
        self._records: dict[tuple[str, str], tuple[int, RecordState]] = {}
        self._kept: dict[tuple[int, str], dict[bytes, _Kept]] = {}
        self._changed: dict[_Key, None] = {}
        self.read_bytes = 0

    def follow(self, place: int, entry: LogEntry) -> None:
        """Trim one row: keep what history still tells of it, drop what it removed."""
        op_key = uuid_bytes(entry.op_id)
        for root, written in entry.writes.items():
            if not root.startswith(REGISTER):
                continue
            row_id, state = self._record(entry)
            if EntryId(entry.op_id, 0) not in state.fields.get(root, {}):
                # It left: by a later row, or by this one (then it goes right below).
                self._of(row_id, root)[op_key] = _Kept(place, written[0])
                self._changed[row_id, root, op_key] = None
        for gone in entry.removed:
            if gone.root.startswith(REGISTER):
                self._follow_removal(entry, gone)

    def _follow_removal(self, entry: LogEntry, gone: Removal) -> None:
        row_id, _ = self._record(entry)
        kept = self._of(row_id, gone.root)
        key = uuid_bytes(gone.op_id)
        if gone.why not in _LOST:
            if kept.pop(key, None) is not None:
                self._changed[row_id, gone.root, key] = None
            return
        if key not in kept:
            return
        # This one is the last loser now; the one before it had its time.
        for other in [k for k, one in kept.items() if one.left_seq not in (None, entry.seq)]:
            del kept[other]
            self._changed[row_id, gone.root, other] = None
        kept[key].why, kept[key].left_seq = gone.why, entry.seq
        self._changed[row_id, gone.root, key] = None

    def store(self) -> None:
        """Write down what changed."""
        put: list[tuple[object, ...]] = []
        drop: list[_Key] = []
        for key in self._changed:
            row_id, root, op_key = key
            kept = self._kept[row_id, root].get(op_key)
            if kept is None:
                drop.append(key)
            else:
                put.append((*key, kept.place, kept.value, kept.why, kept.left_seq))
        self._connection.executemany(self._sql["drop_kept_value"], drop)
        self._connection.executemany(self._sql["keep_value"], put)

    def _record(self, entry: LogEntry) -> tuple[int, RecordState]:
        name = (entry.collection, entry.record)
        found = self._records.get(name)
        if found is None:
            row = self._connection.execute(
                self._sql["find_record"], (self._space_id, *name)
            ).fetchone()
            found = self._records[name] = (row[0], RecordState.decode(*name, row[1]))
            self.read_bytes += len(row[1])
        return found

    def _of(self, row_id: int, root: str) -> dict[bytes, _Kept]:
        found = self._kept.get((row_id, root))
        if found is None:
            rows = self._connection.execute(self._sql["kept_of_field"], (row_id, root))
            found = {key: _Kept(*rest) for key, *rest in rows}
            self._kept[row_id, root] = found
        return found
