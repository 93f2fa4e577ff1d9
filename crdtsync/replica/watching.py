"""Telling watchers what changed, without ever waiting for a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from crdtsync.documents.errors import UsageError

MAX_WAITING_IDS = 10_000
"""Changed ids that a watcher may leave unread. Beyond it the ids are dropped and the
watcher gets one change that says "everything"."""


@dataclass(frozen=True, slots=True)
class Change:
    """Records that changed since the watcher looked last, local and remote.

    ``ids`` holds each record once, however often it changed. ``everything`` is
    set where too many changed to list: read the collection anew.
    """

    ids: frozenset[str]
    everything: bool = False


class Watch:
    """A bounded, coalescing stream of changes. Use it as a context manager::

    async with patients.watch() as changes:
        async for change in changes:
            for record_id in change.ids: …
    """

    def __init__(self, watchers: Callable[[], set[Watch]], what: str) -> None:
        """``watchers`` gives the collection's set, or raises ReplicaClosed."""
        self._find_watchers = watchers
        self._watchers = watchers()
        self._what = what
        self._entered = False
        self._ids: set[str] = set()
        self._everything = False
        self._ready = asyncio.Event()
        self._closed = False

    def tell(self, ids: Iterable[str], *, everything: bool = False) -> None:
        """Note changes; never waits."""
        self._ids.update(ids)
        if everything or len(self._ids) > MAX_WAITING_IDS:
            self._everything = True
            self._ids.clear()
        self._ready.set()

    def close(self) -> None:
        """End the stream: the reader's loop finishes."""
        self._closed = True
        self._watchers.discard(self)
        self._ready.set()

    async def __aenter__(self) -> Watch:
        self._watchers = self._find_watchers()
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

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        if not self._entered:
            self._find_watchers()  # a replica that is closed is the first thing to know
            raise UsageError(
                f"nothing is watched before the block begins; use `async with "
                f"{self._what}.watch() as changes`"
            )
        await self._ready.wait()
        if not self._ids and not self._everything and self._closed:
            raise StopAsyncIteration
        change = Change(frozenset(self._ids), self._everything)
        self._ids.clear()
        self._everything = False
        if not self._closed:
            self._ready.clear()
        return change
