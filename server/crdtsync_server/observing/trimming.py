"""Trimming what is recorded about how ops travelled: by age with the log, and by number.

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
"""Of the other tables, and of attempts beyond their number: about 10 ms."""

MAX_REQUESTS = 2_000_000
"""Pushes that are kept whatever their age: 300 MB. A server that keeps its log for ever,
or meets a flood, still ends somewhere."""

MAX_ATTEMPTS = 2_000_000
"""Ops of pushes that did not enter the log."""


def trim_trace(
    connection: sqlite3.Connection,
    *,
    before_us: int,
    max_requests: int = MAX_REQUESTS,
    max_attempts: int = MAX_ATTEMPTS,
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
        rows += run(SQL["drop_attempts_beyond"], (max_attempts, SLICE_ROWS)).rowcount
        for name in ("drop_groups", "drop_connections", "drop_cursor_reports"):
            rows += run(SQL[name], (before_us, SLICE_ROWS)).rowcount
    return rows
