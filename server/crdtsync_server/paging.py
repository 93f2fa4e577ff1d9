"""Pages of snapshots for one connection, each read while the peer takes in the one before.

A peer asks for a page when it has the one before, since that names the place of the next.
Read only then, every page would cost the time of reading it on top of what the peer does
with it. So the page that is likely to be asked for next is read at once, and held.

One that was read some time before it was asked for is like one that was long on its way:
records that change after a page was read are above the head that paging began with, and come
at its end.
"""

from __future__ import annotations

import asyncio

from crdtsync.policy.visibility import Visibility
from crdtsync.protocol.messages import Paging
from crdtsync_server.storage.reading import Countdown, SnapshotPageRead, read_snapshots
from crdtsync_server.storage.store import Store


class PagesAhead:
    """What one peer pages through. At most one page is held, of ``PAGE_BYTES`` or one record."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._countdown = Countdown()
        self._next: tuple[str, Paging, Visibility] | None = None
        self._reading: asyncio.Task[SnapshotPageRead] | None = None

    async def page(self, space: str, paging: Paging, seen: Visibility) -> SnapshotPageRead:
        """The page at ``paging`` as somebody with this view may have it. Raises StorageError."""
        asked = (space, paging, seen)
        reading, self._reading = self._reading, None
        page = None
        if reading is not None:
            if self._next == asked:
                page = await reading
            else:
                reading.cancel()
        if page is None or page.paging is None:
            # The last one brings the peer up to the head of the moment in which it asks.
            page = await self._read(*asked)
        if page.paging is not None:
            self._next = (space, page.paging, seen)
            self._reading = asyncio.create_task(self._read(*self._next), name="crdtsync page ahead")
            self._reading.add_done_callback(_look_at)
        return page

    async def close(self) -> None:
        """Nothing more is asked for."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    async def _read(self, space: str, paging: Paging, seen: Visibility) -> SnapshotPageRead:
        store, countdown = self._store, self._countdown
        return await store.read(
            lambda connection: read_snapshots(connection, store.sql, space, paging, seen, countdown)
        )


def _look_at(reading: asyncio.Task[SnapshotPageRead]) -> None:
    if not reading.cancelled():
        reading.exception()  # whoever asks for the page hears of it; perhaps nobody does
