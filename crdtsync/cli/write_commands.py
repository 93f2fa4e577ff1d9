"""``set``, ``delete``, ``undelete``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from crdtsync.cli.failures import EXIT_CODES, NEEDS_PERSON, Failure
from crdtsync.cli.opening import run, writing
from crdtsync.cli.options import (
    AsJson,
    CollectionName,
    Lang,
    PolicyPath,
    RecordId,
    ReplicaPath,
    Space,
    User,
)
from crdtsync.cli.record_commands import existing, print_record, record_json
from crdtsync.cli.screen import print_json, safe, to_read
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import assignments, element_of, field_of, value_of
from crdtsync.documents.conflict import Conflict
from crdtsync.policy import CollectionPolicy, MergeKind
from crdtsync.replica.collection import Collection
from crdtsync.replica.record import Record


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (("set", set_), ("delete", delete), ("undelete", undelete)):
        app.command(name, epilog=EXIT_CODES)(command)


def set_(
    collection: CollectionName,
    record_id: RecordId,
    replica: ReplicaPath,
    user: User,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD=VALUE",
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

    async def work() -> tuple[Record, CollectionPolicy]:
        async with writing(replica, user=user, space=space, policy=policy) as open_replica:
            found = open_replica.collection(collection)
            record = await _write(found, record_id, values or [], clear or [], based_on, lang)
            return record, found.policy

    record, rules = run(work())
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
                NEEDS_PERSON,
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
    """Delete a record. Its history stays, and `undelete` brings it back."""

    async def work() -> None:
        async with writing(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            existing(found, record_id, lang)
            await found.delete(record_id, based_on=based_on)

    run(work())
    to_read().print(say("deleted", lang, collection=collection, id=safe(record_id)))


def undelete(
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
