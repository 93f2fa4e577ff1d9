"""What SQLite alone takes for one row an op, committed as a server commits."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from crdtsync_server.storage.checkpoints import CHECKPOINT_PAGES
from crdtsync_server.storage.store import CACHE_KIB

GROUP = 100
"""Ops a commit: as many as a busy device sends in a frame."""

WARM_SHARE = 10
"""One op of so many comes before the clock runs."""


def receipts_alone(params: Mapping[str, int]) -> dict[str, float]:
    """What finding an op_id for ever costs: one row of a random key an op, nothing else."""
    table = "CREATE TABLE rows (key BLOB PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID"
    return _in_sqlite(params, table, lambda place: (os.urandom(16), place))


def appends_alone(params: Mapping[str, int]) -> dict[str, float]:
    """The same row under a key that grows: a commit and nothing that is random."""
    table = "CREATE TABLE rows (key INTEGER PRIMARY KEY, op_id BLOB NOT NULL)"
    return _in_sqlite(params, table, lambda place: (place, os.urandom(16)))


def _in_sqlite(
    params: Mapping[str, int], table: str, row: Callable[[int], tuple[object, object]]
) -> dict[str, float]:
    records, ops = params["records"], params["ops"]
    insert = "INSERT INTO rows VALUES (?, ?)"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bare.db"
        with closing(_connect(path)) as connection:
            connection.execute(table)
            connection.execute("BEGIN")
            connection.executemany(insert, sorted(row(place) for place in range(records)))
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        os.sync()
        rows = [row(records + place) for place in range(ops)]
        warm = ops // WARM_SHARE // GROUP * GROUP
        with closing(_connect(path)) as connection:
            began_s = cpu_s = 0.0
            for first in range(0, ops, GROUP):
                if first == warm:
                    began_s, cpu_s = time.perf_counter(), time.process_time()
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(insert, sorted(rows[first : first + GROUP]))
                connection.execute("COMMIT")
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
            (count,) = connection.execute("SELECT count(*) FROM rows").fetchone()
            assert count == records + ops
    many = ops - warm
    return {"us": took_s * 1e6 / many, "cpu_us": cpu_s * 1e6 / many}


def _connect(path: Path) -> sqlite3.Connection:
    """Set up as a server's writing connection is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection
