"""``crdtsync serve``. Importing this needs no server packages; running it does."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.errors import CrdtsyncError
from crdtsync.policy_file import Policy

INSTALL_WORDS = "the server needs more packages: pip install 'crdtsync[server]'"
DEV_WORDS = """\
*** --dev: this server trusts every name and grants every role. ***
*** It listens on this machine only. Never put real data behind it. ***"""

EXIT_CANNOT_START = 2
"""Settings, policy or data folder are not as they must be; the words say what to do."""


def register(app: typer.Typer) -> None:
    """Add the server's commands to the ``crdtsync`` command."""
    app.command()(serve)


def serve(
    policy: Annotated[Path, typer.Option(help="The policy file.")],
    data: Annotated[Path, typer.Option(help="The folder of the server's database.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free port.", min=0, max=65535)] = 8000,
    dev: Annotated[
        bool, typer.Option("--dev", help="Trust every name, grant every role. Loopback only.")
    ] = False,
    keep_log: Annotated[
        str,
        typer.Option(
            help="How long old values and their history are kept: 12h, 90d, 8w, 2y or forever. "
            "Receipts, conflicts and the last value that lost are always kept."
        ),
    ] = "90d",
    keep_entries: Annotated[
        int,
        typer.Option(help="The newest changes of each space that are kept at any age.", min=0),
    ] = 1_000,
) -> None:
    """Run the sync server."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        typer.echo(INSTALL_WORDS, err=True)
        raise typer.Exit(EXIT_CANNOT_START)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        rules = Policy.load(policy)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(rules, data, host, port, dev, keep_log, keep_entries))
    except CrdtsyncError as error:
        typer.echo(f"crdtsync serve: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT_START) from error


async def _serve(
    policy: Policy,
    data: Path,
    host: str,
    port: int,
    dev: bool,
    keep_log: str,
    keep_entries: int,
) -> None:
    from crdtsync_server.service import RunningServer
    from crdtsync_server.settings import Retention, parse_age

    retention = Retention(parse_age(keep_log), keep_entries)
    server = RunningServer(
        policy=policy, data=data, dev=dev, host=host, port=port, retention=retention
    )
    stop = asyncio.Event()
    _on_signals(stop)
    async with server:
        _collect_seldom()
        if dev:
            typer.echo(DEV_WORDS)
        typer.echo(f"crdtsync: listening on {server.url}, data in {data}")
        sys.stdout.flush()
        await stop.wait()
        typer.echo("crdtsync: stopping; everything that was taken is being saved")


def _collect_seldom() -> None:
    """Records in the cache live long: walking them all in every full collection is a pause
    of 100 ms and more, and 4 % of the time at full load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


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
