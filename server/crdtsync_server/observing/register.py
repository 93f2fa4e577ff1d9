"""``crdtsync trace``. Importing this needs no server packages; running it does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, Failure
from crdtsync.cli.options import AsJson, Lang
from crdtsync_server.asking import DataFolder, ServerUrl, SignInToken
from crdtsync_server.observing.words import say

TRACE_CODES = "Exit codes here: 0 found; 1 nothing is known of it; 2 to 4 as everywhere."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=f"{TRACE_CODES} {EXIT_CODES}")(trace)


def trace(
    query: Annotated[
        str,
        typer.Argument(
            metavar="REQUEST_ID|OP_ID|USER|RECORD",
            help="A request's or a change's number, a user, or collection/record. user:NAME, "
            "record:…, op:… and request:… say which.",
        ),
    ],
    server: ServerUrl = None,
    token: SignInToken = None,
    data: DataFolder = None,
    replica: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A device's own file: what it knows of its own change, by the change's number "
            "(a clear beginning will do).",
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this space; else all of yours.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100, help="How many changes are shown at once.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Go on from where a page ended.")
    ] = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """The way of a change: written, sent, each attempt, decided and why, saved, who has it.

    Found by its own number, a request's, its author or its record. Times are this
    machine's; what devices told by wrong clocks is corrected.
    """
    if importlib.util.find_spec("starlette") is None:
        raise Failure(say("server_missing", lang), BAD_INPUT)
    from crdtsync_server.observing import command

    wanted = command.Wanted(
        query=query,
        server=server,
        token=token,
        data=data,
        replica=replica,
        space=space,
        limit=limit,
        after=after,
        as_json=as_json,
        lang=lang,
    )
    raise typer.Exit(command.run_command(wanted))
