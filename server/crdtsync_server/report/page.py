"""The report as one HTML page: no scripts, nothing loaded from elsewhere, good on paper."""

from __future__ import annotations

from html import escape as escape_html
from importlib import resources

from crdtsync.cli.screen import safe
from crdtsync_server.acceptance.html_tables import Cell, Column, table
from crdtsync_server.report.layout import (
    Answered,
    Block,
    Codes,
    Grid,
    Layout,
    Listing,
    Marked,
    Paragraph,
    Piece,
    Section,
    layout_of,
)
from crdtsync_server.report.measures import Mood, Overview

MARKS: dict[Mood, str] = {"good": "✓", "bad": "✗", "unknown": "?"}
CLASSES: dict[Mood, str] = {"good": "passed", "bad": "failed", "unknown": "not-run"}

SHORT = 14
"""Characters of a mark that stays on one line."""


def as_html(overview: Overview) -> str:
    """A complete, well-formed document in the overview's language."""
    layout = layout_of(overview)
    shared = resources.files("crdtsync_server.acceptance").joinpath("page.css")
    own = resources.files("crdtsync_server.report").joinpath("page.css")
    css = shared.read_text("utf-8") + own.read_text("utf-8")
    title = f"{layout.title} – {layout.verdict.text}"
    body = "".join((_top(layout), *map(_section, layout.sections)))
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="{layout.lang}">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{_text(title)}</title>\n<style>\n{css}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Text as HTML; control characters of values become visible and harmless."""
    return escape_html(safe(text))


def _top(layout: Layout) -> str:
    kind = "go" if layout.verdict.mood == "good" else "no-go"
    mark = MARKS[layout.verdict.mood]
    return (
        f"<h1>{_text(layout.title)}</h1>\n<p>{_text(layout.subtitle)}</p>\n"
        f'<p class="verdict {kind}"><span aria-hidden="true">{mark} </span>'
        f"{_text(layout.verdict.text)}</p>\n"
        f'<p class="sentence">{_text(layout.sentence)}</p>\n'
    )


def _section(section: Section) -> str:
    blocks = "".join(map(_block, section.blocks))
    return (
        f'<section aria-labelledby="{section.key}">\n'
        f'<h2 id="{section.key}">{_text(section.heading)}</h2>\n{blocks}</section>\n'
    )


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, small):
            inner = f"<small>{_text(text)}</small>" if small else _text(text)
            return f"<p>{inner}</p>\n"
        case Listing(items):
            listed = "".join(f"<li>{_piece(item)}</li>\n" for item in items)
            return f'<ul class="plain">\n{listed}</ul>\n'
        case Answered(question, answer, evidence):
            listed = "".join(f"<li>{_text(one)}</li>\n" for one in evidence)
            return (
                f'<div class="question"><h3>{_text(question)}</h3>\n'
                f"<p>{_piece(answer)}</p>\n<ul>\n{listed}</ul></div>\n"
            )
        case Grid():
            return _grid(block)


def _grid(grid: Grid) -> str:
    columns = [
        Column(_text(heading), "number" if place in grid.numbers else "")
        for place, heading in enumerate(grid.columns)
    ]
    rows = [[Cell(_piece(piece)) for piece in row] for row in grid.rows]
    return table("cards", columns, rows, row_headings=True)


def _piece(piece: Piece) -> str:
    match piece:
        case Marked(mood, text, spoken):
            kind = f"{CLASSES[mood]} short" if len(text) <= SHORT else CLASSES[mood]
            heard = f'<span class="heard">{_text(spoken)}: </span>' if spoken else ""
            return (
                f'<span class="{kind}"><span class="sign" aria-hidden="true">'
                f"{MARKS[mood]}</span> {heard}{_text(text)}</span>"
            )
        case Codes(values):
            return " ".join(f"<code>{_text(value)}</code>" for value in values) or "–"
        case _:
            return _text(piece)
