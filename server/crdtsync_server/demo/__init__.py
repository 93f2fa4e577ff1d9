"""``crdtsync demo``: two devices, no network, then a network. Needs no set-up.

Importing this needs no server packages; running it does.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, NEEDS_PERSON, OK, Failure
from crdtsync.cli.options import Lang
from crdtsync.cli.texts import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(demo)


def demo(
    choose: Annotated[
        bool, typer.Option("--choose", help="Choose between the allergy lists yourself.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the files of the server and both devices there."),
    ] = None,
    lang: Lang = "en",
) -> None:
    """Two devices, no network, then a network: the whole story in a few seconds.

    A real server on a free port and two devices in a temporary folder. Every value shown is
    read from them, and at the end the claims are checked: exit code 1 if one does not hold.
    """
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise Failure(say("server_missing", lang), BAD_INPUT)
    from crdtsync_server.demo.story import tell_story

    with _folder(keep, lang) as folder:
        held = asyncio.run(tell_story(folder, lang=lang, choose=choose, kept=keep is not None))
    raise typer.Exit(OK if held else NEEDS_PERSON)


@contextmanager
def _folder(keep: Path | None, lang: str) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="crdtsync-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        from crdtsync_server.demo.words import tell

        raise Failure(tell("keep_not_empty", lang, folder=keep))
    keep.mkdir(parents=True, exist_ok=True)
    yield keep
