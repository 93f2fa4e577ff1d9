"""``crdtsync seed``. Importing this needs no server packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from crdtsync.cli.failures import EXIT_CODES, INTERRUPTED, NEEDS_PERSON, Failure
from crdtsync.cli.importing.import_command import Format, format_of
from crdtsync.cli.importing.lines import UTF8
from crdtsync.cli.importing.rows import Plan
from crdtsync.cli.options import AsJson, Lang
from crdtsync.cli.screen import print_json, safe, to_read, to_tell
from crdtsync.cli.texts import say
from crdtsync.policy import CollectionPolicy, Policy
from crdtsync_server.rest.seeding.seeding import BATCH_OPS, Report, Seeder
from crdtsync_server.rest.seeding.sending import Server
from crdtsync_server.rest.seeding.sources import (
    Rows,
    query_of_table,
    rows_of_file,
    rows_of_sqlite,
)
from crdtsync_server.rest.seeding.words import tell

SHOWN_BAD = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(seed)


def seed(
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="The server: http(s)://host:port.")
    ],
    space: Annotated[str, typer.Option("--space", metavar="NAME", help="The space to fill.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where the rows go.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A .csv or .jsonl file.")
    ] = None,
    from_sqlite: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A SQLite database, which is only read.")
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="The table of --from-sqlite.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="Or what to SELECT from it.")
    ] = None,
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
    encoding: Annotated[str, typer.Option(help="How the text of a file is stored.")] = UTF8,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the token to sign in with.")
    ] = None,
    token: Annotated[
        str | None,
        # From the environment only: what stands on a command line, everybody can read.
        typer.Option(envvar="CRDTSYNC_TOKEN", hidden=True),
    ] = None,
    as_json: AsJson = False,
    lang: Lang = "en",
) -> None:
    """Fill a space of a server from a database that is there already.

    Each row becomes a record, by the id in its id column. Running it again doubles nothing:
    a row that says the same is the same change, and the server takes it once. So a run that
    was cut is simply started again. A row with other values is written over what is there;
    a counter is seeded once.
    """
    source = _source(file, file_format, from_sqlite, table, query, delimiter, encoding, lang)

    def waits(reason: str) -> None:
        to_tell().print(tell("waiting", lang, reason=safe(reason)), soft_wrap=True, markup=False)

    signed = _token(token, token_file, lang)
    with closing(Server(server, signed, lang, waits=waits)) as asked, source as rows:
        me = asked.get("/v1/me")
        plan = Plan.make(
            _rules(asked, collection, lang),
            rows.columns,
            id_column=id_column,
            maps=map_ or [],
            empty_clears=False,
            spreadsheet_safe=False,
            lang=lang,
        )
        seeder = Seeder(
            asked, plan, space=space, user=me["user"], since_us=me["server_us"], lang=lang
        )
        report = _run(seeder, rows, lang)
    if as_json:
        print_json(_document(report, plan))
    _tell(report, plan, lang, quiet=as_json)
    if report.bad_count:
        raise typer.Exit(NEEDS_PERSON)


def _source(
    file: Path | None,
    file_format: Format | None,
    from_sqlite: Path | None,
    table: str | None,
    query: str | None,
    delimiter: str,
    encoding: str,
    lang: str,
) -> AbstractContextManager[Rows]:
    if (file is None) == (from_sqlite is None):
        raise Failure(tell("one_source", lang))
    if file is not None:
        if table is not None or query is not None:
            raise Failure(tell("one_source", lang))
        sign = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
        if len(sign) != 1:
            raise Failure(say("bad_delimiter", lang))
        chosen_format = file_format or format_of(file, lang)
        return rows_of_file(file, chosen_format, delimiter=sign, encoding=encoding, lang=lang)
    if (table is None) == (query is None):
        raise Failure(tell("one_query", lang))
    assert from_sqlite is not None
    chosen = query_of_table(table) if table is not None else (query or "").strip().rstrip(";")
    return rows_of_sqlite(from_sqlite, chosen, lang)


def _token(token: str | None, token_file: Path | None, lang: str) -> str:
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Failure(say("file_unreadable", lang, file=token_file, why=why)) from None
    if token is None or not token.strip():
        raise Failure(tell("no_token", lang))
    return token.strip()


def _rules(asked: Server, collection: str, lang: str) -> CollectionPolicy:
    """The collection by the server's own policy."""
    told = asked.get("/v1/policy")
    known = {one["name"]: one for one in told["collections"]}
    if collection not in known:
        raise Failure(tell("no_collection", lang, name=collection, known=", ".join(known)))
    if not known[collection]["readable"]:
        raise Failure(tell("not_readable", lang, name=collection))
    return Policy.parse(told["text"], source="the server's policy").collection(collection)


def _run(seeder: Seeder, rows: Rows, lang: str) -> Report:
    try:
        with _bar(rows.total, lang) as move:
            for line in rows.lines:
                seeder.take(line)
                if seeder.report.rows % BATCH_OPS == 0:
                    move(seeder.report.rows)
            return seeder.finish()
    except (KeyboardInterrupt, Failure) as error:
        n = seeder.report.new + seeder.report.again
        to_tell().print(tell("stopped", lang, n=n), soft_wrap=True)
        if isinstance(error, Failure):
            raise
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _bar(total: int | None, lang: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal."""
    console = to_tell()
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(tell("seeding", lang), total=total)
        yield lambda done: progress.update(task, completed=done)


def _tell(report: Report, plan: Plan, lang: str, *, quiet: bool) -> None:
    told = to_tell()
    for bad in report.bad[:SHOWN_BAD]:
        where = tell("row", lang, n=bad.number)
        if bad.record_id is not None:
            where = f"{where} ({safe(bad.record_id)})"
        told.print(f"{where}: {safe(bad.words)}", soft_wrap=True, markup=False)
    if report.bad_count > SHOWN_BAD:
        told.print(tell("more_bad", lang, n=report.bad_count - SHOWN_BAD))
    if plan.left_out:
        names = ", ".join(safe(name) for name in plan.left_out)
        told.print(tell("left_out", lang, names=names), soft_wrap=True, markup=False)
    if quiet:
        return
    out = to_read()
    out.print(tell("done", lang, new=report.new, again=report.again), soft_wrap=True)
    if report.changed_since:
        out.print(tell("left_alone", lang, n=report.changed_since), soft_wrap=True)
    if report.counters_left:
        out.print(tell("counters_left", lang, n=report.counters_left), soft_wrap=True)
    if report.bad_count:
        out.print(tell("bad_rows", lang, n=report.bad_count), soft_wrap=True)


def _document(report: Report, plan: Plan) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "new": report.new,
        "again": report.again,
        "changed_since": report.changed_since,
        "counters_left": report.counters_left,
        "bad_count": report.bad_count,
        "bad": [
            {"row": bad.number, "id": bad.record_id, "reason": bad.words} for bad in report.bad
        ],
        "left_out": plan.left_out,
    }
