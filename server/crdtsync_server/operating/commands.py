"""``crdtsync backup``, ``restore`` and ``verify``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from crdtsync_server.operating.checking.findings import KEPT_PER_KIND, Findings
from crdtsync_server.operating.checking.findings import Progress as Report
from crdtsync_server.operating.checking.verifying import Verified, verify
from crdtsync_server.operating.words import Lang, kind_words, say, step_words
from crdtsync_server.storage.migrating import mebibytes

EXIT_DAMAGED = 1
"""What was checked has damage."""

EXIT_REFUSED = 2

_LangOption = Annotated[
    Literal["en", "ko"],
    typer.Option("--lang", envvar="CRDTSYNC_LANG", help="The language of what is told."),
]
_JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the ``crdtsync`` command."""
    app.command("backup")(backup_command)
    app.command("restore")(restore_command)
    app.command("verify")(verify_command)


def backup_command(
    data: Annotated[Path, typer.Option(help="The server's data folder.", metavar="DIR")],
    to: Annotated[Path, typer.Option(help="The backup to write.", metavar="FILE")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a file that is there.")
    ] = False,
    json_output: _JsonOption = False,
    lang: _LangOption = "en",
) -> None:
    """Copy a server's data into one file while the server runs, and check the copy.

    The copy is the data as of one commit. An existing FILE is replaced only by a whole,
    checked backup. Exit codes: 0 written and sound; 1 the data has damage, nothing written;
    2 not possible like this; 3 the disk, or it cannot be read at all.
    """
    from crdtsync_server.operating.backup import BackupRefused, BackupUnsound, back_up

    with _progress(lang) as report:
        try:
            done = back_up(data, to, replace=replace, progress=report)
        except BackupRefused as error:
            _refuse("backup", str(error))
        except BackupUnsound as error:
            _refuse_damaged("backup", str(error), error.verified, lang, json_output)
    if json_output:
        _print_json(_as_json(done.verified) | {"path": str(to), "size_bytes": done.size_bytes})
        return
    size, records = mebibytes(done.size_bytes), done.verified.records
    typer.echo(say("backed_up", lang, path=to, size=size, records=f"{records:,}"))
    _tell_heads(done.verified, lang)
    typer.echo(say("backup_holds", lang))


def restore_command(
    source: Annotated[Path, typer.Option("--from", help="The backup.", metavar="FILE")],
    data: Annotated[Path, typer.Option(help="An empty folder, or a new one.", metavar="DIR")],
    json_output: _JsonOption = False,
    lang: _LangOption = "en",
) -> None:
    """Put a backup into an empty data folder, after checking it.

    Exit codes: 0 restored; 1 the backup has damage; 2 not possible like this (the folder is not
    empty); 3 it cannot be read at all, the disk, or a server runs on the folder.
    """
    from crdtsync_server.operating.restore import BackupDamaged, RestoreRefused, restore

    with _progress(lang) as report:
        try:
            done = restore(source, data, report)
        except BackupDamaged as error:
            _refuse_damaged("restore", str(error), error.verified, lang, json_output)
        except RestoreRefused as error:
            _refuse("restore", str(error))
    if json_output:
        _print_json(_as_json(done.verified) | {"path": str(done.path)})
        return
    typer.echo(say("restored", lang, path=done.path, records=f"{done.verified.records:,}"))
    _tell_heads(done.verified, lang)
    if done.verified.policy_version is not None:
        typer.echo(say("start_with", lang, version=done.verified.policy_version))
    typer.echo(say("what_devices_do", lang))


def verify_command(
    data: Annotated[
        Path, typer.Option(help="A data folder (its server may run), or a backup.", metavar="PATH")
    ],
    json_output: _JsonOption = False,
    lang: _LangOption = "en",
) -> None:
    """Check that log, receipts, records, documents and conflicts agree. Changes nothing.

    Everything is read as of one commit. Exit codes: 0 sound; 1 damage was found; 2 usage;
    3 it cannot be read at all, or is not a server's data.
    """
    from crdtsync_server.operating.database_file import database_of

    with _progress(lang) as report:
        verified = verify(database_of(data), report)
    if json_output:
        _print_json(_as_json(verified))
    elif verified.is_sound:
        entries = sum(space.head_seq for space in verified.spaces)
        typer.echo(
            say(
                "sound",
                lang,
                path=verified.path,
                spaces=len(verified.spaces),
                entries=f"{entries:,}",
                records=f"{verified.records:,}",
            )
        )
        _tell_heads(verified, lang)
    else:
        _tell_findings(verified, lang)
        typer.echo(say("what_to_do", lang))
    if not verified.is_sound:
        raise typer.Exit(EXIT_DAMAGED)


# ── telling ─────────────────────────────────────────────────────────────────


def _tell_heads(verified: Verified, lang: Lang) -> None:
    if not verified.spaces:
        typer.echo(say("no_spaces", lang))
    for space in sorted(verified.spaces, key=lambda space: space.name):
        typer.echo("  " + say("head", lang, space=space.name, seq=f"{space.head_seq:,}"))


def _tell_findings(verified: Verified, lang: Lang) -> None:
    findings = verified.findings
    count = f"{findings.counts.total():,}"
    typer.echo(say("unsound", lang, path=verified.path, count=count))
    for kind, number in findings.counts.items():
        typer.echo(f"{kind_words(kind, lang)} ({kind}, {number:,})")
        for one in findings.told:
            if one.kind == kind:
                typer.echo(f"  {one.where}: {one.what}")
        if number > KEPT_PER_KIND:
            typer.echo("  " + say("and_more", lang, count=f"{number - KEPT_PER_KIND:,}"))


def _as_json(verified: Verified) -> dict[str, Any]:
    findings: Findings = verified.findings
    return {
        "path": str(verified.path),
        "sound": verified.is_sound,
        "schema": verified.schema,
        "policy_version": verified.policy_version,
        "records": verified.records,
        "spaces": [
            {"name": one.name, "head": one.head_seq, "digest": one.digest, "start": one.log_start}
            for one in verified.spaces
        ],
        "counts": dict(findings.counts),
        "findings": [
            {"kind": one.kind, "where": one.where, "what": one.what} for one in findings.told
        ],
    }


def _print_json(told: dict[str, Any]) -> None:
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _refuse(command: str, words: str) -> NoReturn:
    typer.echo(f"crdtsync {command}: {words}", err=True)
    raise typer.Exit(EXIT_REFUSED) from None


def _refuse_damaged(
    command: str, words: str, verified: Verified, lang: Lang, json_output: bool
) -> NoReturn:
    if json_output:
        _print_json(_as_json(verified))
    else:
        _tell_findings(verified, lang)
    typer.echo(f"crdtsync {command}: {words}", err=True)
    raise typer.Exit(EXIT_DAMAGED) from None


@contextmanager
def _progress(lang: Lang) -> Iterator[Report]:
    """Bars on a terminal's error stream; nothing where nobody looks."""
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    tasks: dict[str, TaskID] = {}

    def report(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = shown.add_task(step_words(name, lang), total=None)
        shown.update(tasks[name], completed=done, total=total or None)

    with shown:
        yield report
