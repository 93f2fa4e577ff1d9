"""What a person may do to the queue of a replica, and what they are told once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

from crdtsync.documents.conflict import moment
from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import Op
from crdtsync.replica import editing, outbox
from crdtsync.replica.errors import NoSuchOperation
from crdtsync.replica.exporting import export_lines, is_own_file, write_queue
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.outbox import Row, Touched
from crdtsync.replica.queue_view import OutboxItem, items
from crdtsync.replica.reader import View
from crdtsync.replica.store import ReplicaStore
from crdtsync.replica.sync import Sync


class Queue:
    """The part of ``Replica`` that shows the queue and lets people tend it."""

    path: str
    user: str
    _sync: Sync | None

    def _open_store(self) -> ReplicaStore:
        raise NotImplementedError

    def _open_view(self) -> View:
        raise NotImplementedError

    def _changed(self, touched: Touched | None) -> None:
        raise NotImplementedError

    def now_us(self) -> int:
        """The wall clock of this replica's surroundings."""
        raise NotImplementedError

    def new_id(self) -> str:
        """A new UUID v4 of this replica's surroundings."""
        raise NotImplementedError

    @property
    def outbox(self) -> list[OutboxItem]:
        """Every local change that the server's log has not brought back, in order."""
        return items(outbox.rows(self._open_view()))

    async def retry(self, op_id: str | None = None) -> None:
        """Try again now: one failed change, or all of them."""
        if op_id is not None:
            await self._open_store().look(_row, op_id)
        self._changed(await self._open_store().change(outbox.retry, op_id))
        if self._sync is not None:
            self._sync.try_now()
            self._sync.outbox_changed()

    async def edit(
        self,
        op_id: str,
        fields: dict[str, object] | None = None,
        *,
        leave_out: Sequence[str] = (),
    ) -> bool:
        """Change a queued op: it becomes a new op in the same place.

        Fields that are not named stay as they were; ``leave_out`` drops some. False
        means that the server may have the op already: the edit waits, visibly,
        until the server has said so.
        """
        return await self._replace(
            op_id, lambda file, row: editing.edited_op(file, row, fields or {}, leave_out, self)
        )

    async def discard(self, op_id: str) -> bool:
        """Take a queued op back. False means that it waits as for ``edit``."""
        return await self._replace(op_id, lambda file, row: None)

    async def _replace(self, op_id: str, make: Callable[[ReplicaFile, Row], Op | None]) -> bool:
        now_us = self.now_us()

        def job(file: ReplicaFile) -> tuple[bool, Touched]:
            row = _row(file, op_id)
            if row.state == "acknowledged":
                raise UsageError(f"the server has {op_id} already; write a new change instead")
            done = outbox.replace(file, row, make(file, row), now_us)
            return done, {(row.collection, row.record)}

        done, touched = await self._open_store().change(job)
        self._changed(touched)
        if self._sync is not None:
            self._sync.outbox_changed()
        return done

    async def export_outbox(self, path: str | os.PathLike[str]) -> int:
        """Write the queue to a JSON-lines file, whole or not at all; how many ops it holds.

        Raises UsageError for a file of the replica itself, StorageError where the file cannot
        be written.
        """
        if is_own_file(path, self.path):
            raise UsageError(f"{os.fspath(path)} belongs to this replica; name another file")
        lines = export_lines(outbox.rows(self._open_view()))
        await asyncio.to_thread(write_queue, os.fspath(path), lines)
        return len(lines)

    def notices(self) -> list[dict[str, Any]]:
        """What people must be told once: e.g. what a restored server lost."""
        return [
            {"n": n, "at": moment(at_us), "kind": kind, "detail": detail}
            for n, at_us, kind, detail in self._open_view().all("notices")
        ]

    async def dismiss_notices(self, up_to: int) -> None:
        """Forget the notices up to this ``n``: somebody has read them."""
        await self._open_store().change(ReplicaFile.run, "drop_notice", up_to)


def _row(file: ReplicaFile, op_id: str) -> Row:
    row = outbox.row_of(file, op_id)
    if row is None:
        raise NoSuchOperation(
            f"{op_id} is not in the outbox: it was synced, discarded, or never written here"
        )
    return row
