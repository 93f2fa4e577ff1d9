"""The report as Markdown, for tickets and chats."""

from __future__ import annotations

import re

from crdtsync.cli.screen import safe
from crdtsync_server.report.layout import (
    Answered,
    Block,
    Codes,
    Grid,
    Listing,
    Marked,
    Paragraph,
    Piece,
    layout_of,
)
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.page import MARKS

# Whatever could begin markup, a link or a table cell where plain text is meant.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def as_markdown(overview: Overview) -> str:
    """The whole report in the overview's language."""
    layout = layout_of(overview)
    mark = MARKS[layout.verdict.mood]
    parts = [
        f"# {_text(layout.title)}",
        _text(layout.subtitle),
        f"**{mark} {_text(layout.verdict.text)}**",
        _text(layout.sentence),
    ]
    for section in layout.sections:
        parts.append(f"## {_text(section.heading)}")
        parts += map(_block, section.blocks)
    return "\n\n".join(parts) + "\n"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", safe(text))


def _block(block: Block) -> str:
    match block:
        case Paragraph(text, small):
            return f"_{_text(text)}_" if small else _text(text)
        case Listing(items):
            return "\n".join(f"- {_piece(item)}" for item in items)
        case Answered(question, answer, evidence):
            listed = "\n".join(f"- {_text(one)}" for one in evidence)
            return f"### {_text(question)}\n\n**{_piece(answer)}**\n\n{listed}"
        case Grid(columns, numbers, rows):
            rule = ["---:" if place in numbers else "---" for place in range(len(columns))]
            lines = [[_text(one) for one in columns], rule]
            lines += [[_piece(piece) for piece in row] for row in rows]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _piece(piece: Piece) -> str:
    match piece:
        case Marked(mood, text, _):
            return f"{MARKS[mood]} {_text(text)}"
        case Codes(values):
            return " ".join(f"`{safe(value).replace('`', '')}`" for value in values) or "–"
        case _:
            return _text(piece)
