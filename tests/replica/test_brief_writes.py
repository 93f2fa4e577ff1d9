"""Small writes on a quick disk: without a thread in between."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from crdtsync import database
from crdtsync.database import (
    BUSY_TIMEOUT_MS,
    QUICK_ONES,
    ThreadExecutor,
    connect_durable,
    transaction,
)


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
        with pytest.raises(sqlite3.ProgrammingError, match="the connection is closed"):
            await thread.run_brief(where)
        with pytest.raises(sqlite3.ProgrammingError, match="the connection is closed"):
            await thread.run(where)


class TestWhatTheLoopIsNotHeldUpBy:
    async def test_another_process_that_writes_is_waited_for_on_the_thread(
        self, thread: ThreadExecutor, tmp_path: Path
    ) -> None:
        await trusted(thread)
        with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(thread.run_brief(begun))
            await asyncio.sleep(0)  # comes back while the lock is held
            assert not writing.done()
            other.execute("ROLLBACK")
            assert await writing != threading.get_ident()
        assert await thread.run_brief(begun) != threading.get_ident()

    async def test_a_log_that_is_long_is_copied_back_by_the_thread_alone(
        self, thread: ThreadExecutor
    ) -> None:
        await thread.run(lambda connection: connection.execute("PRAGMA wal_autocheckpoint = 1"))
        patience = await thread.run(waits)
        assert patience == (1, BUSY_TIMEOUT_MS)
        await trusted(thread)
        assert await thread.run_brief(waits) == (0, 0)
        assert await thread.run_brief(waits) == (0, 0)
        assert await thread.run(waits) == patience
        assert await thread.run_brief(waits) == (0, 0)

    async def test_a_signal_between_two_steps_leaves_no_transaction_open(
        self, thread: ThreadExecutor
    ) -> None:
        await trusted(thread)

        def interrupted(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            raise Interrupt

        with pytest.raises(Interrupt):
            await thread.run_brief(interrupted)
        assert await thread.run(begun)


class Interrupt(BaseException):
    """What the handler of a signal may raise anywhere."""


def begun(connection: sqlite3.Connection) -> int:
    """A job that writes and tells on which thread."""
    with transaction(connection):
        return where(connection)


def waits(connection: sqlite3.Connection) -> tuple[int, int]:
    """From how many pages on a commit copies the log back; how long it waits for a lock."""
    names = ("wal_autocheckpoint", "busy_timeout")
    pages, milliseconds = (connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in names)
    return pages, milliseconds
