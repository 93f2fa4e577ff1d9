"""Finding and spoiling single pages of an SQLite file (sqlite.org/fileformat2.html, 1.6)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

INTERIOR = {0x02: 12, 0x05: 12}
"""Page type of inner pages of indexes and tables, and where their cell pointers begin."""


def settle(path: Path) -> None:
    """Write what stands in the write-ahead file into the database, and remove it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def leaf_with(path: Path, table: str, marker: bytes) -> int:
    """The page of a table that holds ``marker``."""
    for number, content in leaves(path, table):
        if marker in content:
            return number
    raise AssertionError(f"no page of {table} holds {marker!r}")


def leaves(path: Path, table: str) -> Iterator[tuple[int, bytes]]:
    """The outermost pages of a table, with what they hold."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    data = path.read_bytes()
    waiting = [root]
    while waiting:
        number = waiting.pop()
        page = data[(number - 1) * size : number * size]
        if page[0] not in INTERIOR:
            yield number, page
            continue
        cells = int.from_bytes(page[3:5], "big")
        waiting.append(int.from_bytes(page[8:12], "big"))
        for n in range(cells):
            at = INTERIOR[page[0]] + 2 * n
            cell = int.from_bytes(page[at : at + 2], "big")
            waiting.append(int.from_bytes(page[cell : cell + 4], "big"))


def spoil(path: Path, number: int, content: bytes = b"\xa5") -> None:
    """Overwrite a page with nonsense."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(content * size)
