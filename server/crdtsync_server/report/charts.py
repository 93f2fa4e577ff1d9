"""Measures over time: one value per bucket of the window; null where there is no data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from crdtsync_server.report.failing import Failing
from crdtsync_server.report.judging import moments, percentile
from crdtsync_server.report.measures import Charts, Series
from crdtsync_server.report.present import conflict_moments
from crdtsync_server.report.scope import Scope
from crdtsync_server.report.travel import Travel
from crdtsync_server.report.words import say

PERCENTILES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))


def charts_of(scope: Scope, travel: Travel, failing: Failing) -> Charts:
    """All series of the dashboard."""
    return _Charts(scope).all(travel, failing)


class _Charts:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._buckets = scope.buckets
        self._starts = scope.buckets.starts

    def all(self, travel: Travel, failing: Failing) -> Charts:
        accepted: Counter[int] = Counter()
        for push in travel.pushes:
            accepted[self._buckets.of(push.received_us)] += push.accepted
        failed = self._count(one.at_us for one in failing.failures)
        repeats = self._count(failing.repeated_at_us)
        attempts = accepted + failed + repeats
        retries: Counter[int] = Counter()
        arrived: Counter[int] = Counter()
        for op in travel.delivered:
            retries[self._buckets.of(op.at_us)] += max(op.attempts - 1, 0)
            arrived[self._buckets.of(op.at_us)] += 1
        opened, settled = conflict_moments(self._scope)
        joined = [one for known in travel.connections.values() for one in known]
        from_us = self._scope.window.from_us
        server = [
            (push.received_us, max(push.committed_us - push.received_us, 0) / 1e6)
            for push in travel.pushes
            if push.committed_us is not None
        ]
        recorded = travel.recorded
        series = [
            self._series("accepted", "ops", accepted if recorded else None),
            self._series("attempts", "ops", attempts if recorded else None),
            self._series("failed", "ops", failed if recorded else None),
            self._series("repeats", "ops", repeats if recorded else None),
            self._ratio("failure_rate", "share", failed, attempts),
            self._ratio("retries", "retries", retries, arrived),
            *self._percentiles("end_to_end", moments(travel.delivered)),
            *self._percentiles("server", server),
            self._series("conflicts_opened", "conflicts", self._count(opened)),
            self._series("conflicts_resolved", "conflicts", self._count(settled)),
            self._series(
                "connected",
                "connections",
                self._count(one.connected_us for one in joined if one.connected_us >= from_us),
            ),
            self._series(
                "closed",
                "connections",
                self._count(
                    one.ended_us
                    for one in joined
                    if one.ended_us is not None and one.ended_us >= from_us
                ),
            ),
        ]
        return Charts(at_us=self._starts, series=tuple(series))

    def _count(self, moments_us: Iterable[int]) -> Counter[int]:
        return Counter(map(self._buckets.of, moments_us))

    def _series(self, key: str, unit: str, counted: Counter[int] | None) -> Series:
        values: list[float | None] = [
            None if counted is None else float(counted[bucket])
            for bucket in range(len(self._starts))
        ]
        return self._made(key, unit, values)

    def _ratio(self, key: str, unit: str, part: Counter[int], whole: Counter[int]) -> Series:
        values = [
            part[bucket] / whole[bucket] if whole[bucket] else None
            for bucket in range(len(self._starts))
        ]
        return self._made(key, unit, values)

    def _percentiles(self, key: str, measured: Iterable[tuple[int, float]]) -> list[Series]:
        found: dict[int, list[float]] = defaultdict(list)
        for at_us, value_s in measured:
            found[self._buckets.of(at_us)].append(value_s)
        for values in found.values():
            values.sort()
        return [
            self._made(
                f"{key}_{name}",
                "seconds",
                [percentile(found.get(b, []), share) for b in range(len(self._starts))],
            )
            for name, share in PERCENTILES
        ]

    def _made(self, key: str, unit: str, values: list[float | None]) -> Series:
        name = say(f"series_{key}", self._scope.lang)
        return Series(key=key, name=name, unit=unit, values=tuple(values))  # type: ignore[arg-type]
