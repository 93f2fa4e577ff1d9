"""One direction of one connection, with the weather of its network: latency, jitter,
stalls and a limited rate. Bytes arrive in order and whole; what the network drops it
drops by hushing or cutting (proxy.py)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

MAX_UNDERWAY = 64
"""Pieces that are on their way at once; beyond it the sender is left unread, as by a
real network whose buffers are full."""

STEPS_PER_SECOND = 50
"""A limited rate is kept by sending this many pieces a second."""


@dataclass(eq=False)
class Weather:
    """How a network is just now; may change while connections stand."""

    delay_s: float = 0.0
    """From sender to receiver."""
    jitter_s: float = 0.0
    """Up to so much more, drawn anew for each piece; the order stays."""
    bytes_per_s: float | None = None
    """Per direction and connection."""
    stall_rate: float = 0.0
    """The share of pieces in front of which everything stands still for ``stall_s``."""
    stall_s: float = 0.0

    @property
    def calm(self) -> bool:
        """Whether bytes pass untouched."""
        return not (self.delay_s or self.jitter_s or self.bytes_per_s or self.stall_rate)


class Lane:
    """``put`` hands bytes to the network; ``run`` delivers what could not pass at once."""

    def __init__(self, weather: Weather, target: asyncio.StreamWriter, draw: Random) -> None:
        self._weather = weather
        self._target = target
        self._draw = draw
        self._underway: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_UNDERWAY)
        self._waiting = 0
        self._last_due_s = 0.0
        self.stalls = 0

    async def put(self, data: bytes) -> None:
        """Send bytes; in calm weather they have left when this returns."""
        if self._weather.calm and not self._waiting:
            await self._write(data)
            return
        now_s = asyncio.get_running_loop().time()
        weather = self._weather
        due_s = now_s + weather.delay_s + weather.jitter_s * self._draw.random()
        self._last_due_s = max(self._last_due_s, due_s)
        self._waiting += 1
        await self._underway.put((self._last_due_s, data))

    async def arrived(self) -> None:
        """Wait until everything that was put has been delivered."""
        await self._underway.join()

    async def run(self) -> None:
        """Deliver, until cancelled or until the receiver is gone (OSError)."""
        loop = asyncio.get_running_loop()
        while True:
            due_s, data = await self._underway.get()
            await asyncio.sleep(max(due_s - loop.time(), 0))
            if self._weather.stall_rate and self._draw.random() < self._weather.stall_rate:
                self.stalls += 1
                await asyncio.sleep(self._weather.stall_s)
            await self._write(data)
            self._waiting -= 1
            self._underway.task_done()

    async def _write(self, data: bytes) -> None:
        rate = self._weather.bytes_per_s
        if rate is None:
            self._target.write(data)
            await self._target.drain()
            return
        step = max(int(rate / STEPS_PER_SECOND), 1)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            self._target.write(piece)
            await self._target.drain()
            await asyncio.sleep(len(piece) / rate)
