"""Is the store well, and what stands in it: for ``/readyz`` and the gauges of ``/metrics``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from crdtsync.database import StorageError, explain, transaction
from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.observing.metrics import Metrics, StoreFigures
from crdtsync_server.observing.recording import SQL
from crdtsync_server.storage.store import Store

FIGURES_US = 5_000_000
"""How long figures of the store are good for. Prometheus asks every 15 s or so; whoever asks
more often does not keep the reading connection busy."""

PROBE_US = 5_000_000
"""Between two attempts to write to a disk that failed."""

PATIENCE_S = 3.0
"""For a read or a write of a look at the store's health."""

SEEN_LATELY_US = 30 * 86_400_000_000
"""A device that was not seen for a month is a question for the report, not an alarm."""

_SUMMARY = msgspec.msgpack.Decoder(OutboxSummary)


class StoreWatch:
    """Looks at one store, seldom."""

    def __init__(self, metrics: Metrics, *, now_us: Callable[[], int]) -> None:
        self._metrics = metrics
        self._now_us = now_us
        self._looked_us: int | None = None
        self._probed_us: int | None = None
        self._looking = asyncio.Lock()

    async def refresh(self, store: Store) -> None:
        """Bring the figures of the metrics up to date. Without them where it cannot be read."""
        async with self._looking:
            now_us = self._now_us()
            if self._looked_us is not None and 0 <= now_us - self._looked_us < FIGURES_US:
                return
            try:
                async with asyncio.timeout(PATIENCE_S):
                    self._metrics.figures = await store.read(lambda found: _figures(found, now_us))
            except (StorageError, TimeoutError):
                self._metrics.figures = None
            self._looked_us = now_us

    async def fault(self, store: Store) -> str | None:
        """Why the store is not well, in words; None if a read answers and writes succeed."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await store.read(lambda found: found.execute(SQL["any_space"]).fetchone())
                return None if self._metrics.writable else await self._probe(store)
        except StorageError as error:
            return f"the store cannot be read: {error}"
        except TimeoutError:
            return f"the store has not answered for {PATIENCE_S:.0f} s"

    async def _probe(self, store: Store) -> str | None:
        """The last write failed. Where nobody writes any more, a small write finds out."""
        now_us = self._now_us()
        if self._probed_us is None or not 0 <= now_us - self._probed_us < PROBE_US:
            self._probed_us = now_us
            try:
                await store.write(_write_something)
                self._metrics.writable = True
            except sqlite3.Error as error:
                return f"the store cannot be written: {explain(error, store.what)}"
        return None if self._metrics.writable else "the last write to the store failed"


def _write_something(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version:d}")


def _figures(connection: sqlite3.Connection, now_us: int) -> StoreFigures:
    many, oldest_us = connection.execute(SQL["open_conflicts"]).fetchone()
    ages = (
        _age_us(outbox, last_seen_us, now_us)
        for outbox, last_seen_us in connection.execute(SQL["outboxes"], (now_us - SEEN_LATELY_US,))
    )
    (path,) = connection.execute(
        "SELECT file FROM pragma_database_list WHERE name = 'main'"
    ).fetchone()
    return StoreFigures(many, oldest_us, max(ages, default=0) / 1e6, *_disk(path))


def _age_us(outbox: bytes | None, last_seen_us: int, now_us: int) -> int:
    summary = OutboxSummary() if outbox is None else _SUMMARY.decode(outbox)
    if summary.pending + summary.failed + summary.signed_out <= 0:
        return 0
    return summary.oldest_age_ms * 1_000 + max(now_us - last_seen_us, 0)


def _disk(path: str) -> tuple[int, int, int]:
    """(bytes of the database, free bytes, bytes of the disk); a database in memory has none."""
    if not path:
        return 0, 0, 0
    try:
        size = sum(os.stat(name).st_size for name in (path, f"{path}-wal") if os.path.exists(name))
        usage = shutil.disk_usage(Path(path).parent)
    except OSError:
        return 0, 0, 0
    return size, usage.free, usage.total
