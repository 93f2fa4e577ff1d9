"""A histogram that costs little: prometheus-client's takes a lock and 2 µs a value.

One thread adds to each; a scrape may read beside it and is then at most one value off.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


class Histogram:
    """Counts values by upper bounds (in rising order)."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Add a value that was seen so many times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times

    def observe_all(self, values: Sequence[float]) -> None:
        """Add values."""
        bounds, counts = self._bounds, self._counts
        self.sum += sum(values)
        if len(values) < len(bounds):
            for value in values:
                counts[bisect_left(bounds, value)] += 1
            return
        # Of many values a sorted list tells by one search a bound how many are at or below it.
        ordered, below = sorted(values), 0
        for place, bound in enumerate(bounds):
            upto = bisect_right(ordered, bound, below)
            counts[place] += upto - below
            below = upto
        counts[-1] += len(ordered) - below

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many are at or below it), the last one without bound."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found
