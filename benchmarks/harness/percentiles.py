"""How long single calls took."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of them that at least ``share`` (0 to 1) of them do not exceed: the nearest
    rank, so it is a value that was measured."""
    ordered = sorted(values)
    # A product such as 0.07 × 100 lies a little above the whole number that it stands for.
    rank = math.ceil(round(len(ordered) * share, 9))
    return ordered[max(rank, 1) - 1]


def latencies(taken_s: Sequence[float]) -> dict[str, float]:
    """The figures p50_us and p99_us of calls."""
    return {
        "p50_us": percentile(taken_s, 0.5) * 1e6,
        "p99_us": percentile(taken_s, 0.99) * 1e6,
    }
