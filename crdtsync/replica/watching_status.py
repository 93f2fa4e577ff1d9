"""Watching the status: always the newest one, never a backlog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType

from crdtsync.documents.errors import UsageError
from crdtsync.replica.status import Status


class StatusWatch:
    """Yields the current Status at once and then whenever it became another one::

    async with replica.watch_status() as statuses:
        async for status in statuses:
            print(status.message())
    """

    def __init__(self, watchers: set[StatusWatch], read: Callable[[], Status]) -> None:
        self._watchers = watchers
        self._read = read
        self._ready = asyncio.Event()
        self._ready.set()
        self._last: Status | None = None
        self._entered = False
        self._closed = False

    def tell(self) -> None:
        """Something may have changed; never waits."""
        self._ready.set()

    def close(self) -> None:
        """End the stream."""
        self._closed = True
        self._watchers.discard(self)
        self._ready.set()

    async def __aenter__(self) -> StatusWatch:
        self._read()  # raises ReplicaClosed, where the stream would never tell anything
        self._watchers.add(self)
        self._entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[Status]:
        return self

    async def __anext__(self) -> Status:
        if not self._entered:
            self._read()  # a replica that is closed is the first thing to know
            raise UsageError(
                "nothing is watched before the block begins; use `async with "
                "replica.watch_status() as statuses`"
            )
        while True:
            await self._ready.wait()
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            status = self._read()
            # The clock's reading alone is no change.
            comparable = replace(status, now=None)
            if comparable != self._last:
                self._last = comparable
                return status
