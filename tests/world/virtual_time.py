"""An event loop whose clock jumps to the next timer instead of waiting for it.

Everything that runs on it, the real replica and the real server included, is
deterministic: no thread, no socket, no wall clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(AssertionError):
    """Nothing is ready and no timer is set: the world would wait for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits; tells the loop how far its clock may jump."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if not ready and timeout is None:
            raise Stuck("nothing is ready and no timer is set")
        if not ready and timeout is not None and timeout > 0:
            self.loop.virtual_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and moves only when everybody waits."""

    def __init__(self) -> None:
        self.virtual_s = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self.virtual_s


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
