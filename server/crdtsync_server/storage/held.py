"""A record in memory: most of its fields as they lie on disk, those in use opened.

An op touches a field or two of a record, and a server holds many thousand records that
nobody touches just now. What is closed is nothing but tuples of entries, which the garbage
collector has not to look through, and is written again as it was read.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import msgspec

from crdtsync.documents.identity import ID_BYTES, packed_id, packed_ids
from crdtsync.documents.state import (
    OpsAtRest,
    RecordState,
    StoredOp,
    StoredRecord,
    StoredValue,
    decode_stored,
    stored_entries,
)

RecordKey = tuple[int, str, str]
"""(space id, collection, record)."""

IDS_LEFT_BEHIND = 64
"""Ids of entries that left a record which may stay among those of its entries. A further
op whose item has one of them is refused as well, which is as rare as any collision."""


_OPEN: tuple[StoredValue, ...] = ()

_ENCODER = msgspec.msgpack.Encoder()


class CachedRecord(msgspec.Struct, eq=False, gc=False):
    """A record in memory. ``row_id`` 0 means that it is not in the database yet."""

    key: RecordKey
    row_id: int
    seq: int
    """The last log entry that touched it, as of the last ``encode``; see ``state``."""
    updated_us: int
    updated_by: str
    ops: tuple[StoredOp, ...]
    """Those that entries are of, and perhaps others until the next ``encode``."""
    closed: dict[str, tuple[StoredValue, ...]]
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
        return cls(key, 0, 0, 0, "", (), {}, 0)

    @classmethod
    def decode(cls, key: RecordKey, row_id: int, data: bytes) -> CachedRecord:
        """A record of the database."""
        rest = decode_stored(data)
        about = rest.seq, rest.updated_us, rest.updated_by
        return cls(key, row_id, *about, rest.ops, rest.values, len(data))

    def opened(self, roots: Iterable[str]) -> RecordState:
        """The record with these fields opened, and perhaps with others."""
        state, closed = self.state, self.closed
        if state is None:
            state = self.state = RecordState(self.key[1], self.key[2])
            state.seq, state.updated_us = self.seq, self.updated_us
            state.updated_by = self.updated_by
        if closed:
            for root in roots:
                values = closed.get(root)
                if values:
                    entries = stored_entries(self.ops, values)
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
            ops = self.ops
            ids = b"".join(
                [
                    packed_id(root, ops[one.op].op_id, one.n)
                    for root, values in self.closed.items()
                    for one in values
                ]
            )
            if self.state is not None:
                opened = self.state.fields
                ids += packed_ids({root: entries.values() for root, entries in opened.items()})
            self.ids = ids
        return ids

    def encode(self) -> bytes:
        """Close the record. Its bytes, as ``decode_stored`` reads them."""
        if self.state is not None:
            self._close(self.state)
        if self.ids is not None and len(self.ids) > ID_BYTES * IDS_LEFT_BEHIND:
            count = sum(map(len, self.closed.values()))
            if len(self.ids) > ID_BYTES * (count + IDS_LEFT_BEHIND):
                self.ids = None
        return _ENCODER.encode(
            StoredRecord(self.seq, self.updated_us, self.updated_by, self.ops, self.closed)
        )

    def _close(self, state: RecordState) -> None:
        closed = self.closed
        # What is open has no values here, and may have lost some that it had.
        ops = OpsAtRest(self.ops, {one.op for values in closed.values() for one in values})
        for root, entries in state.fields.items():
            closed[root] = ops.put_away(entries.values())
        for root in [root for root, values in closed.items() if not values]:
            del closed[root]  # it lost all of its entries
        self.ops = (*ops.ops,)
        if ops.free:
            self._move_up(ops.free)
        self.seq, self.updated_us, self.updated_by = state.seq, state.updated_us, state.updated_by
        self.state = None

    def _move_up(self, free: Container[int]) -> None:
        """Nothing is left of some ops, and no other took their places."""
        left = [place for place in range(len(self.ops)) if place not in free]
        moved = {old: new for new, old in enumerate(left)}
        self.ops = tuple([self.ops[place] for place in left])
        for root, values in self.closed.items():
            self.closed[root] = tuple(
                [StoredValue(moved[one.op], one.n, one.value) for one in values]
            )
