"""The write-ahead log comes back into the file beside the groups."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from crdtsync.database import InlineExecutor, Job, transaction
from crdtsync_server.storage import checkpoints
from crdtsync_server.storage.checkpoints import Checkpoints, connect_beside
from crdtsync_server.storage.lock import FolderInUse, FolderLock
from crdtsync_server.storage.store import FILE_NAME, Store, connect_reader, connect_writer

T = TypeVar("T")

VALUE = "x" * 3_000
"""A page a row."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 100)
    monkeypatch.setattr(checkpoints, "TAIL_PAGES", 5)


def rows(first: int, count: int) -> Job[None]:
    def write(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            connection.executemany(
                "INSERT INTO policies (version, hash, text, first_used_us) VALUES (?, '', ?, 0)",
                [(number, VALUE) for number in range(first, first + count)],
            )

    return write


def times_begun(folder: Path) -> int:
    """How often the log has begun anew: a number in its header."""
    with open(folder / f"{FILE_NAME}-wal", "rb") as wal:
        return int.from_bytes(wal.read(16)[12:], "big")


def stored(folder: Path) -> int:
    with closing(connect_reader(folder / FILE_NAME)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM policies").fetchone()
    return int(count)


@contextmanager
def holding_on(folder: Path) -> Iterator[sqlite3.Connection]:
    """A reader that sees the database as it is now: empty."""
    with closing(connect_reader(folder / FILE_NAME)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM policies").fetchone() == (0,)
        yield reader


async def is_closing(one: Checkpoints) -> None:
    while not one._is_over:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)


async def ended(one: Checkpoints) -> None:
    if one._task is not None:
        await asyncio.wait([one._task])


async def test_the_log_begins_anew_and_no_commit_waits_for_it(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    one = store._checkpoints
    assert one is not None
    await store.write(rows(0, 1))
    begun, begins = times_begun(tmp_path), 0
    for nth in range(40):
        await store.write(rows(1 + nth * 10, 10))
        begins += one._task is not None
        await ended(one)
    # The row that comes next is the first of a new log.
    assert begins >= 2
    assert times_begun(tmp_path) >= begun + begins - 1
    assert stored(tmp_path) == 401
    await store.close()
    assert stored(tmp_path) == 401


async def test_commits_go_on_while_it_copies(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    one = store._checkpoints
    assert one is not None
    for nth in range(100):
        await store.write(rows(nth * 10, 10))
    assert stored(tmp_path) == 1_000
    await store.close()
    assert stored(tmp_path) == 1_000


async def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    one = store._checkpoints
    assert one is not None
    await store.write(rows(0, 20))
    assert one._task is None
    await store.close()


class Spoiled(InlineExecutor):
    """Fails a number of times."""

    def __init__(self, connection: sqlite3.Connection, *, times: int) -> None:
        super().__init__(connection)
        self._times = times

    async def run(self, job: Job[T]) -> T:
        if self._times:
            self._times -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return await super().run(job)


async def test_where_it_fails_writing_goes_on_and_it_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    writer = InlineExecutor(connect_writer(str(path)))
    beside = Spoiled(connect_beside(path), times=1)
    one = Checkpoints(writer, beside)
    store = Store(writer, InlineExecutor(connect_reader(path)), what=str(path), checkpoints=one)
    await store.write(rows(500, 1))
    begun = times_begun(tmp_path)
    with caplog.at_level(logging.WARNING):
        await store.write(rows(0, 200))
        await ended(one)
    assert "could not be copied back: disk I/O error" in caplog.text
    await store.write(rows(200, 200))
    await ended(one)
    await store.write(rows(400, 1))
    assert times_begun(tmp_path) == begun + 1
    assert stored(tmp_path) == 402
    await store.close()


async def test_a_reader_that_holds_on_to_an_old_state_hinders_nobody(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    one = store._checkpoints
    assert one is not None
    with holding_on(tmp_path) as reader:
        for nth in range(5):
            await store.write(rows(nth * 150, 150))
            await ended(one)
        assert reader.execute("SELECT count(*) FROM policies").fetchone() == (0,)
    begun = times_begun(tmp_path)
    for nth in range(5, 7):
        await store.write(rows(nth * 150, 150))
        await ended(one)
    assert times_begun(tmp_path) > begun
    assert stored(tmp_path) == 7 * 150
    await store.close()


async def test_behind_such_a_reader_it_is_not_tried_with_every_row(tmp_path: Path) -> None:
    """The log does not begin anew then, and its length says nothing of what a row takes."""
    store = await Store.open(tmp_path)
    one = store._checkpoints
    assert one is not None
    with holding_on(tmp_path):
        await store.write(rows(0, 1_000))
        await ended(one)
        begins = 0
        for nth in range(120):
            await store.write(rows(1_000 + nth, 1))
            begins += one._task is not None
            await ended(one)
        assert begins <= 120 * checkpoints.MOST_PAGES_PER_ROW / checkpoints.CHECKPOINT_PAGES
    await store.close()


class TestTheEnd:
    async def test_nothing_begins_once_the_store_closes(self, tmp_path: Path) -> None:
        store = await Store.open(tmp_path)
        one = store._checkpoints
        assert one is not None
        may_end = threading.Event()

        def late(connection: sqlite3.Connection) -> None:
            may_end.wait(10)
            rows(0, 300)(connection)

        writing = asyncio.create_task(store.write(late))
        await asyncio.sleep(0)
        closing_it = asyncio.create_task(store.close())
        await is_closing(one)
        may_end.set()
        await asyncio.gather(writing, closing_it)
        assert one._task is None
        assert stored(tmp_path) == 300

    async def test_a_cancelled_one_keeps_the_folder_until_everything_is_closed(
        self, tmp_path: Path
    ) -> None:
        store = await Store.open(tmp_path)
        one = store._checkpoints
        assert one is not None
        may_end = threading.Event()
        held = asyncio.create_task(one._beside.run(lambda _: may_end.wait(10)))
        one._task = held  # type: ignore[assignment]  # a checkpoint that takes its time
        ending = asyncio.create_task(store.close())
        await is_closing(one)
        ending.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        with pytest.raises(FolderInUse):
            FolderLock(tmp_path)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await ending
        for executor in (store._writer, store._reader, one._beside):
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                await executor.run(stored)  # type: ignore[arg-type]
        FolderLock(tmp_path).release()
