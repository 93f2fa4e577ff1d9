"""``records`` and ``get``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crdtsync.catalogue import message
from crdtsync.cli.failures import EXIT_CODES, Failure
from crdtsync.cli.opening import reading, run
from crdtsync.cli.options import (
    AsJson,
    CollectionName,
    Lang,
    Reader,
    RecordId,
    ReplicaPath,
)
from crdtsync.cli.screen import print_json, safe, table, time_text, to_read, value_text
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import element_of, field_of, value_of
from crdtsync.documents.conflict import Conflict
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.replica.collection import Collection
from crdtsync.replica.record import Record

DEFAULT_LIMIT = 100
"""Records that ``records`` shows to people; scripts say --limit."""

NARROWEST_COLUMN = 13
"""Columns of the terminal that a field needs in a table; below, records are listed."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("records", records),
        ("get", get),
    ):
        app.command(name, epilog=EXIT_CODES)(command)


def records(
    collection: CollectionName,
    replica: ReplicaPath,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Only records with this value (several must all hold). In a field with "
            "several values a record counts as soon as one of them is it.",
        ),
    ] = None,
    order_by: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Sort by this field.")
    ] = None,
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, help="At most so many (100 on screen, all with --json).")
    ] = None,
    as_json: AsJson = False,
    user: Reader = None,
    lang: Lang = "en",
) -> None:
    """List the records of a collection. Works beside a running replica."""

    async def work() -> tuple[list[Record], int, CollectionPolicy]:
        async with reading(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            wanted = _filter(found.policy, where or [], lang)
            if order_by is not None:
                field_of(found.policy, order_by, lang)
            most = limit if limit is not None or as_json else DEFAULT_LIMIT
            chosen = await found.where(wanted, order_by=order_by, descending=descending, limit=most)
            return chosen, len(found), found.policy

    chosen, total, policy = run(work())
    if as_json:
        print_json([record_json(record) for record in chosen])
        return
    _print_records(chosen, total, policy, bool(where), lang)


def _filter(policy: CollectionPolicy, where: list[str], lang: str) -> dict[str, object]:
    wanted: dict[str, object] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals:
            raise Failure(say("not_an_assignment", lang, text=text))
        field = field_of(policy, name, lang)
        if field.merge is MergeKind.SET:
            wanted[name] = element_of(field, value)[0] if value else value
        else:
            wanted[name] = value_of(field, value) if value else None
    return wanted


def _print_records(
    chosen: list[Record], total: int, policy: CollectionPolicy, filtered: bool, lang: str
) -> None:
    out = to_read()
    if not chosen:
        out.print(say("no_records_match" if filtered else "no_records", lang))
        return
    fields = [
        field
        for field in policy.fields.values()
        if any(_has_value(_seen(record, field.name)) for record in chosen)
    ]
    if (len(fields) + 1) * NARROWEST_COLUMN + len(chosen[0].id) > out.width:
        for record in chosen:
            out.print(_listed(record, fields, lang))
    else:
        rows = table("ID", *(safe(f.label_in(lang)) for f in fields), say("heading_sync", lang))
        for record in chosen:
            values = (value_text(_seen(record, field.name), lang) for field in fields)
            state = message(f"state_{record.sync_state}", lang)
            rows.add_row(safe(record.id), *values, state)
        out.print(rows)
    if len(chosen) < total and not filtered:
        out.print(say("records_shown", lang, n=len(chosen), total=total))


def _seen(record: Record, name: str) -> Any:
    """The value, or None where the roles of this user hide the field."""
    return None if name in record.hidden else record[name]


def _has_value(value: object) -> bool:
    return isinstance(value, Conflict) or (value is not None and value != frozenset())


def _listed(record: Record, fields: list[FieldPolicy], lang: str) -> str:
    """A record line by line, where its fields do not fit beside each other."""
    lines = [f"{safe(record.id)} · {message(f'state_{record.sync_state}', lang)}"]
    lines.extend(
        f"    {safe(field.label_in(lang))}: {value_text(_seen(record, field.name), lang)}"
        for field in fields
        if _has_value(_seen(record, field.name))
    )
    return "\n".join(lines)


def record_json(record: Record) -> dict[str, Any]:
    """A record for scripts; a field in conflict is ``{"conflict": […]}``, never one value."""
    return {
        "collection": record.collection,
        "id": record.id,
        "version": record.version,
        "sync_state": record.sync_state,
        "updated_at": record.updated_at.isoformat(),
        "updated_by": record.updated_by,
        "fields": record.to_json(),
        "hidden": sorted(record.hidden),
    }


def get(
    collection: CollectionName,
    record_id: RecordId,
    replica: ReplicaPath,
    as_json: AsJson = False,
    user: Reader = None,
    lang: Lang = "en",
) -> None:
    """Show one record. Works beside a running replica."""

    async def work() -> tuple[Record, CollectionPolicy]:
        async with reading(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            return existing(found, record_id, lang), found.policy

    record, policy = run(work())
    if as_json:
        print_json(record_json(record))
    else:
        print_record(record, policy, lang)


def existing(collection: Collection, record_id: str, lang: str) -> Record:
    """The record, or a Failure that says whether it is unknown or deleted."""
    record = collection.get(record_id)
    if record is not None:
        return record
    gone = collection.get_deleted(record_id)
    key = "no_record" if gone is None else "record_deleted"
    raise Failure(say(key, lang, collection=collection.name, id=record_id))


def print_record(record: Record, policy: CollectionPolicy, lang: str) -> None:
    """One record for people."""
    out = to_read()
    rows = table(say("heading_field", lang), say("heading_value", lang))
    for field in policy.fields.values():
        hidden = field.name in record.hidden
        shown = say("hidden_field", lang) if hidden else value_text(record[field.name], lang)
        rows.add_row(safe(field.label_in(lang)), shown)
    out.print(f"{record.collection} {safe(record.id)}", style="bold", soft_wrap=True)
    out.print(rows)
    out.print(
        say(
            "record_footer",
            lang,
            state=message(f"state_{record.sync_state}", lang),
            user=safe(record.updated_by),
            time=time_text(record.updated_at),
        )
    )
    out.print(say("record_version", lang, version=record.version), soft_wrap=True)
    for conflict in record.conflicts:
        label = safe(policy.fields[conflict.field].label_in(lang))
        out.print(say("conflict_hint", lang, field=label, n=len(conflict.candidates)))
        out.print(
            f"  crdtsync resolve {record.collection} {safe(record.id)} {conflict.field} --choose",
            soft_wrap=True,
        )
