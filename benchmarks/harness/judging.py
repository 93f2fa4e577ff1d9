"""Medians with their spread, and whether a mark was reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.harness.results import ScenarioResult
from benchmarks.harness.scenario import Mark


@dataclass(frozen=True)
class Spread:
    """The middle of several rounds, and how far they lie apart."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: list[float]) -> Spread | None:
    """Of the rounds; None where nothing was measured."""
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Judged:
    """A mark and what was measured for it."""

    mark: Mark
    found: Spread | None

    @property
    def reached(self) -> bool | None:
        """None where it was not measured."""
        if self.found is None:
            return None
        low, high = self.mark.at_least, self.mark.at_most
        return (low is None or self.found.median >= low) and (
            high is None or self.found.median <= high
        )


def judge(mark: Mark, result: ScenarioResult | None) -> Judged:
    """What was measured for a mark."""
    return Judged(mark, None if result is None else spread(_measured(mark, result)))


def _measured(mark: Mark, result: ScenarioResult) -> list[float]:
    case = result.case(mark.case)
    if case is None:
        return []
    if mark.against is not None:
        return case.ratios(mark.of, mark.against, mark.figure)
    ours = case.of(mark.of, mark.figure)
    if mark.at_case is None:
        return ours
    other = result.case(mark.at_case)
    before = [] if other is None else other.of(mark.of, mark.figure)
    return [one / first for one, first in zip(ours, before, strict=False) if first]
