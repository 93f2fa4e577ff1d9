"""How long single calls took."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def latencies(taken_s: Sequence[float]) -> dict[str, float]:
    """The figures p50_us and p99_us of calls."""
    return {
        "p50_us": percentile(taken_s, 0.5) * 1e6,
        "p99_us": percentile(taken_s, 0.99) * 1e6,
    }
