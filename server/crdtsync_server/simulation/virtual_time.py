"""An event loop whose clock jumps to the next timer instead of waiting for it.

Everything that runs on it is deterministic: no thread, no socket, no wall
clock. The loop counts its turns, so that something can be made to happen
between any two steps of any task.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TURNS_WITHOUT_TIME = 200_000
"""Turns in which no time passes before the world counts as running in circles."""


class Stuck(AssertionError):
    """Nothing is ready and no timer is set, or everything is always ready: no end in sight."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits; tells the loop how far its clock may jump."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        self.loop.turn(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and moves only when everybody waits."""

    def __init__(self) -> None:
        self.virtual_s = 0.0
        self.turns = 0
        self._turns_at_jump = 0
        self._alarms: list[tuple[int, Callable[[], None]]] = []
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.virtual_s

    def after_turns(self, turns: int, callback: Callable[[], None]) -> None:
        """Call back between two steps, when the loop has turned this often."""
        self._alarms.append((self.turns + turns, callback))

    def turn(self, timeout: float | None) -> None:
        """One turn of the loop: ring what is due, and jump if everybody waits."""
        self.turns += 1
        if self._alarms:
            due = [alarm for alarm in self._alarms if alarm[0] <= self.turns]
            if due:
                self._alarms = [alarm for alarm in self._alarms if alarm not in due]
                for _, callback in due:
                    self.call_soon(callback)
                return
        if timeout is None:
            raise Stuck("nothing is ready and no timer is set")
        if timeout > 0:
            self.virtual_s += timeout
            self._turns_at_jump = self.turns
        elif self.turns - self._turns_at_jump > TURNS_WITHOUT_TIME:
            raise Stuck("everything is always ready and no time passes")


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
