"""Where ingest and connections tell what happened: metrics and tracer behind one seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crdtsync_server.observing.metrics import Metrics
from crdtsync_server.observing.notes import TraceNotes
from crdtsync_server.observing.recorded import Recorded
from crdtsync_server.observing.recording import Recorder
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.observing.tracer import Tracer
from crdtsync_server.work import Origin, PushWork, Work

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
