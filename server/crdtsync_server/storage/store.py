"""The database of a data folder: one connection that writes, one that only reads."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from crdtsync.database import (
    Executor,
    InlineExecutor,
    Job,
    StorageError,
    ThreadExecutor,
    connect_durable,
    connect_to_read,
    explain,
    migrate,
    queries,
)
from crdtsync.wholly import wholly
from crdtsync_server.storage.checkpoints import (
    CHECKPOINT_PAGES,
    LATEST_CHECKPOINT_PAGES,
    Checkpoints,
    connect_beside,
)
from crdtsync_server.storage.lock import FolderLock
from crdtsync_server.storage.migrating import prepare_migration

T = TypeVar("T")

FILE_NAME = "crdtsync.db"
MIGRATIONS = "crdtsync_server.storage.migrations"

CACHE_KIB = 65_536
"""SQLite's page cache of the writing connection. The index of receipts is random
in its keys, and what is not in the cache is read again for every op."""


class Store:
    """Where jobs of the server run.

    ``write`` jobs run one after the other on the writing connection. ``read``
    jobs run on a connection of their own, see committed data only (invariant 2)
    and never wait for a group.
    """

    def __init__(
        self,
        writer: Executor,
        reader: Executor,
        *,
        what: str,
        lock: FolderLock | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.sql = queries("crdtsync_server.storage", "queries.sql")
        self.what = what
        self._writer = writer
        self._reader = reader
        self._lock = lock
        self._checkpoints = checkpoints

    @classmethod
    async def open(cls, folder: Path) -> Store:
        """Open or make the database of a folder. Raises StorageError in words."""
        _make_folder(folder)
        path = folder / FILE_NAME
        async with contextlib.AsyncExitStack() as undo:
            lock = undo.enter_context(FolderLock(folder))
            writer = await _open(lambda: connect_writer(str(path)), str(path))
            undo.push_async_callback(writer.close)
            reader = await _open(lambda: connect_reader(path), str(path))
            undo.push_async_callback(reader.close)
            beside = await _open(lambda: connect_beside(path), str(path))
            undo.push_async_callback(beside.close)
            await writer.run(_checkpoint_late)
            undo.pop_all()
            checkpoints = Checkpoints(writer, beside)
            return cls(writer, reader, what=str(path), lock=lock, checkpoints=checkpoints)
        raise AssertionError("unreachable")

    @classmethod
    def in_memory(cls) -> Store:
        """A store that is gone when it is closed, with jobs inline: for simulation.

        Jobs never overlap, so reading over the writing connection sees only
        committed data here too.
        """
        executor = InlineExecutor(connect_writer(":memory:"))
        return cls(executor, executor, what="the database in memory")

    async def write(self, job: Job[T]) -> T:
        """Run a job on the writing connection; sqlite3.Error comes as it is."""
        if self._checkpoints is None:
            return await self._writer.run(job)
        result = await self._writer.run(self._checkpoints.counting(job))
        self._checkpoints.wrote()
        return result

    async def read(self, job: Job[T]) -> T:
        """Run a job on the reading connection. Raises StorageError."""
        try:
            return await self._reader.run(job)
        except sqlite3.Error as error:
            raise explain(error, self.what) from error

    async def close(self) -> None:
        """Finish what was queued, close the connections, release the folder: in that order,
        even if that is cancelled. Another server may open the folder afterwards."""
        await wholly(self._end())

    async def _end(self) -> None:
        async with contextlib.AsyncExitStack() as ending:
            if self._lock is not None:
                ending.callback(self._lock.release)
            ending.push_async_callback(self._writer.close)
            if self._checkpoints is not None:
                ending.push_async_callback(self._checkpoints.close)
            ending.push_async_callback(self._reader.close)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}") from error


async def _open(connect: Callable[[], sqlite3.Connection], what: str) -> ThreadExecutor:
    try:
        return await ThreadExecutor.open(connect)
    except sqlite3.Error as error:
        raise explain(error, what) from error


def connect_writer(path: str) -> sqlite3.Connection:
    """The writing connection, with the schema brought up to date."""
    connection = connect_durable(path)
    try:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        migrate(
            connection,
            MIGRATIONS,
            what=path,
            before=lambda version, scripts: prepare_migration(path, version, scripts),
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _checkpoint_late(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {LATEST_CHECKPOINT_PAGES}")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return connect_to_read(str(path.absolute()), check_same_thread=False)


def damaged(what: str) -> StorageError:
    """For bytes of a row that are no longer what was written."""
    return StorageError(
        f"{what} is damaged: something in it cannot be read. `crdtsync verify` tells what; restore "
        "the newest sound backup"
    )
