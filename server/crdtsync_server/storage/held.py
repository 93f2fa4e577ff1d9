"""A record in memory: most of its fields as they lie on disk, those in use opened.

An op touches a field or two of a record, and a server holds many thousand records that
nobody touches just now. What is closed is nothing but tuples of entries, which the garbage
collector has not to look through, and is written again as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crdtsync.documents.identity import ID_BYTES, packed_ids
from crdtsync.documents.state import Entry, RecordState

RecordKey = tuple[int, str, str]
"""(space id, collection, record)."""

IDS_LEFT_BEHIND = 64
"""Ids of entries that left a record which may stay among those of its entries. A further
op whose item has one of them is refused as well, which is as rare as any collision."""


class _AtRest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A StoredRecord, its entries in tuples."""

    seq: int
    updated_us: int
    updated_by: str
    fields: dict[str, tuple[Entry, ...]]


_OPEN: tuple[Entry, ...] = ()

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_AtRest)


class CachedRecord(msgspec.Struct, eq=False, gc=False):
    """A record in memory. ``row_id`` 0 means that it is not in the database yet."""

    key: RecordKey
    row_id: int
    seq: int
    """The last log entry that touched it, as of the last ``encode``; see ``state``."""
    updated_us: int
    updated_by: str
    closed: dict[str, tuple[Entry, ...]]
    """The visible entries of each field. A field that is open has none here: it keeps its
    place, and its entries are in ``state``."""
    size_bytes: int
    """As last encoded, and a rough sum of what was added since."""
    state: RecordState | None = None
    """The fields that are open."""
    ids: bytes | None = None
    """The packed item ids of its visible entries, and of some that left; None: not known."""

    @classmethod
    def new(cls, key: RecordKey) -> CachedRecord:
        """A record that nobody has written to."""
        return cls(key, 0, 0, 0, "", {}, 0)

    @classmethod
    def decode(cls, key: RecordKey, row_id: int, data: bytes) -> CachedRecord:
        """A record of the database."""
        rest = _DECODER.decode(data)
        return cls(key, row_id, rest.seq, rest.updated_us, rest.updated_by, rest.fields, len(data))

    def opened(self, roots: Iterable[str]) -> RecordState:
        """The record with these fields opened, and perhaps with others."""
        state, closed = self.state, self.closed
        if state is None:
            state = self.state = RecordState(self.key[1], self.key[2])
            state.seq, state.updated_us = self.seq, self.updated_us
            state.updated_by = self.updated_by
        if closed:
            for root in roots:
                entries = closed.get(root)
                if entries:
                    state.fields[root] = {entry.id: entry for entry in entries}
                    closed[root] = _OPEN
        return state

    def whole(self) -> RecordState:
        """The record with all of its fields."""
        return self.opened(tuple(self.closed))

    def item_ids(self) -> bytes:
        """The packed item ids of its visible entries, and perhaps of some that left."""
        ids = self.ids
        if ids is None:
            ids = packed_ids(self.closed)
            if self.state is not None:
                opened = self.state.fields
                ids += packed_ids({root: entries.values() for root, entries in opened.items()})
            self.ids = ids
        return ids

    def encode(self) -> bytes:
        """Close the record. Its bytes, as ``StoredRecord`` and ``decode`` read them."""
        state, closed = self.state, self.closed
        if state is not None:
            for root, entries in state.fields.items():
                closed[root] = tuple(entries.values())
            for root in [root for root, entries in closed.items() if not entries]:
                del closed[root]  # it lost all of its entries
            self.seq, self.updated_us, self.updated_by = (
                state.seq,
                state.updated_us,
                state.updated_by,
            )
            self.state = None
        if self.ids is not None and len(self.ids) > ID_BYTES * IDS_LEFT_BEHIND:
            count = sum(map(len, closed.values()))
            if len(self.ids) > ID_BYTES * (count + IDS_LEFT_BEHIND):
                self.ids = None
        return _ENCODER.encode(_AtRest(self.seq, self.updated_us, self.updated_by, closed))
