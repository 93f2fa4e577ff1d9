"""Bringing the write-ahead log back into the file, beside the groups and not within them.

SQLite does it within the commit that finds the log long: that group, and all that wait behind
it, then waits for thousands of pages and two syncs (50 to 170 ms). A connection of its own
copies them while groups go on; the writing one only has to copy the little that came meanwhile,
between two groups, so that the log begins anew.

Nothing rests on it: what is committed is in the log and synced (invariant 2), and where this
fails or falls behind, the writing connection's own checkpoints come, later.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import NamedTuple, TypeVar

from crdtsync.database import Executor, Job

T = TypeVar("T")

logger = logging.getLogger("crdtsync.server.store")

CHECKPOINT_PAGES = 8_000
"""32 MB of WAL between checkpoints: hot pages are copied back once, not in every group."""

LATEST_CHECKPOINT_PAGES = 4 * CHECKPOINT_PAGES
"""Where the writing connection does it by itself, should it not have been done beside it."""

TAIL_PAGES = 500
"""So few are left to the writing connection: 2 MB, copied in a few milliseconds."""

PASSES = 4
"""At most so many beside the groups, each over what came during the one before."""

PAGES_PER_ROW = 0.5
"""Until it was measured: three rows an op, and what people are at work on shares its pages."""

LEAST_PAGES_PER_ROW = 0.05

MOST_PAGES_PER_ROW = 4.0
"""Behind a reader that holds on to an old state the log does not begin anew, and is ever longer
than what the rows since the last time took."""


class _Progress(NamedTuple):
    """What ``PRAGMA wal_checkpoint`` answers."""

    blocked: int
    pages: int
    """In the log."""
    copied: int


class Checkpoints:
    """Of one store. ``job`` wraps what runs on the writing connection."""

    def __init__(self, writer: Executor, beside: Executor) -> None:
        self._writer = writer
        self._beside = beside
        self._rows = 0
        self._rows_before = 0
        self._pages_per_row = PAGES_PER_ROW
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    def counting(self, job: Job[T]) -> Job[T]:
        """The job, and afterwards a look at how many rows were changed by then."""

        def counted(connection: sqlite3.Connection) -> T:
            try:
                return job(connection)
            finally:
                self._rows = connection.total_changes

        return counted

    def wrote(self) -> None:
        """A job is done: begin, if the log has become long enough and the store stays open."""
        pages = (self._rows - self._rows_before) * self._pages_per_row
        if pages >= CHECKPOINT_PAGES and self._task is None and not self._is_over:
            self._task = asyncio.create_task(self._run(), name="crdtsync checkpoint")

    async def _run(self) -> None:
        try:
            await self._copy()
        except sqlite3.Error as error:
            logger.warning("the write-ahead log could not be copied back: %s", error)
        finally:
            self._rows_before = self._rows
            self._task = None

    async def _copy(self) -> None:
        rows = self._rows - self._rows_before
        for nth in range(PASSES):
            done = await self._beside.run(_checkpoint)
            if nth == 0 and done.pages > 0:
                # How many pages a row takes depends on what people write to.
                measured = done.pages / max(rows, 1)
                self._pages_per_row = min(max(measured, LEAST_PAGES_PER_ROW), MOST_PAGES_PER_ROW)
            if done.blocked or done.pages - done.copied <= TAIL_PAGES:
                break
        await self._writer.run(_checkpoint)

    async def close(self) -> None:
        """Let a checkpoint that runs end, begin no other, and close the connection beside."""
        self._is_over = True
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._beside.close()


def connect_beside(path: Path) -> sqlite3.Connection:
    """The connection that copies. Only while the writing one is open: opening it mends nothing."""
    connection = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        # SQLite finds the log with the first read; before it there is nothing to copy.
        connection.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _checkpoint(connection: sqlite3.Connection) -> _Progress:
    return _Progress(*connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
