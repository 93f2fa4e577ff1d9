"""What the demo observes: the states that each change goes through, and what must be true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from crdtsync.replica.queue_view import OutboxItem
from crdtsync.replica.replica import Replica

SYNCED = "synced"


@dataclass(slots=True)
class Seen:
    """One change of one device and the states that it was seen in, in order."""

    item: OutboxItem
    states: list[str] = field(default_factory=list)

    def note(self, state: str) -> None:
        """It was seen in this state now."""
        if not self.states or self.states[-1] != state:
            self.states.append(state)


class QueueWatch:
    """Watches the queue of one device; knows every change that was ever in it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.changes: dict[str, Seen] = {}

    def look(self) -> None:
        """See what is in the queue now; what is gone from it was saved to the server."""
        there = {item.op_id: item for item in self._replica.outbox}
        for op_id, item in there.items():
            self.changes.setdefault(op_id, Seen(item)).note(item.state)
        for op_id, seen in self.changes.items():
            if op_id not in there:
                seen.note(SYNCED)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Look whenever something moved, while the block runs."""

        async def follow() -> None:
            async with self._replica.watch_status() as statuses:
                async for _ in statuses:
                    self.look()

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.look()


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the demo says, and whether it was so."""

    words: str
    holds: bool
