"""The whole check of one database, and what it found."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crdtsync.database import explain
from crdtsync_server.operating.checking.book import Book
from crdtsync_server.operating.checking.findings import Findings, Progress, no_progress
from crdtsync_server.operating.checking.log_checks import check_log
from crdtsync_server.operating.checking.record_checks import check_records
from crdtsync_server.operating.checking.side_checks import (
    check_conflict_events,
    check_devices,
    check_graves,
    check_kept_values,
)
from crdtsync_server.operating.checking.structure import (
    check_pages,
    check_schema_is_ours,
    schema_version,
)
from crdtsync_server.operating.database_file import connect_to_check
from crdtsync_server.storage.reading import reading

CHECK_CACHE_KIB = 65_536
"""SQLite's page cache of a check: receipts are looked up by random keys."""


@dataclass(frozen=True, slots=True)
class SpaceSeen:
    """A space as the check saw it."""

    name: str
    head_seq: int
    digest: str
    log_start: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check saw and found."""

    path: Path
    schema: int
    policy_version: int | None
    spaces: tuple[SpaceSeen, ...]
    records: int
    findings: Findings

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(path: Path, progress: Progress = no_progress) -> Verified:
    """Check the database at ``path``. Changes nothing, and works beside a running server.

    Everything is read in one transaction: what is checked is the database as of one
    committed group, however long it takes. Meanwhile the server goes on; its
    write-ahead file grows and shrinks again afterwards. Memory is bounded, whatever the number
    of rows. Raises StorageError for a file that cannot be opened, is not a server's
    or is of a newer version.
    """
    findings = Findings()
    with contextlib.closing(connect_to_check(path)) as connection:
        try:
            connection.execute(f"PRAGMA cache_size = -{CHECK_CACHE_KIB}")
            with reading(connection):
                version = schema_version(connection, str(path))
                return _verify(connection, path, version, findings, progress)
        except sqlite3.Error as error:
            raise explain(error, str(path)) from error


def _verify(
    connection: sqlite3.Connection,
    path: Path,
    version: int,
    findings: Findings,
    progress: Progress,
) -> Verified:
    book = Book(connection, findings)
    progress("pages", 0, 0)
    check_pages(connection, findings)
    progress("pages", 1, 1)
    check_schema_is_ours(connection, findings, version)
    _guarded(findings, "spaces", book.read_spaces)
    _guarded(findings, "policies", book.read_policies)
    for name, check in _CHECKS:
        if name in _SINCE and version < _SINCE[name]:
            continue
        _guarded(findings, name, lambda check=check: check(book, progress))  # type: ignore[misc]
    seen = tuple(
        SpaceSeen(one.name, one.head_seq, one.digest.hex(), one.log_start)
        for one in book.spaces.values()
    )
    newest = book.policies[0].version if book.policies else None
    return Verified(path, version, newest, seen, _count_records(connection), findings)


_CHECKS: tuple[tuple[str, Callable[[Book, Progress], None]], ...] = (
    ("log", check_log),
    ("records", check_records),
    ("conflict_events", check_conflict_events),
    ("kept_values", check_kept_values),
    ("graves", check_graves),
    ("replicas", check_devices),
)

_SINCE = {"kept_values": 2}
"""The schema that brought a table."""


def _guarded(findings: Findings, what: str, check: Callable[[], None]) -> None:
    """A page that cannot be read ends one check and not all of them."""
    try:
        check()
    except sqlite3.DatabaseError as error:
        findings.add("damaged_file", what, f"it cannot be read to its end: {error}")


def _count_records(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])
    except sqlite3.DatabaseError:
        return 0
