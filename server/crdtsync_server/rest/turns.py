"""One after the other: requests with the same Idempotency-Key.

What is under way twice at once would be made twice, each time with another time
of its own, and ingest would take the second for another write. So the second
waits here and then finds the receipt of the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from crdtsync_server.service import Service


@dataclass(slots=True)
class _Turn:
    """A key that is in use, and by how many requests."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


_TURNS: WeakKeyDictionary[Service, dict[str, _Turn]] = WeakKeyDictionary()
"""Per server the keys in use: as many as requests are under way, times the ops of a batch."""


@asynccontextmanager
async def turns(service: Service, keys: Iterable[str]) -> AsyncIterator[None]:
    """Hold these keys alone. They are taken in one order, so that nobody waits in a circle."""
    async with AsyncExitStack() as held:
        for key in sorted(set(keys)):
            await held.enter_async_context(_turn(service, key))
        yield


@asynccontextmanager
async def _turn(service: Service, key: str) -> AsyncIterator[None]:
    known = _TURNS.setdefault(service, {})
    turn = known.setdefault(key, _Turn())
    turn.users += 1
    try:
        async with turn.lock:
            yield
    finally:
        turn.users -= 1
        if not turn.users:
            del known[key]


def in_use(service: Service) -> int:
    """How many keys are in use."""
    return len(_TURNS.get(service, {}))
