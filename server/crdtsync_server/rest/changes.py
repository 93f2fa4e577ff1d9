"""The space's log as JSON, page by page, as somebody may see it."""

from __future__ import annotations

from typing import Any

from crdtsync.documents.state import LogEntry
from crdtsync_server.problems import Problem
from crdtsync_server.rest.history import deletion_of, shown_value
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.shapes import Change, ChangedField, ChangePage
from crdtsync_server.storage.keys import position
from crdtsync_server.storage.receipts import ENTRY_DECODER

PAGE_BYTES = 262_144
"""Of log entries at rest, after which a page ends; one entry at least is on it."""


def read_changes(look: Look, since: int, limit: int, digest: str | None) -> ChangePage:
    """The log above ``since``.

    Raises Problem: 409 ``diverged`` where this server's log has no such place (it was
    restored from a backup), 410 ``log_trimmed`` where the log begins above it.
    """
    _check_place(look, since, digest)
    changes: list[Change] = []
    last, at_digest = since, _digest_at(look, since)
    size_bytes = 0
    bounds = (position(look.space_id, since), position(look.space_id, look.head_seq))
    for (data,) in look.iterate("log_page_rows", *bounds, limit):
        entry = ENTRY_DECODER.decode(data)
        last, at_digest = entry.seq, entry.digest
        shown = look.seen_entry(entry)
        if shown is not None:
            changes.append(_change(look, shown))
        size_bytes += len(data)
        if size_bytes >= PAGE_BYTES:
            break
    return ChangePage(changes=changes, next=last, digest=at_digest.hex(), head=look.head_seq)


def _check_place(look: Look, since: int, digest: str | None) -> None:
    head: dict[str, Any] = {
        "head": look.head_seq,
        "digest": look.digest.hex(),
        "log_start": look.log_start,
    }
    begin = (
        "list the records of each collection (GET /v1/spaces/{space}/{collection}), then go on "
        "with the `head` and `digest` given here"
    )
    if since > look.head_seq or (
        digest is not None and since > 0 and _digest_at(look, since).hex() != digest
    ):
        raise Problem(
            409,
            "diverged",
            f"this server's log is another one than that which had a place {since}: it was "
            f"probably restored from a backup. To begin anew, {begin}",
            **head,
        )
    if since + 1 < look.log_start:
        raise Problem(
            410,
            "log_trimmed",
            f"the log begins at {look.log_start}; what lies before is not kept. To begin, {begin}",
            **head,
        )


def _digest_at(look: Look, seq: int) -> bytes:
    entry = look.head_of(seq) if seq else None
    return b"" if entry is None else entry.digest


def _change(look: Look, entry: LogEntry) -> Change:
    rules = look.policy.collections.get(entry.collection)
    fields: dict[str, ChangedField] = {}
    for root, outcome in entry.outcomes.items():
        field = None if rules is None else rules.by_root.get(root)
        if field is not None:
            values = [shown_value(field, text) for text in entry.writes.get(root, ())]
            fields[field.name] = ChangedField(outcome=outcome, values=values)
    return Change(
        seq=entry.seq,
        digest=entry.digest.hex(),
        op_id=entry.op_id,
        user=entry.user,
        collection=entry.collection,
        record=entry.record,
        time_us=entry.time_us,
        received_us=entry.received_us,
        fields=fields,
        deleted=deletion_of(entry),
        revived=entry.revived,
    )
