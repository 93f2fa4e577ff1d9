"""The rows of the sync queue: reading them, adding to them, counting them.

All functions run inside a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import Op
from crdtsync.protocol.earlier import MAX_REASONS, code_of
from crdtsync.protocol.messages import OutboxSummary
from crdtsync.replica.attempts import read_earlier
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.shown import read_op

ENCODER = msgspec.msgpack.Encoder()

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
        "earlier",
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
        "sent_us",
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
        self.op: Op = read_op(row[5])
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
        self.sent_us: int | None = row[20]
        self.earlier = read_earlier(row[21])

    @property
    def needs_person(self) -> bool:
        """Refused: it goes nowhere until somebody retries, edits or discards it."""
        return self.state == "failed" and self.retry_at_us is None


def rows(file: ReplicaFile) -> list[Row]:
    """The queue in order."""
    return [Row(row) for row in file.all("outbox")]


def rows_of_record(file: ReplicaFile, collection: str, record: str) -> list[Row]:
    """The queued ops of one record, in order."""
    return [Row(row) for row in file.all("outbox_of_record", collection, record)]


def row_of(file: ReplicaFile, op_id: str) -> Row | None:
    """One op of the queue."""
    row = file.one("outbox_op", op_id)
    return None if row is None else Row(row)


def append(file: ReplicaFile, op: Op, now_us: int) -> None:
    """Queue a new op at the end; raises UsageError where too many wait already."""
    first, last = ends(file)
    # Counted only where the positions leave room for so many.
    if last - first + 1 >= MAX_OUTBOX_OPS and file.one("outbox_size")[0] >= MAX_OUTBOX_OPS:
        raise UsageError(
            f"{MAX_OUTBOX_OPS} changes already wait on this device; connect and sync before "
            "writing more"
        )
    insert(file, op, last + 1, now_us, ever_sent=False)


def ends(file: ReplicaFile) -> tuple[int, int]:
    """The first and the last position of the queue."""
    first, last = file.one("ends")
    return int(first), int(last)


def insert(file: ReplicaFile, op: Op, position: int, created_us: int, *, ever_sent: bool) -> None:
    """Queue an op at a place of its own."""
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


@dataclass(frozen=True, slots=True)
class Counts:
    """The queue in numbers."""

    pending: int = 0
    sending: int = 0
    retrying: int = 0
    refused: int = 0
    other_authors: int = 0
    oldest_created_us: int | None = None
    next_retry_us: int | None = None
    reasons: tuple[tuple[str, int], ...] = ()
    """Failed ops by the code of their last failure, the most frequent ones first."""

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
            dict(self.reasons),
        )


def counts(file: ReplicaFile, user: str) -> Counts:
    """Count the queue; acknowledged ops count as sending."""
    pending = sending = retrying = refused = others = 0
    oldest: int | None = None
    next_retry: int | None = None
    for state, author, number, scheduled, created_us, retry_us in file.all("outbox_counts"):
        oldest = created_us if oldest is None else min(oldest, created_us)
        if state in ("sending", "acknowledged"):
            sending += number
        elif state == "pending":
            pending += number
        else:
            retrying += scheduled
            refused += number - scheduled
            if retry_us is not None:
                next_retry = retry_us if next_retry is None else min(next_retry, retry_us)
        if author != user and state in ("pending", "failed"):
            others += number
    reasons = _failed_by_code(file) if retrying or refused else ()
    return Counts(pending, sending, retrying, refused, others, oldest, next_retry, reasons)


def _failed_by_code(file: ReplicaFile) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for code, number in file.all("failed_by_code"):
        # A server's code may be anything; those that are none count together.
        found[code_of(code)] = found.get(code_of(code), 0) + number
    return tuple(list(found.items())[:MAX_REASONS])
