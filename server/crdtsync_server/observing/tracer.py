"""The tracer of a running server: gathers what a later transaction writes down."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from crdtsync.database import explain, transaction
from crdtsync_server.observing.notes import FailedPush, TraceNotes
from crdtsync_server.observing.recorded import Recorded
from crdtsync_server.observing.recording import end_lost_connections, store_notes
from crdtsync_server.storage.store import Store
from crdtsync_server.work import Origin, PushWork

logger = logging.getLogger("crdtsync.server.trace")

ABNORMAL = 1006
"""The code of a connection that ended without a word (RFC 6455, 7.1.5)."""


class Tracer:
    """Notes of the event loop for the database. With ``on`` False nothing is ever noted."""

    def __init__(self, *, on: bool, now_us: Callable[[], int]) -> None:
        self.on = on
        self._now_us = now_us
        self._notes = TraceNotes()
        self._came: Callable[[], None] = lambda: None

    def when_notes_come(self, came: Callable[[], None]) -> None:
        """Call ``came`` when there is something to write; it takes it some time soon."""
        self._came = came

    @property
    def has_notes(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._notes)

    def take(self) -> TraceNotes:
        """What waits, for a transaction that is about to write it."""
        taken, self._notes = self._notes, TraceNotes()
        return taken

    def keep(self, taken: TraceNotes) -> None:
        """The transaction failed: another one will write it."""
        if self.on:
            taken.extend(self._notes)
            self._notes = taken

    def stop(self) -> None:
        """Note nothing any more, and forget what waits. The next start begins anew."""
        self.on = False
        self._notes = TraceNotes()

    # ── what happens ────────────────────────────────────────────────────────

    def committed(self, recorded: Recorded) -> None:
        """A group is on disk: the connections that it admitted know their rows now."""
        for origin, row_id in recorded.connections:
            origin.connection_id = row_id

    def published(self, recorded: Recorded, committed_us: int) -> None:
        """Its entries were handed out, and its answers are about to be."""
        if recorded.group is not None and self.on:
            self._notes.groups.append((committed_us, self._now_us(), recorded.group))
            self._came()

    def failed(self, work: PushWork, reason: str) -> None:
        """A push was told to come back, and no group decided it."""
        if self.on:
            received_us = work.received_us or self._now_us()
            self._notes.failed.add(FailedPush.of(work.origin, work.push, received_us, reason))
            self._came()

    def ended(self, origin: Origin, code: int) -> None:
        """A connection that was admitted has ended. May be called twice."""
        row_id, origin.connection_id = origin.connection_id, None
        if row_id is not None and self.on:
            self._notes.ended.append((self._now_us(), code, row_id))
            self._came()

    # ── the life of the server ──────────────────────────────────────────────

    async def start(self, store: Store) -> None:
        """Note the end of connections that a server which was killed left open.

        Raises sqlite3.Error; nothing was noted then.
        """

        def job(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                end_lost_connections(connection, ABNORMAL)

        await store.write(job)

    async def finish(self, store: Store) -> None:
        """Write what is left, after the last group. Where the disk does not take it, it is lost."""
        notes = self.take()
        now_us = self._now_us()

        def job(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                store_notes(connection, notes, now_us)

        if notes:
            try:
                await store.write(job)
            except sqlite3.Error as error:
                logger.error("the last of the trace was not saved: %s", explain(error, store.what))
