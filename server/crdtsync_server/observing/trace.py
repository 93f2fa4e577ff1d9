"""Tracing: from an op_id, a request_id, a user or a record to timelines (invariant 11)."""

from __future__ import annotations

import sqlite3

from crdtsync.database import StorageError
from crdtsync.policy import Policy
from crdtsync_server.observing.fate import Fates
from crdtsync_server.observing.finding import SQL, Finder, Question
from crdtsync_server.observing.op_rows import OpReader
from crdtsync_server.observing.timeline import Teller
from crdtsync_server.observing.trace_types import Trace
from crdtsync_server.storage.reading import reading


def read_trace(connection: sqlite3.Connection, question: Question) -> Trace:
    """Answer a question from one consistent view of the database.

    Ops of which the reader may read nothing are left out and counted nowhere. Raises
    BadQuestion.
    """
    with reading(connection):
        finder = Finder(connection, question)
        reader = OpReader(connection, question, finder)
        page = finder.find(reader.is_known)
        teller = Teller(reader, Fates(connection), question.lang)
        told = [teller.tell(key) for key in page.keys]
    return Trace(
        query=question.query.strip(),
        kind=page.kind,
        ops=[op for op in told if op is not None],
        next=page.next,
    )


def newest_policy(connection: sqlite3.Connection, what: str) -> Policy:
    """The policy that the server of this database goes by. Raises StorageError."""
    row = connection.execute(SQL["newest_policy"]).fetchone()
    if row is None:
        raise StorageError(f"{what} holds no policy: no server has run on it yet")
    return Policy.parse(row[0], source=what)
