"""Pages of snapshots on their way into the file: written in groups while more arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from crdtsync.protocol.client_actions import StorePage
from crdtsync.replica import applying
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.outbox import Touched
from crdtsync.replica.plain_rows import PageRows, PlainRows
from crdtsync.replica.store import ReplicaStore

Stored = Callable[[list[StorePage], Touched], None]


class ArrivingPages:
    """The pages of one connection. The session bounds how many wait (PAGES_AHEAD).

    All that wait are written in one transaction, and while it runs the next ones are
    received, checked and made into rows. The writing thread is left with what SQLite does
    without the interpreter, so that neither waits for the other.
    """

    def __init__(
        self,
        store: ReplicaStore,
        now_us: Callable[[], int],
        *,
        stored: Stored,
        wake: Callable[[], None],
    ) -> None:
        """``stored`` is called with each group that became durable, in order, and ``wake``
        afterwards, or when writing failed."""
        self._store = store
        self._plain = PlainRows(store.policy)
        self._now_us = now_us
        self._stored = stored
        self._wake = wake
        self._waiting: list[tuple[StorePage, PageRows]] = []
        self._writing: asyncio.Task[None] | None = None

    def add(self, page: StorePage) -> None:
        """Write this page after those before it; returns at once.

        Raises ProtocolError for a value that its field cannot hold.
        """
        if self._plain.policy is not self._store.policy:
            self._plain = PlainRows(self._store.policy)
        self._waiting.append((page, self._plain.page(page.rows)))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="crdtsync pages")

    async def finish(self) -> None:
        """Wait until every page is durable; raises what writing them met."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what writing has met, if it failed."""
        if self._writing is not None and self._writing.done():
            self._writing.result()

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                touched = await self._store.change(_install, group, self._now_us())
                self._stored([page for page, _ in group], touched)
                self._wake()
            self._writing = None
        finally:
            self._wake()


def _install(file: ReplicaFile, group: list[tuple[StorePage, PageRows]], now_us: int) -> Touched:
    last, _ = group[-1]
    return applying.install_pages(file, [rows for _, rows in group], last.paging, last.head, now_us)
