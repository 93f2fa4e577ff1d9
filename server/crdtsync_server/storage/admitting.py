"""What the store knows about a replica that says hello."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from crdtsync.protocol.admission import Admission, places_named, run_is_known
from crdtsync.protocol.messages import Hello, Landmark
from crdtsync_server.storage.keys import position
from crdtsync_server.storage.receipts import ENTRY_DECODER


def read_admission(
    connection: sqlite3.Connection, sql: Mapping[str, str], hello: Hello, now_us: int
) -> Admission:
    """Read the replica's last run, the head, and the digests that the hello names."""
    space = connection.execute(sql["find_space"], (hello.space,)).fetchone()
    if space is None:
        return Admission(True, Landmark(0, b""), 1, {}, now_us)
    space_id, seq, digest, _, log_start = space
    replica = connection.execute(sql["find_replica"], (space_id, hello.replica_id)).fetchone()
    stored_run = None if replica is None else replica[1]
    digests: dict[int, bytes] = {}
    for named in places_named(hello):
        if named <= seq:
            row = connection.execute(sql["log_entry"], (position(space_id, named),)).fetchone()
            digests[named] = ENTRY_DECODER.decode(row[0]).digest
    known = run_is_known(stored_run, hello)
    acknowledged = None
    if replica is not None:
        (acknowledged,) = connection.execute(sql["acknowledged_until"], (replica[0],)).fetchone()
    return Admission(known, Landmark(seq, digest), log_start, digests, now_us, acknowledged)
