"""Time and randomness of the real world, handed in so that simulations can bring their own."""

from __future__ import annotations

import random
import time
import uuid


class System:
    """The machine's clock and entropy."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now_us(self) -> int:
        """The wall clock, microseconds since 1970."""
        return time.time_ns() // 1_000

    def draw(self) -> float:
        """A random number in [0, 1)."""
        return self._random.random()

    def new_id(self) -> str:
        """A new UUID v4."""
        return str(uuid.uuid4())
