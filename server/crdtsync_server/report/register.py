"""``crdtsync report``. Importing this needs no server packages; running it does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, Failure
from crdtsync.cli.options import Lang
from crdtsync.cli.texts import say
from crdtsync_server.asking import DataFolder, ServerUrl, SignInToken

REPORT_CODES = (
    "Exit codes here: 0 go; 1 no-go; 2 usage; 3 the data cannot be read; "
    "4 the server cannot be reached."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=f"{REPORT_CODES} Everywhere: {EXIT_CODES}")(report)


def report(
    server: ServerUrl = None,
    token: SignInToken = None,
    data: DataFolder = None,
    space: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this space; else all together.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How far back: 90m, 24h, 7d, 4w.")
    ] = "7d",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write it there: .html, .md or .json. Else Markdown is printed."
        ),
    ] = None,
    acceptance: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The result of `crdtsync acceptance --json FILE`; else acceptance.json in the "
            "data folder.",
        ),
    ] = None,
    lang: Lang = "en",
) -> None:
    """One page for people: go or no-go, and why.

    Measures against their targets, losses and duplicates proved by what devices reported,
    devices that have not synced, conflicts, failures, and the last acceptance run.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise Failure(say("server_missing", lang), BAD_INPUT)
    from crdtsync_server.report import command

    wanted = command.Wanted(
        server=server,
        token=token,
        data=data,
        space=space,
        since=since,
        out=out,
        acceptance=acceptance,
        lang=lang,
    )
    raise typer.Exit(command.run_command(wanted))
