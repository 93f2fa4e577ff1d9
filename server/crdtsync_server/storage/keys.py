"""How ids become keys of the database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

Key = TypeVar("Key", bytes, str)

SEQ_BITS = 40
"""A trillion ops a space, and eight million spaces."""

_CHUNKS = (256, 32, 4, 1)


def position(space_id: int, seq: int) -> int:
    """A place in a space's log, as one integer."""
    return space_id << SEQ_BITS | seq


def seq_of(place: int) -> int:
    """The seq of a position."""
    return place & ((1 << SEQ_BITS) - 1)


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID in canonical spelling; raises ValueError."""
    return bytes.fromhex(text.replace("-", ""))


def uuid_text(key: bytes) -> str:
    """The canonical spelling of a UUID's 16 bytes."""
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def chain(previous: bytes, op_key: bytes, received_us: int) -> bytes:
    """The digest of a log entry: blake2b-128 over the digest before it, the op_id's 16 bytes
    and the receive time (8 bytes, big-endian).

    The receive time is in it because a restored server may get the same ops in the
    same order and decide them otherwise, at another time: that is another log.
    """
    content = previous + op_key + received_us.to_bytes(8, "big")
    return hashlib.blake2b(content, digest_size=16).digest()


def in_chunks(keys: Sequence[Key]) -> Iterator[tuple[str, list[Key]]]:
    """Lists for ``IN (…)`` in a few fixed sizes, so that SQLite prepares each just once.

    Yields (placeholders, keys); the last key is repeated to fill a chunk.
    """
    start = 0
    while start < len(keys):
        left = len(keys) - start
        size = next((size for size in reversed(_CHUNKS) if size >= left), _CHUNKS[0])
        chunk = list(keys[start : start + size])
        chunk.extend([chunk[-1]] * (size - len(chunk)))
        yield ",".join("?" * size), chunk
        start += size
