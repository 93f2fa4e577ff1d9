"""Tables of an HTML page that stay tables for a screen reader at every width.

On a phone the style sheet shows each row as a card. Browsers forget then that it is a
table, so the roles are written out, and each cell carries its column's heading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``heading`` is HTML already."""

    heading: str
    kind: str = ""
    """A class of the style sheet for its cells, e.g. ``number``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell; ``html`` is HTML already."""

    html: str
    bad: bool = False


def table(
    css: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    *,
    row_headings: bool,
    total: Sequence[Cell] | None = None,
) -> str:
    """A table; with ``row_headings`` the first cell of each row is its heading."""
    head = "".join(
        f'<th scope="col" role="columnheader" class="{column.kind}">{column.heading}</th>'
        for column in columns
    )
    body = "".join(_row(columns, row, row_headings) for row in rows)
    foot = ""
    if total is not None:
        foot = f'<tfoot role="rowgroup">\n{_row(columns, total, row_headings)}</tfoot>\n'
    return (
        f'<div class="scroll"><table class="{css}" role="table">\n'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}</tbody>\n{foot}</table></div>\n'
    )


def _row(columns: Sequence[Column], cells: Sequence[Cell], row_headings: bool) -> str:
    parts = []
    for number, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        if row_headings and number == 0:
            parts.append(f'<th scope="row" role="rowheader">{cell.html}</th>')
            continue
        kind = f"{column.kind} bad".strip() if cell.bad else column.kind
        label = f'data-label="{column.heading}"'
        parts.append(f'<td role="cell" class="{kind}" {label}>{cell.html}</td>')
    return f'<tr role="row">{"".join(parts)}</tr>\n'
