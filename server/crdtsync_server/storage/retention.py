"""Cutting old log detail: values go, receipts and digests stay for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from crdtsync.database import transaction
from crdtsync.documents.ops import DELETION_ROOT
from crdtsync_server.storage.keys import position
from crdtsync_server.storage.receipts import ENTRY_DECODER, ENTRY_ENCODER


def trim_log(
    connection: sqlite3.Connection, sql: Mapping[str, str], space: str, keep_from_seq: int
) -> None:
    """Drop the values of log entries below ``keep_from_seq``.

    What is left of them still is a receipt (outcomes), a link of the digest
    chain, and a step of its record's history walk. Readers below that seq get
    snapshots.
    """
    with transaction(connection):
        row = connection.execute(sql["find_space"], (space,)).fetchone()
        if row is None:
            return
        space_id, head_seq, _, _, log_start = row
        keep_from_seq = min(keep_from_seq, head_seq + 1)
        if keep_from_seq <= log_start:
            return
        bounds = (position(space_id, log_start), position(space_id, keep_from_seq - 1))
        for place, data in connection.execute(sql["log_rows"], bounds).fetchall():
            entry = ENTRY_DECODER.decode(data)
            # Deletes are told from restores by their mark, which later deletes judge by.
            kept = {root: v for root, v in entry.writes.items() if root == DELETION_ROOT}
            short = msgspec.structs.replace(entry, writes=kept, removed=())
            connection.execute(sql["replace_log_entry"], (ENTRY_ENCODER.encode(short), place))
        connection.execute(sql["set_log_start"], (keep_from_seq, space_id))
