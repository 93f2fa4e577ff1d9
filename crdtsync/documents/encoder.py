"""Yjs update v1 bytes, written by us: each entry is one item under a client id of its own.

An update is ``sections, delete set``. Our sections all look alike, one client
with one item at clock 0::

    01                     one item of this client
    <client id>            varint, a hash of (op_id, field, n): documents/identity.py
    00                     its clock
    28 | 21                a key follows; the content is Any (8) or Deleted (1)
    01 <root>              the parent is the root map of the field
    <key>                  derived from (op_id, n)
    01 77 <text>           one value, a string (documents/content.py)
     | 01                  or one deleted value

A superseded entry keeps its section with the content Deleted, and its client
stands in the delete set. Sections and delete set are in descending order of
client ids, as Yjs writes them, so documents with equal entries are equal bytes.
Lengths count UTF-8 bytes (pycrdt's own Encoder counts characters).

Format: https://github.com/yjs/yjs, ``src/utils/encoding.js`` and
``src/structs/Item.js``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from crdtsync.documents.client_codes import CLIENT_ID_MASK, client_code, codes_with, varint
from crdtsync.documents.content import content_bytes, content_text, written_content
from crdtsync.documents.identity import client_id, entry_key
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.state import Entry

MARK_ROOT = "m/"
MARK_KEY = "as_of"

_ONE_BYTE = [bytes((number,)) for number in range(0x80)]
_DELETED = b"\x01\x00\x01"


class Mark(NamedTuple):
    """Says that a document was compacted, and as of which seq of the log it stands."""

    as_of: int | None
    """None: no log knows the document, and it takes no more ops."""


@lru_cache(maxsize=4_096)
def _in_field(root: str, head: bytes) -> bytes:
    """What stands between the client id of an item and its key."""
    name = root.encode()
    return b"\x00%b\x01%b%b" % (head, varint(len(name)), name)


def value_section(number: int, root: str, key: str, content: bytes) -> bytes:
    """The item of a visible entry."""
    length = len(content)
    return b"\x01%b%b%b%b\x01\x77%b%b" % (
        client_code(number),
        _in_field(root, b"\x28"),
        varint(len(key)),
        key.encode(),
        _ONE_BYTE[length] if length < 0x80 else varint(length),
        content,
    )


def plain_section(number: int, root: str, entry: Entry) -> bytes:
    """The item of a visible entry that is plain to see (``plain_size``): nothing is checked."""
    op_id, n = entry.op_id, entry.n
    content = content_text(entry.value, entry.time_us, entry.user, op_id)
    length = len(content)
    if n or length >= 0x80 or not content.isascii():
        key = f"{op_id}.{n}" if n else op_id
        return value_section(number, root, key, content.encode())
    # Most are of this form, all in ASCII and with every length in one byte.
    return b"\x01%b%b%b" % (
        client_code(number),
        _in_field(root, b"\x28"),
        f"${op_id}\x01w{chr(length)}{content}".encode(),
    )


def tombstone_section(number: int, root: str, key: str) -> bytes:
    """The item of an entry that left."""
    return b"\x01%b%b%b%b\x01" % (
        client_code(number),
        _in_field(root, b"\x21"),
        varint(len(key)),
        key.encode(),
    )


def mark_section(mark: Mark) -> tuple[int, bytes]:
    """The client id and the item of an as-of mark."""
    content = b'{"as_of":null}' if mark.as_of is None else b'{"as_of":%d}' % mark.as_of
    digest = hashlib.blake2b(MARK_ROOT.encode() + content, digest_size=8).digest()
    number = int.from_bytes(digest, "big") & CLIENT_ID_MASK or 1
    return number, value_section(number, MARK_ROOT, MARK_KEY, content)


def write_update(sections: Mapping[int, bytes], deleted: Collection[int]) -> bytes:
    """An update of ready sections by client id, and the clients of the delete set.

    Where there is nothing to say, no bytes at all.
    """
    if not sections and not deleted:
        return b""
    if len(sections) == 1:
        parts = [b"\x01", *sections.values()]
    else:
        parts = [varint(len(sections))]
        parts += [sections[number] for number in sorted(sections, reverse=True)]
    parts.append(varint(len(deleted)))
    if deleted:
        parts.append(codes_with(sorted(deleted, reverse=True), _DELETED))
    return b"".join(parts)


def state_vector(clients: Collection[int]) -> bytes:
    """The Yjs state vector of a document that holds these items."""
    return varint(len(clients)) + codes_with(sorted(clients, reverse=True), b"\x01")


def encode_ops(ops: Iterable[Op]) -> bytes:
    """One update for any number of ops: their items, and what they supersede deleted.

    An entry that is written and superseded within ``ops`` is written as a
    tombstone. Yjs keeps a deletion of an item that it has never seen only in
    memory, so ops are to be applied after what they supersede. Raises
    InvalidOp for a value that is not JSON text.
    """
    ops = list(ops)
    gone = {
        (root, seen) for op in ops for root, write in op.writes.items() for seen in write.supersedes
    }
    sections: dict[int, bytes] = {}
    for op in ops:
        for root, write in op.writes.items():
            for n, value in enumerate(write.values):
                entry_id = EntryId(op.op_id, n)
                number, key = client_id(root, entry_id), entry_key(entry_id)
                content = written_content(root, value, op.time_us, op.user, op.op_id)
                sections[number] = (
                    tombstone_section(number, root, key)
                    if (root, entry_id) in gone
                    else value_section(number, root, key, content)
                )
    return write_update(sections, {client_id(root, seen) for root, seen in gone})


def encode_document(
    visible: Iterable[tuple[str, Entry]],
    tombstones: Iterable[tuple[str, EntryId]] = (),
    mark: Mark | None = None,
) -> bytes:
    """A whole document: what is visible, what left, and the mark if it was compacted."""
    sections: dict[int, bytes] = {}
    for root, entry in visible:
        number = client_id(root, entry.id)
        content = content_bytes(entry.value, entry.time_us, entry.user, entry.op_id)
        sections[number] = value_section(number, root, entry_key(entry.id), content)
    deleted = set()
    for root, entry_id in tombstones:
        number = client_id(root, entry_id)
        sections[number] = tombstone_section(number, root, entry_key(entry_id))
        deleted.add(number)
    if mark is not None:
        number, section = mark_section(mark)
        sections[number] = section
    return write_update(sections, deleted)
