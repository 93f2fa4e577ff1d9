"""Clocks that may be wrong, and randomness that comes from the seed."""

from __future__ import annotations

import asyncio
import uuid
from random import Random

EPOCH_US = 1_700_000_000_000_000
"""Where virtual time begins on a clock that is right."""


def stream(*names: object) -> Random:
    """Randomness of its own for everything that has a name, so that nothing disturbs another."""
    return Random("/".join(map(str, names)))


class Clock:
    """A machine's wall clock."""

    def __init__(self, off_us: int = 0) -> None:
        self.off_us = off_us

    def now_us(self) -> int:
        """Virtual time, as this clock shows it."""
        return EPOCH_US + self.off_us + round(asyncio.get_running_loop().time() * 1_000_000)


class Surroundings:
    """What a replica takes from its machine."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self._random = random
        self._clock = clock

    def now_us(self) -> int:
        """The machine's clock."""
        return self._clock.now_us()

    def draw(self) -> float:
        """A seeded number in [0, 1)."""
        return self._random.random()

    def new_id(self) -> str:
        """A seeded UUID v4."""
        return new_uuid(self._random)


def new_uuid(random: Random) -> str:
    """A seeded UUID v4."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))
