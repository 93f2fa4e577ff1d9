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
import shutil
import sqlite3

from crdtsync.database import Executor, transaction

RESERVED_BYTES = 6 * 1_048_576
"""Room for ``CHECKPOINT_WRITES`` writes of up to nine pages."""

ROOM_TO_SPARE = 10
"""So many times as much must be free: on a disk that is nearly full, it is not taken."""

LOOK_EVERY_WRITES = 8
"""A device that is opened for one write reserves nothing."""

CHECKPOINT_WRITES = 160


class LogUpkeep:
    """Counts small writes, and has the log seen to when it is time.

    ``path`` is the file's own, absolute and through no link, as it was opened: a process
    may move on to another folder, where a file of the same name is another one.
    """

    def __init__(self, path: str, executor: Executor) -> None:
        self._path = path
        self._log = f"{path}-wal"
        self._executor = executor
        self._file = _identity(path)
        self._may_reserve = self._file is not None
        self._writes = 0
        self._work: asyncio.Task[None] | None = None
        self._is_over = False

    def wrote(self) -> None:
        """A small write is durable. Never waits."""
        self._writes += 1
        if self._is_over or self._writes % LOOK_EVERY_WRITES:
            return
        if self._work is not None and not self._work.done():
            return
        if self._writes >= CHECKPOINT_WRITES:
            self._writes = 0
            self._work = asyncio.create_task(self._checkpoint())
        elif self._may_reserve and self._is_short():
            self._work = asyncio.create_task(self._reserve())

    async def ended(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._is_over = True
        if self._work is not None:
            await asyncio.wait({self._work})

    def _is_short(self) -> bool:
        try:
            return os.path.getsize(self._log) < RESERVED_BYTES
        except OSError:
            return False  # the write itself is durable, and says nothing of this

    def _is_to_be_let_alone(self) -> bool:
        # Another file may lie there by now, and its log be somebody else's.
        is_moved = _identity(self._path) != self._file
        return is_moved or shutil.disk_usage(self._log).free < RESERVED_BYTES * ROOM_TO_SPARE

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
                if self._is_to_be_let_alone():
                    self._may_reserve = False
                else:
                    reserve_space(self._log, RESERVED_BYTES)

        # A log without room in advance is slower and nothing else.
        try:
            await self._executor.run(reserve)
        except sqlite3.Error:
            pass
        except OSError:
            # Tried again, it would fill what is left of the disk every few writes.
            self._may_reserve = False


def _identity(path: str) -> tuple[int, int] | None:
    """Which file lies there, whatever its name; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
