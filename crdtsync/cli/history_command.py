"""``history``: every value that a field had, and why each left."""

from __future__ import annotations

from typing import Any

import typer

from crdtsync.cli.failures import EXIT_CODES, Failure
from crdtsync.cli.opening import reading, run
from crdtsync.cli.options import (
    AsJson,
    CollectionName,
    FieldName,
    Lang,
    Reader,
    RecordId,
    ReplicaPath,
)
from crdtsync.cli.screen import print_json, safe, table, time_text, to_read, value_text
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import field_of
from crdtsync.documents.conflict import plain_json
from crdtsync.policy import FieldPolicy, MergeKind
from crdtsync.replica.collection import Collection
from crdtsync.replica.history import FieldHistory, PastValue


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(history)


def history(
    collection: CollectionName,
    record_id: RecordId,
    field_name: FieldName,
    replica: ReplicaPath,
    as_json: AsJson = False,
    user: Reader = None,
    lang: Lang = "en",
) -> None:
    """Every value that a field had: who, when, what became of it, and why.

    Newest first, from what this device knows. A value that lost is restored by
    writing it again with `set`. Works beside a running replica.
    """

    async def work() -> tuple[FieldHistory, FieldPolicy]:
        async with reading(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            field = field_of(found.policy, field_name, lang)
            _must_be_known(found, record_id, lang)
            return await found.history(record_id, field_name), field

    past, field = run(work())
    if as_json:
        print_json({"complete": past.complete, "values": [_past_json(item, lang) for item in past]})
    else:
        _print(past, field, lang)


def _must_be_known(collection: Collection, record_id: str, lang: str) -> None:
    if record_id not in collection and collection.get_deleted(record_id) is None:
        raise Failure(say("no_record", lang, collection=collection.name, id=record_id))


def _past_json(item: PastValue, lang: str) -> dict[str, Any]:
    return {
        "value": plain_json(item.value),
        "user": item.user,
        "at": item.at.isoformat(),
        "op_id": item.op_id,
        "seq": item.seq or None,
        "visible": item.visible,
        "left_because": item.left_because,
        "replaced_by": item.replaced_by,
        "replaced_by_user": item.replaced_by_user,
        "why": item.why(lang),
    }


def _print(past: FieldHistory, field: FieldPolicy, lang: str) -> None:
    out = to_read()
    if len(past):
        out.print(history_table(past, field, lang))
    else:
        out.print(say("no_history", lang))
    if not past.complete:
        out.print(say("history_incomplete", lang))


def history_table(past: FieldHistory, field: FieldPolicy, lang: str) -> Any:
    """A field's history as a table for people."""
    rows = table(
        say("heading_value", lang),
        say("heading_by", lang),
        say("heading_written", lang),
        say("heading_became", lang),
    )
    for item in past:
        value = value_text(item.value, lang)
        if field.merge is MergeKind.COUNTER and not value.startswith("-"):
            value = f"+{value}"
        rows.add_row(value, safe(item.user), time_text(item.at), safe(item.why(lang)))
    return rows
