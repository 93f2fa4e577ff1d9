"""The durable sync queue: every local op until the log has brought it back.

::

    pending ──send──▶ sending ──receipt──▶ acknowledged ──log entry──▶ (synced, gone)
       ▲                 │ transient
       └──(retry_at)── failed ──(refused: needs a person)── retry │ edit │ discard

All functions run inside a transaction of the caller. The rows themselves are in
queue_rows.py, edit and discard in taking_back.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from crdtsync.catalogue import reason
from crdtsync.protocol.backoff import LONGEST_MS, retry_delay_ms
from crdtsync.protocol.close_codes import NORMAL, SILENT
from crdtsync.protocol.earlier import CUT, HELD, NO_ANSWER, refused, transient
from crdtsync.protocol.messages import (
    Answer,
    Held,
    PushedOp,
    Receipt,
    RefusedOp,
    Transient,
)
from crdtsync.replica.attempts import end_sending, note_attempt, read_earlier
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import (
    ENCODER,
    MAX_OUTBOX_OPS,
    Counts,
    Row,
    Touched,
    append,
    counts,
    ends,
    insert,
    row_of,
    rows,
    rows_of_record,
)
from crdtsync.replica.shown import read_op, refresh
from crdtsync.replica.taking_back import (
    Cancelling,
    bequeath,
    edited,
    finish_cancelling,
    replace,
    take_out,
    too_late,
    written_anew,
)

__all__ = [
    "MAX_OUTBOX_OPS",
    "Cancelling",
    "Counts",
    "Row",
    "Touched",
    "accept",
    "append",
    "bring_retries_near",
    "brought_back",
    "connection_lost",
    "counts",
    "doubt_receipts",
    "drop_covered",
    "edited",
    "next_retry",
    "offer_again",
    "replace",
    "retry",
    "row_of",
    "rows",
    "rows_of_record",
    "start_sending",
    "store_answers",
    "store_receipts",
    "to_ask",
]

PUSH_BYTES = 131_072
"""About the size of a push. A peer counts as silent until a frame is whole, so on a
network of 3 kB/s a larger one would end every connection and never get through."""

ENVELOPE_BYTES = 200
"""What a frame adds to the bytes of an op, at most."""


# ── sending ─────────────────────────────────────────────────────────────────


def start_sending(
    file: ReplicaFile,
    *,
    user: str,
    room: int,
    request_id: str,
    now_us: int,
    frame_bytes: int,
) -> list[PushedOp]:
    """Choose the next ops in order and mark them durably before they leave.

    An op that waits or failed holds back later ops of its own record only
    (invariant 10), and an op of another author holds back nothing. One that no
    frame of this server can hold waits for a person instead of ending every
    connection.
    """
    found = file.run_named("sendable", {"now_us": now_us, "user": user, "room": room})
    chosen: list[PushedOp] = []
    too_large: set[tuple[str, str]] = set()
    size_bytes = 0
    for op_id, data, created_us, attempts, after, told in found:
        op = read_op(data)
        if (op.collection, op.record) in too_large:
            continue
        if len(data) + ENVELOPE_BYTES > frame_bytes:
            too_large.add((op.collection, op.record))
            _refuse_here(file, op_id, frame_bytes)
            continue
        earlier = told or b""
        if len(data) + ENVELOPE_BYTES + len(earlier) > frame_bytes:
            earlier = b""  # for traces only: the op itself goes first
        size_bytes += len(data) + ENVELOPE_BYTES + len(earlier)
        if chosen and size_bytes > min(PUSH_BYTES, frame_bytes * 3 // 4):
            break
        attempted = read_earlier(earlier or None)
        chosen.append(PushedOp(op, after, created_us, attempts + 1, attempted))
        file.run("mark_sending", request_id, now_us, op_id)
    return chosen


def _refuse_here(file: ReplicaFile, op_id: str, frame_bytes: int) -> None:
    row = row_of(file, op_id)
    assert row is not None
    words = f"this change is larger than what the server takes at once ({frame_bytes} bytes)"
    _refused(file, row, RefusedOp(op_id, "too_large", None, words))
    refresh(file, row.collection, row.record)


def connection_lost(file: ReplicaFile, code: int = NORMAL) -> None:
    """What was being sent is pending again; ``code`` is the one that the connection was
    closed with, if this side closed it."""
    end_sending(file, NO_ANSWER if code == SILENT else CUT)


def next_retry(file: ReplicaFile, user: str, now_us: int) -> int | None:
    """When the next op that failed comes due; those that are due already do not count."""
    (when,) = file.one("next_retry", user, now_us)
    return None if when is None else int(when)


def bring_retries_near(file: ReplicaFile, now_us: int) -> None:
    """A schedule made while the clock ran ahead must not hold an op for years."""
    file.run("bring_retries_near", now_us, now_us + LONGEST_MS * 1_000)


# ── what the server said ────────────────────────────────────────────────────


def store_answers(
    file: ReplicaFile,
    answers: Iterable[Answer],
    *,
    now_us: int,
    draw: float,
    new_id: Callable[[], str],
) -> Touched:
    """Note what the server said about each op."""
    touched: Touched = set()
    shown_anew: Touched = set()
    for answer in answers:
        row = row_of(file, answer.op_id)
        if row is None:
            continue
        touched.add((row.collection, row.record))
        if isinstance(answer, Receipt) and row.state == "sending" and row.cancelling is None:
            # It was shown before, and is until its entry comes.
            accept(file, row, answer)
            continue
        shown_anew.add((row.collection, row.record))
        match answer:
            case Receipt():
                accept(file, row, answer)
                continue
            case Held():
                _note_attempt(file, row, HELD)
                file.run("held", answer.op_id)
            case RefusedOp():
                _note_attempt(file, row, refused(answer.code))
                _refused(file, row, answer)
            case Transient():
                _note_attempt(file, row, transient(answer.reason))
                delay_ms = retry_delay_ms(row.attempts, draw, answer.retry_after_ms)
                file.run(
                    "fail_for_now",
                    now_us + delay_ms * 1_000,
                    answer.reason,
                    reason(answer.reason),
                    answer.op_id,
                )
        if row.cancelling is not None:
            finish_cancelling(file, row, now_us)
        elif _must_be_written_anew(row, answer):
            take_out(file, row, written_anew(row, new_id), row.created_us)
    covered = drop_covered(file, file.cursor.seq, now_us)
    _refreshed(file, shown_anew | covered)
    return touched | covered


def _note_attempt(file: ReplicaFile, row: Row, ended: str) -> None:
    note_attempt(file, row.op_id, row.request_id, row.sent_us, row.earlier, ended)


def accept(file: ReplicaFile, row: Row, receipt: Receipt) -> None:
    """The op is in the log. It stays in the queue until its entry arrives."""
    file.run("acknowledge", receipt.seq, receipt.received_us, row.op_id)
    too_late(file, row, receipt.received_us)


def brought_back(file: ReplicaFile, op_id: str, seq: int, now_us: int) -> Touched:
    """The log has brought an op back, perhaps before its receipt: it leaves the queue."""
    row = row_of(file, op_id)
    if row is None:
        return set()
    file.run("accept", op_id, seq, ENCODER.encode(row.op), row.created_us, now_us)
    file.run("drop_op", op_id)
    too_late(file, row, now_us)
    return {(row.collection, row.record)}


def drop_covered(file: ReplicaFile, seq: int, now_us: int) -> Touched:
    """Acknowledged ops at or below the cursor are in the confirmed state (stubs included)."""
    touched: Touched = set()
    for op_id, data, created_us, op_seq, collection, record in file.all("covered", seq):
        file.run("accept", op_id, op_seq, data, created_us, now_us)
        file.run("drop_op", op_id)
        touched.add((collection, record))
    return touched


def _refused(file: ReplicaFile, row: Row, answer: RefusedOp) -> None:
    params = msgspec.json.encode(answer.params).decode()
    file.run("refuse", answer.code, answer.field, answer.words, params, row.op_id)
    bequeath(file, row, keep_name=True)


def _must_be_written_anew(row: Row, answer: Answer) -> bool:
    # Once: a second collision in a row is no accident, and goes to a person.
    return (
        isinstance(answer, RefusedOp) and answer.code == "id_collision" and row.op.replaces is None
    )


def _refreshed(file: ReplicaFile, touched: Touched) -> Touched:
    for collection, record in touched:
        refresh(file, collection, record)
    return touched


# ── recovery ────────────────────────────────────────────────────────────────


def to_ask(file: ReplicaFile, *, paging: bool) -> list[str]:
    """Ops whose receipts are needed before anything else on this connection.

    Before snapshots every op that was ever sent, since a snapshot may contain
    it; else those that a person wants back, and those whose receipts are in doubt.
    """
    return [op_id for (op_id,) in file.all("ever_sent" if paging else "doubtful")]


def store_receipts(
    file: ReplicaFile, asked: Iterable[str], receipts: Iterable[Receipt], now_us: int
) -> Touched:
    """What a fresh connection said about ops that were sent before it."""
    known = {receipt.op_id: receipt for receipt in receipts}
    touched: Touched = set()
    for op_id in asked:
        row = row_of(file, op_id)
        if row is None:
            continue
        touched.add((row.collection, row.record))
        if op_id in known:
            accept(file, row, known[op_id])
        else:
            file.run("not_sent_after_all", op_id)
            if row.cancelling is not None:
                finish_cancelling(file, row, now_us)
    return _refreshed(file, touched | drop_covered(file, file.cursor.seq, now_us))


def offer_again(file: ReplicaFile, after_seq: int) -> int:
    """Queue own accepted ops above ``after_seq`` once more, ahead of everything else."""
    lost = file.all("accepted_after", after_seq)
    first, _ = ends(file)
    for place, (op_id, data, created_us) in enumerate(lost, start=1):
        insert(file, read_op(data), first - place, created_us, ever_sent=True)
        file.run("drop_accepted", op_id)
    return len(lost)


def doubt_receipts(file: ReplicaFile) -> None:
    """Receipts of an earlier connection whose entries have not come are asked for anew.

    The server may have been restored from a backup that lacks those ops but nothing
    that this replica holds, so that no landmark tells: their old seqs would be
    covered by other ops, and they would leave the queue unsent (invariant 4). Without
    a seq nothing covers them; the receipt that comes again brings it back.
    """
    file.run("doubt_receipts")


# ── what a person may do ────────────────────────────────────────────────────


def retry(file: ReplicaFile, op_id: str | None) -> Touched:
    """Make failed ops pending again: one, or all."""
    touched = {(collection, record) for collection, record in file.all("failed", op_id, op_id)}
    file.run_named("retry", {"op_id": op_id})
    return _refreshed(file, touched)
