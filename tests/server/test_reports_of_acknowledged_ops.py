"""Reports of acknowledged ops stay within bounds (invariant 9), and none is lost by it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from crdtsync.database import queries, transaction
from crdtsync.protocol.messages import AcknowledgedDigest, Head, HeadRequest
from crdtsync_server import ingest, work
from crdtsync_server.storage import acknowledged
from crdtsync_server.storage.acknowledged import (
    FOLDED_AT_ONCE,
    LOOK_UPS,
    RANGES_HELD,
    RANGES_KEPT,
    store_acknowledged,
)
from crdtsync_server.work import REPORTS_WAITING_PER_REPLICA, AcknowledgedNote, Reports
from tests.server.report.books import NOW_US, Book, new_id
from tests.server.serving import SPACE, device, rows_of, serving, write
from tests.server.test_group_faults import faulty_store, transient

SQL = queries("crdtsync_server.storage", "queries.sql")
FULL = 1_000
"""Op_ids of the largest report."""


def note(replica_id: str, seq: int, *, ops: int = 1, space: str = "ward") -> AcknowledgedNote:
    """Told of the ops in (seq - 1, seq]."""
    digest = AcknowledgedDigest(seq - 1, seq, ops, b"d" * 16, bytes(16 * ops))
    return AcknowledgedNote(space, replica_id, digest, NOW_US)


def extent(book: Book) -> tuple[int, int]:
    """(ranges, the seq that the next welcome names)."""
    row = book.run("SELECT count(*), coalesce(max(to_seq), 0) FROM acknowledged").fetchone()
    return (row[0], row[1])


def store(book: Book, *notes: AcknowledgedNote) -> None:
    with transaction(book.connection):
        store_acknowledged(book.connection, SQL, notes)


class TestStored:
    def test_a_flood_of_reports_leaves_a_bounded_number_of_ranges(self) -> None:
        book, replica_id = Book(), new_id()
        book.replica(replica_id=replica_id)
        store(book, *(note(replica_id, seq, ops=FULL) for seq in range(1, 200)))
        (held, until_seq) = extent(book)
        assert RANGES_KEPT < held <= RANGES_HELD
        assert until_seq == RANGES_HELD

    def test_what_was_left_out_is_taken_when_it_is_told_again_and_not_what_follows(self) -> None:
        """Else the next welcome would name a place behind what was left out."""
        book, replica_id = Book(), new_id()
        book.replica(replica_id=replica_id)
        store(book, *(note(replica_id, seq) for seq in range(1, RANGES_HELD + 2)))
        assert extent(book) == (RANGES_HELD - FOLDED_AT_ONCE, RANGES_HELD)
        store(book, note(replica_id, RANGES_HELD + 2))
        assert extent(book)[1] == RANGES_HELD
        store(book, note(replica_id, RANGES_HELD + 1), note(replica_id, RANGES_HELD + 2))
        assert extent(book)[1] == RANGES_HELD + 2

    def test_ranges_that_wait_are_folded_a_few_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        book, replica_id = Book(), new_id()
        book.replica(replica_id=replica_id)
        monkeypatch.setattr(acknowledged, "LOOK_UPS", 0)
        store(book, *(note(replica_id, seq) for seq in range(1, RANGES_HELD + 1)))
        assert extent(book)[0] == RANGES_HELD
        monkeypatch.setattr(acknowledged, "LOOK_UPS", LOOK_UPS)
        asked: list[str] = []
        book.connection.set_trace_callback(asked.append)
        # A report that finds no room makes room for the next one.
        store(book, note(replica_id, RANGES_HELD + 1))
        book.connection.set_trace_callback(None)
        assert extent(book) == (RANGES_HELD - FOLDED_AT_ONCE, RANGES_HELD)
        (read,) = (line for line in asked if "ORDER BY to_seq LIMIT" in line)
        assert read.endswith(f"LIMIT {FOLDED_AT_ONCE + 1}")
        for seq in range(RANGES_HELD + 1, RANGES_HELD + 20):
            store(book, note(replica_id, seq))
        assert extent(book) == (RANGES_KEPT, RANGES_HELD + 19)
        assert book.run("SELECT sum(count) FROM acknowledged").fetchone() == (RANGES_HELD + 19,)

    def test_a_replica_of_which_nothing_is_stored_begins_where_it_says(self) -> None:
        """A copied file took a new name, and goes on from where it was."""
        book, replica_id = Book(), new_id()
        book.replica(replica_id=replica_id)
        store(book, note(replica_id, 70))
        assert extent(book) == (1, 70)


class TestWaiting:
    def test_a_few_of_a_replica_wait_and_the_oldest_stay(self) -> None:
        reports, replica_id = Reports(), new_id()
        taken = [reports.add(note(replica_id, seq)) for seq in range(1, 30)]
        assert sum(taken) == REPORTS_WAITING_PER_REPLICA == len(reports)
        assert [one.digest.to_seq for one in reports] == list(range(1, len(reports) + 1))
        assert reports.add(note(new_id(), 1)), "others are not disturbed"
        assert reports.add(note(replica_id, 1, space="home")), "nor another space"

    def test_all_that_wait_are_bounded_by_their_bytes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(work, "REPORTS_WAITING_BYTES", 100_000)
        reports = Reports()
        taken = [reports.add(note(new_id(), 1, ops=FULL)) for _ in range(50)]
        assert sum(taken) == len(reports) == 6
        assert reports.add(note(new_id(), 1)), "a small one still has room"

    async def test_reports_survive_a_group_that_fails_in_their_order(self, tmp_path: Path) -> None:
        faulty, writer = faulty_store(tmp_path)
        replica_id = new_id()
        async with (
            serving(tmp_path, store=faulty) as server,
            device(server, replica_id=replica_id) as wire,
        ):
            await wire.accept(write({"c/visits": "1"}))
            await wire.send(note(replica_id, 1).digest)
            writer.connection.fail_on = "COMMIT"
            await transient(wire, write({"c/visits": "1"}), "disk_fault")
            for seq in range(2, 30):
                await wire.send(note(replica_id, seq).digest)
            await wire.send(HeadRequest(1))
            await wire.receive_a(Head)
            waiting = server.service.ingest._notes.acknowledged
            seqs = [one.digest.to_seq for one in waiting]
            assert seqs == list(range(1, REPORTS_WAITING_PER_REPLICA + 1))
            writer.connection.fail_on = None
        found = rows_of(tmp_path, "SELECT to_seq FROM acknowledged ORDER BY to_seq")
        assert [seq for (seq,) in found] == seqs


async def test_reports_that_found_no_room_are_asked_for_at_the_next_welcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "NOTES_EVERY_S", 3_600.0)
    replica_id, run = new_id(), new_id()
    many = REPORTS_WAITING_PER_REPLICA + 5
    async with serving(tmp_path) as server:
        async with device(server, replica_id=replica_id, run=run) as wire:
            for seq in range(1, many + 1):
                await wire.send(note(replica_id, seq, space=SPACE).digest)
            await wire.accept(write({"c/visits": "1"}))  # its group takes along what waits
            await wire.send(note(replica_id, many + 1).digest)  # follows on nothing
            await wire.accept(write({"c/visits": "1"}))
        async with device(server, replica_id=replica_id, run=run) as wire:
            assert wire.welcome is not None
            known_seq = wire.welcome.acknowledged
            assert known_seq == REPORTS_WAITING_PER_REPLICA
            for seq in range(known_seq + 1, many + 2):
                await wire.send(note(replica_id, seq).digest)
            await wire.accept(write({"c/visits": "1"}))
    with contextlib.closing(sqlite3.connect(tmp_path / "crdtsync.db")) as database:
        row = database.execute("SELECT count(*), max(to_seq) FROM acknowledged").fetchone()
    assert row == (many + 1, many + 1)
