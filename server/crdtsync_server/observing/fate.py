"""What became of an op later: who replaced its values, and the conflicts that it was part of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import LogEntry, StoredRecord, decode_stored, stored_entries
from crdtsync_server.observing.finding import SQL
from crdtsync_server.observing.op_rows import Accepted
from crdtsync_server.storage.keys import position, seq_of
from crdtsync_server.storage.receipts import ENTRY_DECODER

WALKED_ENTRIES = 500
"""Log entries of a record that are walked to learn what became of an op's values."""

_CANDIDATES = msgspec.msgpack.Decoder(tuple[EntryId, ...])

RecordKey = tuple[int, str, str]


class Fates:
    """Reads the later fate of ops; remembers the records of one page."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._records: dict[RecordKey, tuple[int, StoredRecord | None]] = {}
        self._walks: dict[RecordKey, list[LogEntry]] = {}

    def departures(self, accepted: Accepted) -> tuple[list[tuple[str, str, LogEntry]], bool]:
        """(root, why, the entry that removed it) of values that left; and whether that is all."""
        gone = self._gone(accepted)
        if not gone:
            return [], True
        op_id = accepted.entry.op_id
        found: list[tuple[str, str, LogEntry]] = []
        complete = False
        for entry in self._newer(accepted):
            for removal in entry.removed:
                if removal.op_id == op_id and removal.root in gone:
                    found.append((removal.root, removal.why, entry))
            if entry.seq == accepted.entry.seq:
                complete = True
        return found, complete

    def _gone(self, accepted: Accepted) -> set[str]:
        """Readable fields in which not every value of the op stands any more."""
        _, state = self._record(accepted)
        op_id = accepted.entry.op_id
        gone = set()
        for root in accepted.roots:
            if root.startswith("c/"):
                continue  # deltas are added up and never leave
            wrote = len(accepted.entry.writes.get(root, ("",)))
            values = () if state is None else state.values.get(root, ())
            entries = () if state is None else stored_entries(state.ops, values)
            if sum(entry.op_id == op_id for entry in entries) < wrote:
                gone.add(root)
        return gone

    def _record(self, accepted: Accepted) -> tuple[int, StoredRecord | None]:
        key = _key(accepted)
        if key not in self._records:
            row = self._run("newest_of_record", *key).fetchone()
            found = (0, None) if row is None else (seq_of(row[0]), decode_stored(row[1]))
            self._records[key] = found
        return self._records[key]

    def _newer(self, accepted: Accepted) -> Iterator[LogEntry]:
        """The record's entries from the newest down to the op's own, as far as is walked."""
        key = _key(accepted)
        walk = self._walks.setdefault(key, [])
        for number in range(WALKED_ENTRIES):
            if number == len(walk):
                seq = walk[-1].prev_seq if walk else self._record(accepted)[0]
                row = self._run("log_row", position(key[0], seq)).fetchone() if seq else None
                if row is None:
                    return
                walk.append(ENTRY_DECODER.decode(row[0]))
            yield walk[number]
            if walk[number].seq <= accepted.entry.seq:
                return

    def conflicts(self, accepted: Accepted) -> Iterator[tuple[str, str, int, str]]:
        """(root, kind, when, by whom) of what happened to conflicts that the op was part of."""
        entry = accepted.entry
        for root in accepted.roots:
            for (conflict,) in self._run("conflicts_of_field", *_key(accepted), root).fetchall():
                was_in = False
                for _seq, kind, at_us, user, op_id, candidates in self._run(
                    "conflict_events", conflict, entry.seq
                ):
                    is_in = any(one.op_id == entry.op_id for one in _CANDIDATES.decode(candidates))
                    if is_in or was_in or op_id == entry.op_id:
                        yield root, kind, at_us, user
                    was_in = is_in

    def _run(self, name: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(SQL[name], values)


def _key(accepted: Accepted) -> RecordKey:
    return accepted.space_id, accepted.entry.collection, accepted.entry.record
