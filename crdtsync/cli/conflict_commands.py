"""``conflicts`` and ``resolve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from crdtsync.catalogue import message
from crdtsync.cli.choosing import Choosing, conflict_view, keep_all
from crdtsync.cli.failures import EXIT_CODES, NEEDS_PERSON, Failure
from crdtsync.cli.opening import reading, run, writing
from crdtsync.cli.options import (
    AsJson,
    CollectionName,
    FieldName,
    Lang,
    Reader,
    RecordId,
    ReplicaPath,
    User,
)
from crdtsync.cli.record_commands import existing
from crdtsync.cli.screen import print_json, safe, to_read, to_tell, value_text
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import field_of, value_of
from crdtsync.documents.conflict import Conflict
from crdtsync.documents.errors import ConflictChanged
from crdtsync.policy import FieldPolicy


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=EXIT_CODES)(conflicts)
    app.command(epilog=EXIT_CODES)(resolve)


def conflicts(
    replica: ReplicaPath, as_json: AsJson = False, user: Reader = None, lang: Lang = "en"
) -> None:
    """Show every field with several values, side by side. Works beside a running replica.

    Exit code 1: there are some, and a person has to choose.
    """

    async def work() -> list[tuple[Conflict, FieldPolicy, str]]:
        async with reading(replica, user=user) as open_replica:
            return [
                (
                    found,
                    open_replica.policy.collection(found.collection).fields[found.field],
                    open_replica.collection(found.collection)[found.record_id].version,
                )
                for found in open_replica.conflicts()
            ]

    found = run(work())
    if as_json:
        print_json([_conflict_json(conflict, version) for conflict, _, version in found])
    else:
        out = to_read()
        for conflict, field, _ in found:
            out.print(conflict_view(conflict, field, lang))
            out.print(
                f"  crdtsync resolve {conflict.collection} {safe(conflict.record_id)} "
                f"{conflict.field} --choose\n",
                soft_wrap=True,
            )
        if not found:
            out.print(say("no_conflicts", lang))
    if found:
        raise typer.Exit(NEEDS_PERSON)


def _conflict_json(conflict: Conflict, version: str) -> dict[str, Any]:
    return {
        "collection": conflict.collection,
        "id": conflict.record_id,
        "field": conflict.field,
        "version": version,
        "candidates": conflict.to_json()["conflict"],
    }


def resolve(
    collection: CollectionName,
    record_id: RecordId,
    field_name: FieldName,
    replica: ReplicaPath,
    user: User,
    value: Annotated[
        str | None,
        typer.Argument(metavar="VALUE", help="The right value; lists and sets take A;B or JSON."),
    ] = None,
    choose: Annotated[
        bool, typer.Option("--choose", help="Show all values and ask which one is right.")
    ] = False,
    all_of_them: Annotated[
        bool, typer.Option("--keep-all", help="Keep every element (lists and sets).")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Decide that there is no value.")] = False,
    seen: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The version that you saw (`conflicts --json`): refuse if anything in the "
            "record changed since.",
        ),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Choose the right value of a field that has several.

    The others stay in the history. If another value arrived meanwhile, nothing is
    written and the exit code is 1.
    """
    if sum((value is not None, choose, all_of_them, clear)) != 1:
        raise Failure(say("resolve_how", lang))
    conflict, field = _read(replica, user, (collection, record_id, field_name), seen, lang)
    if choose:
        wanted = _ask(conflict, field, lang)
    elif all_of_them:
        wanted = keep_all(conflict)
        if wanted is None:
            raise Failure(say("no_keep_all", lang, field=field_name))
    else:
        wanted = None if value is None else value_of(field, value)

    async def work() -> object:
        async with writing(replica, user=user) as open_replica:
            found = open_replica.collection(collection)
            # The conflict as the person saw it: while they thought, another program may
            # have brought in another value.
            await found.resolve_conflict(conflict, wanted, True)
            return found[record_id][field_name]

    try:
        chosen = run(work())
    except ConflictChanged:
        label = field.label_in(lang)
        words = message("another_value_arrived", lang, field=safe(label))
        raise Failure(words, NEEDS_PERSON) from None
    out = to_read()
    out.print(
        say("resolved", lang, field=safe(field.label_in(lang)), value=value_text(chosen, lang))
    )
    out.print(say("saved_here", lang))


def _read(
    path: Path, user: str, what: tuple[str, str, str], seen: str | None, lang: str
) -> tuple[Conflict, FieldPolicy]:
    collection, record_id, name = what

    async def work() -> tuple[Conflict, FieldPolicy]:
        async with reading(path, user=user) as replica:
            found = replica.collection(collection)
            field = field_of(found.policy, name, lang)
            record = existing(found, record_id, lang)
            value = record[name]
            if not isinstance(value, Conflict):
                shown = value_text(value, lang)
                raise Failure(say("not_in_conflict", lang, field=name, value=shown))
            if seen is not None and seen != record.version:
                # Of this field or another one: the version is the whole record's.
                what_changed = {"collection": safe(collection), "id": safe(record_id)}
                raise Failure(say("changed_since_seen", lang, **what_changed), NEEDS_PERSON)
            return value, field

    return run(work())


def _ask(conflict: Conflict, field: FieldPolicy, lang: str) -> object:
    """Let the person choose; nothing is held open or locked while they think."""
    out = to_read()
    out.print(conflict_view(conflict, field, lang))
    choosing = Choosing(conflict, field, lang)
    while (question := choosing.prompt) is not None:
        out.print(question)
        try:
            choosing.answer(input("> "))
        except EOFError:
            choosing.give_up()
        if choosing.said:
            to_tell().print(choosing.said)
    if not choosing.decided:
        raise Failure(say("nothing_changed", lang), NEEDS_PERSON)
    return choosing.value
