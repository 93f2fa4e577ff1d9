"""Which ops each device saw acknowledged: stored as it reports, for reconciliation.

The newest ``RANGES_KEPT`` ranges of a replica keep the op_ids that it named, so that
the report can say of each whether the log has it (report/reconciliation.py). An older
range is folded into the oldest one: its op_ids are looked up a last time, the digest
goes on as the XOR of both, and what the log did not have is remembered by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crdtsync_server.storage.keys import SEQ_BITS, in_chunks, seq_of
from crdtsync_server.work import AcknowledgedNote

RANGES_KEPT = 32
"""Ranges per replica that keep their op_ids: half an hour of a device that never rests,
weeks of one that connects now and then. At most 512 kB a device."""

MISSING_KEPT = 256
"""Op_ids of one replica that are remembered as missing. A log that lacks more has one
fault, not so many, and the report counts further ones without naming them."""

LOOK_UPS = 4_000
"""Op_ids that one group looks up to fold ranges, about 20 ms. What is left waits for the
replica's next report; its ranges stay until then."""

FOLDED_AT_ONCE = 8
"""Ranges of one replica that one group folds, and so reads: 128 kB. An honest device reports
4 at once."""

RANGES_HELD = 2 * RANGES_KEPT
"""Ranges of a replica that stay while they wait to be folded, 1 MB. A device that reports
faster than its ranges are folded is not listened to until there is room."""

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Range:
    """Ops in (from_seq, to_seq] that a replica saw acknowledged."""

    to_seq: int
    from_seq: int
    count: int
    digest: bytes
    received_us: int
    op_ids: bytes
    """All of them by name, or none: a folded range, or an older replica's."""
    missing: bytes
    """Those that the log did not have when the range was folded."""


def split_keys(joined: bytes) -> list[bytes]:
    """The 16-byte keys in a row of them; half a key at the end is left out."""
    whole = len(joined) // KEY_BYTES * KEY_BYTES
    return [joined[start : start + KEY_BYTES] for start in range(0, whole, KEY_BYTES)]


def xor(first: bytes, second: bytes) -> bytes:
    """Both digests in one. One that is empty, because ranges overlapped, stays empty."""
    if not first or not second:
        return b""
    whole = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    return whole.to_bytes(KEY_BYTES, "big")


def store_acknowledged(
    connection: sqlite3.Connection, sql: Mapping[str, str], notes: Iterable[AcknowledgedNote]
) -> None:
    """Store what replicas reported, and fold their older ranges.

    What comes beyond ``RANGES_HELD`` is left out, and so is what follows on something that
    was left out, here or before: the replica's next welcome names the end of what is
    stored, and it reports from there again.
    """
    touched: dict[int, int] = {}
    for note in notes:
        found = connection.execute(
            sql["replica_of_space"], (note.space, note.replica_id)
        ).fetchone()
        if found is None:
            continue
        replica, space_id = found
        touched[replica] = space_id
        told = note.digest
        held, until_seq = connection.execute(sql["extent_of_acknowledged"], (replica,)).fetchone()
        if held and (held >= RANGES_HELD or told.from_seq > until_seq):
            continue
        _put(
            connection,
            sql,
            replica,
            Range(
                told.to_seq,
                told.from_seq,
                told.count,
                told.digest,
                note.at_us,
                told.op_ids,
                b"",
            ),
        )
    left = LOOK_UPS
    for replica, space_id in touched.items():
        left = _fold(connection, sql, replica, space_id, left)


def _fold(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    replica: int,
    space_id: int,
    left: int,
) -> int:
    """Fold what is above the bound as far as ``left`` look-ups go; how many are left."""
    (many,) = connection.execute(sql["count_acknowledged"], (replica,)).fetchone()
    excess = min(many - RANGES_KEPT, FOLDED_AT_ONCE)
    if excess <= 0 or left <= 0:
        return left
    rows = connection.execute(sql["acknowledged_of"], (replica, excess + 1)).fetchall()
    ranges = [Range(*row) for row in rows]
    folded = ranges[0]
    for number, one in enumerate(ranges):
        if number and left <= 0:
            break
        looked_up, one = _without_names(connection, sql, space_id, one)
        left -= looked_up
        connection.execute(sql["drop_acknowledged"], (replica, one.to_seq))
        folded = one if number == 0 else _joined(folded, one)
    _put(connection, sql, replica, folded)
    return left


def _without_names(
    connection: sqlite3.Connection, sql: Mapping[str, str], space_id: int, one: Range
) -> tuple[int, Range]:
    keys = split_keys(one.op_ids)
    places = find_places(connection, sql["find_places"], keys)
    missing = [key for key in keys if not is_within(places.get(key), space_id, one)]
    kept = (one.missing + b"".join(missing))[: MISSING_KEPT * KEY_BYTES]
    return len(keys), Range(
        one.to_seq, one.from_seq, one.count, one.digest, one.received_us, b"", kept
    )


def find_places(
    connection: sqlite3.Connection, statement: str, keys: list[bytes]
) -> dict[bytes, int]:
    """Where in the log the receipts place these ops."""
    found: dict[bytes, int] = {}
    for placeholders, chunk in in_chunks(keys):
        found.update(connection.execute(statement.replace("/*ids*/", placeholders), chunk))
    return found


def is_within(place: int | None, space_id: int, one: Range) -> bool:
    """Whether an op stands in the log where the replica saw it."""
    if place is None or place >> SEQ_BITS != space_id:
        return False
    return one.from_seq < seq_of(place) <= one.to_seq


def _joined(older: Range, newer: Range) -> Range:
    missing = (older.missing + newer.missing)[: MISSING_KEPT * KEY_BYTES]
    # An older copy of a file that went on may tell of the same ops once more.
    overlap = newer.from_seq < older.to_seq
    return Range(
        max(older.to_seq, newer.to_seq),
        min(older.from_seq, newer.from_seq),
        older.count + newer.count,
        b"" if overlap else xor(older.digest, newer.digest),
        newer.received_us,
        b"",
        missing,
    )


def _put(connection: sqlite3.Connection, sql: Mapping[str, str], replica: int, one: Range) -> None:
    connection.execute(
        sql["add_acknowledged"],
        (
            replica,
            one.to_seq,
            one.from_seq,
            one.count,
            one.digest,
            one.received_us,
            one.op_ids,
            one.missing,
        ),
    )
