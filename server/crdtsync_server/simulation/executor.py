"""The thread of a store, in virtual time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from crdtsync.database import InlineExecutor, Job
from crdtsync_server.simulation.sqlite import Connection, MachineGone

T = TypeVar("T")


class SimulatedThread(InlineExecutor):
    """Runs jobs as a thread of their own would: one after the other, each with its delays.

    A job begins ``latency_s()`` after the one before it ended, and its caller hears
    of it as much later again, in the order in which the jobs were handed in. A
    caller who is cancelled does not stop the job. No job is ever interrupted by
    anything but the end of the machine.
    """

    def __init__(
        self,
        connection: Connection,
        latency_s: Callable[[], float],
        *,
        on_gone: Callable[[], None] = lambda: None,
        owns_connection: bool = True,
    ) -> None:
        """``on_gone`` hears, once, that the machine was gone in the middle of a job;
        by then this thread is killed. Without ``owns_connection`` closing leaves the
        connection open (a second thread over it, e.g. for reads)."""
        super().__init__(cast(sqlite3.Connection, connection))
        self._simulated = connection
        self._latency_s = latency_s
        self._on_gone = on_gone
        self._owns_connection = owns_connection
        self._jobs: deque[tuple[Job[Any], asyncio.Future[Any]]] = deque()
        self._answers: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._timers: set[asyncio.Handle] = set()
        self._is_working = False
        self._is_killed = False
        self._closed: asyncio.Future[None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the process was killed, or its machine is gone."""
        return self._is_killed or self._simulated.is_gone

    @property
    def is_closed(self) -> bool:
        """Whether the program has closed its connection, or is about to."""
        return self._closed is not None

    async def run(self, job: Job[T]) -> T:
        """See ``Executor``. Raises MachineGone once the process is gone."""
        if self.is_gone:
            raise MachineGone
        if self._closed is not None:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        answer: T = await self._hand_in(job)
        return answer

    async def close(self) -> None:
        """See ``Executor``. Of a process that is gone there is nothing left to close."""
        if self.is_gone:
            return
        if self._closed is None:
            self._closed = self._hand_in(lambda _: self._close_connection())
        # What happens to the process while it closes is nobody's business any more.
        await asyncio.wait([self._closed])
        if not self.is_gone:
            self._closed.result()

    def kill(self) -> None:
        """The process is gone: no queued job runs, nobody hears of one that ran.

        Who waits gets MachineGone; tasks of the process are the caller's to cancel.
        """
        if self._is_killed:
            return
        self._is_killed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        waiting = [future for future, *_ in self._answers] + [future for _, future in self._jobs]
        self._answers.clear()
        self._jobs.clear()
        self._simulated.abandon()
        for future in waiting:
            _fail(future, MachineGone())

    def _close_connection(self) -> None:
        if self._owns_connection:
            self._simulated.close()

    def _hand_in(self, job: Job[T]) -> asyncio.Future[T]:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append((job, answer))
        if not self._is_working:
            self._is_working = True
            self._after_latency(self._work)
        return answer

    def _work(self) -> None:
        job, caller = self._jobs.popleft()
        result: Any = None
        error: BaseException | None = None
        try:
            result = job(self.connection)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:  # a panic of pycrdt is one; aiosqlite passes it on, too
            error = raised
        self._answers.append((caller, result, error))
        if self._simulated.is_gone:
            # Whatever the job made of it: the process does not live to hear it.
            self.kill()
            self._on_gone()
            return
        self._after_latency(self._answer)
        if self._jobs:
            self._after_latency(self._work)
        else:
            self._is_working = False

    def _answer(self) -> None:
        # The oldest one, whichever timer this is: answers never overtake each other.
        caller, result, error = self._answers.popleft()
        if error is not None:
            _fail(caller, error)
        elif not caller.done():
            caller.set_result(result)

    def _after_latency(self, what: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def now() -> None:
            self._timers.discard(timer)
            if self._simulated.is_gone:
                self.kill()
            else:
                what()

        latency_s = self._latency_s()
        timer = loop.call_later(latency_s, now) if latency_s else loop.call_soon(now)
        self._timers.add(timer)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen: its caller may have been cancelled meanwhile
