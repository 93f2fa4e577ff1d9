"""What a record holds: its visible entries, field by field.

This is the form in which records lie on disk and in which the server decides.
It is the same information as a compacted document (documents/document.py) and
each is built from the other.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from crdtsync.documents.ops import EntryId, FieldWrite, Op

FOLD_PREFIX = "fold:"


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One value that an op put into a field, as its author wrote it.

    ``effective_us`` and ``seq`` are the server's: they come with the log entry.
    A pending entry has ``seq`` 0 and its author's time.
    """

    op_id: str
    n: int
    value: str
    time_us: int
    user: str
    effective_us: int
    seq: int

    @property
    def id(self) -> EntryId:
        """The entry's name within its field."""
        return EntryId(self.op_id, self.n)


Why = Literal["superseded", "lost_received", "lost_user_time", "late", "revived"]
"""Why an entry left: its replacer had seen it; another was received later;
another has a later user time; its replacement was there before it; a concurrent
edit brought the record back."""


class Removal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A deletion that takes effect with a log entry."""

    root: str
    op_id: str
    n: int
    why: Why


Outcome = Literal["applied", "superseded", "conflict"]


class LogEntry(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """An accepted op at its place in the space's order, with what the server decided.

    ``removed`` lists exactly the deletions that take effect, the op's own
    entries included where they lost. ``prev_seq`` is the record's entry before
    this one (0 for the first). ``digest`` chains over (previous digest, op_id, received_us).
    """

    seq: int
    digest: bytes
    op_id: str
    user: str
    collection: str
    record: str
    time_us: int
    received_us: int
    effective_us: int
    writes: dict[str, tuple[str, ...]]
    removed: tuple[Removal, ...]
    outcomes: dict[str, Outcome]
    prev_seq: int
    revived: bool = False

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """What the op wrote, as entries with their roots, whether they stand or not."""
        for root, values in self.writes.items():
            for n, value in enumerate(values):
                yield (
                    root,
                    Entry(
                        self.op_id,
                        n,
                        value,
                        self.time_us,
                        self.user,
                        self.effective_us,
                        self.seq,
                    ),
                )


class Stub(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """A seq that its reader may not read. ``op_id`` is given to the op's own author only."""

    seq: int
    digest: bytes
    op_id: str | None = None


class StoredOp(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the entries of an op have in common: a record at rest names it once for all of them."""

    op_id: str
    time_us: int
    user: str
    effective_us: int
    seq: int


class StoredValue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An entry of a record at rest. ``op`` is the place of its op among those of the record."""

    op: Annotated[int, msgspec.Meta(ge=0)]
    n: int
    value: str


class StoredRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record at rest and in snapshots. ``seq`` is the log position as of which it stands.

    Most records are written whole by one op, whose name, author and times are longer than
    most values: a record of ten short texts takes less than half of what it would with an op
    named in each entry. Tuples, and nothing that Python's collector has to follow for long: a first
    sync holds a hundred thousand fields at a time, and none of them is part of a cycle.
    """

    seq: int
    updated_us: int
    updated_by: str
    ops: tuple[StoredOp, ...]
    values: dict[str, tuple[StoredValue, ...]]
    """By field."""

    @classmethod
    def of(
        cls, seq: int, updated_us: int, updated_by: str, fields: Mapping[str, Iterable[Entry]]
    ) -> StoredRecord:
        """A record of these entries."""
        ops = OpsAtRest()
        values = {
            root: stored for root, entries in fields.items() if (stored := ops.put_away(entries))
        }
        return cls(seq, updated_us, updated_by, (*ops.ops,), values)

    @property
    def fields(self) -> dict[str, tuple[Entry, ...]]:
        """The entries of each field; raises msgspec.ValidationError if an op is missing."""
        ops = self.ops
        return {root: stored_entries(ops, values) for root, values in self.values.items()}


class OpsAtRest:
    """The ops of a record while entries of it are put to rest.

    ``free`` are places among ``ops`` that no entry at rest is of: they are given again.
    """

    __slots__ = ("_places", "free", "ops")

    def __init__(self, ops: Iterable[StoredOp] = (), used: Container[int] = ()) -> None:
        self.ops = list(ops)
        self.free = [place for place in range(len(self.ops)) if place not in used]
        self._places = {op.op_id: place for place, op in enumerate(self.ops)}

    def put_away(self, entries: Iterable[Entry]) -> tuple[StoredValue, ...]:
        """Entries of a field as they lie at rest."""
        return tuple([StoredValue(self._place_of(one), one.n, one.value) for one in entries])

    def _place_of(self, entry: Entry) -> int:
        ops, free = self.ops, self.free
        place = self._places.get(entry.op_id)
        if place is not None and _is_of(entry, ops[place]):
            if place in free:
                free.remove(place)
            return place
        op = StoredOp(entry.op_id, entry.time_us, entry.user, entry.effective_us, entry.seq)
        if free:
            place = free.pop()
            ops[place] = op
        else:
            place = len(ops)
            ops.append(op)
        self._places[entry.op_id] = place
        return place


def _is_of(entry: Entry, op: StoredOp) -> bool:
    return (
        entry.op_id == op.op_id
        and entry.seq == op.seq
        and entry.effective_us == op.effective_us
        and entry.time_us == op.time_us
        and entry.user == op.user
    )


def stored_entries(ops: Sequence[StoredOp], values: Iterable[StoredValue]) -> tuple[Entry, ...]:
    """The entries of a field; raises msgspec.ValidationError if an op is missing."""
    entries = []
    for one in values:
        try:
            op = ops[one.op]
        except IndexError:
            raise msgspec.ValidationError(
                f"an entry of the record is of op {one.op}, and it names {len(ops)}"
            ) from None
        entries.append(
            Entry(op.op_id, one.n, one.value, op.time_us, op.user, op.effective_us, op.seq)
        )
    return tuple(entries)


class _EarlierRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record as it was stored first: each entry names its op. Read, never written."""

    seq: int
    updated_us: int
    updated_by: str
    fields: dict[str, tuple[Entry, ...]]


_EARLIER_BEGINS = b"\x94"
"""A MessagePack array of four; of five since ops are named once."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(StoredRecord)
_EARLIER_DECODER = msgspec.msgpack.Decoder(_EarlierRecord)


def decode_stored(data: bytes) -> StoredRecord:
    """A record of a database, in the form of today or the one before it. Raises msgspec errors."""
    if data[:1] != _EARLIER_BEGINS:
        return _DECODER.decode(data)
    earlier = _EARLIER_DECODER.decode(data)
    return StoredRecord.of(earlier.seq, earlier.updated_us, earlier.updated_by, earlier.fields)


def in_form_of_today(data: bytes) -> bytes:
    """A record of a database as it may leave it: what lies there, nearly always."""
    return data if data[:1] != _EARLIER_BEGINS else _ENCODER.encode(decode_stored(data))


class RecordState:
    """The visible entries of one record, in memory.

    ``seq`` is the last log entry that touched the record (0 before any).
    ``pending`` and ``hidden`` are filled by ``overlay`` only: the ops shown on
    top, in order, and the entries that they cover.
    """

    __slots__ = (
        "collection",
        "fields",
        "hidden",
        "pending",
        "record",
        "seq",
        "updated_by",
        "updated_us",
    )

    def __init__(self, collection: str, record: str) -> None:
        self.collection = collection
        self.record = record
        self.fields: dict[str, dict[EntryId, Entry]] = {}
        self.hidden: dict[str, dict[EntryId, tuple[Entry, str]]] = {}
        self.pending: list[str] = []
        self.seq = 0
        self.updated_us = 0
        self.updated_by = ""

    @classmethod
    def from_stored(cls, collection: str, record: str, stored: StoredRecord) -> RecordState:
        """Rebuild a record from its snapshot."""
        state = cls(collection, record)
        state.seq = stored.seq
        state.updated_us = stored.updated_us
        state.updated_by = stored.updated_by
        fields, ops = state.fields, stored.ops
        for root, values in stored.values.items():
            entries = stored_entries(ops, values)
            fields[root] = {EntryId(entry.op_id, entry.n): entry for entry in entries}
        return state

    @classmethod
    def decode(cls, collection: str, record: str, data: bytes) -> RecordState:
        """Rebuild a record from the bytes of ``encode``."""
        return cls.from_stored(collection, record, decode_stored(data))

    def stored(self) -> StoredRecord:
        """The record as it lies on disk and travels in snapshots."""
        fields = {root: entries.values() for root, entries in self.fields.items()}
        return StoredRecord.of(self.seq, self.updated_us, self.updated_by, fields)

    def encode(self) -> bytes:
        """Bytes for ``decode``."""
        return _ENCODER.encode(self.stored())

    def copy(self) -> RecordState:
        """An independent state; the entries are immutable and shared."""
        other = RecordState(self.collection, self.record)
        other.fields = {root: dict(entries) for root, entries in self.fields.items()}
        other.hidden = {root: dict(entries) for root, entries in self.hidden.items()}
        other.pending = list(self.pending)
        other.seq, other.updated_us, other.updated_by = self.seq, self.updated_us, self.updated_by
        return other

    def visible(self, root: str) -> Iterable[Entry]:
        """The entries of a field, oldest first as far as this state knows."""
        return self.fields.get(root, {}).values()

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every visible entry with its root."""
        for root, entries in self.fields.items():
            for entry in entries.values():
                yield root, entry

    def add(self, root: str, entry: Entry) -> None:
        """Make an entry visible."""
        self.fields.setdefault(root, {})[EntryId(entry.op_id, entry.n)] = entry

    def remove(self, root: str, entry_id: EntryId) -> None:
        """Hide an entry; one that is not there is no error (it left before)."""
        entries = self.fields.get(root)
        if entries is not None:
            entries.pop(entry_id, None)
            if not entries:
                del self.fields[root]

    def apply_entry(self, entry: LogEntry) -> None:
        """Advance by one log entry: add what it wrote, remove exactly what it lists.

        An entry at or below ``seq`` is already in this state and is skipped.
        """
        if entry.seq <= self.seq:
            return
        fields, op_id = self.fields, entry.op_id
        first = EntryId(op_id, 0)  # mostly the only one of each field
        for root, values in entry.writes.items():
            standing = fields.get(root)
            if standing is None:
                standing = fields[root] = {}
            for n, value in enumerate(values):
                standing[EntryId(op_id, n) if n else first] = Entry(
                    op_id, n, value, entry.time_us, entry.user, entry.effective_us, entry.seq
                )
        for gone in entry.removed:
            standing = fields.get(gone.root)
            if standing is not None:
                standing.pop(EntryId(gone.op_id, gone.n), None)
                if not standing:
                    del fields[gone.root]
        self.seq = entry.seq
        self.updated_us = entry.received_us
        self.updated_by = entry.user

    def overlay(self, op: Op) -> None:
        """Show a pending op on top: never done to a state that is stored as confirmed."""
        for root, write in op.writes.items():
            for seen in write.supersedes:
                covered = self.fields.get(root, {}).get(seen)
                if covered is not None:
                    self.hidden.setdefault(root, {})[seen] = (covered, op.op_id)
                    self.remove(root, seen)
            self._add_pending(op, root, write)
        self.pending.append(op.op_id)
        self.updated_us = max(self.updated_us, op.time_us)
        self.updated_by = op.user

    def _add_pending(self, op: Op, root: str, write: FieldWrite) -> None:
        for n, value in enumerate(write.values):
            self.add(root, Entry(op.op_id, n, value, op.time_us, op.user, op.time_us, 0))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written here (or all of it was taken back)."""
        return not self.fields
