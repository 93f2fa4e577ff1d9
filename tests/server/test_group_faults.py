"""A group that fails, an op that poisons, a disk that is full or read-only."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.folding import fold_counters
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import decide
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    CursorReport,
    Head,
    HeadRequest,
    Receipt,
    Receipts,
    ReceiptsRequest,
    Transient,
)
from crdtsync_server import ingest
from crdtsync_server.observing.observer import Observer
from crdtsync_server.service import RunningServer
from crdtsync_server.storage import group
from crdtsync_server.storage.store import Store, connect_reader, connect_writer
from tests.server.serving import (
    FaultyConnection,
    GatedExecutor,
    Wire,
    device,
    hello_of,
    new_id,
    push_of,
    rows_of,
    serving,
    write,
)


def faulty_store(folder: Path) -> tuple[Store, GatedExecutor]:
    """A store whose statements fail, or whose jobs wait, on demand."""
    path = folder / "crdtsync.db"
    writer = GatedExecutor(FaultyConnection(connect_writer(str(path))))
    return Store(
        writer, GatedExecutor(FaultyConnection(connect_reader(path))), what=str(path)
    ), writer


async def transient(wire: Wire, op: Op, reason: str) -> Transient:
    (answer,) = await wire.push(op)
    assert isinstance(answer, Transient), answer
    assert answer.reason == reason
    assert answer.retry_after_ms > 0
    return answer


async def head_of(wire: Wire) -> int:
    await wire.send(HeadRequest(1))
    return (await wire.receive_a(Head)).head.seq


@pytest.mark.parametrize(
    "statement", ["COMMIT", "INSERT INTO log", "INSERT INTO receipts", "BEGIN"]
)
async def test_invariant_2_a_group_that_fails_is_answered_transient_and_leaves_nothing_behind(
    tmp_path: Path, statement: str
) -> None:
    store, writer = faulty_store(tmp_path)
    op, other = write({"c/visits": "1"}), write({"r/name": '"Kim"'})
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        before = await wire.accept(write({"r/note": '"x"'}))
        writer.connection.fail_on = statement
        answers = await wire.push(op, other)
        assert [type(answer) for answer in answers] == [Transient, Transient]
        assert await head_of(wire) == before.seq
        assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]
        writer.connection.fail_on = None
        # What was in memory is read again: no gap in seq, no doubled delta.
        receipts = [await wire.accept(op), await wire.accept(other), await wire.accept(op)]
        assert [receipt.seq for receipt in receipts] == [2, 3, 2]
        entries = await wire.entries_to(3)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.prev_seq for entry in entries] == [0, 1, 2]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(3,)]


async def test_invariant_2_nothing_leaves_before_the_commit(tmp_path: Path) -> None:
    store, writer = faulty_store(tmp_path)
    async with (
        serving(tmp_path, store=store) as server,
        device(server) as wire,
        device(server, "lee") as reader,
    ):
        writer.entered.clear()
        writer.gate.clear()
        push = push_of(write({"r/name": '"Kim"'}))
        await wire.send(push)
        await writer.entered.wait()
        # The group is at the gate: heads and readers know nothing of it.
        assert await head_of(wire) == 0
        assert await head_of(reader) == 0
        assert reader.entries == []
        writer.gate.set()
        (answer,) = (await wire.receive_a(Answers)).answers
        assert isinstance(answer, Receipt)
        assert rows_of(tmp_path, "SELECT seq FROM spaces") == [(answer.seq,)]
        await reader.receive_a(Changes)
        assert len(reader.entries) == 1


async def test_while_one_group_commits_the_next_one_gathers(tmp_path: Path) -> None:
    store, writer = faulty_store(tmp_path)
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        writer.entered.clear()
        writer.gate.clear()
        pushes = [push_of(write({"c/visits": "1"})) for _ in range(5)]
        await wire.send(pushes[0])
        await writer.entered.wait()
        for push in pushes[1:]:
            await wire.send(push)
        # The head is answered from memory, after the pushes before it were read.
        assert await head_of(wire) == 0
        writer.connection.seen.clear()
        writer.gate.set()
        for push in pushes:
            assert (await wire.receive_a(Answers)).request_id == push.request_id
        assert writer.connection.seen.count("COMMIT") == 2
        # A repeat of an op in flight finds the receipt of the group before its own.
        assert await head_of(wire) == 5


async def test_an_op_whose_decision_breaks_harms_no_other_op(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(state: Any, op: Op, *rest: Any, **more: Any) -> Any:
        if op.record == "poison":
            raise ZeroDivisionError
        return decide(state, op, *rest, **more)

    monkeypatch.setattr(group, "decide", breaks)
    poison = write({"r/name": '"Kim"'}, record="poison")
    async with serving(tmp_path) as server, device(server) as wire:
        answers = await wire.push(write({"r/name": '"a"'}), poison, write({"r/name": '"b"'}))
        assert [type(answer) for answer in answers] == [Receipt, Transient, Receipt]
        await transient(wire, poison, "server_error")
    assert poison.op_id in caplog.text
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(2,)]


async def test_an_op_that_breaks_half_way_is_taken_back_and_others_are_decided_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def breaks(state: Any) -> None:
        if state.record == "poison":
            raise ZeroDivisionError
        fold_counters(state)

    monkeypatch.setattr(group, "fold_counters", breaks)
    store, writer = faulty_store(tmp_path)
    poison = write({"r/name": '"Kim"'}, record="poison")
    good = [push_of(write({"c/visits": "1"})) for _ in range(3)]
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        writer.entered.clear()
        writer.gate.clear()
        await wire.send(good[0])
        await writer.entered.wait()
        for push in (good[1], push_of(poison), good[2]):
            await wire.send(push)
        assert await head_of(wire) == 0
        writer.gate.set()
        answers = [(await wire.receive_a(Answers)).answers[0] for _ in range(4)]
        kinds = [type(answer) for answer in answers]
        assert kinds == [Receipt, Receipt, Transient, Receipt]
        entries = await wire.entries_to(3)
        assert [entry.seq for entry in entries] == [1, 2, 3]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(3,)]


async def fill_up(store: Store) -> None:
    def job(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await store.write(job)


async def pragma(store: Store, text: str) -> None:
    await store.write(lambda connection: connection.execute(f"PRAGMA {text}").fetchall())


async def check_that_reads_go_on(server: RunningServer, op: Op, receipt: Receipt) -> None:
    """A new replica, with a new run, still gets everything that is there."""
    async with await Wire.open(server.url) as wire:
        welcome = await wire.greet(hello_of("lee"))
        rows, head = await wire.page_all(welcome.paging)
        assert [row.record for row in rows] == [op.record]
        assert head.seq == receipt.seq
        await wire.send(ReceiptsRequest(1, (op.op_id,)))
        assert (await wire.receive_a(Receipts)).receipts == (receipt,)


async def test_on_a_full_disk_pushes_wait_and_reads_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    op = write({"r/name": '"Kim"'})
    async with serving(tmp_path) as server, device(server) as wire:
        receipt = await wire.accept(op)
        await fill_up(server.service.store)
        big = [write({"r/name": '"' + "x" * 9_000 + '"'}, record="big") for _ in range(9)]
        answers = await wire.push(*big)
        assert {type(answer) for answer in answers} == {Transient}
        assert {answer.reason for answer in answers if isinstance(answer, Transient)} == {
            "disk_full"
        }
        assert "no space left" in caplog.text
        await check_that_reads_go_on(server, op, receipt)
        await pragma(server.service.store, "max_page_count = 1000000")
        assert (await wire.accept(big[0])).seq == 2


async def test_on_a_read_only_file_pushes_wait_and_reads_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    op = write({"r/name": '"Kim"'})
    async with serving(tmp_path) as server, device(server) as wire:
        receipt = await wire.accept(op)
        await pragma(server.service.store, "query_only = ON")
        late = write({"r/name": '"Lee"'})
        await transient(wire, late, "disk_fault")
        assert "read-only" in caplog.text
        await check_that_reads_go_on(server, op, receipt)
        await pragma(server.service.store, "query_only = OFF")
        await wire.accept(late)


async def test_a_queue_that_is_full_says_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9."""
    monkeypatch.setattr(ingest, "QUEUE_OPS", 2)
    store, writer = faulty_store(tmp_path)
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        writer.entered.clear()
        writer.gate.clear()
        pushes = [push_of(write({"c/visits": "1"})) for _ in range(5)]
        await wire.send(pushes[0])
        await writer.entered.wait()
        for push in pushes[1:]:
            await wire.send(push)
        early = [await wire.receive_a(Answers) for _ in range(2)]
        assert [answers.request_id for answers in early] == [p.request_id for p in pushes[3:]]
        for answers in early:
            (answer,) = answers.answers
            assert isinstance(answer, Transient)
            assert (answer.reason, answer.retry_after_ms) == ("overloaded", 2_000)
        writer.gate.set()
        for push in pushes[:3]:
            answers = await wire.receive_a(Answers)
            assert answers.request_id == push.request_id
            assert isinstance(answers.answers[0], Receipt)


async def test_cursor_reports_go_along_with_a_group(tmp_path: Path) -> None:
    replica_id = new_id()
    async with serving(tmp_path) as server, device(server, replica_id=replica_id) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1))
        await wire.accept(write({"c/visits": "1"}))
        found = rows_of(
            tmp_path, "SELECT cursor_seq FROM replicas WHERE replica_id = ?", replica_id
        )
        assert found == [(1,)]


async def test_cursor_reports_are_stored_without_a_group_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "NOTES_EVERY_S", 0.01)
    store, writer = faulty_store(tmp_path)
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
        writer.entered.clear()
        await wire.send(CursorReport(1))
        await asyncio.wait_for(writer.entered.wait(), 30)
    assert rows_of(tmp_path, "SELECT cursor_seq FROM replicas") == [(1,)]


async def test_cursor_reports_survive_a_group_that_fails(tmp_path: Path) -> None:
    store, writer = faulty_store(tmp_path)
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1))
        writer.connection.fail_on = "COMMIT"
        await transient(wire, write({"c/visits": "1"}), "disk_fault")
        writer.connection.fail_on = None
    assert rows_of(tmp_path, "SELECT cursor_seq FROM replicas") == [(1,)]


def a_constraint() -> sqlite3.Error:
    return sqlite3.IntegrityError("NOT NULL constraint failed: replicas.cursor_seq")


def a_statement() -> sqlite3.Error:
    """As SQLite itself says that a statement is wrong."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("SELECT nothing")
        except sqlite3.OperationalError as error:
            return error
    raise AssertionError("unreachable")


@pytest.mark.parametrize("wrong", [a_constraint, a_statement])
async def test_notes_that_no_disk_would_take_are_dropped_and_ops_go_on(
    tmp_path: Path, wrong: Callable[[], sqlite3.Error]
) -> None:
    store, writer = faulty_store(tmp_path)
    async with serving(tmp_path, store=store) as server, device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1))
        writer.connection.error = wrong()
        writer.connection.fail_on = "UPDATE replicas SET cursor_seq"
        # The group that takes the report along is decided again without it, and no later
        # one meets it.
        receipts = [await wire.accept(write({"c/visits": "1"})) for _ in range(2)]
        assert [receipt.seq for receipt in receipts] == [2, 3]
        assert server.service.metrics.writable
        assert not server.service.ingest._notes.cursors
        writer.connection.fail_on = None
        await wire.send(CursorReport(3))
    assert rows_of(tmp_path, "SELECT cursor_seq FROM replicas") == [(3,)]


@pytest.mark.parametrize("seam", ["committed", "published"])
async def test_a_committed_group_is_answered_whatever_observing_it_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seam: str
) -> None:
    def breaks(*arguments: Any) -> None:
        raise ZeroDivisionError

    async with serving(tmp_path) as server, device(server) as wire, device(server, "lee") as reader:
        with monkeypatch.context() as patched:
            patched.setattr(Observer, seam, breaks)
            receipt = await wire.accept(write({"c/visits": "1"}))
        assert [entry.seq for entry in await reader.entries_to(receipt.seq)] == [1]
        await wire.accept(write({"c/visits": "1"}))
    assert caplog.text.count("could not be observed") == 1
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(2,)]


async def test_the_store_is_closed_whatever_the_last_of_the_trace_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(store: Store) -> None:
        raise ZeroDivisionError

    server = serving(tmp_path)
    await server.start()
    monkeypatch.setattr(server.service.tracer, "finish", breaks)
    with pytest.raises(ZeroDivisionError):
        await server.stop()
    # Its folder is free again.
    async with serving(tmp_path) as other, device(other) as wire:
        await wire.accept(write({"c/visits": "1"}))
