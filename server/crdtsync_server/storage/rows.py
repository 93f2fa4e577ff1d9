"""The rows of one group: found through the cache, gathered while it decides, written in bulk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from operator import itemgetter

from crdtsync_server.storage.cache import Cache, SpaceHead
from crdtsync_server.storage.held import CachedRecord, RecordKey
from crdtsync_server.storage.keys import in_chunks, position
from crdtsync_server.work import Origin

_row_id = itemgetter(2)


class Rows:
    """What a group reads of the database, and what it will write there.

    What it adds to memory stands in the cache at once: the ledger drops the cache
    when the group fails.
    """

    def __init__(
        self,
        cache: Cache,
        sql: Mapping[str, str],
        connection: sqlite3.Connection,
        now_us: int,
    ) -> None:
        self._cache = cache
        self._sql = sql
        self._connection = connection
        self._now_us = now_us
        self._log: list[tuple[object, ...]] = []
        self._receipts: list[tuple[bytes, int]] = []
        self._found: dict[RecordKey, tuple[int, bytes] | None] = {}
        self._touched: dict[RecordKey, CachedRecord] = {}
        self._grown: set[str] = set()
        self.written_bytes: list[int] = []
        """Sizes of the records that were written, in their stored form."""

    # ── finding ─────────────────────────────────────────────────────────────

    def head(self, space: str) -> SpaceHead:
        """Where the space's log ends; a space that is new is made."""
        head = self._cache.heads.get(space)
        if head is None:
            head = self._cache.heads[space] = self._read_head(space)
        return head

    def _read_head(self, space: str) -> SpaceHead:
        row = self._connection.execute(self._sql["find_space"], (space,)).fetchone()
        if row is None:
            cursor = self._connection.execute(self._sql["add_space"], (space, self._now_us))
            assert cursor.lastrowid is not None
            return SpaceHead(cursor.lastrowid, 0, b"", 0)
        return SpaceHead(*row[:4])

    def replica(self, space_id: int, origin: Origin) -> int:
        """The row of the replica that something came from."""
        known = self._cache.replicas.get((space_id, origin.replica_id))
        if known is not None:
            return known
        row = self._connection.execute(
            self._sql["find_replica"], (space_id, origin.replica_id)
        ).fetchone()
        if row is None:
            cursor = self._connection.execute(
                self._sql["add_replica"],
                (space_id, origin.replica_id, origin.user, self._now_us, self._now_us),
            )
            assert cursor.lastrowid is not None
            row = (cursor.lastrowid,)
        self._cache.replicas[(space_id, origin.replica_id)] = row[0]
        return int(row[0])

    def prefetch(self, space: str, collection: str, records: Iterable[str]) -> None:
        """Read records that will be asked for with one statement, in place of one each.

        Nobody has checked the names yet. What is not read here is read when it is asked for.
        """
        head = self._cache.heads.get(space)
        if head is None:
            return
        space_id, holds = head.space_id, self._cache.holds
        names = [name for name in records if not holds((space_id, collection, name))]
        if len(names) < 2:
            return
        for placeholders, chunk in in_chunks(names):
            statement = self._sql["find_records"].replace("/*ids*/", placeholders)
            try:
                rows = self._connection.execute(statement, (space_id, collection, *chunk))
            except UnicodeEncodeError:
                continue  # half a character in a name: its op will be refused
            found = {name: (row_id, state) for name, row_id, state in rows}
            for name in chunk:
                self._found[(space_id, collection, name)] = found.get(name)

    def record(self, space_id: int, collection: str, record: str) -> CachedRecord:
        """A record as it stands; one that is new is empty."""
        key = (space_id, collection, record)
        cached = self._cache.record(key)
        if cached is not None:
            return cached
        if key in self._found:
            row = self._found.pop(key)
        else:
            row = self._connection.execute(self._sql["find_record"], key).fetchone()
        if row is None:
            return self._cache.hold(CachedRecord.new(key))
        return self._cache.hold(CachedRecord.decode(key, *row))

    # ── gathering ───────────────────────────────────────────────────────────

    def add_receipt(self, key: bytes, place: int) -> None:
        """An op was accepted."""
        self._receipts.append((key, place))

    def add_log(self, row: tuple[object, ...]) -> None:
        """Its entry in the log."""
        self._log.append(row)

    def touch(self, cached: CachedRecord) -> None:
        """A record changed."""
        self._touched[cached.key] = cached

    def grow(self, space: str) -> None:
        """A space's head moved."""
        self._grown.add(space)

    # ── writing ─────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Write what was decided so far, so that statements see it."""
        run = self._connection.executemany
        if self._log:
            run(self._sql["append_log"], self._log)
            # In the order of the index: neighbours share pages.
            run(self._sql["add_receipt"], sorted(self._receipts))
            self._log, self._receipts = [], []
        if self._touched:
            self._write_records()
        for space in self._grown:
            head = self._cache.heads[space]
            self._connection.execute(
                self._sql["advance_space"],
                (head.seq, head.digest, head.received_us, head.space_id),
            )
        self._grown = set()

    def _write_records(self) -> None:
        new: list[tuple[object, ...]] = []
        changed: list[tuple[object, ...]] = []
        for (space_id, collection, record), cached in self._touched.items():
            data = cached.encode()
            self._cache.resize(cached, len(data))
            self.written_bytes.append(len(data))
            place = position(space_id, cached.seq)
            if cached.row_id:
                changed.append((place, data, cached.row_id))
            else:
                cached.row_id = self._next_record_id()
                new.append((cached.row_id, space_id, collection, record, place, data))
        self._touched = {}
        changed.sort(key=_row_id)  # in the order of the table, as for receipts
        if new:
            self._connection.executemany(self._sql["add_record"], new)
        if changed:
            self._connection.executemany(self._sql["write_record"], changed)

    def _next_record_id(self) -> int:
        if self._cache.last_record_id is None:
            row = self._connection.execute(self._sql["last_record_id"]).fetchone()
            self._cache.last_record_id = int(row[0])
        self._cache.last_record_id += 1
        return self._cache.last_record_id
