"""``records``, ``get``, ``set``, ``delete``, ``restore``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from crdtsync.catalogue import message
from crdtsync.cli.failures import EXIT_CODES, Failure
from crdtsync.cli.opening import reading, run, writing
from crdtsync.cli.options import (
    AsJson,
    CollectionName,
    Lang,
    PolicyPath,
    Reader,
    RecordId,
    ReplicaPath,
    Space,
    User,
)
from crdtsync.cli.screen import print_json, safe, table, time_text, to_read, value_text
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import assignments, element_of, field_of, value_of
from crdtsync.documents.conflict import Conflict
from crdtsync.policy import CollectionPolicy, MergeKind
from crdtsync.replica.collection import Collection
from crdtsync.replica.record import Record
from crdtsync.replica.replica import Replica

DEFAULT_LIMIT = 100
"""Records that ``records`` shows to people; scripts say --limit."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("records", records),
        ("get", get),
        ("set", set_),
        ("delete", delete),
        ("restore", restore),
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
    rows = table(
        "ID",
        *(safe(field.label_in(lang)) for field in policy.fields.values()),
        say("heading_sync", lang),
    )
    for record in chosen:
        rows.add_row(
            safe(record.id),
            *(value_text(record[name], lang) for name in policy.fields),
            message(f"state_{record.sync_state}", lang),
        )
    out.print(rows)
    if len(chosen) < total and not filtered:
        out.print(say("records_shown", lang, n=len(chosen), total=total))


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
        rows.add_row(safe(field.label_in(lang)), value_text(record[field.name], lang))
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


def set_(
    collection: CollectionName,
    record_id: RecordId,
    replica: ReplicaPath,
    user: User,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FIELD=VALUE]…",
            help="FIELD=VALUE writes a value; lists and sets take A;B or JSON. "
            "FIELD+=VALUE adds to a counter or set, FIELD-=VALUE takes away (one at a time).",
        ),
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help="Clear this field.")
    ] = None,
    based_on: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The version that you saw (`get` shows it): only what stood there is replaced, "
            "and what arrived since stays.",
        ),
    ] = None,
    space: Space = None,
    policy: PolicyPath = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """Write fields of a record, as one change; a record that is not there yet begins.

    It is kept on this device when the command ends, and sent when there is a network.
    """

    async def work() -> tuple[Record, CollectionPolicy, Replica]:
        async with writing(replica, user=user, space=space, policy=policy) as open_replica:
            found = open_replica.collection(collection)
            record = await _write(found, record_id, values or [], clear or [], based_on, lang)
            return record, found.policy, open_replica

    record, rules, _ = run(work())
    if as_json:
        print_json(record_json(record))
        return
    print_record(record, rules, lang)
    to_read().print(say("saved_here", lang))


async def _write(
    collection: Collection,
    record_id: str,
    values: list[str],
    clear: list[str],
    based_on: str | None,
    lang: str,
) -> Record:
    steps = [text for text in values if text.partition("=")[0][-1:] in ("+", "-")]
    if steps:
        if len(values) > 1 or clear or based_on is not None:
            raise Failure(say("one_step", lang))
        return await _step(collection, record_id, steps[0], lang)
    wanted = assignments(collection.policy, values, clear, lang)
    if not wanted:
        raise Failure(say("nothing_to_set", lang))
    record = collection.get(record_id)
    _refuse_conflicts(record, wanted, based_on, lang)
    if record is None and collection.get_deleted(record_id) is None and based_on is None:
        return await collection.create(wanted, id=record_id)
    return await collection.update(record_id, wanted, based_on=based_on)


def _refuse_conflicts(
    record: Record | None, wanted: dict[str, object], based_on: str | None, lang: str
) -> None:
    if record is None or based_on is not None:
        return
    for name in wanted:
        if isinstance(record[name], Conflict):
            raise Failure(
                say(
                    "set_in_conflict",
                    lang,
                    field=name,
                    command=f"crdtsync resolve {record.collection} {record.id} {name} --choose",
                ),
                1,
            )


async def _step(collection: Collection, record_id: str, text: str, lang: str) -> Record:
    left, _, value = text.partition("=")
    name, sign = left[:-1], left[-1]
    field = field_of(collection.policy, name, lang)
    if field.merge is MergeKind.COUNTER:
        amount = value_of(field, value)
        number = Decimal(amount) if isinstance(amount, str) else amount
        assert isinstance(number, int | Decimal)
        return await collection.increment(record_id, name, number if sign == "+" else -number)
    if field.merge is MergeKind.SET:
        change = collection.add if sign == "+" else collection.remove
        return await change(record_id, name, *element_of(field, value))
    raise Failure(say("no_steps", lang, field=name))


def delete(
    collection: CollectionName,
    record_id: RecordId,
    replica: ReplicaPath,
    user: User,
    based_on: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="The version that you saw; later edits stay."),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Delete a record. Its history stays, and `restore` brings it back."""

    async def work() -> None:
        async with writing(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            existing(found, record_id, lang)
            await found.delete(record_id, based_on=based_on)

    run(work())
    to_read().print(say("deleted", lang, collection=collection, id=safe(record_id)))


def restore(
    collection: CollectionName,
    record_id: RecordId,
    replica: ReplicaPath,
    user: User,
    lang: Lang = "en",
) -> None:
    """Bring a deleted record back, with the values that it has."""

    async def work() -> tuple[Record, CollectionPolicy]:
        async with writing(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            if found.get_deleted(record_id) is None:
                key = "not_deleted" if record_id in found else "no_record"
                raise Failure(say(key, lang, collection=collection, id=record_id))
            return await found.restore(record_id), found.policy

    record, policy = run(work())
    print_record(record, policy, lang)
