"""``sync``: once, or for as long as the command runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from crdtsync.catalogue import message
from crdtsync.cli.failures import EXIT_CODES, NEEDS_PERSON, NETWORK, Failure
from crdtsync.cli.opening import run, writing
from crdtsync.cli.options import AsJson, Lang, PolicyPath, ReplicaPath, Space, User
from crdtsync.cli.queue_commands import print_notices, status_json
from crdtsync.cli.screen import print_json, to_read, to_tell
from crdtsync.cli.texts import say
from crdtsync.replica.errors import NeedsAttention, SignedOut, SyncTimeout
from crdtsync.replica.replica import Replica
from crdtsync.replica.status import Status, SyncState

DEFAULT_TIMEOUT_S = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(sync)


def sync(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The server: ws://host:port or wss://host.")
    ],
    replica: ReplicaPath,
    user: User,
    once: Annotated[
        bool,
        typer.Option("--once/--watch", help="End when everything is in step, or stay connected."),
    ] = True,
    token: Annotated[
        str | None,
        typer.Option(envvar="CRDTSYNC_TOKEN", metavar="TOKEN", help="The sign-in for the server."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long --once tries.")
    ] = DEFAULT_TIMEOUT_S,
    space: Space = None,
    policy: PolicyPath = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """Send what waits here and get what is new.

    Exit code 1: some changes wait for a person, or the sign-in is not accepted;
    4: no server answered in time. Nothing is lost either way: run it again.
    Fields with several values are counted, and are no failure of sync.
    """
    if as_json and not once:
        raise Failure(say("json_or_watch", lang))

    async def work() -> tuple[Status, Replica]:
        async with writing(replica, user=user, space=space, policy=policy) as open_replica:
            open_replica.connect(url, token=token)
            async with _shown(open_replica, lang, stay=not once):
                if once:
                    await _in_step(open_replica, url, timeout, lang)
                else:
                    await asyncio.get_running_loop().create_future()
            print_notices(open_replica.notices(), lang)
            return open_replica.status, open_replica

    status, _ = run(work())
    if as_json:
        print_json(status_json(status, lang))
        return
    out = to_read()
    out.print(status_line(status, lang))
    if status.conflicts:
        out.print(say("conflicts_wait", lang, n=status.conflicts))


async def _in_step(replica: Replica, url: str, timeout: float, lang: str) -> None:
    try:
        await replica.synced(timeout=timeout)
    except SyncTimeout as error:
        status = error.status
        words = say(
            "sync_time_over",
            lang,
            url=url,
            seconds=f"{timeout:g}",
            why=status.problem or status.state.value,
            n=status.waiting,
        )
        raise Failure(words, NETWORK) from None
    except SignedOut as error:
        if not error.authors:
            raise
        names = ", ".join(error.authors)
        words = message("others_wait", lang, n=error.status.signed_out_ops, names=names)
        raise Failure(words, NEEDS_PERSON) from None
    except NeedsAttention as error:
        if error.status.needs_person:
            raise
        # Sync as a whole has stopped: no change of the queue is at fault.
        raise Failure(error.status.message(lang), NEEDS_PERSON) from None


def status_line(status: Status, lang: str) -> str:
    """One line for the person who watches."""
    if status.first_sync_total is not None and status.state is not SyncState.SYNCED:
        total = max(status.first_sync_total, status.first_sync_done)
        if total:
            return message("receiving", lang, done=status.first_sync_done, total=total)
    if status.state is SyncState.SYNCED and status.last_synced is None:
        status = replace(status, last_synced=datetime.now(UTC))
    words = status.message(lang)
    if status.problem and status.state is not SyncState.NEEDS_ATTENTION:
        words = f"{words} ({status.problem})"
    return words


@asynccontextmanager
async def _shown(replica: Replica, lang: str, *, stay: bool) -> AsyncIterator[None]:
    """Tell how it stands while the block runs: one live line on a terminal, else lines
    (only where the command stays)."""
    told = to_tell()
    if told.is_terminal:
        task = asyncio.create_task(_live_line(replica, told, lang))
    elif stay:
        task = asyncio.create_task(_lines(replica, to_read(), lang))
    else:
        yield
        return
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _live_line(replica: Replica, told: Console, lang: str) -> None:
    with Live(Text(""), console=told, auto_refresh=False, transient=True) as live:
        async with replica.watch_status() as statuses:
            async for status in statuses:
                live.update(Text(_with_conflicts(status, lang)), refresh=True)


async def _lines(replica: Replica, out: Console, lang: str) -> None:
    last = ""
    async with replica.watch_status() as statuses:
        async for status in statuses:
            words = _with_conflicts(status, lang)
            if words != last:
                out.print(words, soft_wrap=True)
                sys.stdout.flush()
                last = words


def _with_conflicts(status: Status, lang: str) -> str:
    words = status_line(status, lang)
    if status.conflicts:
        words = f"{words} · {say('conflicts_wait', lang, n=status.conflicts)}"
    return words
