"""Where ingest and connections tell what happened: metrics and tracer behind one seam."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence

from crdtsync.database import is_damage
from crdtsync_server.observing.metrics import Metrics
from crdtsync_server.observing.notes import TraceNotes
from crdtsync_server.observing.recorded import Recorded
from crdtsync_server.observing.recording import Recorder
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.observing.tracer import Tracer
from crdtsync_server.storage.store import Store
from crdtsync_server.work import Origin, PushWork, Work

logger = logging.getLogger("crdtsync.server.trace")

OFF = ObservingSettings(metrics=False, trace=False)


class Observer:
    """Tells metrics and tracer. Nothing here may raise, and nothing waits."""

    def __init__(
        self,
        settings: ObservingSettings,
        *,
        now_us: Callable[[], int],
        skews_us: Callable[[], Sequence[int | None]] = tuple,
    ) -> None:
        self._counting = settings.metrics
        self.metrics = Metrics(skews_us=skews_us)
        self.tracer = Tracer(on=settings.trace, now_us=now_us)
        on = settings.metrics or settings.trace
        self.recorder = Recorder(trace=settings.trace) if on else None

    @property
    def is_tracing(self) -> bool:
        """Whether groups write rows about how ops travelled."""
        return self.recorder is not None and self.recorder.trace

    def stop_tracing(self, damage: sqlite3.Error, what: str) -> None:
        """Tables of the trace are damaged: until the next start, ops go on without it."""
        if self.recorder is not None:
            self.recorder.trace = False
        self.tracer.stop()
        self.metrics.trace_damaged = True
        logger.error(
            "the trace of %s has damaged pages (%s): nothing more is recorded of how changes "
            "travel until the server starts again. Changes are saved as before. Run crdtsync "
            "verify, which says what else is damaged; a restored copy ends it",
            what,
            damage,
        )

    # ── from the service ────────────────────────────────────────────────────

    async def start(self, store: Store) -> None:
        """Bring the trace up to date with the end of the server before.

        Raises sqlite3.Error where anything but the trace itself is at fault.
        """
        try:
            await self.tracer.start(store)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self.stop_tracing(error, store.what)

    # ── from ingest ─────────────────────────────────────────────────────────

    def take_notes(self) -> TraceNotes:
        """What a group that is about to commit takes along."""
        return self.tracer.take()

    def keep_notes(self, notes: TraceNotes) -> None:
        """It failed; they go with another one."""
        self.tracer.keep(notes)

    def committed(self, recorded: Recorded | None) -> None:
        """A group is on disk; nothing of it was handed out yet."""
        self.metrics.writable = True
        if recorded is not None:
            self.tracer.committed(recorded)

    def published(self, recorded: Recorded | None, committed_us: int, broadcast_s: float) -> None:
        """Its log entries were handed out."""
        if recorded is not None:
            self.tracer.published(recorded, committed_us)
            if self._counting:
                self.metrics.count_group(recorded, committed_us, broadcast_s)

    def not_written(self) -> None:
        """A transaction failed because of the disk."""
        self.metrics.writable = False

    def failed(self, work: Work, reason: str) -> None:
        """Work was told to come back, and no group decided it."""
        if isinstance(work, PushWork):
            self.tracer.failed(work, reason)
            if self._counting:
                self.metrics.count_failed(reason, len(work.push.ops))

    # ── from connections ────────────────────────────────────────────────────

    def ended(self, origin: Origin | None, code: int) -> None:
        """A WebSocket has ended; ``origin`` where it had been admitted."""
        if self._counting:
            self.metrics.count_close(code)
        if origin is not None:
            self.tracer.ended(origin, code)
