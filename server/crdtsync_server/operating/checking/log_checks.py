"""The log of every space: no gaps, a chain that holds, receipts that agree both ways."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator

from crdtsync.documents.ops import FieldWrite, Op, content_digest
from crdtsync.documents.state import LogEntry
from crdtsync_server.operating.checking.book import Book, Space, readable_entry
from crdtsync_server.operating.checking.findings import Progress, Reached, step
from crdtsync_server.storage.keys import chain, in_chunks, position, seq_of, uuid_bytes

BATCH_ROWS = 256
"""Log rows whose receipts are looked up in one statement."""

KNOWN_RECORDS = 20_000
"""Records that are remembered as existing: a log touches the same ones again and again."""

LogRow = tuple[int, bytes, LogEntry | None]


def check_log(book: Book, progress: Progress) -> None:
    """Every row of the log, in order, and its receipt. Counts rows per space."""
    total = sum(space.head_seq for space in book.spaces.values())
    with step("log", total, progress) as reached:
        for space in book.spaces.values():
            _SpaceLog(book, space).check(reached)
        _check_foreign_rows(book)
    _check_receipts_without_entries(book, progress)


class _SpaceLog:
    """One space, first row to last."""

    def __init__(self, book: Book, space: Space) -> None:
        self._book = book
        self._space = space
        self._next_seq = 1
        self._digest: bytes | None = b""
        self._received_us = 0
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def check(self, reached: Reached) -> None:
        """Follow the chain from its start to the head."""
        for batch in self._batches():
            for row in batch:
                self._check_row(row)
                reached.count()
            self._check_receipts(batch)
        self._check_head()

    def _batches(self) -> Iterator[list[LogRow]]:
        first, last = position(self._space.id, 0), position(self._space.id + 1, 0)
        batch: list[LogRow] = []
        for place, content, data in self._book.connection.execute(
            "SELECT position, content_digest, entry FROM log "
            "WHERE position >= ? AND position < ? ORDER BY position",
            (first, last),
        ):
            batch.append((place, content, readable_entry(data)))
            if len(batch) == BATCH_ROWS:
                yield batch
                batch = []
        yield batch

    def _check_row(self, row: LogRow) -> None:
        place, content, entry = row
        seq, where = seq_of(place), self._book.place(self._space.id, seq_of(place))
        add = self._book.findings.add
        self._space.rows += 1
        if seq != self._next_seq:
            missing = seq - self._next_seq
            add("log_gap", where, f"{missing} rows are missing before it")
            self._digest = None
        self._next_seq = seq + 1
        if entry is None:
            add("unreadable_entry", where, "its entry cannot be decoded")
            self._digest = None
            return
        if entry.seq != seq:
            add("unreadable_entry", where, f"its entry says that it is seq {entry.seq}")
        self._check_chain(where, entry)
        if entry.received_us < self._received_us:
            add("wrong_time", where, "it was received before the one that precedes it")
        self._received_us = entry.received_us
        if seq >= self._space.log_start and content != _content_of(entry):
            add(
                "changed_entry",
                where,
                f"{entry.collection}/{entry.record}: what it holds is not what was accepted as "
                f"{entry.op_id}",
            )
        self._check_record_is_there(where, entry)

    def _check_chain(self, where: str, entry: LogEntry) -> None:
        key = _key_of(entry)
        if key is None:
            self._book.findings.add("unreadable_entry", where, f"{entry.op_id!r} is no op_id")
            self._digest = None
            return
        # After a gap nobody knows the digest before it; the chain is followed from here on.
        if self._digest is not None and entry.digest != chain(self._digest, key, entry.received_us):
            self._book.findings.add(
                "broken_chain", where, "its digest does not follow from the one before it"
            )
        self._digest = entry.digest

    def _check_record_is_there(self, where: str, entry: LogEntry) -> None:
        name = (entry.collection, entry.record)
        place = self._known.get(name)
        if place is None:
            row = self._book.connection.execute(
                "SELECT position FROM records WHERE space = ? AND collection = ? AND record = ?",
                (self._space.id, *name),
            ).fetchone()
            place = self._known[name] = -1 if row is None else int(row[0])
            if len(self._known) > KNOWN_RECORDS:
                self._known.popitem(last=False)
            if row is None:
                self._book.findings.add(
                    "record_missing",
                    f"{self._space.name} {entry.collection}/{entry.record}",
                    f"the log tells of it at seq {entry.seq}, and there is no such record",
                )
        if 0 <= place < position(self._space.id, entry.seq):
            self._book.findings.add(
                "record_behind",
                f"{self._space.name} {entry.collection}/{entry.record}",
                f"it stands as of seq {seq_of(place)}, and the log goes on to {entry.seq}",
            )

    def _check_receipts(self, batch: list[LogRow]) -> None:
        wanted = {
            key: place
            for place, _, entry in batch
            if entry is not None and (key := _key_of(entry)) is not None
        }
        found: dict[bytes, int] = {}
        for placeholders, chunk in in_chunks(list(wanted)):
            found.update(
                self._book.connection.execute(
                    f"SELECT op_id, position FROM receipts WHERE op_id IN ({placeholders})", chunk
                )
            )
        for place, _, entry in batch:
            key = None if entry is None else _key_of(entry)
            if entry is None or key is None:
                continue
            there = found.get(key)
            where = self._book.place(self._space.id, seq_of(place))
            if there is None:
                self._book.findings.add(
                    "receipt_missing", where, f"{entry.op_id} is in the log and has no receipt"
                )
            elif there != place:
                self._book.findings.add(
                    "receipt_wrong",
                    where,
                    f"the receipt of {entry.op_id} leads to position {there}, not {place}",
                )

    def _check_head(self) -> None:
        space, add = self._space, self._book.findings.add
        last_seq = self._next_seq - 1
        if last_seq != space.head_seq:
            kind = "log_gap" if last_seq < space.head_seq else "wrong_head"
            add(kind, space.name, f"the log ends at {last_seq}, its head says {space.head_seq}")
        elif self._digest is not None and self._digest != space.digest:
            add("wrong_head", space.name, "the digest of its head is not that of its last entry")
        elif space.received_us != self._received_us:
            add("wrong_head", space.name, "the time of its head is not that of its last entry")


def _check_foreign_rows(book: Book) -> None:
    """Log rows of spaces that do not exist."""
    rows = book.connection.execute(
        "SELECT position >> 40, count(*) FROM log "
        "WHERE NOT EXISTS (SELECT 1 FROM spaces WHERE spaces.id = log.position >> 40) "
        "GROUP BY 1"
    )
    for space_id, count in rows:
        book.findings.add("wrong_head", f"space {space_id}", f"{count} log rows of no space")


def _check_receipts_without_entries(book: Book, progress: Progress) -> None:
    """Every log row has its receipt by now, so a difference in number names the others."""
    with step("receipts", 0, progress):
        (count,) = book.connection.execute("SELECT count(*) FROM receipts").fetchone()
        if count == sum(space.rows for space in book.spaces.values()):
            return
        rows = book.connection.execute(
            "SELECT lower(hex(op_id)), position FROM receipts "
            "WHERE NOT EXISTS (SELECT 1 FROM log WHERE log.position = receipts.position)"
        )
        for op_id, place in rows:
            where = book.place(place >> 40, seq_of(place))
            book.findings.add("receipt_without_entry", where, f"a receipt of {op_id}")
        _check_shared_positions(book)


def _check_shared_positions(book: Book) -> None:
    rows: sqlite3.Cursor = book.connection.execute(
        "SELECT receipts.op_id, receipts.position, log.entry FROM receipts "
        "JOIN log ON log.position = receipts.position"
    )
    for op_id, place, data in rows:
        entry = readable_entry(data)
        if entry is not None and _key_of(entry) != op_id:
            where = book.place(place >> 40, seq_of(place))
            book.findings.add(
                "receipt_without_entry", where, f"a receipt of {op_id.hex()}, which is not there"
            )


def _key_of(entry: LogEntry) -> bytes | None:
    try:
        key = uuid_bytes(entry.op_id)
    except ValueError:
        return None
    return key if len(key) == 16 else None


def _content_of(entry: LogEntry) -> bytes:
    writes = {root: FieldWrite(values, ()) for root, values in entry.writes.items()}
    return content_digest(
        Op(
            entry.op_id,
            entry.user,
            entry.collection,
            entry.record,
            entry.time_us,
            writes,
        )
    )
