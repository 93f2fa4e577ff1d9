"""How a replica writes: one job on the file's thread, and word of it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

from crdtsync.database import StorageError
from crdtsync.replica import local
from crdtsync.replica.errors import ReplicaClosed
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import Touched
from crdtsync.replica.store import ReplicaStore
from crdtsync.replica.sync import Sync


class Writing:
    """The part of ``Replica`` that writes."""

    _sync: Sync | None
    _writes: set[asyncio.Future[None]]
    """Writes that are under way: the file is closed after them."""

    def _open_store(self) -> ReplicaStore:
        raise NotImplementedError

    def _changed(self, touched: Touched | None) -> None:
        raise NotImplementedError

    async def write_all(self, writes: Sequence[local.Write]) -> list[local.Written]:
        """Queue several writes in one commit: all of them or none."""

        def job(file: ReplicaFile) -> list[local.Written]:
            return [local.write(file, wanted) for wanted in writes]

        store = self._open_store()
        # One by itself may hold the loop for a moment; of several, all but the first would wait.
        change = store.change_briefly if len(writes) == 1 and not self._writes else store.change
        ended = asyncio.get_running_loop().create_future()
        self._writes.add(ended)
        try:
            # No task of its own and no shield: a write would wait for the loop three times more.
            written = await change(job)
            self._wrote(writes)
        except (asyncio.CancelledError, KeyboardInterrupt):
            # A job that was handed in runs all the same, wholly (invariant 1): it is told of
            # when the next one has run.
            self._later(self._tell_of(store, writes))
            raise
        finally:
            self._writes.discard(ended)
            ended.set_result(None)
        return written

    def _wrote(self, writes: Sequence[local.Write]) -> None:
        self._changed({(wanted.collection, wanted.record) for wanted in writes})
        if self._sync is not None:
            self._sync.outbox_changed()

    async def _tell_of(self, store: ReplicaStore, writes: Sequence[local.Write]) -> None:
        with contextlib.suppress(StorageError, ReplicaClosed):
            await store.look(lambda file: None)
        self._wrote(writes)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._writes.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._writes.discard(task)
            if not task.cancelled():
                task.exception()  # nobody is left who would hear it

        task.add_done_callback(done)
