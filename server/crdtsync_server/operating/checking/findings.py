"""What a check found wrong, counted in full and told in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

KEPT_PER_KIND = 20
"""Findings of one kind that are told one by one; all are counted. A lost page damages
hundreds of rows in one way, and nobody reads them all."""

Progress = Callable[[str, int, int], None]
"""(step, done, total); a total of 0: nobody knows how long it takes."""


def no_progress(step: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    """A key of ``words.KINDS``."""
    where: str
    """Space and seq, collection and record, table: where to look."""
    what: str
    """In English: what stands there, and what should."""


@dataclass(slots=True)
class Findings:
    """All that was found. ``counts`` is complete, ``told`` holds the first of each kind."""

    told: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, where: str, what: str) -> None:
        """Note one."""
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT_PER_KIND:
            self.told.append(Finding(kind, where, what))

    def __bool__(self) -> bool:
        return bool(self.counts)


@dataclass(slots=True)
class Reached:
    """How far a step of the check has come."""

    step: str
    total: int
    progress: Progress
    done: int = 0
    every: int = 500

    def count(self) -> None:
        """One more row."""
        self.done += 1
        if self.done % self.every == 0:
            self.progress(self.step, self.done, max(self.total, self.done))


@contextmanager
def step(name: str, total: int, progress: Progress) -> Iterator[Reached]:
    """One step of a check, told at its beginning, in between and at its end."""
    progress(name, 0, total)
    reached = Reached(name, total, progress)
    yield reached
    progress(name, max(total, reached.done), max(total, reached.done))
