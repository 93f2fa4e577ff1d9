"""The replica's store: jobs over its file, each one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from crdtsync.database import (
    DiskFull,
    Executor,
    InlineExecutor,
    ThreadExecutor,
    check_schema,
    connect_durable,
    connect_to_read,
    explain,
    migrate,
    transaction,
)
from crdtsync.documents.errors import UsageError
from crdtsync.policy import Policy
from crdtsync.protocol.earlier import STOPPED
from crdtsync.replica.attempts import end_sending
from crdtsync.replica.errors import NotAReplica, ReplicaClosed
from crdtsync.replica.file import (
    SCHEMA_PACKAGE,
    ReplicaFile,
    check_is_replica,
    check_matches,
    prepare,
)
from crdtsync.replica.log_upkeep import LogUpkeep
from crdtsync.replica.querying import add_collation
from crdtsync.replica.shown import rebuild_views
from crdtsync.wholly import wholly

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = ":memory:"

CACHE_KIB = 16_384
"""SQLite's page cache of the writing connection: the names of a hundred thousand records, and
a group of pages of a first sync, which would be written twice otherwise."""

CHECKPOINT_PAGES = 4_000
"""16 MB of write-ahead log between checkpoints, each of which waits for the disk twice. As much
is written over once when a device comes back from a crash."""


def check_can_begin(path: str, *, space: str | None, policy: Policy | None) -> None:
    """Refuse to create a file without what a new one needs, before anything is created."""
    if path == MEMORY or not os.path.exists(path):
        missing = [name for name, it in (("space", space), ("policy", policy)) if it is None]
        if missing:
            raise NotAReplica(
                f"{path} is new; pass {'= and '.join(missing)}= to create a replica, or check its "
                "name and folder"
            )
    elif os.path.isdir(path):
        raise NotAReplica(f"{path} is a folder; name a file in it")


def _own_name(path: str) -> str:
    """A file's name for good: the process may move on to another folder, where the same name
    is another file's. Through no link, since SQLite keeps the log beside the file itself."""
    return os.path.realpath(path)


class ReplicaStore:
    """Runs functions of (file, …) inside transactions on the file's executor.

    What ``change`` returned from is durable. Cancelled or failed, a job is there
    wholly or not at all. Disk faults arrive as StorageError in plain words.
    """

    def __init__(
        self, executor: Executor, file: ReplicaFile, path: str, *, read_only: bool = False
    ) -> None:
        self._executor: Executor | None = executor
        self._file = file
        self._path = path
        self._read_only = read_only
        self._upkeep: LogUpkeep | None = None
        self.storage_full = False
        """The last write found no space. Over when a write changed something again."""
        self.on_full: Callable[[], None] = lambda: None
        """Told on the loop's thread when a write found no space."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._file.policy

    @property
    def executor(self) -> Executor | None:
        """Where the jobs run; None once closed."""
        return self._executor

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        space: str | None,
        policy: Policy | None,
        replica_id: str,
        run: str,
        executor: Executor | None = None,
    ) -> ReplicaStore:
        """Open or create the file and note the new run.

        ``executor`` brings its own connection (simulations keep it over restarts).
        """

        def begin(connection: sqlite3.Connection) -> ReplicaFile:
            check_is_replica(connection, path)
            # What goes is overwritten in the file, not only taken off its lists.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            migrate(connection, SCHEMA_PACKAGE, what=path)
            add_collation(connection)
            with transaction(connection):
                chosen = prepare_inside(connection)
                file = ReplicaFile(connection, chosen)
                file.begin_run(run)
                end_sending(file, STOPPED)
                rebuild_views(file)
            return file

        def prepare_inside(connection: sqlite3.Connection) -> Policy:
            return prepare(connection, path=path, space=space, policy=policy, replica_id=replica_id)

        real = _own_name(path)
        try:
            if executor is not None:
                pass
            elif path == MEMORY:
                executor = InlineExecutor(connect_durable(MEMORY))
            else:
                executor = await ThreadExecutor.open(
                    lambda: connect_durable(real, lambda found: check_is_replica(found, path))
                )
            file = await executor.run(begin)
        except sqlite3.Error as error:
            if executor is not None:
                await executor.close()
            raise explain(error, path) from error
        except BaseException:
            if executor is not None:
                await executor.close()
            raise
        store = cls(executor, file, path)
        if isinstance(executor, ThreadExecutor):
            store._upkeep = LogUpkeep(real, executor)
        return store

    @classmethod
    async def open_to_read(cls, path: str, *, space: str | None) -> ReplicaStore:
        """Open an existing file to read it only: nothing in it is changed or noted.

        Works beside whoever holds the file. ``change`` and ``adopt`` raise UsageError.
        """

        def begin() -> tuple[InlineExecutor, ReplicaFile]:
            if not os.path.isfile(path):
                raise NotAReplica(f"there is no file {path}; check its name and folder")
            connection = connect_to_read(path, check_same_thread=False)
            try:
                add_collation(connection)
                check_is_replica(connection, path, empty_is_new=False)
                check_schema(connection, SCHEMA_PACKAGE, what=path)
                policy = check_matches(connection, path=path, space=space)
                return InlineExecutor(connection), ReplicaFile(connection, policy)
            except BaseException:
                connection.close()
                raise

        try:
            return cls(*await asyncio.to_thread(begin), path, read_only=True)
        except sqlite3.Error as error:
            raise explain(error, path) from error

    @property
    def read_only(self) -> bool:
        """Whether the file was opened for reading only."""
        return self._read_only

    async def change(
        self, job: Callable[Concatenate[ReplicaFile, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a job that writes. Durable when it returns."""
        self._check_writable()

        def whole(connection: sqlite3.Connection) -> T:
            with self._noting_room(connection):
                return job(self._file, *args, **kwargs)

        return await self._run(whole)

    async def change_briefly(self, job: Callable[[ReplicaFile], T]) -> T:
        """Run a job that writes a few rows. Durable when it returns, perhaps without a thread
        in between (``Executor.run_brief``)."""
        self._check_writable()

        def whole(connection: sqlite3.Connection) -> T:
            with self._noting_room(connection):
                return job(self._file)

        written = await self._run(whole, brief=True)
        if self._upkeep is not None:
            self._upkeep.wrote()
        return written

    async def look(
        self, job: Callable[Concatenate[ReplicaFile, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a job that only reads."""
        return await self._run(lambda _: job(self._file, *args, **kwargs))

    async def adopt(self, policy: Policy) -> None:
        """Work under a newer policy from now on, durably, before anything made under it."""

        before = self._file.policy
        if policy.version <= before.version:
            return

        def whole(connection: sqlite3.Connection) -> None:
            self._file.policy = policy
            try:
                with transaction(connection):
                    self._file.put("policy", policy.text)
                    rebuild_views(self._file)
            except BaseException:
                self._file.policy = before
                raise

        self._check_writable()
        await self._run(whole)

    async def empty_log(self) -> None:
        """Write everything into the file itself and empty the write-ahead log beside it, where
        what was overwritten would stand until the next checkpoint. As far as readers let it."""

        def checkpoint(connection: sqlite3.Connection) -> None:
            # Its answer is taken whole: a statement that is still open holds up every commit.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        self._check_writable()
        await self._run(checkpoint)

    async def close(self) -> None:
        """Finish what was begun and close the file, even if that is cancelled."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await wholly(self._end(executor))

    async def _end(self, executor: Executor) -> None:
        try:
            if self._upkeep is not None:
                await self._upkeep.ended()
        finally:
            await executor.close()

    @contextlib.contextmanager
    def _noting_room(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A transaction; one that changed something has found room for it."""
        changes = connection.total_changes
        with transaction(connection):
            yield
        if connection.total_changes != changes:
            self.storage_full = False

    def _check_writable(self) -> None:
        if self._read_only:
            raise UsageError(f"{self._path} is open for reading only; open it without read_only")

    async def _run(self, job: Callable[[sqlite3.Connection], T], *, brief: bool = False) -> T:
        if self._executor is None:
            raise ReplicaClosed(f"{self._path} is closed; open the replica with `async with`")
        try:
            if brief:
                return await self._executor.run_brief(job)
            return await self._executor.run(job)
        except sqlite3.Error as error:
            told = explain(error, self._path)
            if isinstance(told, DiskFull):
                self.storage_full = True
                self.on_full()
            raise told from error
