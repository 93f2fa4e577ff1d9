"""What a target of the fuzzer is, and how it says that it found something."""

from __future__ import annotations

from random import Random
from typing import Protocol

from tests.fuzz.notebook import Notebook


class Found(AssertionError):
    """The product did what it must never do; the message says what."""


class Target(Protocol):
    """Something that is fed.

    An episode is a world of its own: it depends on nothing but its seed, so a
    frame is replayed by running its episode up to it.
    """

    name: str
    frames_per_episode: int
    memory_bytes: int
    """Bound on the resident memory of the child."""
    frame_limit_s: float
    """How long one frame may take, on a busy machine, before it counts as a hang."""

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """Feed ``frames_per_episode`` frames. Raises Found, or whatever got out."""
        ...
