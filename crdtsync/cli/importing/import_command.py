"""``crdtsync import``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, NEEDS_PERSON, STORAGE, Failure
from crdtsync.cli.importing.applying import BATCH_ROWS, Importer, Report
from crdtsync.cli.importing.lines import UTF8, CsvLines, JsonLines, open_text
from crdtsync.cli.importing.rows import Plan
from crdtsync.cli.opening import run, writing
from crdtsync.cli.options import AsJson, Lang, PolicyPath, ReplicaPath, Space, User
from crdtsync.cli.screen import print_json, safe, to_read, to_tell
from crdtsync.cli.texts import say

SHOWN_BAD = 20
"""Bad lines that are shown to people; --json gives up to 1,000."""


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"


class CounterRule(StrEnum):
    """What to do with a number for a counter that differs from the one shown."""

    REFUSE = "refuse"
    SKIP = "skip"
    ADD = "add"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", epilog=EXIT_CODES)(import_)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv or .jsonl file; - reads standard input.")
    ],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where the records go.")],
    replica: ReplicaPath,
    user: User,
    id_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column with each record's id (default: id)."),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="The field that a column fills."),
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="If the name does not end in .csv or .jsonl.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="Stands between cells of a CSV file.")] = ",",
    encoding: Annotated[
        str, typer.Option(help="How the text is stored, such as cp949 for older Korean files.")
    ] = UTF8,
    empty_clears: Annotated[
        bool,
        typer.Option(
            "--empty-clears", help="An empty cell clears the field; else it says nothing."
        ),
    ] = False,
    only_new: Annotated[
        bool, typer.Option("--only-new", help="Leave records alone that are there already.")
    ] = False,
    counters: Annotated[
        CounterRule,
        typer.Option(
            help="A counter takes how many to add, a file says how many there are. If they "
            "differ: refuse the line, skip the cell, or add the difference. (Adding on two "
            "devices before they sync counts it twice.)"
        ),
    ] = CounterRule.REFUSE,
    spreadsheet_safe: Annotated[
        bool, typer.Option("--spreadsheet-safe", help="The file was exported with this option.")
    ] = False,
    space: Space = None,
    policy: PolicyPath = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """Import records from a CSV or JSON-lines file.

    Columns go to the fields of the same name (or --map). Lists and sets are JSON or have ;
    between the elements. A bad line is named with its number and reason, and the good ones
    are kept (exit code 1). Importing again writes only what differs from what is shown: it
    doubles nothing, and an import that was stopped can simply be run again.
    """
    if len(delimiter) != 1:
        delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, "")
        if not delimiter:
            raise Failure(say("bad_delimiter", lang))
    chosen = file_format or format_of(file, lang)

    async def work() -> tuple[Report, Plan, int]:
        with _opened(file, lang) as binary, open_text(binary, encoding, lang) as text:
            lines: CsvLines | JsonLines
            if chosen is Format.CSV:
                lines = CsvLines(text, delimiter=delimiter, lang=lang)
            else:
                lines = JsonLines(text)
            async with writing(replica, user=user, space=space, policy=policy) as open_replica:
                plan = Plan.make(
                    open_replica.policy.collection(collection),
                    lines.columns,
                    id_column=id_column,
                    maps=map_ or [],
                    empty_clears=empty_clears,
                    spreadsheet_safe=spreadsheet_safe,
                    lang=lang,
                )
                importer = Importer(
                    open_replica,
                    plan,
                    counters=counters.value,
                    only_new=only_new,
                    lang=lang,
                )
                try:
                    with _bar(file, binary, lang) as move:
                        for line in lines:
                            await importer.take(line)
                            if importer.report.lines % BATCH_ROWS == 0:
                                move()
                        report = await importer.finish()
                except BaseException:
                    n = importer.report.new + importer.report.changed
                    to_tell().print(say("import_stopped", lang, n=n), soft_wrap=True)
                    raise
                return report, plan, open_replica.status.waiting

    try:
        report, plan, waiting = run(work())
    except UnicodeError as error:
        # UTF-16 without its mark, say: no byte of it can be told from another.
        raise Failure(say("not_in_encoding", lang, encoding=encoding, reason=str(error))) from None
    if as_json:
        print_json(_document(file, collection, report, plan, waiting))
    _tell(report, plan, lang, quiet=as_json)
    if report.bad_count:
        raise typer.Exit(NEEDS_PERSON)


def format_of(file: Path, lang: str) -> Format:
    """The format by the file's name."""
    ending = file.suffix.lower()
    if ending in (".csv", ".tsv", ".txt"):
        return Format.CSV
    if ending in (".jsonl", ".ndjson"):
        return Format.JSONL
    raise Failure(say("which_format", lang, file=file))


@contextmanager
def _opened(file: Path, lang: str) -> Iterator[IO[bytes]]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        binary = file.open("rb")
    except FileNotFoundError:
        raise Failure(say("no_file", lang, file=file), BAD_INPUT) from None
    except IsADirectoryError:
        raise Failure(say("file_is_folder", lang, file=file), BAD_INPUT) from None
    except OSError as error:
        raise Failure(
            say("file_unreadable", lang, file=file, why=error.strerror), STORAGE
        ) from None
    with binary:
        yield binary


@contextmanager
def _bar(file: Path, binary: IO[bytes], lang: str) -> Iterator[Any]:
    """A progress bar on a terminal: how much of the file was read."""
    console = to_tell()
    if not console.is_terminal or str(file) == "-":
        yield lambda: None
        return
    size_bytes = file.stat().st_size
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(say("importing", lang), total=max(size_bytes, 1))
        yield lambda: progress.update(task, completed=binary.tell())


def _tell(report: Report, plan: Plan, lang: str, *, quiet: bool) -> None:
    told = to_tell()
    for bad in report.bad[:SHOWN_BAD]:
        where = say("line", lang, n=bad.number)
        if bad.record_id is not None:
            where = f"{where} ({safe(bad.record_id)})"
        told.print(f"{where}: {safe(bad.problem.words(lang))}", soft_wrap=True)
    if report.bad_count > SHOWN_BAD:
        told.print(say("more_bad", lang, n=report.bad_count - SHOWN_BAD))
    if plan.left_out:
        names = ", ".join(safe(name) for name in plan.left_out)
        told.print(say("left_out", lang, collection=plan.policy.name, names=names), soft_wrap=True)
    if quiet:
        return
    out = to_read()
    out.print(
        say("imported", lang, new=report.new, changed=report.changed, unchanged=report.unchanged)
    )
    if report.kept:
        out.print(say("kept", lang, n=report.kept))
    if report.bad_count:
        out.print(say("bad_lines", lang, n=report.bad_count))
    if report.new or report.changed:
        out.print(say("saved_here", lang))


def _document(
    file: Path, collection: str, report: Report, plan: Plan, waiting: int
) -> dict[str, object]:
    return {
        "file": str(file),
        "collection": collection,
        "lines": report.lines,
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "kept": report.kept,
        "bad_count": report.bad_count,
        "bad": [
            {"line": bad.number, "id": bad.record_id, "reason": bad.problem.words("en")}
            for bad in report.bad
        ],
        "left_out": plan.left_out,
        "waiting": waiting,
    }
