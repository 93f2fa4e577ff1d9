"""The simulated connection answers as the standard library's does."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crdtsync_server.simulation.disk import Disk, DiskRates
from crdtsync_server.simulation.sqlite import Connection

Either = Any
SCHEMA = "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT UNIQUE, n)"


@pytest.fixture(name="simulated")
def _simulated() -> Iterator[Connection]:
    disk = Disk(random.Random(1))
    connection = disk.connect("words.db")
    connection.execute(SCHEMA)
    yield connection
    disk.close()


@pytest.fixture(name="real")
def _real() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(SCHEMA)
    yield connection
    connection.close()


def _run(connection: Either) -> list[Any]:
    told: list[Any] = []

    def tell(cursor: Any) -> Any:
        told.append((cursor.rowcount, cursor.lastrowid))
        return cursor

    tell(connection.execute("INSERT INTO words (word, n) VALUES (?, ?)", ("a", 1)))
    tell(
        connection.execute("INSERT INTO words (word, n) VALUES (:word, :n)", {"word": "b", "n": 2})
    )
    tell(connection.execute("-- named\n INSERT INTO words (word, n) VALUES (?, ?)", ["c", None]))
    told.append(
        connection.executemany(
            "INSERT INTO words (word, n) VALUES (?, ?)", ((word, 9) for word in "def")
        ).rowcount
    )
    told.append(connection.execute("UPDATE words SET n = 3 WHERE n = 9").rowcount)
    told.append(connection.execute("INSERT OR IGNORE INTO words VALUES (1, 'a', 1)").rowcount)
    told.append(connection.execute("DELETE FROM words WHERE word = 'f'").rowcount)
    selected = connection.execute("SELECT word, n FROM words WHERE id <= ?1 OR n = ?1", (3,))
    told += [selected.rowcount, selected.fetchone(), next(selected), selected.fetchall()]
    told += [selected.fetchone(), list(selected)]
    told.append(list(connection.execute("SELECT id FROM words ORDER BY id DESC")))
    told.append(connection.in_transaction)
    connection.execute("BEGIN IMMEDIATE")
    told.append(connection.in_transaction)
    connection.execute("INSERT INTO words (word, n) VALUES ('x', ?)", (b"\x00\xff",))
    told.append(connection.execute("SELECT n, typeof(n) FROM words WHERE word = 'x'").fetchone())
    connection.execute("ROLLBACK")
    told.append(connection.execute("SELECT count(*) FROM words").fetchone())
    connection.create_collation("backwards", lambda one, two: (one < two) - (one > two))
    told.append(
        connection.execute("SELECT word FROM words ORDER BY word COLLATE backwards").fetchall()
    )
    return told


def test_results_are_those_of_sqlite3(simulated: Connection, real: sqlite3.Connection) -> None:
    found, expected = _run(simulated), _run(real)
    assert found == expected


def _twice(connection: Either) -> None:
    for _ in range(2):
        connection.execute("INSERT INTO words (word) VALUES ('same')")


@pytest.mark.parametrize(
    "wrong",
    [
        _twice,
        lambda connection: connection.execute("SELEKT 1"),
        lambda connection: connection.execute("SELECT * FROM nothing"),
        lambda connection: connection.execute("INSERT INTO words (id) VALUES ('no number')"),
        lambda connection: connection.execute("COMMIT"),
        lambda connection: connection.execute("SELECT ?", ()),
        lambda connection: connection.execute("SELECT :a", {}),
        lambda connection: connection.execute("SELECT ?", (2**64,)),
        lambda connection: (connection.close(), connection.execute("SELECT 1")),
        lambda connection: (connection.close(), connection.in_transaction),
    ],
)
def test_errors_are_those_of_sqlite3(
    wrong: Callable[[Either], object], simulated: Connection, real: sqlite3.Connection
) -> None:
    with pytest.raises(Exception) as expected:
        wrong(real)
    with pytest.raises(type(expected.value)) as caught:
        wrong(simulated)
    assert type(caught.value) is type(expected.value)
    for name in ("sqlite_errorcode", "sqlite_errorname"):
        assert getattr(caught.value, name, None) == getattr(expected.value, name, None)
    if hasattr(expected.value, "sqlite_errorname"):
        assert str(caught.value) == str(expected.value)


def test_a_read_that_fails_is_an_error_of_the_disk() -> None:
    disk = Disk(random.Random(1))
    first = disk.connect("words.db")
    first.execute(SCHEMA)
    first.close()
    second = disk.connect("words.db")
    disk.rates = DiskRates(fail_read=1.0)
    with pytest.raises(sqlite3.OperationalError) as caught:
        second.execute("SELECT * FROM words").fetchall()
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_READ"
    disk.rates = DiskRates()
    assert second.execute("SELECT * FROM words").fetchall() == []
    disk.close()


def test_it_commits_as_the_stores_do_durably(simulated: Connection) -> None:
    said = {
        name: simulated.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "locking_mode")
    }
    assert said == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "locking_mode": "exclusive",
    }
