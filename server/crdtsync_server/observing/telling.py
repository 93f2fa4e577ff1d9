"""Timelines on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from crdtsync.catalogue import note_words
from crdtsync.cli.screen import safe, to_read
from crdtsync_server.observing.trace_types import Trace, TracedOp
from crdtsync_server.observing.words import say


def tell(found: Trace, lang: str) -> None:
    """Print a page, op by op."""
    out = to_read()
    for number, op in enumerate(found.ops):
        if number:
            out.print()
        for line, style in _lines(op, lang):
            out.print(line, style=style, soft_wrap=True)
    if found.next is not None:
        out.print()
        out.print(note_words("more", lang, next=found.next))


def _lines(op: TracedOp, lang: str) -> list[tuple[str, str | None]]:
    record = safe(f"{op.collection}/{op.record}")
    lines: list[tuple[str, str | None]] = [
        (say("heading", lang, record=record, user=safe(op.user)), "bold")
    ]
    about = [
        say("status", lang, status=op.status_words),
        say("device", lang, device=safe(op.device)),
    ]
    if op.fields:
        about.append(say("fields", lang, fields=safe(", ".join(op.fields))))
    lines.append(("  " + " · ".join(about), None))
    for step in op.timeline:
        lines.append((f"  {_time(step.at_us)}  {safe(step.words)}", None))
    lines += [(f"  {note}", None) for note in op.notes]
    requests = dict.fromkeys(step.request_id for step in op.timeline if step.request_id)
    details = [f"op_id {op.op_id}", say("space", lang, space=safe(op.space))]
    details += [f"request_id {request_id}" for request_id in requests]
    lines.append((f"  {say('details', lang)}: " + "; ".join(details), "dim"))
    return lines


def _time(at_us: int) -> str:
    """Local time with milliseconds; the date too, because ways may last for days."""
    try:
        moment = datetime.fromtimestamp(at_us / 1e6, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return str(at_us)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{at_us // 1_000 % 1_000:03d}"
