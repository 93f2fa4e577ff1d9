"""Paging through snapshots, resuming it, and servers that were restored from a copy."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import RecordState, StoredRecord, decode_stored
from crdtsync.protocol import close_codes
from crdtsync.protocol.messages import History, HistoryRequest, Landmark, Paging
from crdtsync_server import hub, sending
from crdtsync_server.storage import reading
from crdtsync_server.storage.retention import trim_log
from crdtsync_server.storage.store import FILE_NAME
from tests.server.serving import (
    Wire,
    delete,
    device,
    hello_of,
    new_id,
    serving,
    write,
)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 3)


async def fill(wire: Wire, count: int, *, start: int = 0) -> None:
    answers = await wire.push(
        *[write({"r/name": f'"{n}"'}, record=f"p{n}") for n in range(start, start + count)]
    )
    assert len(answers) == count


@pytest.mark.usefixtures("small_pages")
async def test_a_fresh_replica_gets_every_record_once_newest_first_with_progress(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 10)
        await kim.accept(write({"r/phone": '"010"'}, record="p0"))
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee"))
            assert welcome.paging == Paging(11, 12, 0)
            paging: Paging | None = welcome.paging
            records: list[tuple[str, int]] = []
            remaining: list[int] = []
            while paging is not None:
                page = await wire.page(paging)
                records += [(row.record, row.stored.seq) for row in page.rows]
                remaining.append(page.remaining)
                paging = page.paging
            assert page.head == welcome.head
            assert records == [("p0", 11), *[(f"p{n}", n + 1) for n in range(9, 0, -1)]]
            assert remaining == [7, 4, 1, 0]
            # From here on it is live.
            await kim.accept(write({"r/name": '"new"'}, record="p3"))
            assert [entry.seq for entry in await wire.entries_to(12)] == [12]


@pytest.mark.usefixtures("small_pages")
async def test_what_changes_while_a_replica_pages_is_neither_missed_nor_doubled(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 8)
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee"))
            assert welcome.paging is not None
            states: dict[str, RecordState] = {}
            paging: Paging | None = welcome.paging
            pages = 0
            while paging is not None:
                page = await wire.page(paging)
                for row in page.rows:
                    state = RecordState.from_stored(row.collection, row.record, row.stored)
                    states[row.record] = state
                # One that was sent, one that was not, and a new one, for a while.
                if pages < 4:
                    await fill(kim, 1, start=0)
                    await fill(kim, 1, start=7)
                    await fill(kim, 1, start=100 + pages)
                pages += 1
                paging = page.paging
            await kim.accept(write({"c/visits": "1"}, record="p1"))
            for entry in await wire.entries_to(page.head.seq + 1):
                states.setdefault(entry.record, RecordState("patient", entry.record)).apply_entry(
                    entry
                )
        async with device(server, "park") as third:
            assert third.welcome is not None
            async with await Wire.open(server.url) as again:
                await again.greet(hello_of("park"))
                rows, _ = await again.page_all(third.welcome.paging)
    assert {row.record: row.stored for row in rows} == {
        record: state.stored() for record, state in states.items()
    }
    assert len(rows) == 12


@pytest.mark.usefixtures("small_pages")
async def test_a_first_sync_that_was_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    replica = {"replica_id": new_id(), "run": new_id()}
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 8)
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee", **replica))
            assert welcome.paging is not None
            first = await wire.page(welcome.paging)
        await fill(kim, 1, start=50)
        async with await Wire.open(server.url) as wire:
            await wire.greet(hello_of("lee", **replica))
            rows, head = await wire.page_all(first.paging)
    got = [row.record for row in (*first.rows, *rows)]
    assert sorted(got) == sorted([*[f"p{n}" for n in range(8)], "p50"])
    assert head.seq == 9


async def test_a_place_in_the_paging_of_a_lost_log_starts_anew(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 3)
        async with await Wire.open(server.url) as wire:
            await wire.greet(hello_of("lee"))
            rows, _ = await wire.page_all(Paging(900, 40, 0))
            assert len(rows) == 3


async def test_a_page_holds_at_least_one_record_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_BYTES", 1)
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 3)
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee"))
            assert welcome.paging is not None
            page = await wire.page(welcome.paging)
            assert len(page.rows) == 1
            rows, _ = await wire.page_all(page.paging)
            assert len(rows) == 2


async def test_an_empty_space_needs_no_paging(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await Wire.open(server.url) as wire:
        welcome = await wire.greet(hello_of())
        assert (welcome.paging, welcome.diverged, welcome.head) == (None, None, Landmark(0, b""))


async def test_deleted_records_stay_as_rows(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        seen = await kim.accept(write({"r/name": '"Kim"'}))
        await kim.accept(delete(seq=seen.seq))
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee"))
            rows, _ = await wire.page_all(welcome.paging)
    assert [row.record for row in rows] == ["p1"]
    assert set(rows[0].stored.fields) == {"r/name", "d/"}


async def test_a_replica_that_was_away_longer_than_the_log_pages_through_what_changed(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 6)
        digests = {entry.seq: entry.digest for entry in await kim.entries_to(6)}
        store = server.service.store
        await store.write(lambda connection: trim_log(connection, store.sql, "ward-3", 5))
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee", cursor=Landmark(2, digests[2])))
            assert (welcome.paging, welcome.diverged) == (Paging(6, 0, 2), None)
            rows, head = await wire.page_all(welcome.paging)
            assert [row.record for row in rows] == ["p2", "p3", "p4", "p5"]
            assert head.seq == 6
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee", cursor=Landmark(4, digests[4])))
            assert welcome.paging is None
            assert [entry.seq for entry in await wire.entries_to(6)] == [5, 6]


async def test_a_reader_that_the_log_was_cut_under_is_told_to_connect_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "TAIL_BYTES", 0)
    async with serving(tmp_path) as server, device(server) as kim:
        await fill(kim, 6)
        entries = await kim.entries_to(6)
        store = server.service.store

        def cut_first(connection: sqlite3.Connection, sql: Any, space: str, after: int) -> Any:
            trim_log_here(space)
            return reading.read_log(connection, sql, space, after)

        def trim_log_here(space: str) -> None:
            beside = sqlite3.connect(tmp_path / "crdtsync.db", isolation_level=None)
            trim_log(beside, store.sql, space, 5)
            beside.close()

        monkeypatch.setattr(sending, "read_log", cut_first)
        async with await Wire.open(server.url) as wire:
            cursor = Landmark(2, entries[1].digest)
            assert (await wire.greet(hello_of("lee", cursor=cursor))).paging is None
            goodbye = await wire.goodbye()
            assert goodbye.code == close_codes.SERVER_FAULT
            assert "connect again" in goodbye.words
            assert wire.entries == [], "entries without their values must never go out"
        async with await Wire.open(server.url) as wire:
            assert (await wire.greet(hello_of("lee", cursor=cursor))).paging == Paging(6, 0, 2)


async def test_receipts_outlive_the_detail_of_the_log(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    async with serving(tmp_path) as server, device(server) as kim:
        receipt = await kim.accept(op)
        await kim.accept(write({"r/name": '"Lee"'}))
        store = server.service.store
        await store.write(lambda connection: trim_log(connection, store.sql, "ward-3", 3))
        assert await kim.accept(op) == receipt


async def test_history_says_where_retention_has_cut_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        seen: list[EntryId] = []
        for n in range(1, 5):
            op = write({"r/name": f'"{n}"'}, supersedes={"r/name": seen})
            seen = [EntryId(op.op_id, 0)]
            await kim.accept(op)
        store = server.service.store
        await store.write(lambda connection: trim_log(connection, store.sql, "ward-3", 3))
        await kim.send(HistoryRequest(1, "patient", "p1"))
        history = await kim.receive_a(History)
        # The value of the second entry was replaced by the third, which is still whole.
        assert [entry.seq for entry in history.entries] == [4, 3, 2]
        assert (history.complete, history.more) == (False, False)


async def test_a_server_restored_from_an_old_copy_names_the_last_common_seq(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    async with serving(new) as server, device(server) as kim:
        await fill(kim, 4)
        digests = {entry.seq: entry.digest for entry in await kim.entries_to(4)}
    shutil.copytree(new, old)
    async with serving(new) as server, device(server) as kim:
        await fill(kim, 4, start=4)
        digests |= {entry.seq: entry.digest for entry in await kim.entries_to(8)}
    points = [Landmark(seq, digests[seq]) for seq in (8, 7, 4, 2)]
    ahead = hello_of("lee", cursor=points[0], landmarks=tuple(points[1:]))

    async with serving(new) as server, await Wire.open(server.url) as wire:
        welcome = await wire.greet(ahead)
        assert (welcome.diverged, welcome.paging) == (None, None)
    async with serving(old) as server:
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(ahead)
            assert (welcome.diverged, welcome.paging) == (4, Paging(4, 5, 0))
        # The log goes on differently, beyond the replica's cursor.
        async with device(server) as kim:
            await fill(kim, 5, start=90)
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(ahead)
            assert (welcome.diverged, welcome.paging) == (4, Paging(9, 10, 0))
            rows, head = await wire.page_all(welcome.paging)
            assert (len(rows), head.seq) == (9, 9)
        async with await Wire.open(server.url) as wire:
            stranger = hello_of("lee", cursor=Landmark(3, b"x" * 16))
            assert (await wire.greet(stranger)).diverged == 0


async def test_records_that_lie_in_the_form_of_before_are_sent_and_written_in_that_of_today(
    tmp_path: Path,
) -> None:
    """As a server of an earlier version has left them: each entry names its op."""

    async def everything(server: Any, user: str) -> dict[str, StoredRecord]:
        async with await Wire.open(server.url) as wire:
            rows, _ = await wire.page_all((await wire.greet(hello_of(user))).paging)
        return {row.record: row.stored for row in rows}

    async with serving(tmp_path) as server, device(server) as kim:
        await kim.accept(write({"r/name": '"Kim"', "r/phone": '"010"'}, record="p0"))
        await fill(kim, 2, start=1)
        before = await everything(server, "lee")
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        for rowid, data in db.execute("SELECT id, state FROM records").fetchall():
            one = decode_stored(data)
            earlier = [one.seq, one.updated_us, one.updated_by, one.fields]
            db.execute(
                "UPDATE records SET state = ? WHERE id = ?",
                (msgspec.msgpack.encode(earlier), rowid),
            )
    async with serving(tmp_path) as server, device(server) as kim:
        assert await everything(server, "lee") == before
        await kim.accept(write({"r/name": '"Lee"'}, record="p0"))
        after = await everything(server, "park")
    assert {entry.value for entry in after["p0"].fields["r/name"]} == {'"Lee"'}
    assert after["p0"].fields["r/phone"] == before["p0"].fields["r/phone"]
