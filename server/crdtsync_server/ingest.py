"""Group commit: gathers what connections submit and decides it in groups.

One loop, one group at a time: while a group is decided and committed on the
database's thread, the next one gathers here. Only when the commit is done do
answers and log entries go out (invariant 2). An op that is sent again while it
is in flight lands in a later group and finds its receipt there (invariant 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from crdtsync.database import DiskFull, StorageError, explain, is_damage, is_of_the_disk
from crdtsync.policy import Policy
from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import AcknowledgedDigest, OutboxSummary, Receipt, Transient
from crdtsync_server.observing.logs import event
from crdtsync_server.observing.observer import OFF as NOT_OBSERVED
from crdtsync_server.observing.observer import Observer
from crdtsync_server.storage.admitting import read_admission
from crdtsync_server.storage.bounds import Bounds
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.receipts import read_receipts
from crdtsync_server.storage.store import Store
from crdtsync_server.work import (
    AcknowledgedNote,
    AdmitWork,
    CursorNote,
    Fault,
    GroupResult,
    LookUpWork,
    Notes,
    Origin,
    Published,
    PushWork,
    Work,
)

logger = logging.getLogger("crdtsync.server.ingest")

GROUP_OPS = 1_000
"""Beyond it a commit's cost per op hardly falls any more, and answers wait longer."""

GROUP_BYTES = 8 * 1_048_576
QUEUE_OPS = 50_000
QUEUE_BYTES = 64 * 1_048_576
"""What may wait for its group. Beyond it pushes are told to come back later."""

QUEUE_WORKS = 20_000
"""Everything that waits, look-ups and hellos included."""

OVERLOADED_RETRY_MS = 2_000
DISK_RETRY_MS = 10_000
"""A full or failing disk needs a person; replicas need not knock every second."""

NOTES_EVERY_S = 2.0
"""How long a cursor report may wait when no group takes it along."""


class Ingest:
    """Takes work from connections; runs until ``stop``."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        *,
        now_us: Callable[[], int],
        publish: Callable[[Published], None],
        allowance: Callable[[Origin, int, int], int] | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - a tuple
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._observer = observer or Observer(NOT_OBSERVED, now_us=now_us)
        self._observer.tracer.when_notes_come(self._plan_notes)
        self._policy = policy
        self._ledger = Ledger(policy, bounds, self._observer.recorder)
        self._allowance = allowance
        self._now_us = now_us
        self._publish = publish
        self._queue: deque[tuple[Work, int, int]] = deque()
        """What waits, with its weight: ops and bytes."""
        self._queued_ops = 0
        self._queued_bytes = 0
        self._notes = Notes()
        self._work_came = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._notes_timer: asyncio.TimerHandle | None = None

    # ── for connections ─────────────────────────────────────────────────────

    def submit(self, work: Work) -> None:
        """Queue ``work``; its ``done`` is called later, after the commit of its group.

        A queue that is full answers at once: transient, come back later.
        """
        ops, size_bytes = _weight(work)
        wait_ms = 0
        # An empty queue takes whatever comes: else a push that is larger than the queue
        # would be told to come back for ever.
        full = bool(self._queue) and (
            self._queued_ops + ops > QUEUE_OPS
            or self._queued_bytes + size_bytes > QUEUE_BYTES
            or len(self._queue) >= QUEUE_WORKS
        )
        if isinstance(work, PushWork):
            work.received_us = work.received_us or self._now_us()
            if self._allowance is not None and not full and not self._stopping:
                wait_ms = self._allowance(work.origin, ops, work.received_us)
        if self._stopping:
            self._fail(work, Fault("restarting", "the server restarts", OVERLOADED_RETRY_MS))
        elif full:
            self._fail(work, Fault("overloaded", "the server is overloaded", OVERLOADED_RETRY_MS))
        elif wait_ms:
            self._fail(work, Fault("rate_limited", "too many changes in a short time", wait_ms))
        else:
            self._queue.append((work, ops, size_bytes))
            self._queued_ops += ops
            self._queued_bytes += size_bytes
            self._work_came.set()

    def note_cursor(self, space: str, replica_id: str, seq: int, outbox: OutboxSummary) -> None:
        """Store what a replica reports, some time soon. A newer report replaces an older."""
        self._notes.cursors[(space, replica_id)] = CursorNote(seq, outbox, self._now_us())
        self._plan_notes()

    def note_acknowledged(self, space: str, replica_id: str, digest: AcknowledgedDigest) -> None:
        """Store a digest for reconciliation, some time soon.

        Where too many wait it is dropped: the replica's next welcome asks for it again.
        """
        note = AcknowledgedNote(space, replica_id, digest, self._now_us())
        if self._notes.acknowledged.add(note):
            self._plan_notes()

    # ── running ─────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run(), name="crdtsync ingest")

    async def stop(self) -> None:
        """Take nothing new, commit and answer what is queued, then end."""
        self._stopping = True
        self._work_came.set()
        if self._notes_timer is not None:
            self._notes_timer.cancel()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not (self._stopping and not self._queue):
            if not self._queue and not (self._stopping or self._notes_are_due):
                self._work_came.clear()
                await self._work_came.wait()
                # Frames that were read in this turn of the loop join the group.
                await asyncio.sleep(0)
            group = self._take_group()
            try:
                await self._work_off(group)
            except Exception:
                # This loop must never end before the server does.
                logger.exception("a group of %d could not be worked off", len(group))
                for work in group:
                    self._fail(work, Fault("server_error", "a fault of the server", 60_000))
        if self._has_notes:
            await self._work_off([])

    async def _work_off(self, group: list[Work]) -> None:
        notes, self._notes = self._notes, Notes()
        self._notes_are_due = False
        notes.trace = self._observer.take_notes()
        if not group and not notes:
            return
        try:
            result = await self._commit(group, notes)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and is_of_the_disk(error):
                self._keep_notes(notes)
                self._observer.not_written()
                if len(group) > 1 and is_damage(error):
                    # A damaged page fails whatever touches it, and nobody else for long.
                    await self._one_by_one(group)
                else:
                    await self._disk_failed(group, error)
            else:
                # Its notes are dropped: they may be what spoils it, and are reported again.
                logger.exception("a group of %d failed", len(group))
                await self._one_by_one(group)
        else:
            self._hand_out(group, result)

    async def _commit(self, group: Sequence[Work], notes: Notes) -> GroupResult:
        try:
            return await self._write(group, notes, traced=True)
        except sqlite3.Error as error:
            if not (is_damage(error) and self._observer.is_tracing):
                raise
            damage = error
        # A trace decides nothing: where only its tables are damaged, ops go on without it.
        result = await self._write(group, notes, traced=False)
        with _logged("the end of the trace could not be told"):
            self._observer.stop_tracing(damage, self._store.what)
        return result

    async def _write(self, group: Sequence[Work], notes: Notes, *, traced: bool) -> GroupResult:
        commit, now_us = self._ledger.commit_group, self._now_us()
        return await self._store.write(
            lambda connection: commit(connection, group, notes, now_us, traced=traced)
        )

    def _hand_out(self, group: Sequence[Work], result: GroupResult) -> None:
        committed_us, committed_s = self._now_us(), perf_counter()
        with _logged("a committed group could not be observed"):
            self._observer.committed(result.recorded)
        done = [pair for pair in zip(group, result.results, strict=True) if pair[1] is not None]
        # Who was admitted in this group joins its space first: entries that were
        # decided after the hello must not be published past it.
        for work, outcome in done:
            if isinstance(work, AdmitWork):
                _finish(work, outcome)
        for published in result.published:
            try:
                self._publish(published)
            except Exception:
                logger.exception("log entries could not be handed out space=%r", published.space)
        with _logged("a group that was handed out could not be observed"):
            self._observer.published(result.recorded, committed_us, perf_counter() - committed_s)
        for work, outcome in done:
            if not isinstance(work, AdmitWork):
                _finish(work, outcome)

    async def _one_by_one(self, group: list[Work]) -> None:
        """Find the work that spoils its group: the others must not wait behind it."""
        for work in group:
            try:
                result = await self._commit([work], Notes())
            except sqlite3.Error as error:
                await self._disk_failed([work], error)
            except Exception as error:
                logger.exception(event("a work item failed alone", **_names_of(work)))
                self._fail(work, Fault("server_error", f"a fault of the server: {error}", 60_000))
            else:
                self._hand_out([work], result)

    async def _disk_failed(self, group: Sequence[Work], error: sqlite3.Error) -> None:
        reason = explain(error, self._store.what)
        code = "disk_full" if isinstance(reason, DiskFull) else "disk_fault"
        pushes = [work.push.request_id for work in group if isinstance(work, PushWork)]
        logger.error(
            event(f"a group was not committed: {reason}", works=len(group), request_ids=pushes[:20])
        )
        fault = Fault(code, f"the server cannot save now: {reason}", DISK_RETRY_MS)
        for work in group:
            if isinstance(work, PushWork) or work.origin.fenced:
                self._fail(work, fault)
            else:
                await self._only_read(work, fault)

    async def _only_read(self, work: AdmitWork | LookUpWork, fault: Fault) -> None:
        """A disk that cannot be written can still be read: let replicas catch up.

        The run of a hello is not noted then; the replica names this run among
        its previous ones when it comes again.
        """
        sql, policy = self._store.sql, self._policy
        now_us = self._now_us()

        def job(connection: sqlite3.Connection) -> Admission | list[Receipt]:
            if isinstance(work, AdmitWork):
                return read_admission(connection, sql, work.hello, now_us)
            return read_receipts(connection, sql, work.origin, work.op_ids, policy)

        try:
            outcome = await self._store.read(job)
        except StorageError as error:
            logger.error("the store can be neither written nor read: %s", error)
            self._fail(work, fault)
        except Exception:
            # It is this work's alone: what its group was told must not be told again.
            logger.exception(event("what lies in the store is spoiled", **_names_of(work)))
            self._fail(work, fault)
        else:
            _finish(work, outcome)

    def _fail(self, work: Work, fault: Fault) -> None:
        if not work.origin.fenced:
            self._observer.failed(work, fault.reason)
            _fail(work, fault)

    def _take_group(self) -> list[Work]:
        group: list[Work] = []
        ops_left, bytes_left = GROUP_OPS, GROUP_BYTES
        while self._queue and ops_left > 0 and bytes_left > 0:
            work, ops, size_bytes = self._queue.popleft()
            self._queued_ops -= ops
            self._queued_bytes -= size_bytes
            if not work.origin.fenced:
                group.append(work)
                ops_left -= ops
                bytes_left -= size_bytes
        return group

    # ── notes ───────────────────────────────────────────────────────────────

    _notes_are_due = False

    @property
    def _has_notes(self) -> bool:
        return bool(self._notes) or self._observer.tracer.has_notes

    def _plan_notes(self) -> None:
        if self._notes_timer is None and not self._stopping:
            loop = asyncio.get_running_loop()
            self._notes_timer = loop.call_later(NOTES_EVERY_S, self._notes_due)

    def _notes_due(self) -> None:
        self._notes_timer = None
        if self._has_notes:
            self._notes_are_due = True
            self._work_came.set()

    def _keep_notes(self, notes: Notes) -> None:
        """A group failed: its notes go with another, unless newer ones came."""
        self._observer.keep_notes(notes.trace)
        self._notes.cursors = notes.cursors | self._notes.cursors
        newer, self._notes.acknowledged = self._notes.acknowledged, notes.acknowledged
        for note in newer:
            self._notes.acknowledged.add(note)
        with contextlib.suppress(RuntimeError):
            self._plan_notes()


def _weight(work: Work) -> tuple[int, int]:
    if isinstance(work, PushWork):
        return len(work.push.ops), work.size_bytes
    if isinstance(work, LookUpWork):
        # A look-up costs a fraction of an op, and a bounded group bounds it too.
        return 1 + len(work.op_ids) // 8, 64 * len(work.op_ids)
    return 1, 1_024


@contextlib.contextmanager
def _logged(words: str) -> Iterator[None]:
    """What is committed is answered and handed out, whatever becomes of its figures."""
    try:
        yield
    except Exception:
        logger.exception(words)


def _finish(work: Any, outcome: Any) -> None:
    """Hand a result to its connection. A fault there is that connection's alone."""
    try:
        work.done(outcome)
    except Exception:
        logger.exception(event("a result could not be handed out", **_names_of(work)))


def _names_of(work: Work) -> dict[str, str]:
    """Whose work it is, for a line of the log."""
    names = {"user_id": work.origin.user, "space": work.origin.space}
    if isinstance(work, PushWork):
        names["request_id"] = work.push.request_id
    return names


def _fail(work: Work, fault: Fault) -> None:
    if isinstance(work, PushWork):
        answers = [
            Transient(pushed.op.op_id, fault.reason, fault.retry_after_ms)
            for pushed in work.push.ops
        ]
        _finish(work, answers)
    else:
        _finish(work, fault)
