"""Batches of equal work: prepared and checked outside the time, done within it.

The Python peers use this too, so nothing here may import crdtsync.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

Prepared = TypeVar("Prepared")
Done = TypeVar("Done")

Figures = dict[str, float]


class WrongResult(Exception):
    """A contender did not do what it was asked for; says what it did instead."""


class Watch:
    """Wall and CPU time of the work, and how much of it was done."""

    def __init__(self, at_most_s: float) -> None:
        self._at_most_s = at_most_s
        self.wall_s = 0.0
        self.cpu_s = 0.0
        self.done = 0

    def __enter__(self) -> None:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self._wall
        self.cpu_s += time.process_time() - self._cpu

    @property
    def is_late(self) -> bool:
        """Whether a slow contender has shown enough: rates are told of what it did."""
        return self.wall_s > self._at_most_s

    def figures(self, rate: str, **more: float) -> Figures:
        """``rate`` is the name of the figure that says how much was done a second."""
        return {
            rate: self.done / self.wall_s,
            "cpu_us": self.cpu_s * 1e6 / self.done,
            **peak_memory(),
            **more,
        }


def peak_memory() -> Figures:
    """What this process held at most, preparing and checking included.

    Linux counts for a child what its parent held when it was started, too, so on Linux
    this is asked of the process itself; elsewhere the harness asks.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return {}
    (held,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return {"peak_memory_bytes": int(held.split()[1]) * 1024.0}


def in_batches(
    params: Mapping[str, Any],
    prepare: Callable[[int], Prepared],
    work: Callable[[list[Prepared]], list[Done]],
    check: Callable[[int, Prepared, Done], None],
    *,
    each: int = 1,
) -> Watch:
    """Work through ``params["records"]`` records, ``params["batch"]`` at a time.

    ``work`` alone is timed; it does ``each`` steps for a record. Every record is checked.
    """
    watch = Watch(params["at_most_s"])
    for numbers in batches(params["records"], params["batch"]):
        prepared = [prepare(number) for number in numbers]
        with watch:
            done = work(prepared)
        if len(done) != len(prepared):
            raise WrongResult(f"{len(done)} of {len(prepared)} records were worked on")
        for number, before, after in zip(numbers, prepared, done, strict=True):
            check(number, before, after)
        watch.done += each * len(prepared)
        if watch.is_late:
            break
    return watch


def batches(count: int, size: int) -> Iterator[range]:
    """The numbers from 0 to ``count`` in ranges of ``size``."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def expect(found: object, wanted: object) -> None:
    """Raises WrongResult unless both are equal: who does nothing wins nothing."""
    if found != wanted:
        raise WrongResult(f"{str(found)[:300]} instead of {str(wanted)[:300]}")
