"""Help, versions, and commands of packages that are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.text import Text

from crdtsync.cli import application, make_app
from crdtsync.version import __version__
from tests.cli.command_line import crdtsync

COMMANDS = [
    "records", "get", "set", "delete", "undelete", "import", "export", "status", "outbox", "retry",
    "edit", "discard", "conflicts", "resolve", "history", "sync", "serve", "demo",
    "acceptance", "simulate", "token",
]  # fmt: skip


def test_the_help_lists_every_command_and_the_exit_codes() -> None:
    done = crdtsync("--help")
    assert done.exit_code == 0
    for name in [*COMMANDS, "policy", "130"]:
        assert name in done.stdout


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), ["policy", "check"]])
def test_every_command_has_help(command: list[str]) -> None:
    done = crdtsync(*command, "--help")
    assert done.exit_code == 0
    assert "Usage: crdtsync" in done.stdout


def texts_of_help(command: Any) -> Iterator[str]:
    """Every text that ``--help`` shows, of a command and of those below it."""
    yield from (text for text in (command.help, command.epilog) if text)
    yield from (one.help for one in command.params if getattr(one, "help", None))
    for below in getattr(command, "commands", {}).values():
        yield from texts_of_help(below)


def test_no_help_loses_words_that_look_like_markup() -> None:
    texts = list(texts_of_help(typer.main.get_command(make_app())))
    assert len(texts) > 100
    for text in texts:  # rich takes what stands in square brackets for a style
        assert Text.from_markup(text).plain == text


def test_the_version_is_the_one_of_the_library() -> None:
    assert crdtsync("--version").stdout.strip() == f"crdtsync {__version__}"


@pytest.mark.parametrize("command", ["serve", "demo", "acceptance", "simulate", "token"])
@pytest.mark.parametrize(("lang", "words"), [("en", "Install them"), ("ko", "설치해 주세요")])
def test_commands_of_the_server_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, command: str, lang: str, words: str
) -> None:
    class Broken:
        name = command

        def load(self) -> object:
            raise ImportError("No module named 'starlette'")

    monkeypatch.setattr(application, "entry_points", lambda group: [Broken()])
    monkeypatch.setenv("CRDTSYNC_LANG", lang)
    done = crdtsync(command, "--policy", "x", "--dev")
    assert done.exit_code == 2
    assert words in done.stderr
    assert "pip install 'crdtsync[server]'" in done.stderr
    assert "starlette" in done.stderr


def test_a_wrong_option_is_a_usage_error() -> None:
    done = crdtsync("records", "patient", "--nope")
    assert done.exit_code == 2
    assert "--nope" in done.stderr
