"""What one group records of itself: rows for traces, and figures for metrics.

The rows are in the group's own transaction: what a trace tells of a decision is as
durable as the decision. Nothing here decides anything, and every value that a device
wrote is bounded before it is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter

import msgspec

from crdtsync.catalogue import REASON_CODES
from crdtsync.database import queries
from crdtsync.documents.ops import SAFE_INTEGER, is_op_id
from crdtsync.documents.settling import ConflictChange
from crdtsync.protocol.admission import Admission, last_common_seq
from crdtsync.protocol.earlier import HELD, MAX_EARLIER, plausible_earlier
from crdtsync.protocol.messages import Answer, Held, PushedOp, Receipt, RefusedOp, Transient
from crdtsync_server.observing.notes import MAX_NAME_CHARS, FailedPush, TraceNotes
from crdtsync_server.observing.recorded import Recorded
from crdtsync_server.storage.keys import uuid_bytes
from crdtsync_server.work import AdmitWork, CursorNote, PushWork

MAX_RETRIES = 1_000
"""Attempts of one op that are counted; a device may claim any number."""

OTHER = "other"

NOT_THEIRS = frozenset({"op_id_reused", "not_the_author"})
"""Refusals of an op_id that is another op's: its sender tells nothing about that one."""

SQL = queries("crdtsync_server.observing", "queries.sql")

_OUTBOX = msgspec.msgpack.Encoder()

RESULTS: Mapping[type, str] = {
    Receipt: "duplicate",
    RefusedOp: "refused",
    Held: "held",
    Transient: "transient",
}
"""What became of an op that did not enter the log by this push."""

FAILED = RESULTS[Transient]


def bounded(number: int) -> int:
    """A number that a device told, as the database can hold it."""
    return min(max(number, -SAFE_INTEGER), SAFE_INTEGER)


def known_code(code: str) -> str:
    """A code for a label or a row: one that this server knows, else ``other``."""
    return code if code in REASON_CODES else OTHER


class Recorder:
    """Makes the recording of each group. ``trace``: whether rows are written at all; it is
    switched off where they cannot be written, and figures for metrics still come."""

    def __init__(self, *, trace: bool) -> None:
        self.trace = trace
        self._last: dict[str, int] = {}

    def start(
        self, connection: sqlite3.Connection, now_us: int, *, traced: bool = True
    ) -> Recording:
        """The recording of a group that begins; of one that is not ``traced``, without rows."""
        return Recording(self, connection, now_us, trace=self.trace and traced)

    def forget(self) -> None:
        """A group failed: what it numbered does not exist."""
        self._last.clear()

    def next_id(self, connection: sqlite3.Connection, what: str) -> int:
        """The id of the next row of ``last_request`` or ``last_group``."""
        last = self._last.get(what)
        if last is None:
            last = int(connection.execute(SQL[what]).fetchone()[0])
        self._last[what] = last + 1
        return last + 1


class Stopwatch:
    """Times one op."""

    __slots__ = ("started_s", "validated_s")

    def __init__(self) -> None:
        self.started_s = self.validated_s = perf_counter()

    def validated(self) -> None:
        """The op is well-formed and allowed; what follows is deciding and applying it."""
        self.validated_s = perf_counter()


class Recording:
    """Of one group. ``store`` writes its rows, within the group's transaction."""

    def __init__(
        self, recorder: Recorder, connection: sqlite3.Connection, now_us: int, *, trace: bool
    ) -> None:
        self.seen = Recorded()
        self._recorder = recorder
        self._trace = trace
        self._connection = connection
        self._now_us = now_us
        self.timing = True
        """Whether the next op is to be timed: the first that the group brings into the log."""
        self._requests: list[tuple[object, ...]] = []
        self._attempts: list[tuple[object, ...]] = []
        self._told: list[tuple[bytes, bytes, int, str, int]] = []

    # ── while it decides ────────────────────────────────────────────────────

    def stopwatch(self) -> Stopwatch:
        """For an op that is to be timed."""
        return Stopwatch()

    def note_accepted(self, size_bytes: int, watch: Stopwatch | None) -> None:
        """An op entered the log."""
        self.seen.update_bytes.append(size_bytes)
        if watch is not None:
            self.timing = False
            self.seen.validate_s.append(watch.validated_s - watch.started_s)
            self.seen.apply_s.append(perf_counter() - watch.validated_s)

    def note_conflicts(self, collection: str, changes: Iterable[ConflictChange]) -> None:
        """Conflicts opened, changed or ended."""
        for change in changes:
            if change.kind == "opened":
                self.seen.opened[f"{collection}.{change.root.partition('/')[2]}"] += 1
            elif change.kind != "changed":
                method = "chosen" if change.kind == "resolved" else change.kind
                self.seen.resolved[method] += 1

    def note_push(
        self,
        work: PushWork,
        place: tuple[int, int],
        key: bytes,
        seqs: tuple[int, int],
        answers: Sequence[Answer],
    ) -> None:
        """A push was decided. ``place`` is (space id, row of the replica), ``key`` its
        request_id; what it added to the log is ``seqs`` (from, up to but without)."""
        origin, seen, recorder = work.origin, self.seen, self._recorder
        seq = seqs[0]
        request = 0
        if self._trace:
            if seen.group is None:
                seen.group = recorder.next_id(self._connection, "last_group")
            request = recorder.next_id(self._connection, "last_request")
        written_us, skew_us = seen.written_us, origin.skew_us
        others: dict[str, int] = {}
        for pushed, answer in zip(work.push.ops, answers, strict=True):
            # A repeat adds nothing to the log: its receipt has an earlier seq.
            if isinstance(answer, Receipt) and answer.seq == seq:
                seq += 1
                written_us.append(pushed.created_us - skew_us)
                if pushed.attempts > 1:
                    self._count_retries(pushed)
            else:
                self._note_other(pushed, answer, request, others)
            if pushed.earlier and request and pushed.op.user == origin.user:
                self._note_earlier(pushed, answer, request)
        if request:
            row = (request, key, *place, origin.user, seen.group, work.received_us)
            self._requests.append(row + _seqs_and_counts(seqs, others))

    def _note_other(
        self, pushed: PushedOp, answer: Answer, request: int, others: dict[str, int]
    ) -> None:
        """An op that did not enter the log by this push."""
        result = RESULTS[type(answer)]
        others[result] = others.get(result, 0) + 1
        code = named = None
        if isinstance(answer, RefusedOp):
            code, named = known_code(answer.code), answer.field
        elif isinstance(answer, Transient):
            code = known_code(answer.reason)
        counted = "failed" if result == "transient" else result
        self.seen.results[counted, code or ""] += 1
        op = pushed.op
        if request and is_op_id(op.op_id):
            self._attempts.append(
                (
                    uuid_bytes(op.op_id),
                    request,
                    result,
                    code,
                    None if named is None else named[:MAX_NAME_CHARS],
                    op.collection[:MAX_NAME_CHARS],
                    op.record[:MAX_NAME_CHARS],
                    bounded(pushed.created_us),
                    bounded(pushed.attempts),
                )
            )

    def _note_earlier(self, pushed: PushedOp, answer: Answer, request: int) -> None:
        op_id = pushed.op.op_id
        theirs = isinstance(answer, RefusedOp) and answer.code in NOT_THEIRS
        if theirs or not is_op_id(op_id):
            return
        key = uuid_bytes(op_id)
        for one in plausible_earlier(pushed.earlier):
            self._told.append((key, uuid_bytes(one.request_id), one.sent_us, one.ended, request))

    def _count_retries(self, pushed: PushedOp) -> None:
        left = min(pushed.attempts - 1, MAX_RETRIES)
        for one in plausible_earlier(pushed.earlier):
            if one.ended != HELD and left:
                kind, _, code = one.ended.partition(":")
                self.seen.retries[known_code(code) if code else kind] += 1
                left -= 1
        if left:
            self.seen.retries[OTHER] += left

    def note_admitted(self, work: AdmitWork, replica: int, admission: Admission) -> None:
        """A hello was admitted: its connection, and what the replica holds already."""
        if not self._trace:
            return
        hello, origin = work.hello, work.origin
        row = (
            replica,
            origin.user,
            self._now_us,
            origin.skew_us,
            hello.cursor.seq,
            admission.head.seq,
            _OUTBOX.encode(hello.outbox),
        )
        added = self._connection.execute(SQL["add_connection"], row).lastrowid
        assert added is not None
        self.seen.connections.append((origin, added))
        if last_common_seq(hello, admission) is None:
            self._report(origin.space, origin.replica_id, hello.cursor.seq, self._now_us)

    def note_cursors(self, cursors: Mapping[tuple[str, str], CursorNote]) -> None:
        """Replicas reported how far they are."""
        if self._trace:
            for (space, replica_id), note in cursors.items():
                self._report(space, replica_id, note.seq, note.at_us)

    def _report(self, space: str, replica_id: str, seq: int, at_us: int) -> None:
        self._connection.execute(SQL["add_cursor_report"], (seq, at_us, space, replica_id))

    # ── at its end ──────────────────────────────────────────────────────────

    def store(self, notes: TraceNotes) -> None:
        """Write the rows of this group, and what was noted since the one before."""
        if not self._trace:
            return
        run = self._connection.executemany
        for push in notes.failed.pushes:
            self._note_failed(push)
        if self.seen.group is not None:
            self._connection.execute(SQL["add_group"], (self.seen.group, self._now_us))
        if notes.groups:
            run(SQL["complete_group"], notes.groups)
        if notes.ended:
            run(SQL["end_connection"], notes.ended)
        if self._requests:
            run(SQL["add_request"], self._requests)
        if self._attempts:
            run(SQL["add_attempt"], self._attempts)
        if self._told:
            run(SQL["add_client_attempt"], self._told)
            for key in dict.fromkeys(row[0] for row in self._told):
                self._connection.execute(SQL["trim_client_attempts"], (key, MAX_EARLIER))

    def _note_failed(self, push: FailedPush) -> None:
        """A push that no group decided; counted when it failed, so only its rows are new."""
        found = self._connection.execute(
            SQL["place_of_replica"], (push.space, push.replica_id)
        ).fetchone()
        if found is None:
            return  # its space or replica was never stored: nobody could look it up
        request = self._recorder.next_id(self._connection, "last_request")
        code = known_code(push.reason)
        for op in push.ops:
            names = (None, op.collection, op.record)
            numbers = (bounded(op.created_us), bounded(op.attempts))
            self._attempts.append((op.op_key, request, FAILED, code, *names, *numbers))
            for one in op.earlier:
                key = uuid_bytes(one.request_id)
                self._told.append((op.op_key, key, one.sent_us, one.ended, request))
        row = (request, push.request_key, *found, push.user, None, push.received_us)
        self._requests.append((*row, *_seqs_and_counts((0, 0), {FAILED: push.count})))


def _seqs_and_counts(seqs: tuple[int, int], others: Mapping[str, int]) -> tuple[int | None, ...]:
    """(first seq, last seq, accepted, duplicate, refused, held, transient) of a push."""
    first_seq, next_seq = seqs
    if not others:
        return (first_seq, next_seq - 1, next_seq - first_seq, 0, 0, 0, 0)
    within = (first_seq, next_seq - 1) if next_seq > first_seq else (None, None)
    counts = (others.get(result, 0) for result in RESULTS.values())
    return (*within, next_seq - first_seq, *counts)


def store_notes(connection: sqlite3.Connection, notes: TraceNotes, now_us: int) -> None:
    """Write what is left when no further group will come. Within a transaction."""
    Recorder(trace=True).start(connection, now_us).store(notes)


def end_lost_connections(connection: sqlite3.Connection, code: int) -> int:
    """Connections that a killed server left open have ended; how many there were."""
    return connection.execute(SQL["end_lost_connections"], (code,)).rowcount
