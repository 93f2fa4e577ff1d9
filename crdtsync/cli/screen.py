"""Writing to the terminal: text for people, one JSON document for scripts."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from crdtsync.cli.texts import say
from crdtsync.documents.conflict import Conflict, plain_json

PIPED_WIDTH = 120
"""Columns of what is written to a file or pipe, where no terminal says how many fit."""

# Values come from other people: characters that move the cursor, change colours or
# reorder a line must not reach the terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def to_read() -> Console:
    """Where answers go: standard output."""
    return _console(sys.stdout)


def to_tell() -> Console:
    """Where progress, notes and errors go: standard error."""
    return _console(sys.stderr)


def _console(stream: Any) -> Console:
    width = None
    if not stream.isatty() and "COLUMNS" not in os.environ:
        width = PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def print_json(document: object) -> None:
    """One JSON document on standard output, in UTF-8 whatever the terminal's encoding."""
    write_utf8(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def write_utf8(text: str) -> None:
    """Text on standard output, byte for byte."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def table(*headings: str, title: str | None = None) -> Table:
    """A table that folds long cells and cuts nothing off."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def safe(text: str) -> str:
    """Text of others, without what a terminal would obey."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def value_text(value: object, lang: str) -> str:
    """A value for people. Never one of the values of a conflict by itself."""
    if isinstance(value, Conflict):
        parts = " | ".join(
            f"{value_text(c.value, lang)} ({safe(c.user)})" for c in value.candidates
        )
        return say("several_values", lang, n=len(value.candidates), values=parts)
    if value is None:
        return "–"
    if isinstance(value, bool):
        return say("yes" if value else "no", lang)
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(value_text(item, lang) for item in value)) or say("nothing", lang)
    if isinstance(value, list):
        return ", ".join(value_text(item, lang) for item in value) or say("nothing", lang)
    if isinstance(value, dict):
        return safe(json.dumps(plain_json(value), ensure_ascii=False))
    if isinstance(value, datetime):
        return value.isoformat(" ")  # whole: two values may differ in a second
    return safe(value.isoformat() if isinstance(value, date) else str(value))


def time_text(moment: datetime | None) -> str:
    """A moment in local time, to the minute."""
    if moment is None:
        return "–"
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return moment.astimezone(UTC).isoformat(" ", "minutes")


def change_text(fields: Mapping[str, Any], lang: str) -> str:
    """What a queued change writes, in one line."""
    parts = []
    for name, value in fields.items():
        if name == "(record)":
            parts.append(say("change_delete" if value == "delete" else "change_restore", lang))
        elif isinstance(value, dict) and set(value) == {"add", "removed"}:
            parts.append(f"{name}: {_set_change(value, lang)}")
        elif isinstance(value, dict) and set(value) == {"increment"}:
            parts.append(f"{name} {_signed(value['increment'])}")
        else:
            parts.append(f"{name} = {value_text(value, lang)}")
    return "; ".join(parts)


def _set_change(change: Mapping[str, Any], lang: str) -> str:
    added = ", ".join(f"+{value_text(item, lang)}" for item in change["add"])
    removed = say("change_removed", lang, n=change["removed"]) if change["removed"] else ""
    return " ".join(part for part in (added, removed) if part)


def _signed(delta: object) -> str:
    text = str(delta)
    return text if text.startswith("-") else f"+{text}"
