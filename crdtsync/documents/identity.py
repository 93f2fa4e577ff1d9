"""How an entry is named inside a document: its item id and its key.

Each entry is one Yjs item under a client id of its own. The id is a 53-bit hash
of (op_id, field, n), so every side derives the same item from the same op and
an item that arrives twice is one item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

from crdtsync.documents.client_codes import CLIENT_ID_MASK
from crdtsync.documents.ops import EntryId, Op

ID_BYTES = 8
"""Of a packed id. See ``packed_id``."""


def item_id(root: str, op_id: str, n: int) -> int:
    """The client id of an entry's item (never 0)."""
    digest = blake2b(f"{op_id}/{n}/{root}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & CLIENT_ID_MASK or 1


@lru_cache(maxsize=65_536)
def client_id(root: str, entry_id: EntryId) -> int:
    """The same, remembered: for who asks for all entries of a record again and again."""
    return item_id(root, *entry_id)


def packed_id(root: str, op_id: str, n: int) -> bytes:
    """The same as ``ID_BYTES`` bytes, for keeping those of a whole record one after the other."""
    return item_id(root, op_id, n).to_bytes(ID_BYTES, "big")


class Named(Protocol):
    """Whatever is known by an op and its place in it, such as an entry."""

    @property
    def op_id(self) -> str:
        """The op that wrote it."""
        ...

    @property
    def n(self) -> int:
        """Its place among the values that the op put into the field."""
        ...


def packed_ids(fields: Mapping[str, Iterable[Named]]) -> bytes:
    """The packed ids of all entries of these fields."""
    return b"".join(
        [packed_id(root, one.op_id, one.n) for root, entries in fields.items() for one in entries]
    )


def item_ids_of(op: Op) -> tuple[bytes, ...]:
    """The packed ids of the items that the op's entries will be."""
    op_id = op.op_id
    return tuple(
        [
            packed_id(root, op_id, n)
            for root, write in op.writes.items()
            for n in range(len(write.values))
        ]
    )


def holds_id(packed: bytes, one: bytes) -> bool:
    """Whether ``one`` is among ids that are packed one after the other."""
    at = packed.find(one)
    while at % ID_BYTES and at >= 0:
        # The end of one id and the beginning of the next.
        at = packed.find(one, at + 1)
    return at >= 0


def entry_key(entry_id: EntryId) -> str:
    """The key of an entry in the map of its field."""
    return f"{entry_id.op_id}.{entry_id.n}" if entry_id.n else entry_id.op_id


def entry_of_key(key: str) -> EntryId:
    """The inverse of ``entry_key``; raises ValueError on any other text."""
    op_id, dot, n = key.partition(".")
    entry_id = EntryId(op_id, int(n) if dot else 0)
    if not op_id or entry_id.n < 0 or entry_key(entry_id) != key:
        raise ValueError(f"{key!r} is not the key of an entry")
    return entry_id
