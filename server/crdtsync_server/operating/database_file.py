"""The database file of a server: where it is, and opening it without touching it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from crdtsync.database import BUSY_TIMEOUT_MS, StorageError, connect_to_read, explain
from crdtsync_server.storage.store import FILE_NAME


def database_of(place: Path) -> Path:
    """The database of a data folder, or the file itself. Raises StorageError in words."""
    if place.is_dir():
        path = place / FILE_NAME
        if not path.exists():
            raise StorageError(f"{place} holds no {FILE_NAME}; this is not a server's data folder")
        return path
    if not place.exists():
        raise StorageError(f"{place} does not exist")
    return place


def connect_to_check(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside a server too. Raises StorageError.

    On a medium that cannot be written, SQLite cannot make the files that it uses to
    read beside others; then nobody else writes either, and it reads the file alone.
    """
    try:
        return connect_to_read(str(path))
    except sqlite3.OperationalError as error:
        alone = not os.access(path.parent, os.W_OK) and not _has_wal(path)
        if not alone:
            raise explain(error, str(path)) from error
    except sqlite3.DatabaseError as error:
        raise explain(error, str(path)) from error
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _has_wal(path: Path) -> bool:
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class SpaceHead:
    """Where a space's log ends."""

    name: str
    seq: int


def heads(connection: sqlite3.Connection) -> tuple[SpaceHead, ...]:
    """The head of every space, by name."""
    rows = connection.execute("SELECT name, seq FROM spaces ORDER BY name")
    return tuple(SpaceHead(name, seq) for name, seq in rows)
