"""When old log detail goes: in small slices between groups, again and again.

One task. It runs on the event loop's own time (so virtual time drives it too)
and hands each slice to the store as one job; groups of ops go in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable

from crdtsync.database import explain
from crdtsync_server.observing.trimming import trim_reports, trim_trace
from crdtsync_server.settings import Retention
from crdtsync_server.storage.retention import Step, trim_step
from crdtsync_server.storage.store import Store

logger = logging.getLogger("crdtsync.server.retention")

FIRST_AFTER_S = 60.0
"""From the start of the server: replicas that come back all at once go first."""

EVERY_S = 3_600.0
"""From the end of one round to the next. Beside a retention of days an hour does not show."""

PAUSE_S = 0.05
"""Between two slices, five times what one takes: ops get most of the time, and
millions of entries a day are trimmed all the same."""

RETRY_S = 300.0
"""After a slice that failed: a full or failing disk needs a person first."""


class Trimmer:
    """Trims a store's log by its retention; runs until ``stop``."""

    def __init__(self, store: Store, retention: Retention, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._retention = retention
        self._now_us = now_us
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work. A log that is kept for ever is never trimmed; what is recorded about
        its traffic is bounded all the same (observing/trimming.py)."""
        self._task = asyncio.create_task(self._run(), name="crdtsync retention")

    async def stop(self) -> None:
        """End. A slice that has begun is committed or is not; the next start goes on from there.

        May be called twice.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def trim(self) -> int:
        """One round now, to its end: how many log entries were trimmed.

        Raises sqlite3.Error; what was trimmed until then stays trimmed.
        """
        before_us = 0
        rows = 0
        from_space: int | None = None
        if self._retention.keep_log_s is not None:
            before_us = self._now_us() - round(self._retention.keep_log_s * 1_000_000)
            from_space = 0
        while from_space is not None:
            step = await self._step(from_space, before_us)
            rows += step.rows
            from_space = step.space_id
            if from_space is not None:
                await asyncio.sleep(PAUSE_S)
        dropped = await self._trim_trace(before_us)
        while dropped:
            await asyncio.sleep(PAUSE_S)
            dropped = await self._trim_trace(before_us)
        replica = await self._trim_reports(0)
        while replica is not None:
            await asyncio.sleep(PAUSE_S)
            replica = await self._trim_reports(replica)
        return rows

    async def _trim_trace(self, before_us: int) -> int:
        return await self._store.write(lambda found: trim_trace(found, before_us=before_us))

    async def _trim_reports(self, after_replica: int) -> int | None:
        return await self._store.write(
            lambda found: trim_reports(found, after_replica=after_replica)
        )

    async def _step(self, from_space: int, before_us: int) -> Step:
        sql, keep_entries = self._store.sql, self._retention.keep_entries
        return await self._store.write(
            lambda connection: trim_step(
                connection,
                sql,
                from_space=from_space,
                before_us=before_us,
                keep_entries=keep_entries,
            )
        )

    async def _run(self) -> None:
        delay_s = FIRST_AFTER_S
        while True:
            await asyncio.sleep(delay_s)
            try:
                rows = await self.trim()
            except sqlite3.Error as error:
                logger.error(
                    "old log entries were not trimmed, and nothing is lost; again in %d s: %s",
                    RETRY_S,
                    explain(error, self._store.what),
                )
                delay_s = RETRY_S
            except Exception:
                # This loop must never end before the server does.
                logger.exception("old log entries were not trimmed; again in %d s", RETRY_S)
                delay_s = RETRY_S
            else:
                if rows:
                    logger.info("trimmed the detail of %d old log entries", rows)
                delay_s = EVERY_S
