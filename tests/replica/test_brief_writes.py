"""Small writes on a quick disk: without a thread in between, and with room in the log."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdtsync import Replica, database
from crdtsync.database import QUICK_ONES, ThreadExecutor, connect_durable
from crdtsync.replica.log_upkeep import CHECKPOINT_WRITES, RESERVED_BYTES, reserve_space
from tests.replica.wards import replica


@pytest.fixture(name="thread")
async def _thread(tmp_path: Path) -> AsyncIterator[ThreadExecutor]:
    """An executor for which every disk is quick."""
    executor = await ThreadExecutor.open(lambda: connect_durable(str(tmp_path / "a.db")))
    yield executor
    await executor.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BRIEF_S", 60.0)


def where(connection: sqlite3.Connection) -> int:
    """A job that tells on which thread it ran."""
    connection.execute("SELECT 1").fetchall()
    return threading.get_ident()


async def trusted(executor: ThreadExecutor) -> None:
    """Let the executor see that commits are quick."""
    own = threading.get_ident()
    assert own not in [await executor.run_brief(where) for _ in range(QUICK_ONES)]


class TestWhereABriefJobRuns:
    async def test_on_the_callers_thread_once_enough_of_them_were_quick(
        self, thread: ThreadExecutor
    ) -> None:
        await trusted(thread)
        assert await thread.run_brief(where) == threading.get_ident()
        assert await thread.run(where) != threading.get_ident()

    async def test_after_everything_that_was_handed_in_before_it(
        self, thread: ThreadExecutor
    ) -> None:
        await trusted(thread)
        order: list[str] = []
        may_end = threading.Event()

        def long(connection: sqlite3.Connection) -> None:
            may_end.wait(10)
            order.append("long")

        def brief(connection: sqlite3.Connection) -> int:
            order.append("brief")
            return where(connection)

        first = asyncio.create_task(thread.run(long))
        await asyncio.sleep(0)
        second = asyncio.create_task(thread.run_brief(brief))
        await asyncio.sleep(0)
        assert order == []
        may_end.set()
        await first
        assert await second != threading.get_ident()
        assert order == ["long", "brief"]

    async def test_a_job_whose_caller_was_cancelled_still_counts_as_running(
        self, thread: ThreadExecutor
    ) -> None:
        await trusted(thread)
        may_end = threading.Event()
        first = asyncio.create_task(thread.run(lambda _: may_end.wait(10)))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(thread.run_brief(where))
        await asyncio.sleep(0)
        may_end.set()
        assert await second != threading.get_ident()

    async def test_a_slow_one_sends_those_after_it_to_the_thread_again(
        self, thread: ThreadExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await trusted(thread)
        with monkeypatch.context() as patch:
            patch.setattr(database, "BRIEF_S", -1.0)
            assert await thread.run_brief(where) == threading.get_ident()
        await trusted(thread)
        assert await thread.run_brief(where) == threading.get_ident()

    async def test_so_does_one_that_fails(self, thread: ThreadExecutor) -> None:
        await trusted(thread)
        with pytest.raises(sqlite3.OperationalError):
            await thread.run_brief(lambda connection: connection.execute("nonsense"))
        await trusted(thread)

    async def test_others_have_their_turns_between_two_of_them(
        self, thread: ThreadExecutor
    ) -> None:
        await trusted(thread)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(10):
            assert await thread.run_brief(where) == threading.get_ident()
        assert turns >= 9
        task.cancel()

    async def test_a_closed_executor_takes_none(self, thread: ThreadExecutor) -> None:
        await trusted(thread)
        await thread.close()
        with pytest.raises((sqlite3.ProgrammingError, ValueError)):
            await thread.run_brief(where)


class TestRoomInTheLog:
    async def test_a_device_that_writes_on_has_room_and_the_log_stays_within_it(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.db"
        writes = CHECKPOINT_WRITES * 3 + 5
        async with replica(path) as tablet:
            await write(tablet, range(5))
            assert log_bytes(path) < RESERVED_BYTES
            await write(tablet, range(5, writes))
            assert log_bytes(path) == RESERVED_BYTES
            assert tablet.collection("patient")[f"p{writes - 1}"]["age"] == writes - 1
        async with replica(path) as tablet:
            assert len(tablet.outbox) == writes

    async def test_what_was_written_into_reserved_room_outlives_a_crash(
        self, tmp_path: Path
    ) -> None:
        """Invariant 1: the zeros behind the last commit are no part of the log."""
        path, left = tmp_path / "a.db", tmp_path / "left.db"
        async with replica(path) as tablet:
            for upto in (20, CHECKPOINT_WRITES + 20):
                await write(tablet, range(upto))
                assert log_bytes(path) == RESERVED_BYTES
                for end in ("", "-wal"):
                    shutil.copy(f"{path}{end}", f"{left}{end}")
                async with replica(left) as found:
                    patients = found.collection("patient")
                    assert [patients[f"p{n}"]["age"] for n in range(upto)] == [*range(upto)]
                async with replica(path, read_only=True) as beside:
                    assert len(beside.collection("patient")) == upto

    async def test_an_emptied_log_may_be_given_room_before_anything_is_written(
        self, tmp_path: Path
    ) -> None:
        path, left = tmp_path / "a.db", tmp_path / "left.db"
        async with replica(path) as tablet:
            await write(tablet, range(3))
            await tablet._open_store().empty_log()
            assert log_bytes(path) == 0
            reserve_space(f"{path}-wal", RESERVED_BYTES)
            for upto in (3, 6):
                await write(tablet, range(upto))
                for end in ("", "-wal"):
                    shutil.copy(f"{path}{end}", f"{left}{end}")
                async with replica(left) as found:
                    assert len(found.collection("patient")) == upto
                async with replica(path, read_only=True) as beside:
                    assert len(beside.collection("patient")) == upto

    async def test_a_disk_without_room_for_it_gets_back_what_was_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.db"

        def full(fd: int) -> None:
            assert os.fstat(fd).st_size == RESERVED_BYTES
            raise OSError(errno.ENOSPC, "No space left on device")

        async with replica(path) as tablet:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", full)
                await write(tablet, range(30))
                assert 0 < log_bytes(path) < RESERVED_BYTES
            assert len(tablet.outbox) == 30

    def test_a_log_that_is_long_enough_stays_as_it_is(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_bytes(b"frames")
        reserve_space(str(log), 3)
        assert log.read_bytes() == b"frames"
        reserve_space(str(log), 8)
        assert log.read_bytes() == b"frames\0\0"


async def write(tablet: Replica, numbers: range) -> None:
    """One write after the other, each durable before the next."""
    patients = tablet.collection("patient")
    for n in numbers:
        await patients.update(f"p{n}", age=n)
    store = tablet._open_store()
    await store.look(lambda file: None)  # what was begun beside the writes is over


def log_bytes(path: Path) -> int:
    """How long the file of the log is."""
    return path.with_name(f"{path.name}-wal").stat().st_size
