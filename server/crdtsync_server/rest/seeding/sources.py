"""Where rows come from: files as ``import`` reads them, or a query of a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crdtsync.cli.failures import BAD_INPUT, Failure
from crdtsync.cli.importing.import_command import Format
from crdtsync.cli.importing.lines import CsvLines, JsonLines, Line, Problem, open_text
from crdtsync.cli.texts import say
from crdtsync_server.rest.seeding.words import tell


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that are read one by one. ``columns`` None: each row names its own."""

    columns: tuple[str, ...] | None
    lines: Iterator[Line]
    total: int | None
    """How many there are, where that can be known."""


class BadCell(Problem):
    """A cell that no field takes, whatever its type."""

    def words(self, lang: str) -> str:
        """For the person who corrects the query."""
        return tell(self.key, lang, **self.params)


@contextmanager
def rows_of_file(
    file: Path, file_format: Format, *, delimiter: str, encoding: str, lang: str
) -> Iterator[Rows]:
    """The rows of a CSV or JSON-lines file. Raises Failure."""
    try:
        binary = file.open("rb")
    except OSError as error:
        words = say("file_unreadable", lang, file=file, why=error.strerror)
        raise Failure(words, BAD_INPUT) from None
    with binary, open_text(binary, encoding, lang) as text:
        if file_format is Format.CSV:
            csv = CsvLines(text, delimiter=delimiter, lang=lang)
            yield Rows(csv.columns, iter(csv), None)
        else:
            yield Rows(None, iter(JsonLines(text)), None)


@contextmanager
def rows_of_sqlite(file: Path, query: str, lang: str) -> Iterator[Rows]:
    """The rows that a query gives. The database is only read. Raises Failure."""
    if not file.is_file():
        words = tell("bad_database", lang, file=file, reason=say("no_file", lang, file=file))
        raise Failure(words, BAD_INPUT)
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        # Bytes that are no text become lone surrogates, so that only their rows are refused.
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema")
        except sqlite3.Error as error:
            words = tell("bad_database", lang, file=file, reason=error)
            raise Failure(words, BAD_INPUT) from None
        try:
            cursor = connection.execute(query)
            if cursor.description is None:
                raise sqlite3.OperationalError("it gives no rows")
            columns = tuple(column[0] for column in cursor.description)
            # On a line of its own: the query may end with a comment.
            (total,) = connection.execute(f"SELECT count(*) FROM (\n{query}\n)").fetchone()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise Failure(tell("bad_query", lang, reason=error), BAD_INPUT) from None
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise Failure(say("header_twice", lang, names=", ".join(twice)))
        yield Rows(columns, _lines(cursor, columns, lang), total)


def query_of_table(name: str) -> str:
    """Everything of a table."""
    quoted = name.replace('"', '""')
    return f'SELECT * FROM "{quoted}"'


def _lines(cursor: sqlite3.Cursor, columns: tuple[str, ...], lang: str) -> Iterator[Line]:
    for number, row in enumerate(_rows(cursor, lang), start=1):
        cells: dict[str, object] = {}
        found: Problem | None = None
        for column, cell in zip(columns, row, strict=True):
            if isinstance(cell, bytes):
                found = BadCell("blob", {"column": column})
            elif isinstance(cell, str) and not _is_text(cell):
                found = BadCell("not_text", {"column": column})
            elif cell is not None:
                cells[column] = _text(cell)
        yield Line(number, cells, found)


def _rows(cursor: sqlite3.Cursor, lang: str) -> Iterator[tuple[object, ...]]:
    try:
        yield from cursor
    except sqlite3.Error as error:  # a damaged page, or a function that fails on a row
        raise Failure(tell("bad_query", lang, reason=error), BAD_INPUT) from None


def _is_text(cell: str) -> bool:
    return not any("\udc80" <= char <= "\udcff" for char in cell)


def _text(cell: object) -> str:
    """A cell as a CSV file would have it: SQLite knows no dates, booleans or lists."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
