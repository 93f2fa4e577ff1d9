"""``crdtsync export``: a collection as CSV or JSON lines."""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from crdtsync.cli.failures import EXIT_CODES, STORAGE, Failure
from crdtsync.cli.importing.import_command import Format, format_of
from crdtsync.cli.importing.rows import guarded, id_column_of
from crdtsync.cli.opening import reading, run
from crdtsync.cli.options import Lang, Reader, ReplicaPath
from crdtsync.cli.screen import to_tell, write_utf8
from crdtsync.cli.texts import say
from crdtsync.documents.conflict import Conflict, plain_json
from crdtsync.policy import FieldPolicy
from crdtsync.replica.collection import Collection
from crdtsync.replica.record import Record
from crdtsync.whole_file import write_whole

JSON_KINDS = frozenset({"list", "set", "map", "json"})
"""Types whose CSV cell is JSON."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EXIT_CODES)(export)


def export(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE|-", help="The file to make; - writes to standard output."),
    ],
    collection: Annotated[str, typer.Option("--collection", "-c", help="What to export.")],
    replica: ReplicaPath,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="If the name does not say it; - writes JSON lines."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="Put ' before texts that a spreadsheet would run as a formula (= + - @). "
            "Import such a file with the same option.",
        ),
    ] = False,
    bom: Annotated[
        bool, typer.Option("--bom", help="Start with a byte order mark, as Excel wants for Korean.")
    ] = False,
    user: Reader = None,
    lang: Lang = "en",
) -> None:
    """Export the records of a collection. Works beside a running replica.

    A field with several values is exported as {"conflict": …} with all of them, in CSV
    too, and never as one value; `import` refuses such a cell.
    """
    to_stdout = str(file) == "-"
    if file_format is None:
        file_format = Format.JSONL if to_stdout else format_of(file, lang)
    if not to_stdout and file.exists() and not force:
        raise Failure(say("file_exists", lang, file=file))
    write = _csv(spreadsheet_safe) if file_format is Format.CSV else _json_lines
    counted = _Counted()

    async def work() -> None:
        async with reading(replica, user=user) as open_replica:
            chunks = write(open_replica.collection(collection), counted)
            if bom:
                chunks = _with_bom(chunks)
            if to_stdout:
                for chunk in chunks:
                    write_utf8(chunk)
            else:
                _save(file, chunks, lang)

    run(work())
    told = to_tell()
    told.print(say("exported", lang, n=counted.records, file=file), soft_wrap=True)
    if counted.conflicts:
        told.print(say("exported_conflicts", lang, n=counted.conflicts))


class _Counted:
    records = 0
    conflicts = 0

    def note(self, record: Record) -> None:
        self.records += 1
        self.conflicts += len(record.conflicts)


Writer = Callable[[Collection, _Counted], Iterator[str]]


def _each(collection: Collection, counted: _Counted) -> Iterator[Record]:
    for record_id in collection:
        record = collection.get(record_id)
        if record is not None:  # it may be deleted while we read
            counted.note(record)
            yield record


def _json_lines(collection: Collection, counted: _Counted) -> Iterator[str]:
    key = id_column_of(collection.policy)
    for record in _each(collection, counted):
        yield json.dumps({key: record.id, **record.to_json()}, ensure_ascii=False) + "\n"


def _csv(spreadsheet_safe: bool) -> Writer:
    def write(collection: Collection, counted: _Counted) -> Iterator[str]:
        policy, hidden = collection.policy, collection.hidden
        fields = [field for field in policy.fields.values() if field.name not in hidden]
        yield _csv_line([id_column_of(policy), *(field.name for field in fields)])
        for record in _each(collection, counted):
            record_id = guarded(record.id) if spreadsheet_safe else record.id
            cells = (_cell(field, record[field.name], spreadsheet_safe) for field in fields)
            yield _csv_line([record_id, *cells])

    return write


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(list(cells))
    return line.getvalue()


def _cell(field: FieldPolicy, value: Any, spreadsheet_safe: bool) -> str:
    if value is None:
        return ""
    plain = plain_json(value)
    if isinstance(value, Conflict) or field.type.kind in JSON_KINDS:
        return json.dumps(plain, ensure_ascii=False)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str) and spreadsheet_safe and field.type.kind == "string":
        return guarded(plain)
    return str(plain)


def _with_bom(chunks: Iterator[str]) -> Iterator[str]:
    yield "\ufeff"
    yield from chunks


def _save(file: Path, chunks: Iterator[str], lang: str) -> None:
    """The whole file or none of it: a full disk leaves what was there before."""
    try:
        write_whole(file, chunks, replace=True)
    except FileNotFoundError:
        raise Failure(say("no_folder", lang, folder=file.parent)) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Failure(say("no_space", lang, file=file), STORAGE) from None
        why = error.strerror or str(error)
        raise Failure(say("file_unwritable", lang, file=file, why=why), STORAGE) from None
