"""The figures of a running server for Prometheus. Names and labels: ``names.py``.

A registry of its own per service, so that two servers in one process do not meet.
Counting happens on the event loop, once per group; a scrape reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from crdtsync.protocol import close_codes
from crdtsync.version import __version__
from crdtsync_server.observing import names
from crdtsync_server.observing.histogram import Histogram
from crdtsync_server.observing.names import Metric
from crdtsync_server.observing.recorded import Recorded
from crdtsync_server.observing.recording import known_code

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 5.0),
)
"""Of a stage in the server."""

END_TO_END_SECONDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    *(1_800.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0),
)
"""From milliseconds to a week without a network."""

YEAR_S = 365 * 86_400.0

SIZES = tuple(float(2**power) for power in (7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 23))

LABELLED_CODES = frozenset({*close_codes.NAMES, 1001, 1005, 1006, 1011})
"""Close codes that have a label of their own; a hostile peer may send any other."""


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What is read from the store for a scrape."""

    conflicts_open: int
    oldest_conflict_us: int | None
    oldest_pending_age_s: float
    database_bytes: int
    disk_free_bytes: int
    disk_size_bytes: int


class Metrics(Collector):
    """What was counted since the start of the server."""

    def __init__(self, *, skews_us: Callable[[], Sequence[int | None]] = tuple) -> None:
        self.writable = True
        self.trace_damaged = False
        self.figures: StoreFigures | None = None
        self._skews_us = skews_us
        self._results: Counter[tuple[str, str]] = Counter()
        self._retries: Counter[str] = Counter()
        self._opened: Counter[str] = Counter()
        self._resolved: Counter[str] = Counter()
        self._closes: Counter[str] = Counter()
        self._stages = {stage: Histogram(SECONDS) for stage in names.STAGE_NAMES}
        self._end_to_end = Histogram(END_TO_END_SECONDS)
        self._update_size = Histogram(SIZES)
        self._document_size = Histogram(SIZES)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    # ── counting ────────────────────────────────────────────────────────────

    def count_group(self, recorded: Recorded, committed_us: int, broadcast_s: float) -> None:
        """A group was committed and handed out."""
        self._results.update(recorded.results)
        self._retries.update(recorded.retries)
        self._opened.update(recorded.opened)
        self._resolved.update(recorded.resolved)
        self._document_size.observe_all(recorded.document_bytes)
        if recorded.accepted:
            self._results["accepted", ""] += recorded.accepted
            self._update_size.observe_all(recorded.update_bytes)
            self._stages["validate"].observe_all(recorded.validate_s)
            self._stages["apply"].observe_all(recorded.apply_s)
            self._stages["persist"].observe(recorded.persist_s, recorded.accepted)
            self._stages["broadcast"].observe(broadcast_s, recorded.accepted)
            ways_s = [(committed_us - written_us) / 1e6 for written_us in recorded.written_us]
            if min(ways_s) < 0 or max(ways_s) > YEAR_S:
                # A device may claim any time; years would spoil the sum for good.
                ways_s = [min(max(way_s, 0.0), YEAR_S) for way_s in ways_s]
            self._end_to_end.observe_all(ways_s)

    def count_failed(self, reason: str, ops: int) -> None:
        """Ops were told to come back, and no group decided them."""
        self._results["failed", known_code(reason)] += ops

    def count_close(self, code: int) -> None:
        """A WebSocket has ended."""
        self._closes[str(code) if code in LABELLED_CODES else names.OTHER] += 1

    # ── a scrape ────────────────────────────────────────────────────────────

    def render(self) -> bytes:
        """The page ``/metrics``."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Everything, as prometheus-client wants it."""
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()

    def _counters(self) -> Iterator[Family]:
        # A counter that begins at 0 shows its first increase.
        rows = {(result, ""): 0 for result in names.RESULT_NAMES} | dict(self._results)
        yield _counter(names.OPERATIONS, rows.items())
        yield _counter(names.RETRIES, _singly(self._retries))
        yield _counter(names.CONFLICTS_OPENED, _singly(self._opened))
        resolved = {"chosen": 0, "agreed": 0} | dict(self._resolved)
        yield _counter(names.CONFLICTS_RESOLVED, _singly(resolved))
        yield _counter(names.CLOSES, _singly(self._closes))

    def _histograms(self) -> Iterator[Family]:
        stages = HistogramMetricFamily(
            names.STAGES.name, names.STAGES.help, labels=names.STAGES.labels
        )
        for stage, histogram in self._stages.items():
            stages.add_metric([stage], histogram.buckets(), histogram.sum)
        yield stages
        for metric, histogram in (
            (names.END_TO_END, self._end_to_end),
            (names.UPDATE_SIZE, self._update_size),
            (names.DOCUMENT_SIZE, self._document_size),
        ):
            yield HistogramMetricFamily(
                metric.name, metric.help, buckets=histogram.buckets(), sum_value=histogram.sum
            )

    def _gauges(self) -> Iterator[Family]:
        skews = self._skews_us()
        known = [skew for skew in skews if skew is not None]
        yield _gauge(names.CONNECTIONS, len(skews))
        yield _gauge(names.CLOCK_SKEW, max(known, key=abs, default=0) / 1e6)
        yield _gauge(names.WRITABLE, int(self.writable))
        yield _gauge(names.TRACE_WRITABLE, int(not self.trace_damaged))
        build = GaugeMetricFamily(names.BUILD.name, names.BUILD.help, labels=names.BUILD.labels)
        build.add_metric([__version__], 1)
        yield build
        figures = self.figures
        if figures is None:
            return  # the store cannot be read: no figure is better than an old one
        yield _gauge(names.OUTBOX_AGE, figures.oldest_pending_age_s)
        yield _gauge(names.CONFLICTS_OPEN, figures.conflicts_open)
        if figures.oldest_conflict_us is not None:
            yield _gauge(names.OLDEST_CONFLICT, figures.oldest_conflict_us / 1e6)
        yield _gauge(names.DATABASE_SIZE, figures.database_bytes)
        yield _gauge(names.DISK_FREE, figures.disk_free_bytes)
        yield _gauge(names.DISK_SIZE, figures.disk_size_bytes)


def _counter(metric: Metric, rows: Iterable[tuple[tuple[str, ...], int]]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(rows):
        family.add_metric(labels, value)
    return family


def _singly(counts: dict[str, int]) -> Iterator[tuple[tuple[str, ...], int]]:
    return (((label,), value) for label, value in counts.items())


def _gauge(metric: Metric, value: float) -> Family:
    return GaugeMetricFamily(metric.name, metric.help, value=value)
