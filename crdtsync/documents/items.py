"""The items of one document: the pycrdt Doc, and beside it the index for reading.

Whatever changes a document is gathered as a ``Change`` first, checked against
what is there, and then applied in one step: to pycrdt, and only when pycrdt has
taken it, to the index. So the two are equal whenever a caller can look.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pycrdt import Doc

from crdtsync.documents.content import plain_size, written_content
from crdtsync.documents.decoder import MAX_DOCUMENT_BYTES, DecodedUpdate
from crdtsync.documents.encoder import (
    Mark,
    client_code,
    mark_section,
    state_vector,
    tombstone_section,
    value_section,
    write_update,
)
from crdtsync.documents.errors import DocumentError, InvalidOp
from crdtsync.documents.identity import client_id, entry_key
from crdtsync.documents.ops import EntryId, Op, is_op_id
from crdtsync.documents.state import Entry, RecordState

NO_CLIENT = 0
"""The Doc's own client id. Nothing is ever written under it: every item carries
an id of its own, and those are never 0."""

DELETION_BYTES = 12
"""At most what one deletion takes in an update."""

_AROUND_CONTENT_BYTES = 64
"""At most what a section has beside root and content: its key, client id and lengths."""

UNWRITTEN = b""
"""Stands for the section of an entry that was taken in and that nobody has encoded yet."""

Identity = tuple[str, EntryId]
"""An entry within its record: its root, and its place there."""


class Items:
    """What a document holds: visible entries, tombstones, the mark, and the Doc of all that."""

    __slots__ = (
        "_doc",
        "_unwritten",
        "dead",
        "mark",
        "numbers",
        "sections",
        "size_bytes",
        "state",
    )

    def __init__(self, state: RecordState, mark: Mark | None = None) -> None:
        """The items of the visible entries of ``state``, which is kept and changed from now on."""
        self.state = state
        self.mark = mark
        self.numbers: dict[Identity, int] = {}
        self.sections: dict[int, bytes] = {}
        self._unwritten: dict[int, Identity] = {}
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
        identity = root, EntryId(entry.op_id, entry.n)
        number, section, size_bytes = claim(root, identity[1], entry)
        if number in self.sections:
            raise InvalidOp("id_collision", "two entries of this record have one item id")
        self.numbers[identity] = number
        self.sections[number] = section
        if section is UNWRITTEN:
            self._unwritten[number] = identity
        self.size_bytes += size_bytes

    @property
    def doc(self) -> Doc[Any]:
        """The pycrdt Doc: made from the index for who first asks, and kept in step from then on."""
        if self._doc is None:
            doc: Doc[Any] = Doc(client_id=NO_CLIENT)
            if self.sections:
                self._advance(doc, self.encode())
            self._doc = doc
        return self._doc

    def encode(self) -> bytes:
        """The whole document, equal bytes for equal items (invariant 5)."""
        self._write(self._unwritten)
        return write_update(self.sections, self.dead)

    def _write(self, numbers: Iterable[int]) -> None:
        """Write the sections of these items that nobody has needed before."""
        unwritten, fields = self._unwritten, self.state.fields
        for number in tuple(numbers):
            root, entry_id = unwritten.pop(number)
            if number in self.dead:
                section = tombstone_section(number, root, entry_key(entry_id))
            else:
                section = _section(number, root, fields[root][entry_id])
            self.sections[number] = section

    def encode_since(self, clients: set[bytes]) -> bytes:
        """What someone lacks who has the items of ``clients`` (``decode_state``).

        As in Yjs the delete set is always whole, because a state does not say
        what is deleted; the mark comes along so that its reader can refuse.
        """
        sections = self.sections
        lacking = [number for number in sections if client_code(number) not in clients]
        if not lacking and not self.dead:
            return b""
        unwritten = self._unwritten
        self._write([number for number in lacking if number in unwritten])
        missing = {number: sections[number] for number in lacking}
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
        grown = change.size_bytes + DELETION_BYTES * len(change.left)
        if self.size_bytes + grown > MAX_DOCUMENT_BYTES and change.added:
            # Sizes are told before sections are written, at most a few bytes too high.
            change.update()
            grown = sum(map(len, change.sections.values())) + DELETION_BYTES * len(change.left)
            self._write(self._unwritten)
            self.size_bytes = sum(map(len, self.sections.values()))
            self.size_bytes += DELETION_BYTES * len(self.dead)
        if self.size_bytes + grown > MAX_DOCUMENT_BYTES and change.added:
            raise DocumentError(
                f"this document would be larger than {MAX_DOCUMENT_BYTES} bytes; compact it"
            )
        if self._doc is not None:
            self._advance(self._doc, change.update())
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
        unwritten = self._unwritten
        sections.update(change.sections)
        for identity, (number, entry) in change.added.items():
            numbers[identity] = number
            if sections[number] is UNWRITTEN:
                unwritten[number] = identity
            root, entry_id = identity
            held = fields.get(root)
            if held is None:
                fields[root] = {entry_id: entry}
            else:
                held[entry_id] = entry
        for identity, number in change.left.items():
            if identity in numbers:
                self.state.remove(*identity)
                sections[number] = UNWRITTEN
                unwritten[number] = identity
            else:
                numbers[identity] = number
            self.dead.add(number)

    def take_plain(self, ops: list[Op]) -> bool:
        """Apply ops that write over nothing but what was here before; False if one does not.

        What ``Change`` does step by step for every op, at once for those that most ops are:
        each entry new, and each that it replaces there or gone. All is checked before anything is
        touched, so that False means untouched. The ops are checked in themselves (``check_op``).
        Raises InvalidOp.
        """
        if self._doc is not None:
            return False
        numbers, dead, sections = self.numbers, self.dead, self.sections
        gone: dict[int, Identity] = {}
        # Of each entry no tuple of its own: thousands keep the garbage collector busy.
        fresh: dict[int, Identity] = {}
        entries: list[Entry] = []
        written: dict[int, bytes] = {}
        new = tuple.__new__
        size_bytes = self.size_bytes
        for op in ops:
            op_id, time_us, user = op.op_id, op.time_us, op.user
            for root, write in op.writes.items():
                if not write.values:
                    return False
                for seen in write.supersedes:
                    identity = root, seen
                    number = numbers.get(identity)
                    if number is None:
                        return False
                    if number not in dead:
                        gone[number] = identity
                for n, value in enumerate(write.values):
                    entry = Entry(op_id, n, value, time_us, user, time_us, 0)
                    # As EntryId(op_id, n), in half the time.
                    entry_id = new(EntryId, (op_id, n))
                    number = client_id(root, entry_id)
                    if number in sections or number in fresh:
                        return False
                    fresh[number] = root, entry_id
                    entries.append(entry)
                    content_bytes = plain_size(root, value, time_us, user)
                    if content_bytes:
                        size_bytes += content_bytes + _AROUND_CONTENT_BYTES + len(root) * 4
                    else:
                        section = written[number] = _section(number, root, entry)
                        size_bytes += len(section)
        if gone:
            size_bytes += DELETION_BYTES * len(gone)
        if size_bytes > MAX_DOCUMENT_BYTES:
            return False
        self.size_bytes = size_bytes
        if gone:
            self._leave(gone)
        fields, unwritten = self.state.fields, self._unwritten
        for (number, identity), entry in zip(fresh.items(), entries, strict=True):
            root, entry_id = identity
            held = fields.get(root)
            if held is None:
                fields[root] = {entry_id: entry}
            else:
                held[entry_id] = entry
            numbers[identity] = number
            sections[number] = UNWRITTEN
            unwritten[number] = identity
        for number, section in written.items():
            sections[number] = section
            del unwritten[number]
        return True

    def _leave(self, gone: dict[int, Identity]) -> None:
        """Visible entries become tombstones."""
        fields, sections, unwritten, dead = (
            self.state.fields,
            self.sections,
            self._unwritten,
            self.dead,
        )
        for number, identity in gone.items():
            root, entry_id = identity
            held = fields[root]
            del held[entry_id]
            if not held:
                del fields[root]
            sections[number] = UNWRITTEN
            unwritten[number] = identity
            dead.add(number)


class Change:
    """What one step does to a document, gathered before anything is touched."""

    __slots__ = ("added", "items", "left", "sections", "size_bytes")

    def __init__(self, items: Items) -> None:
        self.items = items
        self.size_bytes = 0
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
        if identity in self.items.numbers or identity in self.added or identity in self.left:
            self._check_same(identity, entry)
            return False
        number, section, size_bytes = claim(root, identity[1], entry)
        self._put(number, section)
        self.size_bytes += size_bytes
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
            self.size_bytes += len(section)
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

    def update(self) -> bytes:
        """The change as bytes for pycrdt."""
        sections = self.sections
        for (root, _), (number, entry) in self.added.items():
            if sections[number] is UNWRITTEN:
                sections[number] = _section(number, root, entry)
        return write_update(sections, self.left.values())

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


def claim(root: str, entry_id: EntryId, entry: Entry) -> tuple[int, bytes, int]:
    """The client id of a visible entry, its section, and at most how large that is.

    A section of which one can see without a parser that it can be written and read again
    is left ``UNWRITTEN`` until somebody needs it: most are replaced before. Raises InvalidOp.
    """
    number = client_id(root, entry_id)
    content_bytes = plain_size(root, entry.value, entry.time_us, entry.user)
    if content_bytes and is_op_id(entry_id.op_id):
        return number, UNWRITTEN, content_bytes + _AROUND_CONTENT_BYTES + len(root) * 4
    section = _section(number, root, entry)
    return number, section, len(section)


def _section(number: int, root: str, entry: Entry) -> bytes:
    """The item of a visible entry. Raises InvalidOp."""
    content = written_content(root, entry.value, entry.time_us, entry.user, entry.op_id)
    return value_section(number, root, entry_key(entry.id), content)


def placed(entry: Entry, seq: int) -> Entry:
    """The entry as confirmed at or below ``seq``."""
    return Entry(
        entry.op_id, entry.n, entry.value, entry.time_us, entry.user, entry.effective_us, seq
    )


def _authored(entry: Entry) -> tuple[str, int, str]:
    return entry.value, entry.time_us, entry.user
