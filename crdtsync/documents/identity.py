"""How an entry is named inside a document: its item id and its key.

Each entry is one Yjs item under a client id of its own. The id is a 53-bit hash
of (op_id, field, n), so every side derives the same item from the same op and
an item that arrives twice is one item.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from crdtsync.documents.client_codes import CLIENT_ID_MASK
from crdtsync.documents.ops import EntryId


def item_id(root: str, op_id: str, n: int) -> int:
    """The client id of an entry's item (never 0)."""
    digest = blake2b(f"{op_id}/{n}/{root}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & CLIENT_ID_MASK or 1


@lru_cache(maxsize=65_536)
def client_id(root: str, entry_id: EntryId) -> int:
    """The same, remembered: for who asks for all entries of a record again and again."""
    return item_id(root, *entry_id)


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
