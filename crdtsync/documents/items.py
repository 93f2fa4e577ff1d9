"""The items of one document: the pycrdt Doc, and beside it the index for reading.

Whatever changes a document is gathered first (``Change``; ``take_plain`` and
``take_merged`` for what most changes are), checked against what is there, and then
applied in one step: to pycrdt, and only when pycrdt has taken it, to the index. So
the two are equal whenever a caller can look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pycrdt import Doc

from crdtsync.documents.content import plain_size, written_content
from crdtsync.documents.decoder import MAX_DOCUMENT_BYTES, DecodedUpdate
from crdtsync.documents.encoder import (
    Mark,
    mark_section,
    plain_section,
    state_vector,
    tombstone_section,
    value_section,
    write_update,
)
from crdtsync.documents.errors import DocumentError, InvalidOp
from crdtsync.documents.identity import entry_key, item_id
from crdtsync.documents.ops import MAX_SUPERSEDES, EntryId, Op, is_op_id
from crdtsync.documents.state import Entry, RecordState

if TYPE_CHECKING:
    from crdtsync.documents.change import Change

NO_CLIENT = 0
"""The Doc's own client id. Nothing is ever written under it: every item carries
an id of its own, and those are never 0."""

DELETION_BYTES = 12
"""At most what one deletion takes in an update."""

_AROUND_CONTENT_BYTES = 64
"""At most what a section has beside root and content: its key, client id and lengths."""

UNWRITTEN = b""
"""Stands for the section of an entry that is plain to see and that nobody has encoded yet."""

Identity = tuple[str, EntryId]
"""An entry within its record: its root, and its place there."""

_new_tuple = tuple.__new__
"""Makes an EntryId of a pair in half the time."""


class Items:
    """What a document holds: visible entries, tombstones, the mark, and the Doc of all that."""

    __slots__ = (
        "_doc",
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
        # By client id; the identity stands for a section that nobody has needed yet.
        self.sections: dict[int, bytes | Identity] = {}
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
        self.sections[number] = section or identity
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
        return write_update(self._written(self.sections), self.dead)

    def _written(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The sections of these items; those that nobody has needed before are written now."""
        sections, fields, dead = self.sections, self.state.fields, self.dead
        written: dict[int, bytes] = {}
        for number in numbers:
            section = sections[number]
            if isinstance(section, tuple):
                root, entry_id = section
                if number in dead:
                    section = tombstone_section(number, root, entry_key(entry_id))
                else:
                    section = plain_section(number, root, fields[root][entry_id])
            written[number] = section
        sections.update(written)
        return written

    def encode_since(self, clients: set[int]) -> bytes:
        """What someone lacks who has the items of ``clients`` (``decode_state``).

        As in Yjs the delete set is always whole, because a state does not say
        what is deleted; the mark comes along so that its reader can refuse.
        """
        lacking = self.sections.keys() - clients
        if not lacking and not self.dead:
            return b""
        missing = self._written(lacking)
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
            self.size_bytes = sum(map(len, self._written(self.sections).values()))
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
        sections.update(change.sections)
        for identity, (number, entry) in change.added.items():
            numbers[identity] = number
            if sections[number] is UNWRITTEN:
                sections[number] = identity
            root, entry_id = identity
            held = fields.get(root)
            if held is None:
                fields[root] = {entry_id: entry}
            else:
                held[entry_id] = entry
        for identity, number in change.left.items():
            if identity in numbers:
                self.state.remove(*identity)
                sections[number] = identity
            else:
                numbers[identity] = number
            self.dead.add(number)

    def take_plain(self, ops: list[Op]) -> bool:
        """Apply ops that write over nothing but what was here before; False if one does not.

        What ``Change`` does step by step for every op, at once for those that most ops are:
        each entry new, and each that it replaces there or gone. All is checked before anything is
        touched, so that False means untouched. The ops are checked in themselves, but for the
        entries that they replace (``check_written``): one that is here is named rightly.
        Raises InvalidOp, and DocumentError as ``apply`` does.
        """
        numbers, dead, sections = self.numbers, self.dead, self.sections
        gone: dict[int, Identity] = {}
        # Of each entry no tuple of its own: thousands keep the garbage collector busy.
        fresh: dict[int, Identity] = {}
        entries: list[Entry] = []
        written: dict[int, bytes] = {}
        size_bytes = self.size_bytes
        for op in ops:
            op_id, time_us, user = op.op_id, op.time_us, op.user
            for root, write in op.writes.items():
                values, supersedes = write.values, write.supersedes
                if not values or (len(supersedes) > 1 and not _are_different(supersedes)):
                    return False
                for seen in supersedes:
                    identity = root, seen
                    number = numbers.get(identity)
                    if number is None or seen[0] == op_id:
                        return False
                    if number not in dead:
                        gone[number] = identity
                for n, value in enumerate(values):
                    number = item_id(root, op_id, n)
                    if number in sections or number in fresh:
                        return False
                    entry = Entry(op_id, n, value, time_us, user, time_us, 0)
                    fresh[number] = root, _new_tuple(EntryId, (op_id, n))
                    entries.append(entry)
                    content_bytes = plain_size(root, value, time_us, user)
                    if content_bytes:
                        size_bytes += content_bytes + _AROUND_CONTENT_BYTES + len(root) * 4
                    else:
                        section = written[number] = _section(number, root, entry)
                        size_bytes += len(section)
        size_bytes += DELETION_BYTES * len(gone)
        if size_bytes > MAX_DOCUMENT_BYTES:
            return False
        if self._doc is not None and fresh:
            for (number, (root, _)), entry in zip(fresh.items(), entries, strict=True):
                if number not in written:
                    written[number] = plain_section(number, root, entry)
            self._advance(self._doc, write_update(written, gone))
        self.size_bytes = size_bytes
        self._turn(gone, fresh, entries, written)
        return True

    def take_merged(self, decoded: DecodedUpdate, seq: int) -> bool:
        """Merge what another document holds where that is only new here; False where it is not.

        As ``take_plain``: what ``Change`` does step by step, for what most differences are,
        visible entries that were never here and deletions of some that are.
        ``seq`` is given to entries that come out of a compacted document. Raises DocumentError.
        """
        sections, size_bytes = self.sections, self.size_bytes
        fresh: dict[int, Identity] = {}
        entries: list[Entry] = []
        written: dict[int, bytes] = {}
        for number, root, entry_id, section, entry in decoded.items:
            if entry is None or number in sections:
                return False
            # The decoder has seen to it that no two items of an update have one number.
            fresh[number] = root, entry_id
            entries.append(placed(entry, seq) if seq else entry)
            written[number] = section
            size_bytes += len(section)
        leaving = decoded.deleted - self.dead
        gone: dict[int, Identity] = {}
        if leaving:
            numbers = self.numbers.items()
            gone = {number: identity for identity, number in numbers if number in leaving}
        size_bytes += DELETION_BYTES * len(gone)
        if len(gone) < len(leaving) or size_bytes > MAX_DOCUMENT_BYTES or not (fresh or gone):
            return False
        if self._doc is not None:
            self._advance(self._doc, write_update(written, gone))
        self.size_bytes = size_bytes
        self._turn(gone, fresh, entries, written)
        return True

    def _turn(
        self,
        gone: Mapping[int, Identity],
        fresh: Mapping[int, Identity],
        entries: list[Entry],
        written: Mapping[int, bytes],
    ) -> None:
        """New entries stand, in the order of ``entries``, and visible ones become tombstones."""
        fields, sections, numbers = self.state.fields, self.sections, self.numbers
        for (number, identity), entry in zip(fresh.items(), entries, strict=True):
            numbers[identity] = number
            root, entry_id = identity
            held = fields.get(root)
            if held is None:
                fields[root] = {entry_id: entry}
            else:
                held[entry_id] = entry
        for root, entry_id in gone.values():
            standing = fields[root]
            del standing[entry_id]
            if not standing:
                del fields[root]
        sections.update(fresh)
        sections.update(gone)
        sections.update(written)
        self.dead.update(gone)


def _are_different(supersedes: tuple[EntryId, ...]) -> bool:
    return len(set(supersedes)) == len(supersedes) <= MAX_SUPERSEDES


def claim(root: str, entry_id: EntryId, entry: Entry) -> tuple[int, bytes, int]:
    """The client id of a visible entry, its section, and at most how large that is.

    A section of which one can see without a parser that it can be written and read again
    is left ``UNWRITTEN`` until somebody needs it: most are replaced before. Raises InvalidOp.
    """
    number = item_id(root, *entry_id)
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
