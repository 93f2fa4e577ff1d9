"""What is recorded goes with the log's retention, in slices, and is bounded in number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.observing import trimming
from crdtsync_server.observing.recording import REPORTS_BETWEEN_TRIMS, REPORTS_KEPT, Recorder
from crdtsync_server.observing.trimming import SLICE_REQUESTS, trim_trace
from crdtsync_server.settings import Retention
from crdtsync_server.storage.store import connect_writer
from crdtsync_server.work import CursorNote
from tests.server.observing.traced import Clock, greeting, observed, trace
from tests.server.serving import START_US, device, new_id, rows_of, write

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


def test_cursor_reports_of_one_replica_are_bounded(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO spaces (name, seq, created_us) VALUES ('ward-3', 1000000, 0)")
    replica = new_id()
    database.execute(
        "INSERT INTO replicas (space, replica_id, user, first_seen_us, last_seen_us) "
        "VALUES (1, ?, 'kim', 0, 0)",
        (replica,),
    )
    recorder = Recorder(trace=True)
    database.execute("BEGIN")
    for seq in range(1, REPORTS_KEPT + 3 * REPORTS_BETWEEN_TRIMS):
        note = CursorNote(seq, OutboxSummary(), seq)
        recorder.start(database, seq).note_cursors({("ward-3", replica): note})
    database.execute("COMMIT")
    (many, newest) = database.execute("SELECT count(*), max(seq) FROM cursor_reports").fetchone()
    assert REPORTS_KEPT <= many < REPORTS_KEPT + REPORTS_BETWEEN_TRIMS
    assert newest == REPORTS_KEPT + 3 * REPORTS_BETWEEN_TRIMS - 1


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
    few = {"max_requests": 2, "max_attempts": 9}
    monkeypatch.setattr(trimming.trim_trace, "__kwdefaults__", few)
    async with observed(tmp_path, retention=Retention(keep_log_s=None)) as server:
        async with device(server, **greeting()) as wire:
            for _ in range(5):
                await wire.accept(write({"c/visits": "1"}))
        await server.service.trimmer.trim()
        assert len(rows_of(tmp_path, "SELECT * FROM requests")) == 2
        assert len(rows_of(tmp_path, "SELECT * FROM log")) == 5
