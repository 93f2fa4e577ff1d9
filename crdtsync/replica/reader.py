"""The connection that answers reads, beside the one that writes."""

from __future__ import annotations

import sqlite3

from crdtsync.database import InlineExecutor, connect_to_read, explain
from crdtsync.replica.store import MEMORY, ReplicaStore


def open_reader(path: str, store: ReplicaStore) -> sqlite3.Connection:
    """A connection for reading beside the store's own."""
    if path == MEMORY:
        executor = store.executor
        assert isinstance(executor, InlineExecutor)
        return executor.connection
    try:
        return connect_to_read(path)
    except sqlite3.Error as error:
        raise explain(error, path) from error


class snapshot:  # noqa: N801 - reads as a statement: `with snapshot(connection):`
    """One snapshot for several queries (inside a write job of `:memory:` it is a no-op)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._began = False

    def __enter__(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
            self._began = True

    def __exit__(self, *_: object) -> None:
        if self._began:
            self._connection.execute("COMMIT")
