"""``RecordDocument``: one record as a CRDT document, useful without server or replica.

It makes ops under a policy, applies ops of others in any order and any number
of times, encodes itself as an ordinary Yjs document, merges another's bytes,
and reads values, conflicts and what it holds of the past. Two kinds of life:

- *Without a log*: ops come by ``apply`` or inside another's bytes by ``merge``.
  What an op supersedes has to be here first; until then the op waits.
- *With a log*: the server's entries come by ``apply_entry``, in order. They list
  the deletions that take effect, and nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crdtsync.documents import reading
from crdtsync.documents.compaction import compacted, mark_of
from crdtsync.documents.conflict import Conflict, moment
from crdtsync.documents.decoder import decode_state, decode_update
from crdtsync.documents.document_writing import DocumentWriting
from crdtsync.documents.encoder import Mark
from crdtsync.documents.errors import BadDocument, CompactedDocument, DocumentError, InvalidOp
from crdtsync.documents.items import Change, Identity, Items
from crdtsync.documents.ops import EntryId, Op, check_op
from crdtsync.documents.state import Entry, LogEntry, RecordState
from crdtsync.documents.versions import Version, version_of
from crdtsync.documents.waiting import Waiting
from crdtsync.policy import CollectionPolicy


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry that a document holds. Of one that left only its name is kept."""

    field: str
    """The root of the field, as in ``r/phone``: fields of a newer policy are here too."""
    op_id: str
    n: int
    visible: bool
    value: Any = None
    """The Python value; the JSON text where the policy does not know the field."""
    user: str | None = None
    at: datetime | None = None
    """When its author wrote it, by the author's clock (UTC)."""


class RecordDocument(DocumentWriting, Mapping[str, Any]):
    """One record. A Mapping of field name → value as of now, over the fields of the policy.

    A field in conflict reads as a ``Conflict``, never as one of its values
    (invariant 6). Fields that the policy does not know are carried along.
    The writing methods (``update``, ``increment``, ``add``, …) make an op, apply
    it, and return it for others to ``apply``. Not safe for use in several
    threads: pycrdt's documents belong to the thread that made them.
    """

    __slots__ = ("_items", "_policy", "_waiting")

    def __init__(self, policy: CollectionPolicy, record_id: str) -> None:
        """An empty document."""
        self._policy = policy
        self._items = Items(RecordState(policy.name, record_id))
        self._waiting = Waiting()

    @classmethod
    def open(cls, data: bytes, policy: CollectionPolicy, record_id: str) -> RecordDocument:
        """The document that ``encode()`` wrote.

        The bytes are decoded strictly and must be ours to the last bit; nothing
        else reaches pycrdt (invariant 8). Raises BadDocument. Of an uncompacted
        document the seqs of its entries are not in the bytes.
        """
        decoded = decode_update(data)
        if not decoded.is_whole():
            raise BadDocument("this is a difference between documents, not a whole one; merge it")
        document = cls(policy, record_id)
        state = document._items.state
        state.seq = decoded.mark.as_of or 0 if decoded.mark else 0
        document._items = Items.decoded(decoded, state)
        return document

    @classmethod
    def from_state(cls, state: RecordState, policy: CollectionPolicy) -> RecordDocument:
        """The document of a record at rest: compacted, as of the state's seq.

        A state that shows unconfirmed ops becomes a document that takes no more ops.
        """
        document = cls(policy, state.record)
        mark = mark_of(state)
        if mark is not None:
            document._items = Items(compacted(state, mark), mark)
        return document

    def to_state(self) -> RecordState:
        """The visible entries, as a record lies at rest. Independent of this document."""
        state = self._items.state.copy()
        if not state.updated_us:
            written = ((entry.time_us, entry.op_id, entry.user) for _, entry in state.entries())
            state.updated_us, _, state.updated_by = max(written, default=(0, "", ""))
        return state

    # ── applying ────────────────────────────────────────────────────────────

    def apply(self, op: Op) -> bool:
        """Apply one op, and say whether the document changed.

        False for an op that is here already (invariant 3), and for one that
        waits because an entry it supersedes has never been here: it is applied
        when that entry comes, and shown in ``waiting`` until then. Raises
        InvalidOp, CompactedDocument, or DocumentError when too many wait; then
        nothing has changed.
        """
        return self.apply_many((op,)) > 0

    def apply_many(self, ops: Iterable[Op]) -> int:
        """Apply many ops in one step, in any order; all or none of them.

        Returns how many changed the document, ops that had waited included.
        """
        ops = list(ops)
        for op in ops:
            check_op(op)
        return self._apply_checked(ops)

    def _apply_checked(self, ops: list[Op]) -> int:
        self._refuse_compacted()
        change = Change(self._items)
        waiting = self._waiting.copy() if self._waiting.ops else Waiting()
        applied = 0
        for op in ops:
            self._check_record(op.collection, op.record)
            applied += _gather(change, waiting, [op])
        waiting.check_bound()
        if change:
            self._items.apply(change)
        self._waiting = waiting
        return applied

    def apply_entry(self, entry: LogEntry) -> bool:
        """Apply one entry of the server's log: what it wrote, and exactly what it removes.

        Entries come in the order of their seqs; one at or below the seq of this
        document is skipped and gives False. Raises CompactedDocument if the
        document was compacted without a seq.
        """
        if self.is_compacted and self.as_of is None:
            raise CompactedDocument("this document was compacted without a seq; open a snapshot")
        self._check_record(entry.collection, entry.record)
        if entry.seq <= self._items.state.seq:
            return False
        try:
            change = self._change_of(entry)
        except InvalidOp as error:
            if error.code != "id_collision":
                raise
            # The server, whose record has no tombstones, found the id free.
            self.compact(as_of=self._items.state.seq)
            change = self._change_of(entry)
        self._commit(change)
        self._confirm(entry)
        return True

    def merge(self, data: bytes) -> bool:
        """Merge what another document ``encode``d, whole or since ``state()`` of this one.

        Returns whether anything changed. ``data`` is to come from where this
        library's own bytes are kept; it is decoded strictly before pycrdt sees
        it. Raises BadDocument; CompactedDocument when the two were not compacted
        at the same seq, because values that one of them dropped would return;
        DocumentError for a difference that was made for another state.
        """
        decoded = decode_update(data)
        if not data:
            return False
        mark = self._items.mark
        if decoded.mark != mark or mark == Mark(None):
            raise CompactedDocument(
                f"documents {_standing(mark)} and {_standing(decoded.mark)} cannot be merged: "
                "values that were deleted in one would return; open the newer one instead"
            )
        change = Change(self._items)
        change.take(decoded, mark.as_of or 0 if mark else 0)
        if not change:
            return False
        self._commit(change)
        return True

    def compact(self, *, as_of: int | None) -> None:
        """Drop the tombstones: the document is rebuilt from its visible entries.

        It reads as before. With the seq of the log as of which it stands it
        takes log entries above that, and its counters are folded; every visible
        entry must be confirmed by the log then. With None it takes no more ops.
        Raises DocumentError while ops wait, or if it cannot stand for that seq.
        """
        if self._waiting.ops:
            raise DocumentError(f"{len(self._waiting.ops)} ops wait; compaction would lose them")
        if self._items.mark == Mark(None) and as_of is not None:
            raise CompactedDocument("this document was compacted without a seq and has none")
        mark = Mark(as_of)
        self._items = Items(compacted(self._items.state, mark), mark)

    # ── bytes ───────────────────────────────────────────────────────────────

    def encode(self, *, since: bytes | None = None) -> bytes:
        """A Yjs update v1: the whole document, or what the owner of ``since`` lacks.

        ``since`` is another document's ``state()``. Uncompacted documents that
        hold the same ops are equal byte for byte (invariant 5). Ops that wait
        are not in it. No bytes at all stand for nothing to say. Raises
        BadDocument for a ``since`` that no ``state()`` wrote.
        """
        if since is None:
            return self._items.encode()
        return self._items.encode_since(decode_state(since))

    def state(self) -> bytes:
        """The Yjs state vector: which items are here, for another's ``encode(since=…)``."""
        return self._items.state_vector()

    # ── reading ─────────────────────────────────────────────────────────────

    @property
    def record_id(self) -> str:
        """The id of the record."""
        return self._items.state.record

    @property
    def policy(self) -> CollectionPolicy:
        """The rules that this document is read and written under."""
        return self._policy

    def __getitem__(self, name: str) -> Any:
        """The value of a field: a Python value, a ``Conflict``, or the empty value."""
        field = self._policy.fields.get(name)
        if field is None:
            raise KeyError(f"{self._policy.name} has no field {name!r}")
        return reading.read_field(self._items.state, field)

    def __contains__(self, name: object) -> bool:
        return name in self._policy.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy.fields)

    def __len__(self) -> int:
        return len(self._policy.fields)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<RecordDocument {self._policy.name}/{self.record_id}>"

    def conflicts(self) -> dict[str, Conflict]:
        """The fields that wait for a person, by name."""
        state = self._items.state
        return {f.name: self[f.name] for f in reading.conflicts(state, self._policy)}

    @property
    def version(self) -> Version:
        """What a reader sees now: the ``based_on`` of a later write."""
        return version_of(self._items.state)

    @property
    def deleted(self) -> bool:
        """Whether the record is deleted, and no edit brought it back."""
        return reading.is_deleted(self._items.state, self._policy)

    def history(self, name: str | None = None) -> list[HeldEntry]:
        """What is held of the past, of one field or of all; oldest visible entries first.

        This is not the whole history: an entry that left is known by its op_id
        and place only, and compaction forgets that too. The server keeps the rest.
        """
        visible = sorted(self._items.state.entries(), key=lambda e: (e[1].time_us, e[1].id))
        held = [self._held(root, entry) for root, entry in visible]
        held += [HeldEntry(root, *entry_id, False) for root, entry_id in self._gone()]
        if name is None:
            return held
        root = self._policy.field(name).root
        return [entry for entry in held if entry.field == root]

    @property
    def waiting(self) -> tuple[Op, ...]:
        """The ops that wait for entries they supersede."""
        return tuple(self._waiting.ops.values())

    @property
    def is_compacted(self) -> bool:
        """Whether tombstones were dropped, so that only a log can extend the document."""
        return self._items.mark is not None

    @property
    def as_of(self) -> int | None:
        """The seq as of which a compacted document stands; None where there is none."""
        mark = self._items.mark
        return None if mark is None else mark.as_of

    @property
    def tombstones(self) -> int:
        """How many entries that left are kept: at 60 bytes each, a reason to compact."""
        return len(self._items.dead)

    # ── within ──────────────────────────────────────────────────────────────

    def _refuse_compacted(self) -> None:
        if self.is_compacted:
            raise CompactedDocument(
                f"this document {_standing(self._items.mark)} and takes no single ops: one that "
                "it has dropped would return; apply log entries, or open a newer snapshot"
            )

    def _check_record(self, collection: str, record: str) -> None:
        if collection != self._policy.name or record != self.record_id:
            raise InvalidOp(
                "wrong_record",
                f"{collection}/{record} is not {self._policy.name}/{self.record_id}",
            )

    def _change_of(self, entry: LogEntry) -> Change:
        change = Change(self._items)
        for root, placed in _entries(entry):
            change.add(root, placed)
        for gone in entry.removed:
            change.remove((gone.root, EntryId(gone.op_id, gone.n)))
        return change

    def _confirm(self, entry: LogEntry) -> None:
        """Give the entries their place in the log, those that were here before it too."""
        state = self._items.state
        for root, placed in _entries(entry):
            if placed.id in state.fields.get(root, {}):
                state.add(root, placed)
        state.seq = entry.seq
        state.updated_us = entry.received_us
        state.updated_by = entry.user

    def _commit(self, change: Change) -> None:
        """Apply what came, and the ops that had waited for it."""
        waiting = self._waiting
        if waiting.ops:
            waiting = waiting.copy()
            for identity in [*change.added, *change.left]:
                _gather(change, waiting, waiting.release(identity))
        if change:
            self._items.apply(change)
        self._waiting = waiting

    def _held(self, root: str, entry: Entry) -> HeldEntry:
        field = self._policy.by_root.get(root)
        value = field.decode(entry.value) if field is not None else entry.value
        at = moment(entry.time_us)
        return HeldEntry(root, entry.op_id, entry.n, True, value, entry.user, at)

    def _gone(self) -> list[Identity]:
        return sorted(self._items.tombstones())


def _gather(change: Change, waiting: Waiting, ops: list[Op]) -> int:
    """Put ops into a change as far as what they supersede is there; park the others."""
    applied = 0
    while ops:
        op = ops.pop()
        missing = next(
            (
                (root, seen)
                for root, write in op.writes.items()
                for seen in write.supersedes
                if not change.knows((root, seen))
            ),
            None,
        )
        if missing is not None:
            waiting.park(op, missing)
            continue
        changed = False
        for root, write in op.writes.items():
            for n, value in enumerate(write.values):
                entry = Entry(op.op_id, n, value, op.time_us, op.user, op.time_us, 0)
                changed |= change.add(root, entry)
                if waiting.ops:
                    ops += waiting.release((root, entry.id))
            for seen in write.supersedes:
                changed |= change.remove((root, seen))
        applied += changed
    return applied


def _entries(entry: LogEntry) -> Iterator[tuple[str, Entry]]:
    """What a log entry wrote, as entries."""
    for root, values in entry.writes.items():
        for n, value in enumerate(values):
            yield (
                root,
                Entry(
                    entry.op_id,
                    n,
                    value,
                    entry.time_us,
                    entry.user,
                    entry.effective_us,
                    entry.seq,
                ),
            )


def _standing(mark: Mark | None) -> str:
    if mark is None:
        return "that were never compacted"
    return "compacted without a seq" if mark.as_of is None else f"compacted as of {mark.as_of}"
