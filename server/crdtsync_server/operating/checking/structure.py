"""The file itself: pages, indexes, and the tables that a server of this version makes."""

from __future__ import annotations

import contextlib
import sqlite3

from crdtsync.database import StorageError, migrate, newest_schema
from crdtsync_server.operating.checking.findings import Findings
from crdtsync_server.storage.store import MIGRATIONS

MAX_PAGE_WORDS = 200
"""Lines of SQLite's own report that are taken."""

PROGRESS_STEPS = 500_000
"""Of SQLite's virtual machine between two looks at whether somebody pressed Ctrl-C."""


def check_pages(connection: sqlite3.Connection, findings: Findings) -> None:
    """Every page and index, by SQLite's own check."""
    connection.set_progress_handler(lambda: 0, PROGRESS_STEPS)
    try:
        rows = connection.execute(f"PRAGMA integrity_check({MAX_PAGE_WORDS})").fetchall()
    except sqlite3.DatabaseError as error:
        findings.add("damaged_file", "the file", f"it cannot be checked: {error}")
        return
    finally:
        connection.set_progress_handler(None, 0)
    for words in (line for (text,) in rows for line in str(text).splitlines()):
        if words != "ok" and not words.startswith("*** in database"):
            findings.add("damaged_file", "the file", words)


def check_schema_is_ours(connection: sqlite3.Connection, findings: Findings, version: int) -> None:
    """The tables, indexes and columns are those of our own migrations, and nothing else is."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, MIGRATIONS, what="a new database", upto=version)
        expected = _objects(fresh)
    found = _objects(connection)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            findings.add("wrong_structure", name, "it is missing")
        elif name not in expected:
            findings.add("wrong_structure", name, "it does not belong to crdtsync")
        elif found[name] != expected[name]:
            findings.add("wrong_structure", name, "it is not made as crdtsync makes it")


def schema_version(connection: sqlite3.Connection, what: str) -> int:
    """The version of the schema. Raises StorageError for a newer one, or another's file."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    known = newest_schema(MIGRATIONS)
    if version > known:
        raise StorageError(
            f"{what} was written by a newer crdtsync (schema {version}, this one knows {known}); "
            "install that version or a newer one"
        )
    if (
        version == 0
        or not connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'spaces'"
        ).fetchone()
    ):
        raise StorageError(f"{what} is not the database of a crdtsync server")
    return version


def _objects(connection: sqlite3.Connection) -> dict[str, object]:
    """What each table and index is made of. Their SQL text is not compared: it has comments."""
    found: dict[str, object] = {}
    for kind, name in connection.execute(
        "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    ).fetchall():
        pragma = "index_xinfo" if kind == "index" else "table_xinfo"
        columns = connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()
        options = connection.execute(
            "SELECT wr, strict FROM pragma_table_list WHERE name = ?", (name,)
        ).fetchall()
        found[f"{kind} {name}"] = (columns, options)
    return found
