"""Where a child writes down what it is about to do, so that its parent knows how it died.

A file in shared memory: the frame's number, when it was begun, and its bytes.
Writing there costs a microsecond and survives whatever happens to the child.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections import Counter
from pathlib import Path

KEPT_BYTES = 2 * 1_048_576
"""Of a frame; the largest that a target is given is smaller."""

_HEAD = struct.Struct("<QQI")


class Stop(Exception):
    """The frame that was asked for has been reached."""


class Notebook:
    """Counts frames and notes each before it is fed."""

    def __init__(self, path: Path, *, last: int | None = None) -> None:
        if not path.exists():
            path.write_bytes(bytes(_HEAD.size + KEPT_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self.number = 0
        self.last = last
        self.counts: Counter[str] = Counter()

    def frame(self, data: bytes, *, spoiled: bool = True) -> None:
        """Note the next frame. Raises Stop behind the last one that is wanted."""
        if self.last is not None and self.number >= self.last:
            raise Stop
        self.number += 1
        kept = data[:KEPT_BYTES]
        self._memory[_HEAD.size : _HEAD.size + len(kept)] = kept
        _HEAD.pack_into(self._memory, 0, self.number, time.monotonic_ns(), len(kept))
        self.counts["frames"] += 1
        if spoiled:
            self.counts["spoiled"] += 1

    def alive(self) -> None:
        """Checks between two frames take their own time."""
        number, _, size = _HEAD.unpack_from(self._memory, 0)
        _HEAD.pack_into(self._memory, 0, number, time.monotonic_ns(), size)

    def read(self) -> tuple[int, float, bytes]:
        """For the parent: the frame at hand, how many seconds ago it was begun, its bytes."""
        number, begun_ns, size = _HEAD.unpack_from(self._memory, 0)
        age_s = (time.monotonic_ns() - begun_ns) / 1e9 if begun_ns else 0.0
        return number, age_s, bytes(self._memory[_HEAD.size : _HEAD.size + size])

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
