"""``crdtsync acceptance``: a tester's scenarios with real processes over real sockets.

Importing this needs no server packages; running it does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, Failure
from crdtsync.cli.options import Lang
from crdtsync.cli.texts import say

ACCEPTANCE_CODES = (
    "Exit codes here: 0 go; 1 no-go (a scenario failed, or none was run); "
    "2 usage; 4 the server cannot be reached; 130 stopped with Ctrl-C."
)
MAX_SEED = 2**32 - 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=f"{ACCEPTANCE_CODES} Everywhere: {EXIT_CODES}")(acceptance)


def acceptance(
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Test a server of yours (ws://host:port or wss://host) instead of starting one. "
            "Its policy needs the suite's collection: see --print-policy.",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Who vouches for the certificate of wss://, in PEM form, where the system does "
            "not know them.",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The HS256 secret of --server, where it checks sign-ins: the suite makes tokens "
            "for its own users with it.",
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this scenario; may be given several times."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="What is drawn by lot is drawn from it.")
    ] = 1,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML page for people.")
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the result for machines; - prints it."),
    ] = None,
    logs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the logs of every process there, go or no-go."),
    ] = None,
    keep_data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep everything there, the servers' data too, with the result beside it, so "
            "that `crdtsync report --data DIR/…/server` can be made of it.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer changes; the result says that it was quick.")
    ] = False,
    list_them: Annotated[bool, typer.Option("--list", help="List the scenarios and exit.")] = False,
    print_policy: Annotated[
        bool,
        typer.Option("--print-policy", help="Print what a server's policy file needs, and exit."),
    ] = False,
    lang: Lang = "en",
) -> None:
    """A tester's scenarios: go or no-go.

    Starts real servers and devices, each a process of its own, lets the network and the
    machines fail between them, and proves from the server's own log that no change was lost
    or doubled.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise Failure(say("server_missing", lang), BAD_INPUT)
    from crdtsync_server.acceptance import command

    if print_policy:
        command.print_policy()
    elif list_them:
        command.print_list(lang)
    else:
        wanted = command.Wanted(
            server=server,
            names=tuple(scenario or ()),
            seed=seed,
            report=report,
            json_file=json_file,
            logs=logs,
            keep_data=keep_data,
            ca=ca,
            secret_file=secret_file,
            quick=quick,
            lang=lang,
        )
        raise typer.Exit(command.run_command(wanted))
