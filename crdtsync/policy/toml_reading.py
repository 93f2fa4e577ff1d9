"""Reading a policy's TOML: the table, where its keys stand, and all mistakes together."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from .errors import PolicyError, PolicyProblem
from .limits import MAX_POLICY_BYTES, MAX_PROBLEMS
from .value_types import closest

Path = tuple[str, ...]

_HEADER = re.compile(r"\s*\[\s*([^\[\]#]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[^\s=#\"'])+?)\s*=")
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")
# A key of many dotted parts costs tomllib memory by the square of their number, so such
# a file must not reach it. No key of a policy has more than five parts; a text such as
# an OID may look like a longer one.
_MANY_PARTS = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}"""
)

# Longest start of a line that is searched for a key: it keeps the search linear.
_KEY_CHARS = 200


class Problems:
    """Gathers the mistakes of one file, each with the line of its key when it is found."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._lines = _lines_of_keys(text)
        self._found: list[PolicyProblem] = []

    def add(self, path: Iterable[str], what: str, cure: str, line: int | None = None) -> None:
        if len(self._found) >= MAX_PROBLEMS:
            return
        keys = tuple(path)
        known = range(len(keys), 0, -1)
        nearest = next((self._lines[keys[:n]] for n in known if keys[:n] in self._lines), None)
        self._found.append(
            PolicyProblem(where=".".join(keys), what=what, cure=cure, line=line or nearest)
        )

    def unknown_keys(self, path: Path, table: Mapping[str, Any], known: Iterable[str]) -> None:
        names = tuple(known)
        for key in table:
            if len(self._found) >= MAX_PROBLEMS:
                return  # searching for the closest name is slow
            if key not in names:
                self.add((*path, key), f'unknown key "{key}"', closest(key, names))

    def raise_if_any(self) -> None:
        """Raise PolicyError with everything that was added, in the order of the file."""
        if self._found:
            found = sorted(self._found, key=lambda problem: problem.line or 0)
            raise PolicyError(self._source, found)


def read_toml(text: str, problems: Problems) -> dict[str, Any]:
    """The tables of `text`, decimals kept exact. Raises PolicyError at once: a file that
    is not TOML has no further mistakes to find."""
    table: dict[str, Any] = {}
    size_bytes = len(text.encode(errors="replace"))
    if size_bytes > MAX_POLICY_BYTES:
        problems.add(
            (),
            f"the file has {size_bytes} bytes, more than {MAX_POLICY_BYTES}",
            "Split the policy or shorten it.",
        )
    elif any("\ud800" <= char <= "\udfff" for char in text):
        problems.add((), "the text holds lone surrogates", "Save the file as UTF-8 again.")
    elif text.startswith("\ufeff"):
        problems.add((), "the file starts with a byte order mark", "Save it as UTF-8 without BOM.")
    elif many := _MANY_PARTS.search(text):
        problems.add(
            (),
            "a key has more than 50 parts",
            "Name collections and fields without dots.",
            line=text.count("\n", 0, many.start()) + 1,
        )
    else:
        try:
            table = tomllib.loads(text, parse_float=Decimal)
        except RecursionError:
            problems.add((), "the file nests values too deeply", "Flatten it.")
        except (ValueError, ArithmeticError) as error:
            place = _AT_LINE.search(str(error))
            problems.add(
                (),
                f"not valid TOML: {_AT_LINE.sub('', str(error))}",
                "Correct the syntax; names with letters beyond a to z stand in quotes.",
                line=int(place[1]) if place else None,
            )
    problems.raise_if_any()
    return table


def _lines_of_keys(text: str) -> dict[Path, int]:
    """Path of each key that starts a line -> number of that line. A hint for people only:
    a key inside a multi-line string may be taken for one."""
    lines: dict[Path, int] = {}
    table: Path = ()
    if len(text) > MAX_POLICY_BYTES:
        return lines
    for number, line in enumerate(text.split("\n"), 1):
        line = line[:_KEY_CHARS].rstrip("\r")
        if header := _HEADER.fullmatch(line):
            table = _split_key(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_split_key(key[1])), number)
    return lines


def _split_key(key: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in key.split("."))
