"""The life of conflicts, written down as they are decided."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

from crdtsync.documents.ops import EntryId
from crdtsync.documents.settling import ConflictChange
from crdtsync.documents.state import LogEntry

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[EntryId, ...])

_STATUS = {"opened": "open", "changed": "open", "resolved": "resolved", "agreed": "agreed"}


def note_conflicts(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    space_id: int,
    entry: LogEntry,
    changes: Iterable[ConflictChange],
) -> None:
    """Open, change, close or re-open the conflicts that ``entry`` touches.

    A conflict that opens on the very values that closed the last one is the
    last one again: a late write re-opened it.
    """
    for change in changes:
        field = (space_id, entry.collection, entry.record, change.root)
        candidates = _ENCODER.encode(change.after)
        last = connection.execute(sql["last_conflict"], field).fetchone()
        kind = change.kind
        if last is not None and (last[1] == "open" or _closed_on(last[2], change)):
            conflict = last[0]
            reopened = last[1] != "open" and _STATUS[kind] == "open"
            kind = "reopened" if reopened else kind
            connection.execute(
                sql["change_conflict"],
                (_STATUS[change.kind], entry.received_us, candidates, reopened, conflict),
            )
        else:
            conflict = connection.execute(
                sql["open_conflict"], (*field, entry.received_us, entry.received_us, candidates)
            ).lastrowid
            if _STATUS[kind] != "open":
                # A field that became manual while several values stood in it.
                connection.execute(
                    sql["change_conflict"],
                    (_STATUS[kind], entry.received_us, candidates, 0, conflict),
                )
        connection.execute(
            sql["add_conflict_event"],
            (
                conflict,
                entry.seq,
                kind,
                entry.received_us,
                entry.user,
                entry.op_id,
                candidates,
            ),
        )


def _closed_on(candidates: bytes, change: ConflictChange) -> bool:
    return not set(_DECODER.decode(candidates)).isdisjoint(change.before)
