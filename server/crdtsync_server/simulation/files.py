"""A file as a machine has it: what every process reads, and what a power cut would leave."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

SECTOR_BYTES = 512
"""What a disk writes in one go: a torn write ends where a sector does."""


@dataclass
class DiskRates:
    """How often a disk misbehaves, each a probability."""

    fail_sync: float = 0.0
    """Per sync: it raises an I/O error. What was written before is still read by every
    process and is clean from now on, as Linux has it: each unsynced write is on the disk
    or will never be, and no later sync brings it there."""

    fail_write: float = 0.0
    """Per write: it raises an I/O error, and a part of it may have been written."""

    fail_read: float = 0.0
    """Per read: it raises an I/O error."""

    torn: float = 0.5
    """At a power cut: an unsynced write that survives is torn at the edge of a sector."""

    reorder: float = 0.5
    """At a power cut: of a file's unsynced writes any may survive. Otherwise the first
    ones do, and only the last of those may be torn."""


class File:
    """One file: its bytes in the cache, its bytes on the platter, and what is in between.

    Reading and writing go to the cache. ``unsynced`` holds what the platter has
    not got yet, in order: (offset, bytes) of a write, or the size of a truncation.
    """

    __slots__ = ("cached", "durable", "unsynced")

    def __init__(self, contents: bytes = b"") -> None:
        self.cached = bytearray(contents)
        self.durable = bytearray(contents)
        self.unsynced: list[tuple[int, bytes] | int] = []

    def write(self, offset: int, data: bytes) -> None:
        """Write into the cache."""
        _put(self.cached, offset, data)
        self.unsynced.append((offset, data))

    def truncate(self, size: int) -> None:
        """Cut the file, or fill it up with zeros."""
        _resize(self.cached, size)
        self.unsynced.append(size)

    def sync(self) -> None:
        """Bring what was written to the platter."""
        for change in self.unsynced:
            self._land(change)
        self.unsynced.clear()

    def sync_by_chance(self, random: Random, rates: DiskRates, counts: Counter[str]) -> None:
        """Some of what was written reaches the platter, and the rest never will."""
        changes, self.unsynced = self.unsynced, []
        if not changes:
            return
        if random.random() < rates.reorder:
            kept = [random.random() < 0.5 for _ in changes]
            in_order = False
        else:
            first = random.randrange(len(changes) + 1)
            kept = [n < first for n in range(len(changes))]
            in_order = True
        if not all(kept):
            counts["lost tail" if kept == sorted(kept, reverse=True) else "reordered writes"] += 1
        last = max((n for n, survived in enumerate(kept) if survived), default=-1)
        for n, change in enumerate(changes):
            if not kept[n]:
                continue
            may_tear = isinstance(change, tuple) and (n == last or not in_order)
            if may_tear and random.random() < rates.torn:
                assert isinstance(change, tuple)
                self._tear(*change, random, counts)
            else:
                self._land(change)

    def forget_cache(self) -> None:
        """The machine starts again: what is read is what is on the platter."""
        self.unsynced.clear()
        self.cached = bytearray(self.durable)

    def _land(self, change: tuple[int, bytes] | int) -> None:
        if isinstance(change, int):
            _resize(self.durable, change)
        else:
            _put(self.durable, *change)

    def _tear(self, offset: int, data: bytes, random: Random, counts: Counter[str]) -> None:
        part = part_of(offset, data, random)
        if len(part) < len(data):
            counts["torn write"] += 1
        if part:
            self._land((offset, part))


def part_of(offset: int, data: bytes, random: Random) -> bytes:
    """The beginning of a write, up to the edge of some sector; nothing or all of it, too."""
    edges = range(offset - offset % SECTOR_BYTES + SECTOR_BYTES, offset + len(data), SECTOR_BYTES)
    end = random.choice((offset, *edges, offset + len(data)))
    return data[: end - offset]


def _put(contents: bytearray, offset: int, data: bytes) -> None:
    if offset > len(contents):
        contents.extend(bytes(offset - len(contents)))
    contents[offset : offset + len(data)] = data


def _resize(contents: bytearray, size: int) -> None:
    if size < len(contents):
        del contents[size:]
    else:
        contents.extend(bytes(size - len(contents)))
