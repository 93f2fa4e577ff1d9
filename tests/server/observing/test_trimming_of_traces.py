"""What is recorded goes with the log's retention, in slices, and is bounded in number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync_server.observing import trimming
from crdtsync_server.observing.trimming import (
    REPORTS_KEPT,
    SLICE_REPLICAS,
    SLICE_REQUESTS,
    SLICE_ROWS,
    trim_reports,
    trim_trace,
)
from crdtsync_server.settings import Retention
from crdtsync_server.storage.store import connect_writer
from tests.server.observing.traced import Clock, greeting, observed, trace
from tests.server.serving import START_US, device, rows_of, write

DAY_US = 86_400_000_000
TABLES = ("requests", "attempts", "client_attempts", "groups", "connections", "cursor_reports")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new database with the writing connection's schema."""
    connection = connect_writer(str(tmp_path / "crdtsync.db"))
    yield connection
    connection.close()


def fill(connection: sqlite3.Connection, days: int, per_day: int = 1) -> None:
    """Rows of each table for so many days, the first of them at 0."""
    number = 0
    connection.execute("BEGIN")
    for day in range(days):
        for _ in range(per_day):
            number += 1
            at_us = day * DAY_US
            key = number.to_bytes(16, "big")
            run = connection.execute
            run("INSERT INTO groups VALUES (?, ?, ?, ?)", (number, at_us, at_us, at_us))
            run(
                "INSERT INTO requests VALUES (?, ?, 1, 1, 'kim', ?, ?, 1, 1, 1, 0, 1, 0, 0)",
                (number, key, number, at_us),
            )
            run(
                "INSERT INTO attempts VALUES (?, ?, 'refused', 'x', NULL, 'p', 'p1', 0, 1)",
                (key, number),
            )
            run("INSERT INTO client_attempts VALUES (?, ?, 0, 'cut', ?)", (key, key, number))
            run(
                "INSERT INTO connections VALUES (?, 1, 'kim', ?, ?, 1000, 0, 0, 0, NULL)",
                (number, at_us, at_us),
            )
            run("INSERT INTO cursor_reports VALUES (1, ?, ?)", (number, at_us))
    connection.execute("COMMIT")


def counts(connection: sqlite3.Connection) -> set[int]:
    """How many rows the tables have; one number where they agree."""
    return {connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def trim_all(connection: sqlite3.Connection, **bounds: int) -> int:
    """Slices until nothing is due; how many there were."""
    slices = 0
    while trim_trace(connection, **bounds):
        slices += 1
    return slices


def test_rows_of_every_table_go_when_they_are_old_and_the_others_stay(
    database: sqlite3.Connection,
) -> None:
    fill(database, days=10)
    assert trim_all(database, before_us=4 * DAY_US) == 1
    assert counts(database) == {6}
    assert trim_all(database, before_us=4 * DAY_US) == 0


def test_a_slice_is_bounded_and_the_next_one_goes_on(database: sqlite3.Connection) -> None:
    fill(database, days=3, per_day=SLICE_REQUESTS)
    assert trim_all(database, before_us=2 * DAY_US) == 2
    assert counts(database) == {SLICE_REQUESTS}


def test_a_connection_that_is_still_open_stays_however_old(database: sqlite3.Connection) -> None:
    fill(database, days=2)
    database.execute("UPDATE connections SET ended_us = NULL WHERE id = 1")
    trim_all(database, before_us=10 * DAY_US)
    assert database.execute("SELECT id FROM connections").fetchall() == [(1,)]


def test_beyond_their_number_the_oldest_go_whatever_their_age(database: sqlite3.Connection) -> None:
    fill(database, days=20)
    trim_all(database, before_us=0, max_requests=5)
    (oldest,) = database.execute("SELECT min(id) FROM requests").fetchone()
    assert oldest == 16
    assert database.execute("SELECT count(*) FROM attempts").fetchone() == (5,)
    trim_all(database, before_us=0, max_requests=5, max_attempts=2)
    assert database.execute("SELECT count(*) FROM attempts").fetchone() == (2,)


def test_a_slice_that_fails_changes_nothing(database: sqlite3.Connection) -> None:
    fill(database, days=4)
    database.execute(
        "CREATE TRIGGER no BEFORE DELETE ON groups BEGIN SELECT raise(ABORT, 'planted'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="planted"):
        trim_trace(database, before_us=3 * DAY_US)
    assert counts(database) == {4}


def test_groups_go_with_the_pushes_that_they_decided(database: sqlite3.Connection) -> None:
    fill(database, days=20)
    database.execute("UPDATE requests SET grp = NULL WHERE id = 16")  # no group decided it
    trim_all(database, before_us=0, max_requests=5)
    assert database.execute("SELECT id FROM groups").fetchall() == [(n,) for n in range(17, 21)]
    trim_all(database, before_us=30 * DAY_US)
    assert counts(database) == {0}


def test_groups_stay_while_no_kept_push_tells_which_are_needed(
    database: sqlite3.Connection,
) -> None:
    fill(database, days=3)
    database.execute("UPDATE requests SET grp = NULL")
    trim_all(database, before_us=DAY_US)
    assert database.execute("SELECT count(*) FROM requests").fetchone() == (2,)
    assert database.execute("SELECT count(*) FROM groups").fetchone() == (3,)


def test_of_connections_and_told_attempts_the_newest_stay_whatever_their_age(
    database: sqlite3.Connection,
) -> None:
    fill(database, days=20)
    database.execute("UPDATE connections SET ended_us = NULL WHERE id = 3")
    trim_all(database, before_us=0, max_connections=4, max_client_attempts=6)
    assert database.execute("SELECT id FROM connections").fetchall() == [
        (n,) for n in (3, 17, 18, 19, 20)
    ]
    told = database.execute("SELECT request FROM client_attempts ORDER BY request").fetchall()
    assert told == [(n,) for n in range(15, 21)]
    assert database.execute("SELECT count(*) FROM requests").fetchone() == (20,)


def test_cursor_reports_are_bounded_for_each_replica_and_the_newest_stay(
    database: sqlite3.Connection,
) -> None:
    many = {1: REPORTS_KEPT + 10, 2: 7, 3: REPORTS_KEPT + 2 * SLICE_ROWS, 9: REPORTS_KEPT}
    add_reports(database, many)
    assert trim_all_reports(database) > 2, "no slice drops more than SLICE_ROWS"
    found = "SELECT replica, count(*), max(seq) FROM cursor_reports GROUP BY replica"
    assert database.execute(found).fetchall() == [
        (replica, min(number, REPORTS_KEPT), number) for replica, number in many.items()
    ]
    assert trim_all_reports(database) == 1


def test_a_slice_looks_at_so_many_replicas_and_the_next_goes_on_behind_them(
    database: sqlite3.Connection,
) -> None:
    add_reports(database, dict.fromkeys(range(1, SLICE_REPLICAS + 2), 2))
    first = trim_reports(database, after_replica=0, kept=1)
    assert first == SLICE_REPLICAS
    assert trim_reports(database, after_replica=first, kept=1) is None
    assert database.execute("SELECT count(*) FROM cursor_reports").fetchone() == (first + 1,)


def add_reports(connection: sqlite3.Connection, many: dict[int, int]) -> None:
    """So many cursor reports of each replica."""
    connection.execute("BEGIN")
    for replica, number in many.items():
        connection.executemany(
            "INSERT INTO cursor_reports VALUES (?, ?, 1)",
            ((replica, seq) for seq in range(1, number + 1)),
        )
    connection.execute("COMMIT")


def trim_all_reports(connection: sqlite3.Connection) -> int:
    """Slices to the end of the replicas; how many there were."""
    slices, replica = 0, 0
    while True:
        slices += 1
        following = trim_reports(connection, after_replica=replica)
        if following is None:
            return slices
        replica = following


async def test_a_round_of_the_server_trims_the_trace_with_the_log(tmp_path: Path) -> None:
    clock = Clock(START_US)
    retention = Retention(keep_log_s=86_400.0, keep_entries=0)
    op = write({"r/name": '"Kim"'})
    async with observed(tmp_path, now_us=clock, retention=retention) as server:
        async with device(server, **greeting()) as wire:
            await wire.accept(op)
            await wire.push(write({"r/name": "7"}))
        clock.now += 2 * DAY_US
        await server.service.trimmer.trim()
        assert rows_of(tmp_path, "SELECT * FROM requests") == []
        (told,) = (await trace(server, op.op_id))["ops"]
        assert told["seq"] == 1
        assert told["fields"] == ["name"]
        assert told["notes"]


async def test_a_log_that_is_kept_for_ever_still_bounds_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = trimming.trim_trace.__kwdefaults__
    assert bounds is not None
    monkeypatch.setitem(bounds, "max_requests", 2)
    monkeypatch.setitem(trimming.trim_reports.__kwdefaults__ or {}, "kept", 3)
    async with observed(tmp_path, retention=Retention(keep_log_s=None)) as server:
        async with device(server, **greeting()) as wire:
            for _ in range(5):
                await wire.accept(write({"c/visits": "1"}))
        await server.service.store.write(lambda found: add_reports(found, {7: 5}))
        await server.service.trimmer.trim()
        assert len(rows_of(tmp_path, "SELECT * FROM requests")) == 2
        assert len(rows_of(tmp_path, "SELECT * FROM groups")) == 2
        assert len(rows_of(tmp_path, "SELECT * FROM cursor_reports WHERE replica = 7")) == 3
        assert len(rows_of(tmp_path, "SELECT * FROM log")) == 5
