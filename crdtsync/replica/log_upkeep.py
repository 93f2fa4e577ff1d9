"""Looking after the write-ahead log of a device between its writes.

A commit that makes the log's file longer waits for the file system to note where the new
part lies, which costs about as much again as the commit. So once a device writes more than
now and then, the space that its log will take is filled with zeros at one go; SQLite takes
them for the end of the log. And what lies in the log is moved into the file itself before
the log outgrows that space, by a job of its own and not by whichever commit comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3

from crdtsync.database import Executor, transaction

RESERVED_BYTES = 6 * 1_048_576
"""Room for ``CHECKPOINT_WRITES`` writes of up to nine pages."""

LOOK_EVERY_WRITES = 8
"""A device that is opened for one write reserves nothing."""

CHECKPOINT_WRITES = 160


class LogUpkeep:
    """Counts small writes, and has the log seen to when it is time."""

    def __init__(self, path: str, executor: Executor) -> None:
        self._path = f"{path}-wal"
        self._executor = executor
        self._writes = 0
        self._work: asyncio.Task[None] | None = None

    def wrote(self) -> None:
        """A small write is durable. Never waits."""
        self._writes += 1
        if self._writes % LOOK_EVERY_WRITES or (self._work is not None and not self._work.done()):
            return
        if self._writes >= CHECKPOINT_WRITES:
            self._writes = 0
            self._work = asyncio.create_task(self._checkpoint())
        elif self._is_short():
            self._work = asyncio.create_task(self._reserve())

    async def ended(self) -> None:
        """Wait for what was begun."""
        if self._work is not None:
            await asyncio.wait({self._work})

    def _is_short(self) -> bool:
        try:
            return os.path.getsize(self._path) < RESERVED_BYTES
        except OSError:
            return False  # the write itself is durable, and says nothing of this

    async def _checkpoint(self) -> None:
        def passive(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

        # One that fails leaves the log as it is, and so do those of SQLite itself, which
        # ignores it, too: the writes are durable, and the next one tries again.
        with contextlib.suppress(sqlite3.Error):
            await self._executor.run(passive)

    async def _reserve(self) -> None:
        def reserve(connection: sqlite3.Connection) -> None:
            # Nobody appends to the log while it grows.
            with transaction(connection):
                reserve_space(self._path, RESERVED_BYTES)

        # A log without room in advance is slower and nothing else.
        with contextlib.suppress(sqlite3.Error, OSError):
            await self._executor.run(reserve)


def reserve_space(path: str, size_bytes: int) -> None:
    """Make a log at least so long with zeros, or leave it as it was and raise OSError.

    The caller keeps others from appending to it meanwhile. SQLite finds the end of a log
    by the checksum and the salts of its frames, which zeros do not have.
    """
    with open(path, "r+b", buffering=0) as log:
        before_bytes = log.seek(0, os.SEEK_END)
        try:
            missing = memoryview(bytes(max(size_bytes - before_bytes, 0)))
            while missing:
                missing = missing[log.write(missing) :]
            os.fsync(log.fileno())
        except OSError:
            log.truncate(before_bytes)
            raise
