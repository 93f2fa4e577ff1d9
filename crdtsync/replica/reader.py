"""The connection that answers reads, beside the one that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
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
        with self._disk_faults_in_words():
            super().__init__(connection, policy)

    def one(self, name: str, *values: Any) -> Any:
        """See ``ReplicaFile``."""
        with self._disk_faults_in_words():
            return super().one(name, *values)

    def all(self, name: str, *values: Any) -> list[Any]:
        """See ``ReplicaFile``."""
        with self._disk_faults_in_words():
            return super().all(name, *values)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One snapshot for several queries (inside a write job of `:memory:` it is a no-op)."""
        connection = self.connection
        began = not connection.in_transaction
        with self._disk_faults_in_words():
            if began:
                connection.execute("BEGIN")
        try:
            yield
        finally:
            # A disk that failed has ended the transaction already. There is nothing to commit,
            # and a commit that failed would leave this reader in the past for ever.
            if began and connection.in_transaction:
                with self._disk_faults_in_words():
                    connection.execute("ROLLBACK")

    @contextmanager
    def _disk_faults_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
