"""Rows about how ops travelled: complete, bounded, in the group's own transaction."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crdtsync.documents.ops import SAFE_INTEGER
from crdtsync.protocol import close_codes
from crdtsync.protocol.earlier import MAX_EARLIER
from crdtsync.protocol.messages import (
    CursorReport,
    EarlierAttempt,
    Held,
    OutboxSummary,
    Push,
    PushedOp,
    Receipt,
    RefusedOp,
    Transient,
)
from crdtsync_server import ingest
from crdtsync_server.observing.finding import SQL as READING
from crdtsync_server.observing.recording import SQL as WRITING
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.storage.keys import uuid_bytes
from crdtsync_server.storage.store import connect_writer
from tests.server.observing.traced import POLICY, Clock, again, greeting, observed, recorded
from tests.server.serving import (
    START_US,
    Wire,
    device,
    hello_of,
    new_id,
    push_of,
    rows_of,
    write,
)
from tests.server.test_group_faults import faulty_store

COUNTS = "SELECT accepted, duplicate, refused, held, transient, first_seq, last_seq FROM requests"


async def test_a_push_with_every_outcome_is_one_request_and_a_row_for_each_op_that_failed(
    tmp_path: Path,
) -> None:
    good, more = write({"r/name": '"a"'}), write({"c/visits": "1"})
    bad, waits = write({"r/name": "7"}, record="p2"), write({"r/phone": '"1"'}, record="p2")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(good)
        push = push_of(good, more, bad, waits, after=[None, None, None, bad.op_id])
        answers = await wire.push_frame(push)
        assert [type(answer) for answer in answers] == [Receipt, Receipt, RefusedOp, Held]
    first, second = rows_of(tmp_path, COUNTS)
    assert first == (1, 0, 0, 0, 0, 1, 1)
    assert second == (1, 1, 1, 1, 0, 2, 2)
    attempts = rows_of(
        tmp_path, "SELECT op_id, result, code, field, collection, record, number FROM attempts"
    )
    assert attempts == [
        (uuid_bytes(good.op_id), "duplicate", None, None, "patient", "p1", 1),
        (uuid_bytes(bad.op_id), "refused", "wrong_type", "name", "patient", "p2", 1),
        (uuid_bytes(waits.op_id), "held", None, None, "patient", "p2", 1),
    ]
    ((request_id,),) = rows_of(tmp_path, "SELECT request_id FROM requests WHERE id = 2")
    assert request_id == uuid_bytes(push.request_id)


async def test_groups_know_when_they_were_decided_committed_and_handed_out(tmp_path: Path) -> None:
    clock = Clock()
    async with observed(tmp_path, now_us=clock) as server, device(server, **greeting()) as wire:
        await wire.accept(write({"c/visits": "1"}))
    ((received, decided, committed, published),) = rows_of(
        tmp_path,
        "SELECT received_us, decided_us, committed_us, published_us "
        "FROM requests JOIN groups ON groups.id = requests.grp",
    )
    assert received < decided < committed < published


async def test_a_connection_is_recorded_from_its_hello_to_its_close_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "NOTES_EVERY_S", 0.01)
    clock = Clock(START_US)
    summary = OutboxSummary(3, 1, 60_000, 0, {"not_permitted": 1})
    async with observed(tmp_path, now_us=clock) as server:
        async with device(
            server, **greeting(), client_us=START_US + 90_000_000, outbox=summary
        ) as wire:
            await wire.accept(write({"c/visits": "1"}))
            assert rows_of(tmp_path, "SELECT ended_us FROM connections") == [(None,)]
        await recorded(tmp_path, "SELECT 1 FROM connections WHERE ended_us > connected_us")
    ((user, code, skew_us, cursor, head, outbox),) = rows_of(
        tmp_path, "SELECT user, code, skew_us, cursor_seq, head_seq, outbox FROM connections"
    )
    assert (user, code, cursor, head) == ("kim", 1000, 0, 0)
    assert 89_000_000 < skew_us <= 90_000_000
    assert msgspec.msgpack.decode(outbox, type=OutboxSummary) == summary


async def test_a_sign_in_that_ends_while_its_admission_commits_is_recorded_as_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "NOTES_EVERY_S", 0.01)
    store, writer = faulty_store(tmp_path)
    async with observed(tmp_path, store=store) as server, await Wire.open(server.url) as wire:
        writer.entered.clear()
        writer.gate.clear()
        await wire.send(hello_of(**greeting()))
        await writer.entered.wait()
        server.service.end_sign_ins(lambda identity: True)
        assert (await wire.goodbye()).code == close_codes.SIGNED_OUT
        writer.gate.set()
        await recorded(tmp_path, "SELECT 1 FROM connections WHERE ended_us > 0")
        assert server.service.hub.spaces == ()
    assert rows_of(tmp_path, "SELECT user, code FROM connections") == [("kim", 4003)]


async def test_a_stopping_server_notes_how_its_connections_ended(tmp_path: Path) -> None:
    server = observed(tmp_path)
    await server.start()
    async with await Wire.open(server.url) as wire:
        await wire.greet(hello_of(**greeting()))
        await server.stop()
    assert rows_of(tmp_path, "SELECT code FROM connections WHERE ended_us > 0") == [(1012,)]


async def test_connections_of_a_server_that_was_killed_are_ended_by_the_next_start(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with observed(tmp_path, now_us=clock) as server, device(server, **greeting()) as wire:
        await wire.accept(write({"c/visits": "1"}))
    with sqlite3.connect(tmp_path / "crdtsync.db") as database:  # as a kill leaves it
        database.execute("UPDATE connections SET ended_us = NULL, code = NULL")
    database.close()
    clock.now += 3_600_000_000
    async with observed(tmp_path, now_us=clock):
        ((code, lasted_us),) = rows_of(
            tmp_path, "SELECT code, ended_us - connected_us FROM connections"
        )
    assert code == 1006
    assert 0 <= lasted_us < 60_000_000, "the last sign of life counts, not the next start"


async def test_ops_that_a_failing_disk_sent_back_are_recorded_when_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = write({"c/visits": "1"})

    async def full(job: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        push = push_of(op)
        with monkeypatch.context() as faulty:
            faulty.setattr(server.service.store, "write", full)
            (answer,) = await wire.push_frame(push)
            assert isinstance(answer, Transient)
        assert isinstance((await wire.push_frame(again(op, attempts=2)))[0], Receipt)
        await recorded(tmp_path, "SELECT 1 FROM attempts")
    failed, accepted = rows_of(tmp_path, f"{COUNTS} ORDER BY received_us")
    assert failed == (0, 0, 0, 0, 1, None, None)
    assert accepted[0] == 1
    ((request_id, group),) = rows_of(
        tmp_path, "SELECT request_id, grp FROM requests WHERE transient > 0"
    )
    assert (request_id, group) == (uuid_bytes(push.request_id), None)


async def test_a_device_that_tells_nonsense_of_its_attempts_harms_nothing(tmp_path: Path) -> None:
    op = write({"c/visits": "1"})
    nonsense = tuple(
        EarlierAttempt(request_id, sent_us, ended)
        for request_id, sent_us, ended in [
            ("x" * 10_000, 1, "cut"),
            (new_id(), -(2**63), "cut"),
            (new_id(), 2**63, "cut"),
            (new_id(), 1, "<script>" * 1_000),
            *((new_id(), n, "cut") for n in range(50)),
            (new_id(), 60, "refused:" + "a" * 5_000),
        ]
    )
    pushed = PushedOp(op, None, -(2**63), 2**63, nonsense)
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        (answer,) = await wire.push_frame(Push(new_id(), (pushed,)))
        assert isinstance(answer, Receipt)
        more = tuple(EarlierAttempt(new_id(), 100 + n, "no_answer") for n in range(MAX_EARLIER))
        await wire.push_frame(Push(new_id(), (PushedOp(op, None, 0, 3, more),)))
        await wire.push(write({"r/x" * 10_000: "1"}, record="p" * 200_000, collection="c" * 50_000))
        await wire.accept(write({"c/visits": "1"}))
    told = rows_of(tmp_path, "SELECT ended, sent_us FROM client_attempts ORDER BY sent_us")
    assert [sent_us for _, sent_us in told] == [100 + n for n in range(MAX_EARLIER)]
    ((collection, record),) = rows_of(
        tmp_path,
        "SELECT length(collection), length(record) FROM attempts WHERE result = 'refused'",
    )
    assert (collection, record) == (256, 256)
    ((created_us, attempts),) = rows_of(
        tmp_path, "SELECT created_us, attempts FROM log ORDER BY position LIMIT 1"
    )
    assert (created_us, attempts) == (0, SAFE_INTEGER)


async def test_nobody_tells_attempts_of_an_op_that_is_not_theirs(tmp_path: Path) -> None:
    op = write({"c/visits": "1"})
    forged = (EarlierAttempt(new_id(), 1, "cut"),)
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(op)
        async with device(server, "eve", **greeting()) as eve:
            # Neither the same op word for word nor another one under its id.
            (answer,) = await eve.push_frame(again(op, attempts=2, earlier=forged))
            assert isinstance(answer, RefusedOp)
            other = write({"c/visits": "2"}, user="eve", op_id=op.op_id)
            (answer,) = await eve.push_frame(again(other, attempts=2, earlier=forged))
            assert isinstance(answer, RefusedOp)
    assert rows_of(tmp_path, "SELECT * FROM client_attempts") == []
    assert rows_of(tmp_path, "SELECT result FROM attempts") == [("refused",), ("refused",)]


async def test_cursor_reports_tell_who_holds_what_and_none_is_believed_beyond_the_log(
    tmp_path: Path,
) -> None:
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1))
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(SAFE_INTEGER))
        await wire.accept(write({"c/visits": "1"}))
        await recorded(tmp_path, "SELECT 1 FROM cursor_reports WHERE seq > 1")
    assert max(rows_of(tmp_path, "SELECT seq FROM cursor_reports")) <= (3,)
    assert min(rows_of(tmp_path, "SELECT seq FROM cursor_reports")) == (1,)


async def test_switched_off_nothing_is_recorded_and_everything_else_works(tmp_path: Path) -> None:
    off = ObservingSettings(trace=False)
    async with observed(tmp_path, observing=off) as server, device(server, **greeting()) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.push(write({"r/name": "7"}))
        await wire.send(CursorReport(1))
    for table in ("connections", "groups", "requests", "attempts", "cursor_reports"):
        assert rows_of(tmp_path, f"SELECT * FROM {table}") == [], table
    assert len(rows_of(tmp_path, "SELECT * FROM log")) == 1


async def test_ids_go_on_after_a_restart_and_after_a_group_that_failed(tmp_path: Path) -> None:
    for _ in range(2):
        async with observed(tmp_path) as server, device(server, **greeting()) as wire:
            await wire.accept(write({"c/visits": "1"}))
            await wire.accept(write({"c/visits": "1"}))
    assert [row[0] for row in rows_of(tmp_path, "SELECT id FROM requests")] == [1, 2, 3, 4]
    assert POLICY.version == 3


# What is walked from end to end, because it is small: a few rows per page, space, device or
# policy, and what is open now.
SMALL = (
    *("CONSTANT ROW", "blocks", "start", "spaces", "(subquery", "replicas", "policies"),
    *("conflicts USING INDEX conflicts_open", "connections USING INDEX connections_open"),
)


BOUNDED = {"first_kept_group": 1, "drop_client_attempts_beyond": 1}
"""Walks that end by themselves: the oldest 10,000 pushes, and 15 ms a round of an index."""


@pytest.mark.parametrize("name", sorted({*READING, *WRITING}))
def test_no_statement_walks_a_large_table(name: str, tmp_path: Path) -> None:
    statement = READING.get(name) or WRITING[name]
    many = len(set(re.findall(r"\?\d", statement))) or statement.count("?")
    connection = connect_writer(str(tmp_path / "crdtsync.db"))
    try:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * many).fetchall()
    finally:
        connection.close()
    scans = [row[3].removeprefix("SCAN ") for row in plan if row[3].startswith("SCAN ")]
    assert len([one for one in scans if not one.startswith(SMALL)]) == BOUNDED.get(name, 0), scans
