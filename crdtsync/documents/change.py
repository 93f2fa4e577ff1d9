"""What one step does to a document: gathered and checked before anything is touched."""

from __future__ import annotations

from crdtsync.documents.decoder import DecodedUpdate
from crdtsync.documents.encoder import plain_section, tombstone_section, write_update
from crdtsync.documents.errors import DocumentError, InvalidOp
from crdtsync.documents.identity import entry_key
from crdtsync.documents.items import UNWRITTEN, Identity, Items, claim, placed
from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import Entry


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
                sections[number] = plain_section(number, root, entry)
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


def _authored(entry: Entry) -> tuple[str, int, str]:
    return entry.value, entry.time_us, entry.user
