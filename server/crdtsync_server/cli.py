"""``crdtsync serve``. Importing this needs no server packages; running it does."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from crdtsync.database import is_damage
from crdtsync.errors import CrdtsyncError
from crdtsync.policy_file import Policy
from crdtsync_server.operating import commands
from crdtsync_server.operating.declared import GROUPS, Declared
from crdtsync_server.operating.kinds import Switch
from crdtsync_server.operating.loading import Loaded, load
from crdtsync_server.operating.showing import as_json, shown
from crdtsync_server.settings import Settings

INSTALL_WORDS = "the server needs more packages: pip install 'crdtsync[server]'"
DEV_WORDS = """\
*** --dev: this server trusts every name and grants every role. ***
*** It listens on this machine only. Never put real data behind it. ***"""

DAMAGED_WORDS = """\
What to do: leave {data} as it is. crdtsync verify --data {data} tells what is damaged.
Restore the newest backup into an empty folder (crdtsync restore --from FILE --data DIR);
devices then offer again what they hold and the backup lacks."""

EXIT_CANNOT_START = 2
"""Settings, policy or data folder are not as they must be; the words say what to do."""


def register(app: typer.Typer) -> None:
    """Add the server's commands to the ``crdtsync`` command."""
    app.command()(_with_flags(serve))
    commands.register(app)


def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file with settings, such as crdtsync.toml (also CRDTSYNC_CONFIG). "
            "Flags count before the environment, the environment before the file.",
        ),
    ] = None,
    show_settings: Annotated[
        bool,
        typer.Option("--show-settings", help="Print each setting and its source; no start."),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="With --show-settings: for programs.")
    ] = False,
    **flags: str | bool | None,
) -> None:
    """Run the sync server."""
    loaded = load(flags, os.environ, config)
    if show_settings:
        _show(loaded, json_output)
        return
    for warning in loaded.warnings:
        typer.echo(f"crdtsync serve: {warning}", err=True)
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        typer.echo(INSTALL_WORDS, err=True)
        raise typer.Exit(EXIT_CANNOT_START)
    try:
        policy, settings = loaded.require()
        _start_logging(settings)
        rules = Policy.load(policy)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(rules, settings))
    except CrdtsyncError as error:
        typer.echo(f"crdtsync serve: {error}", err=True)
        if is_damage(error.__cause__):
            typer.echo(DAMAGED_WORDS.format(data=loaded.settings.folder), err=True)
        raise typer.Exit(EXIT_CANNOT_START) from error


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command one flag per setting that is no secret (operating/declared.py)."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    declared = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_flag_of(one, group.title),
        )
        for group in GROUPS
        for one in group.settings
        if one.flag is not None
    ]
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]

    def run(**given: Any) -> None:
        command(**given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([*declared, *own])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in [*declared, *own]}
    return run


def _flag_of(declared: Declared, panel: str) -> Any:
    default = "" if declared.required or declared.default is None else declared.default
    words = declared.meaning
    if declared.required:
        words += " Required, here or elsewhere."
    elif default != "" and default != ():
        words += f" Default: {declared.kind.show(default)}."
    if isinstance(declared.kind, Switch):
        flag = declared.flag or ""
        names = f"{flag}/--no-{flag[2:]}" if default else flag
        option = typer.Option(names, help=words, rich_help_panel=panel)
        return Annotated[bool | None, option]
    option = typer.Option(
        declared.flag, help=words, metavar=declared.kind.hint, rich_help_panel=panel
    )
    return Annotated[str | None, option]


def _show(loaded: Loaded, wants_json: bool) -> None:
    problem = None
    try:
        loaded.require()
    except CrdtsyncError as error:
        problem = str(error)
    if wants_json:
        told = as_json(loaded) | {"starts": problem is None, "problem": problem}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        typer.echo(shown(loaded))
        for warning in loaded.warnings:
            typer.echo(f"crdtsync serve: {warning}", err=True)
    if problem is not None:
        typer.echo(f"crdtsync serve: the server would not start: {problem}", err=True)
        raise typer.Exit(EXIT_CANNOT_START)


def _start_logging(settings: Settings) -> None:
    from crdtsync_server.observing.logs import start_logging

    start_logging(settings.observing)


async def _serve(policy: Policy, settings: Settings) -> None:
    from crdtsync_server.collecting import collect_seldom
    from crdtsync_server.service import RunningServer

    server = RunningServer(
        policy=policy,
        data=settings.folder,
        dev=settings.dev,
        host=settings.host,
        port=settings.port,
        limits=settings.limits,
        timeouts=settings.timeouts,
        retention=settings.retention,
        access=settings.access,
        observing=settings.observing,
        proxy=settings.proxy,
    )
    stop = asyncio.Event()
    _on_signals(stop)
    async with server:
        collect_seldom()
        if settings.dev:
            typer.echo(DEV_WORDS)
        typer.echo(f"crdtsync: listening on {server.url}, data in {settings.folder}")
        sys.stdout.flush()
        await stop.wait()
        typer.echo("crdtsync: stopping; everything that was taken is being saved")


def _on_signals(stop: asyncio.Event) -> None:
    """The first signal stops in order; the second ends at once (which loses nothing)."""

    def received(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, received, number)
        except NotImplementedError:  # pragma: no cover - Windows
            signal.signal(number, lambda got, _: loop.call_soon_threadsafe(received, got))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
