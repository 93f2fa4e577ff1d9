"""The connection that answers reads, beside the one that writes."""

from __future__ import annotations

import sqlite3
from typing import Any

from crdtsync.database import InlineExecutor, connect_to_read, explain
from crdtsync.policy import Policy
from crdtsync.replica.file import ReplicaFile
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


class View(ReplicaFile):
    """The file as readers see it. A disk that cannot be read is told in words (StorageError)."""

    def __init__(self, connection: sqlite3.Connection, policy: Policy, path: str) -> None:
        self._path = path
        try:
            super().__init__(connection, policy)
        except sqlite3.Error as error:
            raise explain(error, path) from error

    def one(self, name: str, *values: Any) -> Any:
        """See ``ReplicaFile``."""
        try:
            return super().one(name, *values)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def all(self, name: str, *values: Any) -> list[Any]:
        """See ``ReplicaFile``."""
        try:
            return super().all(name, *values)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
