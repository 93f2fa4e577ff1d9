"""The durable sync queue: every local op until the log has brought it back.

::

    pending ──send──▶ sending ──receipt──▶ acknowledged ──log entry──▶ (synced, gone)
       ▲                 │ transient
       └──(retry_at)── failed ──(refused: needs a person)── retry │ edit │ discard

All functions run inside a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.documents.writing import inherit
from crdtsync.protocol.backoff import retry_delay_ms
from crdtsync.protocol.messages import (
    Answer,
    Held,
    OutboxSummary,
    PushedOp,
    Receipt,
    RefusedOp,
    Transient,
)
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.shown import OPS, confirmed, refresh

ENCODER = msgspec.msgpack.Encoder()
JSON = msgspec.json.Encoder()

MAX_OUTBOX_OPS = 200_000
"""Ops that may wait on one device. Beyond it a write is refused with a clear error:
years of one person's work, and the file stays near 100 MB."""

Touched = set[tuple[str, str]]
"""(collection, record id) of what a job changed on the screen."""


class Row:
    """One row of the outbox as the queries give it."""

    __slots__ = (
        "attempts",
        "cancelling",
        "code",
        "collection",
        "created_us",
        "ever_sent",
        "field",
        "op",
        "op_id",
        "params",
        "position",
        "received_us",
        "record",
        "request_id",
        "retry_at_us",
        "seq",
        "state",
        "unanswered",
        "user",
        "words",
    )

    def __init__(self, row: Sequence[Any]) -> None:
        self.op_id: str = row[0]
        self.position: int = row[1]
        self.collection: str = row[2]
        self.record: str = row[3]
        self.user: str = row[4]
        self.op: Op = OPS.decode(row[5])
        self.state: str = row[6]
        self.created_us: int = row[7]
        self.attempts: int = row[8]
        self.ever_sent = bool(row[9])
        self.unanswered = bool(row[10])
        self.request_id: str | None = row[11]
        self.retry_at_us: int | None = row[12]
        self.code: str | None = row[13]
        self.field: str | None = row[14]
        self.words: str | None = row[15]
        self.params: dict[str, str] = msgspec.json.decode(row[16]) if row[16] else {}
        self.seq: int | None = row[17]
        self.received_us: int | None = row[18]
        self.cancelling: bytes | None = row[19]

    @property
    def needs_person(self) -> bool:
        """Refused: it goes nowhere until somebody retries, edits or discards it."""
        return self.state == "failed" and self.retry_at_us is None


class Cancelling(msgspec.Struct, frozen=True):
    """What becomes of an op once the server has said that it does not have it."""

    replacement: Op | None
    """The edited op that takes its place; None to discard it."""


def rows(file: ReplicaFile) -> list[Row]:
    """The queue in order."""
    return [Row(row) for row in file.all("outbox")]


def row_of(file: ReplicaFile, op_id: str) -> Row | None:
    """One op of the queue."""
    row = file.one("outbox_op", op_id)
    return None if row is None else Row(row)


def append(file: ReplicaFile, op: Op, now_us: int) -> None:
    """Queue a new op at the end."""
    (last,) = file.one("last_position")
    _insert(file, op, last + 1, now_us, ever_sent=False)


def _insert(file: ReplicaFile, op: Op, position: int, created_us: int, *, ever_sent: bool) -> None:
    data = ENCODER.encode(op)
    file.run(
        "put_op",
        op.op_id,
        position,
        op.collection,
        op.record,
        op.user,
        data,
        created_us,
        int(ever_sent),
    )


# ── sending ─────────────────────────────────────────────────────────────────


def start_sending(
    file: ReplicaFile, *, user: str, room: int, request_id: str, now_us: int, max_bytes: int
) -> list[PushedOp]:
    """Choose the next ops in order and mark them durably before they leave.

    An op that waits or failed holds back later ops of its own record only
    (invariant 10), and an op of another author holds back nothing.
    """
    found = file.run_named("sendable", {"now_us": now_us, "user": user, "room": room})
    chosen: list[PushedOp] = []
    size_bytes = 0
    for op_id, data, created_us, attempts, after in found:
        size_bytes += len(data) + 200
        if chosen and size_bytes > max_bytes:
            break
        chosen.append(PushedOp(OPS.decode(data), after, created_us, attempts + 1))
        file.run("mark_sending", request_id, op_id)
    return chosen


def connection_lost(file: ReplicaFile) -> None:
    """What was being sent is pending again; invariant 3 makes sending it twice safe."""
    file.run("sending_is_pending")


def store_answers(
    file: ReplicaFile, answers: Iterable[Answer], *, now_us: int, draw: float
) -> Touched:
    """Note what the server said about each op."""
    touched: Touched = set()
    for answer in answers:
        row = row_of(file, answer.op_id)
        if row is None:
            continue
        touched.add((row.collection, row.record))
        match answer:
            case Receipt():
                accept(file, row, answer)
            case Held():
                file.run("held", answer.op_id)
            case RefusedOp():
                _refused(file, row, answer)
            case Transient():
                delay_ms = retry_delay_ms(row.attempts, draw, answer.retry_after_ms)
                file.run(
                    "fail_for_now",
                    now_us + delay_ms * 1_000,
                    "server_error",
                    answer.reason,
                    answer.op_id,
                )
        if not isinstance(answer, Receipt) and row.cancelling is not None:
            finish_cancelling(file, row, now_us)
    for collection, record in touched:
        refresh(file, collection, record)
    return touched


def accept(file: ReplicaFile, row: Row, receipt: Receipt) -> None:
    """The op is in the log. It stays in the queue until its entry arrives."""
    file.run("acknowledge", receipt.seq, receipt.received_us, row.op_id)
    _too_late_to_take_back(file, row, receipt.received_us)


def brought_back(file: ReplicaFile, op_id: str, seq: int, now_us: int) -> None:
    """The log has brought an op back, perhaps before its receipt: it leaves the queue."""
    row = row_of(file, op_id)
    if row is not None:
        file.run("accept", op_id, seq, ENCODER.encode(row.op), row.created_us, now_us)
        file.run("drop_op", op_id)
        _too_late_to_take_back(file, row, now_us)


def _too_late_to_take_back(file: ReplicaFile, row: Row, now_us: int) -> None:
    """An edit of an accepted op becomes an ordinary later op; a discard is not possible."""
    if row.cancelling is None:
        return
    replacement = msgspec.msgpack.decode(row.cancelling, type=Cancelling).replacement
    if replacement is None:
        file.run("put_notice", now_us, "too_late_to_discard", row.op_id)
        return
    writes = {
        root: FieldWrite(
            write.values,
            tuple(dict.fromkeys([*write.supersedes, *_entries_of(row.op, root)])),
        )
        for root, write in replacement.writes.items()
    }
    append(file, msgspec.structs.replace(replacement, writes=writes), row.created_us)


def _refused(file: ReplicaFile, row: Row, answer: RefusedOp) -> None:
    params = msgspec.json.encode(answer.params).decode()
    file.run("refuse", answer.code, answer.field, answer.words, params, row.op_id)
    _bequeath(file, row, keep_name=True)


def _bequeath(file: ReplicaFile, row: Row, *, keep_name: bool) -> None:
    """Later ops that replaced this one now replace what it had replaced."""
    state = None
    for later in map(Row, file.all("outbox_of_record", row.collection, row.record)):
        if later.position <= row.position or later.state == "acknowledged":
            continue
        if not any(s.op_id == row.op_id for w in later.op.writes.values() for s in w.supersedes):
            continue
        state = state or confirmed(file, row.collection, row.record)
        known = {
            (root, EntryId(other.op_id, n)): value
            for other in map(Row, file.all("outbox_of_record", row.collection, row.record))
            for root, write in other.op.writes.items()
            for n, value in enumerate(write.values)
        }
        known.update({(root, entry.id): entry.value for root, entry in state.entries()})
        changed = inherit(
            later.op,
            row.op,
            file.policy.collections.get(row.collection),
            lambda root, entry_id, known=known: known.get((root, entry_id)),  # type: ignore[misc]
            keep_name=keep_name,
        )
        file.run("set_op", ENCODER.encode(changed), later.op_id)


def _entries_of(op: Op, root: str) -> list[EntryId]:
    write = op.writes.get(root)
    return [] if write is None else [EntryId(op.op_id, n) for n in range(len(write.values))]


# ── what a person may do ────────────────────────────────────────────────────


def retry(file: ReplicaFile, op_id: str | None) -> Touched:
    """Make failed ops pending again: one, or all."""
    touched = {
        (row.collection, row.record)
        for row in rows(file)
        if row.state == "failed" and op_id in (None, row.op_id)
    }
    file.run_named("retry", {"op_id": op_id})
    for collection, record in touched:
        refresh(file, collection, record)
    return touched


def replace(file: ReplicaFile, row: Row, replacement: Op | None, now_us: int) -> bool:
    """Edit (``replacement``) or discard (None) an op.

    Returns False where the server may have it already: then it waits, visibly,
    until the server has said on a fresh connection whether it does.
    """
    if row.unanswered:
        data = msgspec.msgpack.encode(Cancelling(replacement))
        file.run("set_cancelling", data, row.op_id)
        refresh(file, row.collection, row.record)
        return False
    _take_out(file, row, replacement, now_us)
    return True


def finish_cancelling(file: ReplicaFile, row: Row, now_us: int) -> None:
    """The server does not have the op: do what was asked for."""
    assert row.cancelling is not None
    chosen = msgspec.msgpack.decode(row.cancelling, type=Cancelling)
    _take_out(file, row, chosen.replacement, now_us)


def _take_out(file: ReplicaFile, row: Row, replacement: Op | None, now_us: int) -> None:
    _bequeath(file, row, keep_name=row.ever_sent)
    file.run("drop_op", row.op_id)
    if replacement is not None:
        _insert(file, replacement, row.position, now_us, ever_sent=False)
    refresh(file, row.collection, row.record)


def edited(row: Row, op: Op) -> Op:
    """``op`` as the successor of ``row``: it replaces what that one replaced.

    Where the first one was ever sent it is named too, so that it is already
    superseded should it reach the server after all.
    """
    writes = {}
    for root, write in op.writes.items():
        theirs = row.op.writes.get(root)
        inherited = [] if theirs is None else list(theirs.supersedes)
        if row.ever_sent:
            inherited.extend(_entries_of(row.op, root))
        writes[root] = FieldWrite(write.values, tuple(dict.fromkeys(inherited)))
    return msgspec.structs.replace(op, writes=writes, replaces=row.op_id)


# ── recovery ────────────────────────────────────────────────────────────────


def to_ask(file: ReplicaFile, *, paging: bool) -> list[str]:
    """Ops whose receipts are needed before anything else on this connection.

    Before snapshots every op that was ever sent, since a snapshot may contain
    it; else only those that a person wants back.
    """
    return [op_id for (op_id,) in file.all("unanswered" if paging else "cancelling")]


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
    for collection, record in touched:
        refresh(file, collection, record)
    return touched


def offer_again(file: ReplicaFile, after_seq: int) -> int:
    """Queue own accepted ops above ``after_seq`` once more, ahead of everything else."""
    lost = file.all("accepted_after", after_seq)
    (first,) = file.one("first_position")
    for place, (op_id, data, created_us) in enumerate(lost, start=1):
        _insert(file, OPS.decode(data), first - place, created_us, ever_sent=True)
        file.run("drop_accepted", op_id)
    file.connection.execute(
        "UPDATE outbox SET state = 'pending', seq = NULL, unanswered = 0 "
        "WHERE state = 'acknowledged' AND seq > ?",
        (after_seq,),
    )
    return len(lost)


# ── numbers ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Counts:
    """The queue in numbers."""

    pending: int = 0
    sending: int = 0
    retrying: int = 0
    refused: int = 0
    cancelling: int = 0
    other_authors: int = 0
    oldest_created_us: int | None = None
    next_retry_us: int | None = None

    @property
    def total(self) -> int:
        """Ops that the log has not brought back."""
        return self.pending + self.sending + self.retrying + self.refused

    def summary(self, now_us: int) -> OutboxSummary:
        """For the people who run the server."""
        age_us = 0 if self.oldest_created_us is None else max(now_us - self.oldest_created_us, 0)
        return OutboxSummary(
            self.pending + self.sending,
            self.retrying + self.refused,
            age_us // 1_000,
            self.other_authors,
        )


def counts(file: ReplicaFile, user: str) -> Counts:
    """Count the queue; acknowledged ops count as sending."""
    pending = sending = retrying = refused = cancelling = others = 0
    oldest: int | None = None
    next_retry: int | None = None
    for state, no_retry, author, number, created_us, retry_us, cancels in file.all("outbox_counts"):
        oldest = created_us if oldest is None else min(oldest, created_us)
        cancelling += cancels
        if state in ("sending", "acknowledged"):
            sending += number
        elif state == "pending":
            pending += number
        elif no_retry:
            refused += number
        else:
            retrying += number
            next_retry = retry_us if next_retry is None else min(next_retry, retry_us)
        if author != user and state in ("pending", "failed"):
            others += number
    return Counts(pending, sending, retrying, refused, cancelling, others, oldest, next_retry)
