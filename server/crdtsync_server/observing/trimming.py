"""Trimming what is recorded about how ops travelled: by age with the log, and by number.

Whatever the retention, after each hour's round there are at most: 2,000,000 pushes with the groups
that decided them, 2,000,000 ops of pushes that did not enter the log, 1,000,000 earlier
attempts that devices told of, 1,000,000 connections beside those that are open, and 1,000
cursor reports of each replica. The newest stay.

A bounded slice is one transaction; groups of ops go in between (``trimming.py`` of the
server calls it). What a trace then no longer knows it says.
"""

from __future__ import annotations

import sqlite3

from crdtsync.database import transaction
from crdtsync_server.observing.recording import SQL

SLICE_REQUESTS = 200
"""Pushes that one transaction drops, with the attempts that came in them."""

SLICE_ROWS = 2_000
"""Of each other table, and of attempts beyond their number: about 10 ms."""

SLICE_REPLICAS = 100
"""Replicas whose cursor reports one transaction counts: about 5 ms where nothing goes."""

OLDEST_REQUESTS = 10_000
"""Pushes that are looked at for the first group that is still needed."""

MAX_REQUESTS = 2_000_000
"""Pushes that are kept whatever their age: 300 MB. A server that keeps its log for ever,
or meets a flood, still ends somewhere. There is at most a group, 55 bytes, for each."""

MAX_ATTEMPTS = 2_000_000
"""Ops of pushes that did not enter the log: 300 MB."""

MAX_CLIENT_ATTEMPTS = 1_000_000
"""Earlier attempts that devices told of: 170 MB. Counting so many takes 15 ms."""

MAX_CONNECTIONS = 1_000_000
"""Connections that have ended: 160 MB."""

REPORTS_KEPT = 1_000
"""Cursor reports per replica, 45 kB: more than a working day of one that gets something new
every minute. Older ops are then known to be on a replica, but no longer since when."""


def trim_trace(
    connection: sqlite3.Connection,
    *,
    before_us: int,
    max_requests: int = MAX_REQUESTS,
    max_attempts: int = MAX_ATTEMPTS,
    max_client_attempts: int = MAX_CLIENT_ATTEMPTS,
    max_connections: int = MAX_CONNECTIONS,
) -> int:
    """Drop the next slice of what is older than ``before_us`` or too many; how many rows.

    When it raises, nothing of the slice happened.
    """
    with transaction(connection):
        run = connection.execute
        (oldest,) = run(SQL["first_kept_request"], (max_requests,)).fetchone()
        old = run(SQL["old_requests"], (before_us, SLICE_REQUESTS)).fetchall()
        old = old or run(SQL["requests_below"], (oldest, SLICE_REQUESTS)).fetchall()
        rows = 0
        if old:
            for name in ("drop_attempts_of", "drop_client_attempts_of", "drop_request"):
                rows += connection.executemany(SQL[name], old).rowcount
        (first_group,) = run(SQL["first_kept_group"], (OLDEST_REQUESTS,)).fetchone()
        for name, bound in (
            ("drop_attempts_beyond", max_attempts),
            ("drop_groups", first_group),
            ("drop_connections", before_us),
            ("drop_connections_beyond", max_connections),
            ("drop_cursor_reports", before_us),
        ):
            rows += run(SQL[name], (bound, SLICE_ROWS)).rowcount
        if not rows:  # counting is dear, and once a round is enough
            bounds = (max_client_attempts, SLICE_ROWS)
            rows += run(SQL["drop_client_attempts_beyond"], bounds).rowcount
    return rows


def trim_reports(
    connection: sqlite3.Connection, *, after_replica: int, kept: int = REPORTS_KEPT
) -> int | None:
    """Drop cursor reports beyond ``kept`` of the next replicas; where to go on, None at the end.

    ``after_replica`` is what the slice before returned, 0 at first. When it raises, nothing
    of the slice happened.
    """
    rows_left = SLICE_ROWS
    with transaction(connection):
        for _ in range(SLICE_REPLICAS):
            found = connection.execute(SQL["next_reporting_replica"], (after_replica,))
            (replica,) = found.fetchone()
            if replica is None:
                return None
            bounds = (replica, kept, rows_left)
            rows_left -= connection.execute(SQL["drop_cursor_reports_beyond"], bounds).rowcount
            if not rows_left:
                return after_replica  # this replica may have more
            after_replica = int(replica)
    return after_replica
