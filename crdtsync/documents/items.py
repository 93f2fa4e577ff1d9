"""The items of one document: the pycrdt Doc, and beside it the index for reading.

Whatever changes a document is gathered as a ``Change`` first, checked against
what is there, and then applied in one step: to pycrdt, and only when pycrdt has
taken it, to the index. So the two are equal whenever a caller can look.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pycrdt import Doc

from crdtsync.documents.content import written_content
from crdtsync.documents.decoder import MAX_DOCUMENT_BYTES, DecodedUpdate
from crdtsync.documents.encoder import (
    Mark,
    mark_section,
    state_vector,
    tombstone_section,
    value_section,
    write_update,
)
from crdtsync.documents.errors import DocumentError, InvalidOp
from crdtsync.documents.identity import client_id, entry_key
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.state import Entry, RecordState

NO_CLIENT = 0
"""The Doc's own client id. Nothing is ever written under it: every item carries
an id of its own, and those are never 0."""

DELETION_BYTES = 12
"""At most what one deletion takes in an update."""

Identity = tuple[str, EntryId]
"""An entry within its record: its root, and its place there."""


class Items:
    """What a document holds: visible entries, tombstones, the mark, and the Doc of all that."""

    __slots__ = ("_doc", "dead", "mark", "numbers", "sections", "size_bytes", "state")

    def __init__(self, state: RecordState, mark: Mark | None = None) -> None:
        """The items of the visible entries of ``state``, which is kept and changed from now on."""
        self.state = state
        self.mark = mark
        self.numbers: dict[Identity, int] = {}
        self.sections: dict[int, bytes] = {}
        self.dead: set[int] = set()
        self.size_bytes = 0
        self._doc: Doc[Any] | None = None
        if mark is not None:
            number, section = mark_section(mark)
            self.sections[number] = section
            self.size_bytes = len(section)
        for root, entry in state.entries():
            self._index(root, entry)

    @classmethod
    def decoded(cls, decoded: DecodedUpdate, state: RecordState) -> Items:
        """The items of a whole document; its visible entries are put into ``state``."""
        items = cls(state, decoded.mark)
        seq = state.seq
        for number, root, entry_id, section, entry in decoded.items:
            items.numbers[root, entry_id] = number
            items.sections[number] = section
            items.size_bytes += len(section)
            if entry is not None:
                state.add(root, placed(entry, seq) if seq else entry)
        items.dead = decoded.deleted
        return items

    def _index(self, root: str, entry: Entry) -> None:
        number, section = entry_section(root, entry)
        if number in self.sections:
            raise InvalidOp("id_collision", "two entries of this record have one item id")
        self.numbers[root, EntryId(entry.op_id, entry.n)] = number
        self.sections[number] = section
        self.size_bytes += len(section)

    @property
    def doc(self) -> Doc[Any]:
        """The pycrdt Doc: made from the index for who first asks, and kept in step from then on."""
        if self._doc is None:
            doc: Doc[Any] = Doc(client_id=NO_CLIENT)
            if self.sections:
                doc.apply_update(self.encode())
            self._doc = doc
        return self._doc

    def encode(self) -> bytes:
        """The whole document, equal bytes for equal items (invariant 5)."""
        return write_update(self.sections, self.dead)

    def encode_since(self, clients: set[int]) -> bytes:
        """What someone lacks who has the items of ``clients``.

        As in Yjs the delete set is always whole, because a state does not say
        what is deleted; the mark comes along so that its reader can refuse.
        """
        missing = {n: section for n, section in self.sections.items() if n not in clients}
        if not missing and not self.dead:
            return b""
        if self.mark is not None:
            number, section = mark_section(self.mark)
            missing[number] = section
        return write_update(missing, self.dead)

    def state_vector(self) -> bytes:
        """What ``encode_since`` of another document takes."""
        return state_vector(self.sections)

    def tombstones(self) -> Iterable[Identity]:
        """The entries that left, as far as they are still known."""
        return (identity for identity, number in self.numbers.items() if number in self.dead)

    def apply(self, change: Change) -> None:
        """Apply a change, wholly or not at all.

        Raises DocumentError when the document would be too large, or when pycrdt
        fails: then its Doc is dropped, and made anew from the index at the next use.
        """
        grown = sum(map(len, change.sections.values())) + DELETION_BYTES * len(change.left)
        if self.size_bytes + grown > MAX_DOCUMENT_BYTES and change.added:
            raise DocumentError(
                f"this document would be larger than {MAX_DOCUMENT_BYTES} bytes; compact it"
            )
        if self._doc is not None:
            self._advance(self._doc, write_update(change.sections, change.left.values()))
        self._follow(change)
        self.size_bytes += grown

    def _advance(self, doc: Doc[Any], update: bytes) -> None:
        try:
            doc.apply_update(update)
        except BaseException as error:
            # A panic of pycrdt is a BaseException, and transactions never roll back.
            self._doc = None
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise DocumentError(f"pycrdt refused an update of our own: {error!r}") from error

    def _follow(self, change: Change) -> None:
        """Bring the index to where the Doc is, or would be."""
        numbers, sections, fields = self.numbers, self.sections, self.state.fields
        sections.update(change.sections)
        for identity, (number, entry) in change.added.items():
            numbers[identity] = number
            root, entry_id = identity
            held = fields.get(root)
            if held is None:
                fields[root] = {entry_id: entry}
            else:
                held[entry_id] = entry
        for identity, number in change.left.items():
            if identity in numbers:
                root, entry_id = identity
                self.state.remove(root, entry_id)
                sections[number] = tombstone_section(number, root, entry_key(entry_id))
            else:
                numbers[identity] = number
            self.dead.add(number)

    def overwrite(self, op: Op) -> bool:
        """Apply an op that writes one value over what is visible; False if it is another.

        What ``Change`` does step by step for every op, at once for the most frequent one:
        nothing is touched unless all of it is as plain as that.
        """
        numbers, dead, sections = self.numbers, self.dead, self.sections
        if len(op.writes) != 1 or self._doc is not None:
            return False
        ((root, write),) = op.writes.items()
        if len(write.values) != 1:
            return False
        gone = []
        for seen in write.supersedes:
            number = numbers.get((root, seen))
            if number is None or number in dead:
                return False
            gone.append(number)
        op_id, time_us = op.op_id, op.time_us
        entry = Entry(op_id, 0, write.values[0], time_us, op.user, time_us, 0)
        entry_id = EntryId(op_id, 0)
        identity = root, entry_id
        number, section = entry_section(root, entry)
        grown = len(section) + DELETION_BYTES * len(gone)
        if (
            number in sections
            or identity in numbers
            or self.size_bytes + grown > MAX_DOCUMENT_BYTES
        ):
            return False
        held = self.state.fields.setdefault(root, {})
        for left, seen in zip(gone, write.supersedes, strict=True):
            del held[seen]
            sections[left] = tombstone_section(left, root, entry_key(seen))
        dead.update(gone)
        held[entry_id] = entry
        numbers[identity] = number
        sections[number] = section
        self.size_bytes += grown
        return True


class Change:
    """What one step does to a document, gathered before anything is touched."""

    __slots__ = ("added", "items", "left", "sections")

    def __init__(self, items: Items) -> None:
        self.items = items
        self.sections: dict[int, bytes] = {}
        self.added: dict[Identity, tuple[int, Entry]] = {}
        self.left: dict[Identity, int] = {}

    def __bool__(self) -> bool:
        return bool(self.added or self.left)

    def knows(self, identity: Identity) -> bool:
        """Whether the document holds the entry, visible or not, once this is applied."""
        return identity in self.items.numbers or identity in self.added or identity in self.left

    def add(self, root: str, entry: Entry) -> bool:
        """Make an entry visible, if it is new; one that is known, or left, stays as it is.

        Raises InvalidOp: ``id_collision``, ``op_id_reused``, or a value that
        nobody could read back.
        """
        identity = root, EntryId(entry.op_id, entry.n)
        if self.knows(identity):
            self._check_same(identity, entry)
            return False
        number, section = entry_section(root, entry)
        self._put(number, section)
        self.added[identity] = number, entry
        return True

    def remove(self, identity: Identity) -> bool:
        """Delete an entry, if it is visible; that it left, or was never here, is no error."""
        fresh = self.added.pop(identity, None)
        if fresh is not None:
            root, entry_id = identity
            self.sections[fresh[0]] = tombstone_section(fresh[0], root, entry_key(entry_id))
            self.left[identity] = fresh[0]
            return True
        number = self.items.numbers.get(identity)
        if number is None or number in self.items.dead or identity in self.left:
            return False
        self.left[identity] = number
        return True

    def take(self, decoded: DecodedUpdate, seq: int) -> None:
        """Add what another document holds and this one does not.

        ``seq`` is given to entries that come out of a compacted document.
        """
        known, held = self.items.numbers, self.items.sections
        for number, root, entry_id, section, entry in decoded.items:
            identity = root, entry_id
            if number in held:
                if identity not in known:
                    self._put(number, section)
                if entry is None:
                    self.remove(identity)
                elif section != held[number]:
                    self._check_same(identity, entry)
                continue
            # The decoder has seen to it that no two items of an update have one number.
            self.sections[number] = section
            if entry is None:
                self.left[identity] = number
            else:
                self.added[identity] = number, placed(entry, seq) if seq else entry
        if not decoded.is_whole():
            self._take_deletions(decoded)

    def _take_deletions(self, decoded: DecodedUpdate) -> None:
        """The deletions in a difference of items that this document must hold already."""
        dead = self.items.dead
        missing = {
            number
            for number in decoded.deleted
            if number not in dead and number not in self.sections
        }
        if not missing:
            return
        numbers = self.items.numbers
        found = {identity: number for identity, number in numbers.items() if number in missing}
        if len(found) < len(missing):
            raise DocumentError(
                "this difference was made for another state; encode it since state() of "
                "this document, or encode it whole"
            )
        self.left.update(found)

    def _put(self, number: int, section: bytes) -> None:
        if number in self.items.sections or number in self.sections:
            raise InvalidOp("id_collision", "an entry of another op has the same item id")
        self.sections[number] = section

    def _check_same(self, identity: Identity, entry: Entry) -> None:
        fresh = self.added.get(identity)
        root, entry_id = identity
        held = fresh[1] if fresh else self.items.state.fields.get(root, {}).get(entry_id)
        if held is not None and _authored(held) != _authored(entry):
            raise InvalidOp("op_id_reused", f"{entry.op_id} stands for another write to {root}")


def entry_section(root: str, entry: Entry) -> tuple[int, bytes]:
    """The client id and the item of a visible entry. Raises InvalidOp."""
    entry_id = EntryId(entry.op_id, entry.n)
    number = client_id(root, entry_id)
    content = written_content(root, entry.value, entry.time_us, entry.user, entry.op_id)
    return number, value_section(number, root, entry_key(entry_id), content)


def placed(entry: Entry, seq: int) -> Entry:
    """The entry as confirmed at or below ``seq``."""
    return Entry(
        entry.op_id, entry.n, entry.value, entry.time_us, entry.user, entry.effective_us, seq
    )


def _authored(entry: Entry) -> tuple[str, int, str]:
    return entry.value, entry.time_us, entry.user
