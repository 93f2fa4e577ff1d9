"""Processes that can be killed: whatever they started goes with them, at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """A running program: every task that is started from within belongs to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.crashed = False
        """It is gone in the middle of a job, and ``kill`` will follow: what its tasks meet until
        then is nobody's."""
        # Ordered, so that a run repeats itself.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._context = contextvars.copy_context()
        self._context.run(CURRENT.set, self)

    def start(self, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of this process."""
        return asyncio.get_running_loop().create_task(main, context=self._context)

    async def kill(self) -> None:
        """End every task. Their disk and network must be dead already: nothing they do counts."""
        self.alive = False
        for _ in range(100):
            ending = [task for task in self.tasks if not task.done()]
            if not ending:
                return
            for task in ending:
                task.cancel()
            await asyncio.wait(ending, timeout=60)
        raise AssertionError(f"{self.name} does not end: {[*self.tasks]}")

    def _joined(self, task: asyncio.Task[Any]) -> None:
        self.tasks[task] = None
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if (self.crashed or not self.alive) and not task.cancelled():
            task.exception()  # nobody is left to hear of it


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop's tasks belong to the process that starts them."""

    def factory(
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
        process = CURRENT.get() if context is None else context.get(CURRENT)
        if process is not None:
            process._joined(task)
        return task

    loop.set_task_factory(factory)  # type: ignore[arg-type]
