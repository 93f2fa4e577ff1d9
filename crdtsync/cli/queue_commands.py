"""``status``, ``outbox``, ``retry``, ``edit``, ``discard``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from crdtsync.catalogue import message
from crdtsync.cli.failures import EXIT_CODES, NEEDS_PERSON, Failure
from crdtsync.cli.opening import find_op, reading, refuse_own_file, run, writing
from crdtsync.cli.options import AsJson, Lang, OpId, Reader, ReplicaPath, User
from crdtsync.cli.screen import (
    change_text,
    print_json,
    safe,
    table,
    time_text,
    to_read,
    to_tell,
)
from crdtsync.cli.texts import TEXTS, say
from crdtsync.cli.typed_text import assignments
from crdtsync.replica.queue_view import OutboxItem
from crdtsync.replica.replica import Replica
from crdtsync.replica.status import Status

SHORT_ID_CHARS = 8
"""Characters of an op_id in tables: enough to tell the changes of one device apart."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, outbox, retry, edit, discard):
        app.command(epilog=EXIT_CODES)(command)


# ── status ──────────────────────────────────────────────────────────────────


def status(
    replica: ReplicaPath, as_json: AsJson = False, user: Reader = None, lang: Lang = "en"
) -> None:
    """Say how this device stands. Works beside a running replica.

    Exit code 0: nothing waits and nothing needs a person; otherwise 1.
    """

    async def work() -> tuple[Status, dict[str, Any], list[dict[str, Any]]]:
        async with reading(replica, user=user) as open_replica:
            found = open_replica.status
            if user is None:
                found = replace(found, signed_out_ops=0)
            return found, _about(open_replica), open_replica.notices()

    found, about, notices = run(work())
    if as_json:
        print_json({**about, **status_json(found, lang), "notices": _notices_json(notices)})
    else:
        _print_status(found, about, notices, lang)
    if found.waiting or found.conflicts:
        raise typer.Exit(NEEDS_PERSON)


def _about(replica: Replica) -> dict[str, Any]:
    return {
        "replica": replica.path,
        "space": replica.space,
        "replica_id": replica.replica_id,
        "policy_version": replica.policy.version,
        "policy_hash": replica.policy.hash,
    }


def status_json(found: Status, lang: str) -> dict[str, Any]:
    """A status for scripts."""
    return {
        "state": found.state.value,
        "in_step": not found.waiting and found.last_synced is not None,
        "pending": found.pending,
        "sending": found.sending,
        "failed": found.failed,
        "needs_person": found.needs_person,
        "waiting": found.waiting,
        "conflicts": found.conflicts,
        "last_synced": found.last_synced.isoformat() if found.last_synced else None,
        "oldest_pending": found.oldest_pending.isoformat() if found.oldest_pending else None,
        "next_retry": found.next_retry.isoformat() if found.next_retry else None,
        "problem": found.problem,
        "message": status_words(found, lang),
    }


def status_words(found: Status, lang: str) -> str:
    """The status of a file that no program of ours has connected right now."""
    if found.waiting or found.needs_person:
        return found.message(lang)
    if found.last_synced is None:
        return say("never_synced", lang)
    return message("synced", lang, time=time_text(found.last_synced))


def _print_status(
    found: Status, about: dict[str, Any], notices: list[dict[str, Any]], lang: str
) -> None:
    out = to_read()
    out.print(status_words(found, lang), style="bold")
    if found.conflicts:
        out.print(say("conflicts_wait", lang, n=found.conflicts))
    rows = table(say("heading_what", lang), say("heading_how_many", lang))
    for key, number in (
        ("state_pending", found.pending),
        ("state_sending", found.sending),
        ("state_failed", found.failed),
    ):
        rows.add_row(message(key, lang), str(number))
    rows.add_row(say("needs_a_person", lang), str(found.needs_person))
    rows.add_row(say("records_in_conflict", lang), str(found.conflicts))
    out.print(rows)
    if found.oldest_pending is not None:
        out.print(say("oldest_change", lang, time=time_text(found.oldest_pending)))
    if found.last_synced is not None:
        out.print(say("last_in_step", lang, time=time_text(found.last_synced)))
    out.print(
        say("about_replica", lang, space=safe(about["space"]), version=about["policy_version"])
    )
    print_notices(notices, lang)


def print_notices(notices: list[dict[str, Any]], lang: str) -> None:
    """What people must be told once."""
    for notice in notices:
        key = f"notice_{notice['kind']}"
        if key not in TEXTS:  # of a newer version: better its bare facts than nothing
            key = "notice_other"
        to_tell().print(
            f"{time_text(notice['at'])}  {say(key, lang, detail=safe(notice['detail']))}",
            soft_wrap=True,
        )


def _notices_json(notices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**notice, "at": notice["at"].isoformat()} for notice in notices]


# ── the queue ───────────────────────────────────────────────────────────────


def outbox(
    replica: ReplicaPath,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the whole queue to a JSON-lines file."),
    ] = None,
    as_json: AsJson = False,
    user: Reader = None,
    lang: Lang = "en",
) -> None:
    """List the changes that the server does not have yet. Works beside a running replica.

    Exit code 1: some of them wait for a person (retry, edit or discard them).
    """

    if export is not None:
        refuse_own_file(export, replica, lang)

    async def work() -> list[OutboxItem]:
        async with reading(replica, user=user) as open_replica:
            if export is not None:
                await open_replica.export_outbox(export)
            return open_replica.outbox

    items = run(work())
    if as_json:
        print_json([item.to_json() for item in items])
    else:
        _print_queue(items, lang)
    if export is not None:
        to_tell().print(say("outbox_exported", lang, n=len(items), file=export), soft_wrap=True)
    if any(item.needs_person for item in items):
        raise typer.Exit(NEEDS_PERSON)


def _print_queue(items: list[OutboxItem], lang: str) -> None:
    out = to_read()
    if not items:
        out.print(say("outbox_empty", lang))
        return
    rows = table(
        say("heading_number", lang),
        say("heading_record", lang),
        say("heading_change", lang),
        say("heading_by", lang),
        say("heading_written", lang),
        say("heading_state", lang),
    )
    for item in items:
        rows.add_row(
            item.op_id[:SHORT_ID_CHARS],
            safe(f"{item.collection} {item.record_id}"),
            change_text(item.fields, lang),
            safe(item.user),
            time_text(item.created_at),
            item_words(item, lang),
        )
    out.print(rows)
    if any(item.needs_person for item in items):
        out.print(say("outbox_cure", lang))


def item_words(item: OutboxItem, lang: str) -> str:
    """The state of one change, why, and what is next."""
    parts = [message(f"state_{item.state}", lang)]
    why = item.words(lang)
    if item.needs_person and why is not None:
        if item.error_field:
            why = f"{item.error_field}: {why}"
        parts.append(say("item_refused", lang, reason=why))
    elif item.retry_at is not None:
        parts.append(say("item_retrying", lang, time=time_text(item.retry_at)))
    if item.cancelling:
        parts.append(message("cancelling", lang))
    if item.waits_for is not None:
        parts.append(say("item_held", lang, op_id=item.waits_for[:SHORT_ID_CHARS]))
    return "\n".join(parts)


def retry(
    replica: ReplicaPath,
    user: User,
    op_id: Annotated[
        str | None, typer.Argument(metavar="OP_ID", help="One change; all of them if left out.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Put failed changes back into the queue; the next sync sends them."""

    async def work() -> int:
        async with writing(replica, user=user) as open_replica:
            if op_id is None:
                n = sum(item.state == "failed" for item in open_replica.outbox)
                await open_replica.retry()
                return n
            item = find_op(open_replica, op_id, lang)
            if item.state != "failed":
                raise Failure(say("not_failed", lang, op_id=item.op_id[:SHORT_ID_CHARS]))
            await open_replica.retry(item.op_id)
            return 1

    n = run(work())
    to_read().print(say("retried", lang, n=n) if n else say("nothing_failed", lang))


def edit(
    op_id: OpId,
    replica: ReplicaPath,
    user: User,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", help="The new values; the others stay."),
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option("--clear", metavar="FIELD", help="Clear this field.")
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="FIELD", help="Do not write this field at all."),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Correct a change that was not sent or not accepted; it keeps its place in the queue."""

    async def work() -> bool:
        async with writing(replica, user=user) as open_replica:
            item = find_op(open_replica, op_id, lang)
            policy = open_replica.policy.collection(item.collection)
            wanted = assignments(policy, values or [], clear or [], lang)
            if not wanted and not leave_out:
                raise Failure(say("nothing_to_set", lang))
            return await open_replica.edit(item.op_id, wanted, leave_out=leave_out or [])

    to_read().print(say("edited" if run(work()) else "waits_for_server", lang))


def discard(
    op_id: OpId,
    replica: ReplicaPath,
    user: User,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask (needed where nobody can answer).")
    ] = False,
    lang: Lang = "en",
) -> None:
    """Take a change back that the server does not have. Asks first: it is gone then."""

    async def look() -> OutboxItem:
        async with reading(replica, user=user) as open_replica:
            return find_op(open_replica, op_id, lang)

    item = run(look())
    if not yes:
        told = say(
            "discard_question",
            lang,
            record=safe(f"{item.collection} {item.record_id}"),
            change=change_text(item.fields, lang),
        )
        if not typer.confirm(told, err=True):
            to_tell().print(say("nothing_changed", lang))
            raise typer.Exit(NEEDS_PERSON)

    async def work() -> bool:
        async with writing(replica, user=user) as open_replica:
            return await open_replica.discard(item.op_id)

    to_read().print(say("discarded" if run(work()) else "waits_for_server", lang))
