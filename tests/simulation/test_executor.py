"""A store's thread in virtual time behaves as the real one does."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest

from crdtsync.database import Job, ThreadExecutor, connect_durable, transaction
from crdtsync_server.simulation.disk import Disk
from crdtsync_server.simulation.executor import SimulatedThread
from crdtsync_server.simulation.sqlite import Connection, MachineGone
from crdtsync_server.simulation.virtual_time import run_virtually

NAME = "a.db"


@pytest.fixture(name="disk")
def _disk() -> Iterator[Disk]:
    disk = Disk(random.Random(1))
    yield disk
    disk.close()


def opened(disk: Disk) -> Connection:
    connection = disk.connect(NAME)
    connection.execute("CREATE TABLE IF NOT EXISTS done (n)")
    return connection


def latencies(*seconds: float) -> Callable[[], float]:
    drawn = cycle(seconds)
    return lambda: next(drawn)


def add(n: int) -> Job[int]:
    def job(connection: sqlite3.Connection) -> int:
        with transaction(connection):
            connection.execute("INSERT INTO done VALUES (?)", (n,))
        return n

    return job


def count(connection: Connection | sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM done").fetchone()[0]
    return found


def seconds() -> float:
    return round(asyncio.get_running_loop().time(), 6)


def test_a_job_waits_before_it_runs_and_its_caller_waits_again(disk: Disk) -> None:
    async def main() -> None:
        connection = opened(disk)
        thread = SimulatedThread(connection, latencies(2.0, 3.0))
        waiting = asyncio.create_task(thread.run(add(1)))
        await asyncio.sleep(1.9)
        assert count(connection) == 0
        await asyncio.sleep(0.2)
        assert count(connection) == 1
        assert not waiting.done()
        assert (await waiting, seconds()) == (1, 5.0)
        await thread.close()

    run_virtually(main())


def test_jobs_run_and_answer_in_the_order_in_which_they_were_handed_in(disk: Disk) -> None:
    async def main() -> None:
        delays = random.Random(3)
        thread = SimulatedThread(opened(disk), lambda: delays.choice((0.0, 0.0, 0.1, 5.0)))
        ran: list[int] = []
        heard: list[int] = []

        async def one(n: int) -> None:
            await thread.run(lambda _: ran.append(n))
            heard.append(n)

        async with asyncio.TaskGroup() as callers:
            for n in range(50):
                callers.create_task(one(n))
        assert ran == heard == list(range(50))
        await thread.close()

    run_virtually(main())


def test_without_latency_no_time_passes(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(0.0))
        for n in range(10):
            await thread.run(add(n))
        await thread.close()
        assert seconds() == 0.0

    run_virtually(main())


def test_what_a_job_raises_reaches_its_caller_and_the_next_job_runs(disk: Disk) -> None:
    class Panic(BaseException):
        """As pycrdt's."""

    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(0.1))

        def panic(_: sqlite3.Connection) -> None:
            raise Panic

        failing = asyncio.create_task(thread.run(lambda c: c.execute("SELEKT")))
        panicking = asyncio.create_task(thread.run(panic))
        assert await thread.run(add(1)) == 1
        with pytest.raises(sqlite3.OperationalError, match="syntax"):
            await failing
        with pytest.raises(Panic):
            await panicking
        await thread.close()

    run_virtually(main())


@pytest.mark.parametrize("after_s", [0.05, 0.15])
def test_a_cancelled_caller_stops_no_job(disk: Disk, after_s: float) -> None:
    async def main() -> None:
        connection = opened(disk)
        thread = SimulatedThread(connection, latencies(0.1))
        waiting = asyncio.create_task(thread.run(add(1)))
        failing = asyncio.create_task(thread.run(lambda c: c.execute("SELEKT")))
        await asyncio.sleep(after_s)
        assert waiting.cancel()
        assert failing.cancel()
        await asyncio.wait([waiting, failing])
        assert waiting.cancelled()
        assert failing.cancelled()
        assert await thread.run(count) == 1
        await thread.close()

    run_virtually(main())


def test_closing_finishes_what_was_handed_in_and_may_be_done_twice(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(1.0))
        waiting = [asyncio.create_task(thread.run(add(n))) for n in range(3)]
        await asyncio.sleep(0)
        await asyncio.gather(thread.close(), thread.close())
        await thread.close()
        assert [task.result() for task in waiting] == [0, 1, 2]
        with pytest.raises(sqlite3.ProgrammingError):
            await thread.run(count)
        again = opened(disk)
        assert count(again) == 3

    run_virtually(main())


def test_a_cancelled_close_still_closes(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(1.0))
        waiting = asyncio.create_task(thread.run(add(1)))
        closing = asyncio.create_task(thread.close())
        await asyncio.sleep(0.5)
        closing.cancel()
        await waiting
        await asyncio.sleep(5)
        assert count(opened(disk)) == 1

    run_virtually(main())


def test_a_second_thread_over_a_connection_leaves_it_open(disk: Disk) -> None:
    async def main() -> None:
        connection = opened(disk)
        writer = SimulatedThread(connection, latencies(0.1))
        reader = SimulatedThread(connection, latencies(0.3), owns_connection=False)
        await writer.run(add(1))
        assert await reader.run(count) == 1
        await reader.close()
        assert count(connection) == 1
        await writer.close()

    run_virtually(main())


def test_a_killed_process_hears_nothing_good_and_writes_nothing_more(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(0.1, 0.5))
        waiting = [asyncio.create_task(thread.run(add(n))) for n in range(5)]
        closing = asyncio.create_task(thread.close())
        await asyncio.sleep(0.15)
        thread.kill()
        thread.kill()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in found] == [MachineGone] * 5
        await closing
        await thread.close()
        with pytest.raises(MachineGone):
            await thread.run(count)
        with pytest.raises(MachineGone):
            thread.connection.execute("SELECT 1")
        await asyncio.sleep(60)
        # The first one had run; its caller is as ignorant as the others.
        assert count(opened(disk)) == 1

    run_virtually(main())


def test_tasks_that_are_cancelled_with_their_process_leave_no_loose_ends(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(0.1))
        waiting = [asyncio.create_task(thread.run(add(n))) for n in range(5)]
        await asyncio.sleep(0.15)
        thread.kill()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert all(task.cancelled() for task in waiting)

    run_virtually(main())


def test_after_a_power_cut_nothing_runs_though_nobody_killed_the_thread(disk: Disk) -> None:
    async def main() -> None:
        thread = SimulatedThread(opened(disk), latencies(0.1))
        ran: list[int] = []
        waiting = [
            asyncio.create_task(thread.run(lambda _, n=n: ran.append(n)))  # type: ignore[misc]
            for n in range(3)
        ]
        await asyncio.sleep(0.15)
        disk.power_cut()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in found] == [MachineGone] * 3
        assert ran == [0]

    run_virtually(main())


def test_a_machine_that_is_gone_in_the_middle_of_a_job_says_so_once(disk: Disk) -> None:
    async def main() -> None:
        told: list[str] = []
        thread = SimulatedThread(opened(disk), latencies(0.1), on_gone=lambda: told.append("gone"))
        assert await thread.run(add(1)) == 1
        disk.crash_at = 0
        waiting = [asyncio.create_task(thread.run(add(n))) for n in (2, 3)]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in found] == [MachineGone] * 2
        assert told == ["gone"]
        assert thread.is_gone
        disk.power_cut()
        assert told == ["gone"]
        assert count(opened(disk)) == 1

    run_virtually(main())


async def test_the_real_thread_keeps_the_same_promises(tmp_path: object) -> None:
    """What is simulated above: order, a cancelled caller, closing twice."""

    def connect() -> sqlite3.Connection:
        connection = connect_durable(f"{tmp_path}/a.db")
        connection.execute("CREATE TABLE done (n)")
        return connection

    thread = await ThreadExecutor.open(connect)
    waiting = [asyncio.create_task(thread.run(add(n))) for n in range(5)]
    await asyncio.sleep(0)
    waiting[3].cancel()
    assert await thread.run(count) == 5
    assert [await task for task in waiting if not task.cancelled()] == [0, 1, 2, 4]
    await asyncio.gather(thread.close(), thread.close())
    with pytest.raises((sqlite3.ProgrammingError, ValueError)):
        await thread.run(count)
