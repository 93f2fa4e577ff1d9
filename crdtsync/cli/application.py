"""The ``crdtsync`` command: its parts, the server's commands, and how it ends."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from crdtsync.cli import (
    conflict_commands,
    export_command,
    history_command,
    policy_commands,
    queue_commands,
    record_commands,
    sync_command,
    write_commands,
)
from crdtsync.cli.failures import (
    BAD_INPUT,
    EXIT_CODES,
    INTERRUPTED,
    current_lang,
    exit_code,
    words_for,
)
from crdtsync.cli.importing import import_command
from crdtsync.cli.options import Lang
from crdtsync.cli.screen import to_tell
from crdtsync.cli.texts import say
from crdtsync.errors import CrdtsyncError
from crdtsync.version import __version__

COMMAND_GROUP = "crdtsync.commands"
SERVER_COMMANDS = {
    "serve": "Run the sync server (needs the server extra).",
    "seed": "Fill a space from a database that is there already (needs the server extra).",
    "backup": "Copy a server's data into one file while the server runs (needs the server extra).",
    "restore": "Put a backup into an empty data folder (needs the server extra).",
    "verify": "Check that a server's data agrees with itself (needs the server extra).",
    "demo": "Two devices, no network, then a network: the whole story in a few seconds "
    "(needs the server extra).",
    "acceptance": "A tester's scenarios: go or no-go (needs the server extra).",
    "token": "Make, check and take back tokens (needs the server extra).",
    "trace": "The way of a change: every attempt, the decision, who has it (needs the server "
    "extra).",
    "report": "One page for people: go or no-go, and why (needs the server extra).",
    "simulate": "The real code in simulated worlds, from seeds (needs the simulate extra).",
}


class Commands(TyperGroup):
    """Runs a command; foreseeable errors become plain words and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, asyncio.CancelledError):
            to_tell().print("\n" + say("stopped_nothing_lost", current_lang.get()))
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader of our output went away; typer ends quietly
        except (CrdtsyncError, OSError) as error:
            to_tell().print(f"crdtsync: {words_for(error, current_lang.get())}", soft_wrap=True)
            raise typer.Exit(exit_code(error)) from None


def make_app() -> typer.Typer:
    """The command with everything that is installed."""
    app = typer.Typer(
        name="crdtsync",
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        epilog=EXIT_CODES,
        help="An offline-first record store: what you write is kept on this device and synced "
        "when there is a network. Nothing is lost, nothing counts twice.",
    )
    app.callback()(_start)
    for part in (
        policy_commands,
        record_commands,
        write_commands,
        import_command,
        export_command,
        queue_commands,
        conflict_commands,
        history_command,
        sync_command,
    ):
        part.register(app)
    _load_commands(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crdtsync {__version__}")
        raise typer.Exit


def _start(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    current_lang.set("en")


def _load_commands(app: typer.Typer) -> None:
    """Commands of other packages; those of the server exist even where it cannot run."""
    why: dict[str, str] = {}
    for entry in sorted(entry_points(group=COMMAND_GROUP), key=lambda entry: entry.name):
        try:
            entry.load()(app)
        except (ImportError, AttributeError) as error:
            why[entry.name] = str(error)
    there = {command.name or _called(command.callback) for command in app.registered_commands}
    there |= {str(group.name) for group in app.registered_groups}
    for name in sorted(SERVER_COMMANDS.keys() - there):
        _stand_in(app, name, why.get(name, ""))


def _called(callback: Any) -> str:
    return str(getattr(callback, "__name__", "")).replace("_", "-")


def _stand_in(app: typer.Typer, name: str, why: str) -> None:
    def missing(lang: Lang = "en") -> None:
        to_tell().print(f"crdtsync {name}: {say('server_missing', lang)}", soft_wrap=True)
        if why:
            to_tell().print(f"({why})", soft_wrap=True)
        raise typer.Exit(BAD_INPUT)

    app.command(
        name,
        help=SERVER_COMMANDS[name],
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )(missing)


def main() -> None:
    """Entry point of the ``crdtsync`` script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows "?" and the command goes on.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    make_app()()
