"""A strict decoder of our own Yjs updates, and of nothing else (invariant 8).

Nothing here is lenient and nothing calls pycrdt. An item is read, its client id
is hashed anew from its field, op and place, and the section is written again by
our encoder: unless that gives the very bytes that were read, they are not ours.
So canonical varints, clocks, keys and contents need no rules of their own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from crdtsync.documents.client_codes import client_code, long_numbers, number_of, varint
from crdtsync.documents.content import check_content, content_bytes, read_content
from crdtsync.documents.encoder import (
    MARK_KEY,
    MARK_ROOT,
    Mark,
    mark_section,
    tombstone_section,
    value_section,
)
from crdtsync.documents.errors import BadDocument, InvalidOp
from crdtsync.documents.identity import entry_key, entry_of_key, item_id
from crdtsync.documents.ops import MAX_VALUES, SAFE_INTEGER, EntryId, check_identifier, is_op_id
from crdtsync.documents.state import FOLD_PREFIX, Entry

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
"""A record with every field a policy may have and a full set is a tenth of this;
what is larger is a mistake that should not reach memory many times over."""

_SHORTEST_SECTION_BYTES = 12

# A client id as our encoder writes it: 1 to 2^53 - 1 in the shortest form.
_CLIENT = rb"([\x80-\xff]{7}[\x01-\x0f]|[\x80-\xff]{1,6}[\x01-\x7f]|[\x01-\x7f])"
_HEAD = re.compile(rb"\x01" + _CLIENT + rb"\x00([\x21\x28])\x01", re.DOTALL)
# What follows a client id in a delete set (one item, from clock 0 on) and in a state (its clock).
_DELETION, _CLOCK_ONE = b"\x01\x00\x01", b"\x01"
_FORMS = {
    tail: re.compile(_CLIENT + re.escape(tail), re.DOTALL) for tail in (_DELETION, _CLOCK_ONE)
}

# The section of most entries: one value, a string that stands for itself (content.plain_size),
# under the id of an op, in a content of less than 128 bytes.
_OP_ID = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_PLAIN = re.compile(
    rb"\x01" + _CLIENT + rb"\x00\x28\x01([\x03-\x7f])([rs]/[^\x00-\x1f\x7f-\xff$]+)"
    rb"\$(" + _OP_ID + rb")\x01\x77([\x00-\x7f])"
    rb'(\[("[^"\\\x00-\x1f\x7f-\xff]*"),(0|[1-9][0-9]{0,15}),'
    rb'"([^"\\\x00-\x1f\x7f-\xff]+)","\4"\])'
)
_FOLD = re.compile(re.escape(FOLD_PREFIX) + r"(0|[1-9][0-9]{0,15})")
_MARK = re.compile(rb'\{"as_of":(?:null|([1-9][0-9]{0,15}))\}')


_new_tuple = tuple.__new__
"""Makes a named tuple of a tuple in half the time."""


class Item(NamedTuple):
    """One entry as an item: visible with its ``entry``, or a tombstone without."""

    number: int
    root: str
    entry_id: EntryId
    section: bytes
    entry: Entry | None


class DecodedUpdate(NamedTuple):
    """What an update holds. ``deleted`` is its delete set, by client id."""

    items: list[Item]
    deleted: set[int]
    mark: Mark | None

    def is_whole(self) -> bool:
        """Whether it stands alone: every deletion is of an item that is in it."""
        return len(self.deleted) == sum(item.entry is None for item in self.items)


def decode_update(data: bytes, *, ordered: bool = True) -> DecodedUpdate:
    """Read an update that our encoder wrote: a whole document or a difference.

    ``ordered=False`` also takes the order in which pycrdt's ``get_update()``
    returns what our encoder wrote. Raises BadDocument for anything else.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument(f"{len(data)} bytes are more than a document may have")
    reader = _Reader(data)
    try:
        return reader.update(ordered)
    except BadDocument:
        raise
    except (IndexError, ValueError, InvalidOp) as error:
        raise reader.bad(f"not written by our encoder: {error}") from error


def decode_state(data: bytes) -> set[int]:
    """The client ids of a state vector (``RecordDocument.state``). Raises BadDocument."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise BadDocument(f"{len(data)} bytes are more than a state may have")
    reader = _Reader(data)
    try:
        return set(reader.numbers(_CLOCK_ONE, False))
    except (IndexError, ValueError) as error:
        raise reader.bad(f"not the state of a document: {error}") from error


def check_readable(root: str, entry: Entry) -> None:
    """Refuse an entry by whose name ``decode_update`` would refuse the whole document.

    For entries of a log; an op is looked at by ``check_op``. Raises InvalidOp.
    """
    try:
        _root(root.encode())
        if root == MARK_ROOT:
            raise ValueError(f"{root!r} is no field")
        _entry_id(root, entry_key(entry.id))
    except ValueError as error:
        raise InvalidOp("bad_op", str(error)) from error
    _check_user(entry.user, False)


class _Reader:
    """A place in the bytes. Reading beyond their end raises IndexError."""

    __slots__ = ("data", "mark", "place")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0
        self.mark: Mark | None = None

    def bad(self, what: str) -> BadDocument:
        return BadDocument(f"byte {self.place} of {len(self.data)}: {what}")

    def update(self, ordered: bool) -> DecodedUpdate:
        if not self.data:
            return DecodedUpdate([], set(), None)
        items = self.sections(ordered)
        deleted = self.numbers(_DELETION, ordered)
        if not items and not deleted and self.mark is None:
            raise self.bad("an update that says nothing; our encoder writes no bytes then")
        gone = set(deleted)
        for item in items:
            if (item.entry is None) is not (item.number in gone):
                raise self.bad(f"an item of {item.root} is deleted in one place only")
        return DecodedUpdate(items, gone, self.mark)

    def sections(self, ordered: bool) -> list[Item]:
        items = []
        last = 1 << 53
        seen: set[int] = set()
        for _ in range(self.count(_SHORTEST_SECTION_BYTES)):
            plain = _PLAIN.match(self.data, self.place)
            item = None if plain is None else _plain_item(plain)
            if item is not None:
                number = item[0]
                self.place += len(item[3])
            else:
                number, item = self.section()
            if number in seen or (ordered and number >= last):
                raise self.bad(f"the client {number} stands twice or out of order")
            last = number
            seen.add(number)
            if item is not None:
                items.append(item)
        return items

    def section(self) -> tuple[int, Item | None]:
        """One section of any form; the mark is no item."""
        data = self.data
        start = self.place
        head = _HEAD.match(data, start)
        if head is None:
            raise self.bad("not one item at clock 0 under a key of a root map")
        self.place = head.end()
        root = _root(self.chunk())
        key = self.chunk().decode()
        if root == MARK_ROOT:
            return self.mark_item(start, key), None
        entry_id = _entry_id(root, key)
        number = item_id(root, *entry_id)
        entry = None
        if head[2] == b"\x21":
            self.place += 1
            written = tombstone_section(number, root, key)
        else:
            self.place += 2
            value, time_us, user, _ = content = read_content(self.chunk())
            check_content(root, content)
            _check_user(user, key.startswith(FOLD_PREFIX))
            op_id, n = entry_id
            entry = Entry(op_id, n, value, time_us, user, time_us, 0)
            # With the op_id of the key: content that names another one differs.
            text = content_bytes(value, time_us, user, op_id)
            written = value_section(number, root, key, text)
        section = data[start : self.place]
        if section != written:
            raise self.bad(f"an item of {root} is not in the form that our encoder writes")
        return number, Item(number, root, entry_id, section, entry)

    def mark_item(self, start: int, key: str) -> int:
        self.place += 2
        found = _MARK.fullmatch(self.chunk())
        if found is None or key != MARK_KEY or self.mark is not None:
            raise self.bad("not an as-of mark")
        self.mark = Mark(int(found[1]) if found[1] else None)
        number, written = mark_section(self.mark)
        if self.data[start : self.place] != written:
            raise self.bad("the as-of mark is not in the form that our encoder writes")
        return number

    def numbers(self, tail: bytes, ordered: bool) -> list[int]:
        """A counted list of client ids, each once and with ``tail`` after it, and the end."""
        data, count = self.data, self.count(len(tail) + 1)
        # Of the client ids one in sixteen takes fewer than eight bytes, nearly always seven,
        # and the smallest stand last.
        width = 8 + len(tail)
        shorter = count * width - (len(data) - self.place)
        found = None
        if 0 <= shorter <= count:
            found = long_numbers(data, self.place, count - shorter, tail)
        if found is None:
            found = self.short_numbers(count, tail)
        elif shorter:
            self.place += len(found) * width
            found += self.short_numbers(shorter, tail)
        if len(set(found)) != count or (ordered and found != sorted(found, reverse=True)):
            raise self.bad("a client stands twice or out of order")
        return found

    def short_numbers(self, count: int, tail: bytes) -> list[int]:
        """Client ids of any length."""
        codes = _FORMS[tail].findall(self.data, self.place)
        # What the form does not match is skipped by findall, and missing in the sum.
        end = self.place + sum(map(len, codes)) + len(tail) * len(codes)
        if len(codes) != count or end != len(self.data):
            raise self.bad(f"not {count} clients with one item each, and then the end")
        self.place = end
        return list(map(number_of, codes))

    def count(self, shortest: int) -> int:
        """A count that the remaining bytes can hold: claims cost nothing."""
        number = self.length()
        if number * shortest > len(self.data) - self.place:
            raise self.bad(f"claims {number} items, more than the bytes can hold")
        return number

    def chunk(self) -> bytes:
        """Bytes after their length."""
        size = self.length()
        end = self.place + size
        if end > len(self.data):
            raise self.bad(f"claims {size} bytes, more than there are")
        found = self.data[self.place : end]
        self.place = end
        return found

    def length(self) -> int:
        start = self.place
        number = self.data[start]
        if number < 0x80:
            self.place += 1
            return number
        number = shift = 0
        while True:
            byte = self.data[self.place]
            self.place += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 28:
                raise self.bad("a length of more than 35 bits")
        if varint(number) != self.data[start : self.place]:
            raise self.bad("a length that is not in its shortest form")
        return number


def _plain_item(plain: re.Match[bytes]) -> Item | None:
    """The entry of a section in the plain form; None where it has to be looked at closely.

    What the form leaves open are the lengths, whether field and user may be called so, and
    whether the client id is the hash of the entry's name: then it is what we write.
    """
    section, code, name_size, name, key, size, content, value, time_us, user = plain.group(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9
    )
    at = int(time_us)
    if name_size[0] != len(name) or size[0] != len(content) or at > SAFE_INTEGER:
        return None
    op_id, root, who = key.decode(), _root(name), user.decode()
    number = item_id(root, op_id, 0)
    if client_code(number) != code:
        return None
    _check_user(who, False)
    entry = Entry(op_id, 0, value.decode(), at, who, at, 0)
    entry_id = _new_tuple(EntryId, (op_id, 0))
    return _new_tuple(Item, (number, root, entry_id, section, entry))


@lru_cache(maxsize=4_096)
def _root(name: bytes) -> str:
    root = name.decode()
    shape, slash, field = root.partition("/")
    if slash and ((shape in ("r", "c", "s") and field) or root in ("d/", MARK_ROOT)):
        check_identifier(root, "field")
        return root
    raise ValueError(f"{root[:80]!r} is not the root of a field")


@lru_cache(maxsize=4_096)
def _check_user(user: str, folded: bool) -> None:
    if user or not folded:
        check_identifier(user, "user")


def _entry_id(root: str, key: str) -> EntryId:
    if is_op_id(key):
        return EntryId(key, 0)
    entry_id = entry_of_key(key)
    if root[0] == "s" and is_op_id(entry_id.op_id) and entry_id.n < MAX_VALUES:
        return entry_id
    if root[0] == "c" and _FOLD.fullmatch(key):
        return entry_id
    raise ValueError(f"{key[:80]!r} is not the key of an entry of {root}")
