"""SQLite on a thread of its own, or inline: where a store's jobs run.

A store is synchronous code over a ``sqlite3.Connection``. It is handed an
executor from outside: in production jobs run one after the other on the thread
that owns the connection (aiosqlite's), in simulations and for ``:memory:``
files they run where they are called.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Protocol, TypeVar

import aiosqlite

from crdtsync.errors import CrdtsyncError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT_MS = 5_000

BRIEF_S = 0.002
"""What an event loop may be held for a write: a few commits of a quick disk."""

QUICK_ONES = 8
"""Brief jobs in a row that were quick, before the next one is trusted to be."""

_REWRITE_BYTES = 1_048_576


class StorageError(CrdtsyncError):
    """The machine's disk failed, is full, or the file is not what it should be."""


class DiskFull(StorageError):
    """No space left; nothing of the write that met it was kept."""


class Executor(Protocol):
    """Runs jobs on one connection, strictly one after the other.

    A job that began runs to its end even if the caller is cancelled; what it
    committed is durable. An exception of the job reaches the caller.
    """

    async def run(self, job: Job[T]) -> T:
        """Run ``job`` with the connection and return its result."""
        ...

    async def run_brief(self, job: Job[T]) -> T:
        """Run a job that takes one small commit and no more, and that has done nothing where
        SQLite refuses it the lock. An executor with a thread of its own may run it on the
        caller's, where that is quicker and nobody waits for it long. Such a commit copies
        nothing back from the write-ahead log: the caller has that seen to."""
        ...

    async def close(self) -> None:
        """Finish what was queued, then close the connection. May be called twice."""
        ...


class InlineExecutor:
    """Jobs run at once in the calling thread. For ``:memory:`` and simulation."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    async def run(self, job: Job[T]) -> T:
        """Run ``job`` now."""
        return job(self.connection)

    async def run_brief(self, job: Job[T]) -> T:
        """Run ``job`` as any other."""
        return await self.run(job)

    async def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class _JobConnection(aiosqlite.Connection):
    """aiosqlite's connection and thread, with a whole job as the unit of work.

    aiosqlite hops between threads for every statement (253 µs each); a group
    of ops is one hop here. ``_execute`` and ``_conn`` are aiosqlite's own seam
    for its cursor classes, which is why its minor version is pinned.
    """

    async def open(self) -> _JobConnection:
        try:
            await self
        except BaseException:
            # The thread ends by itself, but it must do so before the loop does.
            await asyncio.shield(asyncio.to_thread(self._thread.join))
            raise
        return self

    async def run(self, job: Job[T]) -> T:
        result: T = await self._execute(job, self._conn)  # type: ignore[no-untyped-call]
        return result

    @property
    def own(self) -> sqlite3.Connection:
        """The connection itself, for whoever knows that the thread is idle."""
        return self._conn


class ThreadExecutor:
    """Jobs run on the connection's own thread; brief ones on the event loop's where that is free.

    To the thread and back is two waits for the system to wake somebody, which cost more than
    a small commit on a quick disk. So a brief job that finds the thread idle runs where it
    was called, as long as the last ``QUICK_ONES`` of them took no longer than ``BRIEF_S``
    each. On a slow disk all of them go to the thread; on a quick one, a commit that the
    disk holds up holds up the loop, and sends those after it to the thread again.
    """

    def __init__(self, connection: _JobConnection) -> None:
        self._connection = connection
        self._patience = _Patience()
        self._closed = False
        self._handed_in = 0
        """Jobs for the thread; counted by the loop's thread alone."""
        self._ended = 0
        """Those that are over; counted by the connection's thread alone."""
        self._quick_ones = 0
        """Brief jobs since the last one that took long or failed."""

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> ThreadExecutor:
        """Start the thread and open the connection on it."""
        return cls(await _JobConnection(connect, iter_chunk_size=64).open())

    async def run(self, job: Job[T]) -> T:
        """Run ``job`` on the thread; a cancelled caller does not stop it."""
        if self._closed:
            raise sqlite3.ProgrammingError("the connection is closed")

        def counted(connection: sqlite3.Connection) -> T:
            try:
                self._patience.regain(connection)
                return job(connection)
            finally:
                self._ended += 1

        self._handed_in += 1
        return await self._connection.run(counted)

    async def run_brief(self, job: Job[T]) -> T:
        """Run ``job`` here if that holds nobody up, else on the thread."""

        def timed(connection: sqlite3.Connection) -> T:
            quick_ones, self._quick_ones = self._quick_ones, 0
            began_s = time.monotonic()
            result = job(connection)
            if time.monotonic() - began_s <= BRIEF_S:
                self._quick_ones = quick_ones + 1
            return result

        is_idle = self._handed_in == self._ended and not self._closed
        if not is_idle or self._quick_ones < QUICK_ONES:
            return await self.run(timed)
        own = self._connection.own
        try:
            self._patience.lose(own)
            result = timed(own)
        except BaseException as error:
            # A signal's handler may raise between any two steps, a BEGIN and its block, too.
            if own.in_transaction:
                own.execute("ROLLBACK")
            if not is_busy(error):
                raise
        else:
            # A caller that does nothing but write still lets the others have their turns.
            await asyncio.sleep(0)
            return result
        # Another process holds the lock: that is waited for where nobody is held up.
        return await self.run(timed)

    async def close(self) -> None:
        """Finish what was queued and end the thread."""
        if not self._closed:
            self._closed = True
            await asyncio.shield(self._connection.close())


class _Patience:
    """What a connection waits for: on its own thread for another process's lock, and for the
    log to be copied back when it is long; on the event loop's for neither."""

    def __init__(self) -> None:
        self._is_lost = False
        self._checkpoint_pages = 0

    def lose(self, connection: sqlite3.Connection) -> None:
        """From now on the connection is used on the event loop's thread."""
        if self._is_lost:
            return
        ((self._checkpoint_pages,),) = connection.execute("PRAGMA wal_autocheckpoint").fetchall()
        self._is_lost = True
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute("PRAGMA busy_timeout = 0").fetchall()

    def regain(self, connection: sqlite3.Connection) -> None:
        """It is used on its own again."""
        if not self._is_lost:
            return
        pages = self._checkpoint_pages
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").fetchall()
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchall()
        self._is_lost = False


def connect_durable(
    path: str, check: Callable[[sqlite3.Connection], None] | None = None
) -> sqlite3.Connection:
    """A connection whose commits survive a power cut (WAL, synchronous=FULL).

    Transactions are explicit: ``BEGIN IMMEDIATE`` … ``COMMIT`` (see ``transaction``).
    ``check`` may refuse the file before anything in it is changed: choosing WAL
    already writes to it.
    """
    if path != ":memory:":
        # SQLite keeps the log beside the file itself, not beside a link to it.
        path = os.path.realpath(path)
    if path != ":memory:" and os.path.exists(f"{path}-wal"):
        if check is not None:
            # Another program's file is not ours to mend: it may be at work on it.
            with contextlib.closing(connect_to_read(path)) as found:
                check(found)
        rewrite_wal(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        read_schema(connection)
        if check is not None:
            check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def rewrite_wal(path: str) -> None:
    """Write the WAL that an earlier process left over itself, and sync it. Before SQLite opens it.

    A sync that failed leaves pages in the system's cache that read as if they were
    saved, and that no later sync saves; a process that was killed may have left
    commits that were not synced yet. SQLite takes both for commits and appends to
    them: a power cut would then take away what was acknowledged afterwards
    (tests/simulation measures it). Written again, the bytes are saved or the error
    is seen. The caller holds the file's lock: nobody else writes. Raises StorageError.
    """
    try:
        with open(f"{path}-wal", "r+b") as wal:
            while chunk := wal.read(_REWRITE_BYTES):
                wal.seek(-len(chunk), os.SEEK_CUR)
                wal.write(chunk)
                wal.flush()
            os.fsync(wal.fileno())
    except FileNotFoundError:
        return  # it was closed in order, or is new
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"{path} was not closed in order, and what it had not saved yet cannot be saved now: "
            f"{error.strerror}. Nothing was changed; mend or free the disk and open it again"
        ) from error


def connect_to_read(path: str, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection that cannot write; it works beside the one that does (WAL)."""
    connection = sqlite3.connect(
        f"{Path(path).absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        read_schema(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def read_schema(connection: sqlite3.Connection) -> None:
    """Have SQLite read what tables there are. Raises sqlite3.Error."""
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError as error:
        # SQLite tells what is wrong in a damaged schema by the bytes that stand there, and
        # Python cannot read them: it is damage all the same, and no fault of the program.
        damage = sqlite3.DatabaseError("malformed database schema")
        damage.sqlite_errorname = "SQLITE_CORRUPT"
        raise damage from error


class transaction:  # noqa: N801 - reads as a statement: `with transaction(connection):`
    """All or nothing, on disk when the block ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def queries(package: str, name: str) -> dict[str, str]:
    """The named queries of a SQL file: ``-- name: what_it_does`` starts each."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for block in re.split(r"(?m)^-- name: ", text)[1:]:
        title, _, body = block.partition("\n")
        found[title.strip()] = body.strip().rstrip(";")
    return found


def migrate(
    connection: sqlite3.Connection,
    package: str,
    *,
    what: str,
    before: Callable[[int, Sequence[str]], None] | None = None,
    upto: int | None = None,
) -> None:
    """Bring the schema up to the newest numbered file in ``package`` (``0001_….sql``).

    Each file runs in one transaction together with its number
    (``PRAGMA user_version``), so a file that was stopped in between never ran. A
    database from a newer crdtsync is refused. ``before`` is called once for a
    database of an earlier version, with that version and the scripts that will
    run; what it raises leaves the database as it was. ``upto`` stops at an
    earlier version than the newest.
    """
    files = _schema_files(package)
    current = _schema_number(connection, files, what)
    due = [
        resources.files(package).joinpath(name).read_text(encoding="utf-8")
        for name in files[current:upto]
    ]
    if due and current and before is not None:
        before(current, due)
    for number, script in enumerate(due, start=current + 1):
        with transaction(connection):
            for statement in filter(None, map(str.strip, script.split(";\n"))):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def newest_schema(package: str) -> int:
    """The version that ``migrate`` brings a database to."""
    return len(_schema_files(package))


def check_schema(connection: sqlite3.Connection, package: str, *, what: str) -> None:
    """Refuse a file that would have to be migrated before it can be read."""
    files = _schema_files(package)
    if _schema_number(connection, files, what) < len(files):
        raise StorageError(
            f"{what} was written by an older crdtsync; open it once for writing, which brings "
            "it up to date"
        )


def _schema_files(package: str) -> list[str]:
    return sorted(
        entry.name
        for entry in resources.files(package).iterdir()
        if re.fullmatch(r"\d{4}_\w+\.sql", entry.name)
    )


def _schema_number(connection: sqlite3.Connection, files: list[str], what: str) -> int:
    current = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if current > len(files):
        raise StorageError(
            f"{what} was written by a newer crdtsync (schema {current}, this one knows "
            f"{len(files)}); install a newer version"
        )
    return current


def is_busy(error: BaseException) -> bool:
    """Whether SQLite was refused a lock that another connection holds."""
    code = getattr(error, "sqlite_errorname", "") or ""
    return code.startswith("SQLITE_BUSY")


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite found the file itself damaged: it will not become better by waiting."""
    code = getattr(error, "sqlite_errorname", "") or ""
    return code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether the disk or the file failed (I/O, full, locked, damaged), so that the same
    statements may succeed another time; else they are at fault, and fail every time."""
    if (getattr(error, "sqlite_errorname", "") or "") == "SQLITE_ERROR":
        return False
    # The other errors are subclasses of DatabaseError; damage is that class itself.
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def explain(error: sqlite3.Error, what: str) -> StorageError:
    """A disk's fault in plain words: what happened, where, and the cure."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        return DiskFull(f"no space left for {what}; nothing was changed. Free up space and retry")
    if code.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return StorageError(f"{what} is read-only; check its permissions and its folder's")
    if code.startswith("SQLITE_CANTOPEN"):
        return StorageError(f"{what} cannot be opened; check that its folder exists")
    if code.startswith("SQLITE_NOTADB"):
        return StorageError(f"{what} is not a readable SQLite file; restore it from a copy")
    if is_damage(error):
        return StorageError(f"{what} has damaged pages ({error}); restore it from a copy")
    if code.startswith("SQLITE_IOERR"):
        return StorageError(f"{what}: the disk answers with an error ({error}); check the disk")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(f"{what} is busy in another process; try again in a moment")
    return StorageError(f"{what}: {error}")
