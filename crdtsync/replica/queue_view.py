"""The sync queue as people see it: one frozen item per op."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from crdtsync.catalogue import attempt_ended
from crdtsync.catalogue import reason as reason_words
from crdtsync.documents.conflict import moment
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, Op
from crdtsync.replica.outbox import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """A time that a change was sent without success."""

    request_id: str
    sent_at: datetime
    ended: str  # cut, no_answer, stopped, held, transient:REASON or refused:CODE

    def words(self, lang: str = "en") -> str:
        """How it ended, in the reader's language."""
        return attempt_ended(self.ended, lang)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """One local change that the server's log has not brought back yet."""

    op_id: str
    collection: str
    record_id: str
    user: str
    fields: dict[str, Any]  # what it writes, as plain JSON
    state: str  # pending, sending or failed; "acknowledged" counts as sending
    attempts: int  # times it was sent
    earlier: tuple[PastAttempt, ...] = ()  # the newest 8 of them that had no success
    created_at: datetime
    retry_at: datetime | None  # when it is tried again by itself
    needs_person: bool  # failed, and waits for retry, edit or discard
    cancelling: bool  # an edit or discard waits for the server's word
    waits_for: str | None  # op_id of the earlier op that holds it back
    acknowledged: bool  # the server has it; its log entry is on the way
    replaces: str | None  # the op_id that it was edited from
    request_id: str | None  # of the last attempt
    error_code: str | None
    error_field: str | None
    error_params: dict[str, str]
    last_error: str | None  # in English; ``words`` gives other languages

    def words(self, lang: str = "en") -> str | None:
        """Why it failed last, in the reader's language."""
        if self.error_code is None:
            return None
        return reason_words(self.error_code, lang, **self.error_params)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for export and scripts."""
        return {
            "op_id": self.op_id,
            "collection": self.collection,
            "record_id": self.record_id,
            "user": self.user,
            "fields": self.fields,
            "state": self.state,
            "attempts": self.attempts,
            "earlier": [
                {
                    "request_id": one.request_id,
                    "sent_at": one.sent_at.isoformat(),
                    "ended": one.ended,
                }
                for one in self.earlier
            ],
            "created_at": self.created_at.isoformat(),
            "retry_at": self.retry_at.isoformat() if self.retry_at else None,
            "needs_person": self.needs_person,
            "cancelling": self.cancelling,
            "waits_for": self.waits_for,
            "replaces": self.replaces,
            "request_id": self.request_id,
            "error_code": self.error_code,
            "error_field": self.error_field,
            "last_error": self.last_error,
        }


def items(rows: Iterable[Row]) -> list[OutboxItem]:
    """The queue in order, each op with what holds it back."""
    blocking: dict[tuple[str, str, str], str] = {}
    shown: list[OutboxItem] = []
    for row in rows:
        key = (row.collection, row.record, row.user)
        shown.append(_item(row, blocking.get(key)))
        if row.needs_person or row.state == "failed" or row.cancelling is not None:
            blocking.setdefault(key, row.op_id)
    return shown


def _item(row: Row, waits_for: str | None) -> OutboxItem:
    return OutboxItem(
        op_id=row.op_id,
        collection=row.collection,
        record_id=row.record,
        user=row.user,
        fields=plain_fields(row.op),
        state="sending" if row.state == "acknowledged" else row.state,
        attempts=row.attempts,
        earlier=tuple(
            PastAttempt(request_id=one.request_id, sent_at=moment(one.sent_us), ended=one.ended)
            for one in row.earlier
        ),
        created_at=moment(row.created_us),
        retry_at=moment(row.retry_at_us) if row.retry_at_us is not None else None,
        needs_person=row.needs_person,
        cancelling=row.cancelling is not None,
        waits_for=waits_for,
        acknowledged=row.state == "acknowledged",
        replaces=row.op.replaces,
        request_id=row.request_id,
        error_code=row.code,
        error_field=row.field,
        error_params=row.params,
        last_error=row.words,
    )


def plain_fields(op: Op) -> dict[str, Any]:
    """What an op writes: ``{"phone": "…"}``, ``{"tags": {"add": […], "removed": 2}}`` …"""
    fields: dict[str, Any] = {}
    for root, write in op.writes.items():
        shape, _, name = root.partition("/")
        values = [json.loads(value) for value in write.values]
        if root == DELETION_ROOT:
            fields["(record)"] = (
                "delete" if DeleteMark.parse(write.values[0]).deleted else "restore"
            )
        elif shape == "s":
            fields[name] = {"add": values, "removed": len(write.supersedes)}
        elif shape == "c":
            fields[name] = {"increment": values[0]}
        else:
            fields[name] = values[0]
    return fields


def full_op(row: Row) -> dict[str, Any]:
    """Everything of an op, so that an exported queue can be read without crdtsync."""
    plain: dict[str, Any] = msgspec.to_builtins(
        {
            "op_id": row.op.op_id,
            "time_us": row.op.time_us,
            "writes": {
                root: {
                    "values": [json.loads(value) for value in write.values],
                    "supersedes": [list(seen) for seen in write.supersedes],
                }
                for root, write in row.op.writes.items()
            },
        }
    )
    return plain
