"""Frames in a few words."""

from __future__ import annotations

from typing import Any

from crdtsync.documents.state import LogEntry
from crdtsync.protocol.codec import decode_client, decode_server
from crdtsync.protocol.messages import Answers, Changes, Push, Receipt, SnapshotPage, Welcome

LONGEST = 160


def words_of(way: str, frame: bytes) -> str:
    """What a frame says."""
    message: Any = decode_client(frame) if way == "up" else decode_server(frame)
    name = type(message).__name__.lower()
    match message:
        case Push():
            parts = [f"{one.op.op_id[:8]}@{one.op.record}#{one.attempts}" for one in message.ops]
            return f"{name} {' '.join(parts)}"
        case Answers():
            parts = [
                f"{one.op_id[:8]}={f'seq {one.seq}' if isinstance(one, Receipt) else _short(one)}"
                for one in message.answers
            ]
            return f"{name} {' '.join(parts)}"
        case Changes():
            parts = [
                f"{one.seq}:{one.op_id[:8]}@{one.record}" if isinstance(one, LogEntry) else "stub"
                for one in message.entries
            ]
            return f"{name} {' '.join(parts)}"
        case Welcome():
            paging = "" if message.paging is None else " paging"
            diverged = "" if message.diverged is None else f" diverged after {message.diverged}"
            return f"{name} head {message.head.seq}{paging}{diverged}"
        case SnapshotPage():
            return f"{name} {[row.record for row in message.rows]} head {message.head.seq}"
        case _:
            return f"{name} {str(message)[:LONGEST]}"


def _short(answer: Any) -> str:
    code = getattr(answer, "code", None) or getattr(answer, "reason", "")
    return f"{type(answer).__name__.lower()} {code}".strip()
