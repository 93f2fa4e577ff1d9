"""What the writing side holds in memory: heads, ids of replicas, and the records in use."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from crdtsync_server.storage.bounds import Filling
from crdtsync_server.storage.held import CachedRecord, RecordKey

CACHED_RECORDS = 50_000
CACHED_BYTES = 64 * 1_048_576
"""Of records in their encoded form; in memory they take about five times that."""

CACHED_NAMES = 50_000
"""Spaces and replicas whose rows are remembered."""


@dataclass(slots=True)
class SpaceHead:
    """Where a space's log ends, the group at hand included."""

    space_id: int
    seq: int
    digest: bytes
    received_us: int


class Cache:
    """Equal to the committed database plus the group at hand; dropped when a group fails."""

    def __init__(self) -> None:
        self.heads: dict[str, SpaceHead] = {}
        self.replicas: dict[tuple[int, str], int] = {}
        self.last_record_id: int | None = None
        self.filling = Filling()
        self._records: OrderedDict[RecordKey, CachedRecord] = OrderedDict()
        self._bytes = 0

    def record(self, key: RecordKey) -> CachedRecord | None:
        """The record if it is held; it counts as used now."""
        cached = self._records.get(key)
        if cached is not None:
            self._records.move_to_end(key)
        return cached

    def holds(self, key: RecordKey) -> bool:
        """Whether the record is held, without using it."""
        return key in self._records

    def hold(self, cached: CachedRecord) -> CachedRecord:
        """Keep a record."""
        self._records[cached.key] = cached
        self._bytes += cached.size_bytes
        return cached

    def resize(self, cached: CachedRecord, size_bytes: int) -> None:
        """A record that is held has another size now."""
        self._bytes += size_bytes - cached.size_bytes
        cached.size_bytes = size_bytes

    def forget(self) -> None:
        """Drop everything; it is read again when it is needed."""
        self.heads.clear()
        self.replicas.clear()
        self.last_record_id = None
        self.filling.forget()
        self._records.clear()
        self._bytes = 0

    def evict(self) -> None:
        """Drop what was not used for longest. Only between groups."""
        while self._records and (len(self._records) > CACHED_RECORDS or self._bytes > CACHED_BYTES):
            _, oldest = self._records.popitem(last=False)
            self._bytes -= oldest.size_bytes
        if len(self.heads) > CACHED_NAMES:
            self.heads.clear()
        if len(self.replicas) > CACHED_NAMES:
            self.replicas.clear()
