"""CSV and JSON-lines files as numbered lines, bounded in memory, bad ones marked as such."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final

from crdtsync.cli.failures import Failure, value_words
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import read_json
from crdtsync.policy import InvalidValue

MAX_LINE_CHARS: Final = 4 * 1024 * 1024
"""Longest line that is read: a record with many large fields is still shorter, and a
file without line ends must not fill the memory."""

csv.field_size_limit(MAX_LINE_CHARS)

UTF8 = "utf-8"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line cannot be used: a text of the catalogue, or a value's error."""

    key: str
    params: Mapping[str, object]
    error: InvalidValue | None = None

    def words(self, lang: str) -> str:
        """For the person who corrects the file."""
        if self.error is not None:
            return value_words(self.error, lang)
        return say(self.key, lang, **self.params)


def problem(key: str, **params: object) -> Problem:
    """A problem with its parameters by name."""
    return Problem(key, params)


@dataclass(frozen=True, slots=True)
class Line:
    """One record of the file: its cells by column, or what is wrong with it."""

    number: int  # of its first line in the file, from 1
    cells: Mapping[str, object]
    problem: Problem | None = None
    typed: bool = False  # JSON brings types of its own; a CSV cell is text


class BoundedLines:
    """The lines of a text; an overlong one comes empty and is noted."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.number = 0
        self.last_too_long = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE_CHARS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE_CHARS and line[-1] not in "\r\n":
            self.last_too_long = self.number
            while line and line[-1] not in "\r\n":
                line = self._text.readline(MAX_LINE_CHARS)
            return "\n"
        return line


def open_text(file: IO[bytes], encoding: str, lang: str) -> IO[str]:
    """The file as text. Bytes that are no text become lone surrogates, so that only the
    lines that hold them are refused."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"  # with or without a byte order mark
        start = file.peek(2)[:2] if isinstance(file, io.BufferedReader) else b""
        if start in (b"\xff\xfe", b"\xfe\xff"):
            raise Failure(say("file_is_utf16", lang))
    try:
        return io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    except LookupError:
        raise Failure(say("no_such_encoding", lang, encoding=encoding)) from None


def _unreadable(text: str) -> Problem | None:
    if any("\udc80" <= char <= "\udcff" for char in text):
        return problem("bad_encoding")
    if "\x00" in text:
        return problem("bad_nul")
    return None


# ── CSV ─────────────────────────────────────────────────────────────────────


class CsvLines:
    """A CSV file with a header. Iterate it for its lines."""

    def __init__(self, text: IO[str], *, delimiter: str, lang: str) -> None:
        self._lines = BoundedLines(text)
        # strict: a quote that is never closed is an error, not one huge cell.
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
        self.columns = self._header(delimiter, lang)

    def _header(self, delimiter: str, lang: str) -> tuple[str, ...]:
        try:
            names = next((row for row in self._reader if row), None)
        except csv.Error as error:
            raise Failure(say("bad_header", lang, reason=str(error))) from None
        if names is None:
            raise Failure(say("file_is_empty", lang))
        columns = tuple(name.strip() for name in names)
        found = _unreadable("".join(columns))
        if self._lines.last_too_long:
            found = problem("too_long_line", limit=MAX_LINE_CHARS)
        if found is not None:
            raise Failure(say("bad_header", lang, reason=found.words(lang)))
        if "" in columns:
            raise Failure(say("header_gap", lang, place=columns.index("") + 1))
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise Failure(say("header_twice", lang, names=", ".join(twice)))
        if len(columns) == 1:
            other = next((sign for sign in ";\t|," if sign in columns[0]), None)
            if other is not None and other != delimiter:
                shown = "tab" if other == "\t" else other
                raise Failure(say("other_delimiter", lang, header=columns[0], sign=shown))
        return columns

    def __iter__(self) -> Iterator[Line]:
        while True:
            start = self._lines.number + 1
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(start, {}, self._syntax(error, start))
                continue
            if self._lines.last_too_long >= start:
                yield Line(start, {}, problem("too_long_line", limit=MAX_LINE_CHARS))
            elif row:
                yield self._line(start, row)

    def _line(self, start: int, row: list[str]) -> Line:
        found = next((bad for cell in row if (bad := _unreadable(cell)) is not None), None)
        if found is None and len(row) != len(self.columns):
            found = problem("ragged", n=len(row), columns=len(self.columns))
        return Line(start, dict(zip(self.columns, row, strict=False)), found)

    def _syntax(self, error: csv.Error, start: int) -> Problem:
        words = str(error)
        if "unexpected end of data" in words or "field limit" in words:
            return problem("open_quote", start=start, end=self._lines.number)
        return problem("bad_csv", reason=words)


# ── JSON lines ──────────────────────────────────────────────────────────────


class JsonLines:
    """A file with one JSON object per line. Iterate it for its lines."""

    columns = None

    def __init__(self, text: IO[str]) -> None:
        self._lines = BoundedLines(text)

    def __iter__(self) -> Iterator[Line]:
        for text in self._lines:
            number = self._lines.number
            if self._lines.last_too_long == number:
                yield Line(number, {}, problem("too_long_line", limit=MAX_LINE_CHARS))
            elif text.strip():
                yield _json_line(number, text)


def _json_line(number: int, text: str) -> Line:
    found = _unreadable(text)
    if found is not None:
        return Line(number, {}, found)
    try:
        value = read_json(text)
    except RecursionError:
        return Line(number, {}, problem("bad_json", reason="nested too deeply"))
    except json.JSONDecodeError as error:
        reason = f"{error.msg} ({error.colno})"
        return Line(number, {}, problem("bad_json", reason=reason))
    except ValueError as error:
        return Line(number, {}, problem("bad_json", reason=str(error)))
    if not isinstance(value, dict):
        return Line(number, {}, problem("not_an_object"))
    return Line(number, value, typed=True)
