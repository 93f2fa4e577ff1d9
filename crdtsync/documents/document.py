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

from collections.abc import Iterable

from crdtsync.documents.change import Change
from crdtsync.documents.compaction import compacted, mark_of
from crdtsync.documents.decoder import check_readable, decode_state, decode_update
from crdtsync.documents.document_reading import DocumentReading
from crdtsync.documents.document_writing import DocumentWriting
from crdtsync.documents.encoder import Mark
from crdtsync.documents.errors import BadDocument, CompactedDocument, DocumentError, InvalidOp
from crdtsync.documents.items import Identity, Items
from crdtsync.documents.ops import EntryId, Op, check_superseded, check_written
from crdtsync.documents.state import Entry, LogEntry, RecordState
from crdtsync.documents.waiting import Waiting
from crdtsync.policy import CollectionPolicy


class RecordDocument(DocumentWriting, DocumentReading):
    """One record. A Mapping of field name → value as of now, over the fields of the policy.

    A field in conflict reads as a ``Conflict``, never as one of its values
    (invariant 6). Fields that the policy does not know are carried along.
    The writing methods (``update``, ``increment``, ``add``, …) make an op, apply
    it, and return it for others to ``apply``. Not safe for use by several
    threads at once.
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
        check_written(op)
        return self._apply_written([op]) > 0

    def apply_many(self, ops: Iterable[Op]) -> int:
        """Apply many ops in one step, in any order; all or none of them.

        Returns how many changed the document, ops that had waited included.
        """
        ops = list(ops)
        for op in ops:
            check_written(op)
        return self._apply_written(ops)

    def _apply_written(self, ops: list[Op]) -> int:
        if self._items.mark is not None:
            self._refuse_compacted()
        collection, record = self._policy.name, self._items.state.record
        for op in ops:
            if op.record != record or op.collection != collection:
                self._check_record(op.collection, op.record)
        if not self._waiting.ops and self._items.take_plain(ops):
            return len(ops)
        for op in ops:
            check_superseded(op)
        change = Change(self._items)
        waiting = self._waiting.copy() if self._waiting.ops else Waiting()
        applied = 0
        for op in ops:
            applied += _gather(change, waiting, op)
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
        seq = mark.as_of or 0 if mark else 0
        if not self._waiting.ops and self._items.take_merged(decoded, seq):
            return True
        change = Change(self._items)
        change.take(decoded, seq)
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

    @property
    def waiting(self) -> tuple[Op, ...]:
        """The ops that wait for entries they supersede."""
        return tuple(self._waiting.ops.values())

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

    # ── within ──────────────────────────────────────────────────────────────

    def _refuse_compacted(self) -> None:
        raise CompactedDocument(
            f"this document is {_standing(self._items.mark)} and takes no single ops: one that "
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
        for root, placed in entry.entries():
            check_readable(root, placed)
            change.add(root, placed)
        for gone in entry.removed:
            change.remove((gone.root, EntryId(gone.op_id, gone.n)))
        return change

    def _confirm(self, entry: LogEntry) -> None:
        """Give the entries their place in the log, those that were here before it too."""
        state = self._items.state
        for root, placed in entry.entries():
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
                for op in waiting.release(identity):
                    _gather(change, waiting, op)
        if change:
            self._items.apply(change)
        self._waiting = waiting


def _gather(change: Change, waiting: Waiting, first: Op) -> int:
    """Put an op, and those that waited for it, into a change.

    Parks what supersedes something that is not there.
    """
    applied = 0
    ops = [first]
    while ops:
        op = ops.pop()
        missing = _missing(change, op)
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


def _missing(change: Change, op: Op) -> Identity | None:
    """The first entry that ``op`` supersedes and that has never been here."""
    for root, write in op.writes.items():
        for seen in write.supersedes:
            if not change.knows((root, seen)):
                return root, seen
    return None


def _standing(mark: Mark | None) -> str:
    if mark is None:
        return "that were never compacted"
    return "compacted without a seq" if mark.as_of is None else f"compacted as of {mark.as_of}"
