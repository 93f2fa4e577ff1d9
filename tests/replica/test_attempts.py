"""Attempts without success: the device remembers how each ended and tells the server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crdtsync.protocol.close_codes import SILENT
from crdtsync.protocol.earlier import MAX_EARLIER, MAX_REASONS
from crdtsync.protocol.messages import (
    Answers,
    CursorReport,
    EarlierAttempt,
    Held,
    Hello,
    Limits,
    Push,
    Receipt,
    RefusedOp,
    Transient,
)
from crdtsync.replica import outbox
from crdtsync.replica.attempts import read_earlier
from tests.replica.scripted_server import URL, Ledger, Link, ScriptedServer
from tests.replica.wards import POLICY, Around, new_id, replica, until


async def live(server: ScriptedServer, ledger: Ledger, **changes: Any) -> Link:
    """The next connection, welcomed."""
    link = await server.connection()
    hello = await link.next(Hello)
    link.say(ledger.welcome(hello, **changes))
    return link


async def test_an_op_that_failed_twice_tells_so_with_its_third_attempt(tmp_path: Path) -> None:
    server, ledger, around = ScriptedServer(), Ledger(POLICY), Around()
    sent: list[Push] = []
    for answer in ("cut", "transient", "accepted"):
        async with replica(tmp_path / "a.db", dial=server.dial, surroundings=around) as tablet:
            if answer == "cut":
                await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            link = await live(server, ledger)
            push = await link.next(Push)
            sent.append(push)
            op_id = push.ops[0].op.op_id
            if answer == "cut":
                link.cut()
                await until(tablet, lambda: tablet.outbox[0].state == "pending")
            elif answer == "transient":
                link.say(Answers(push.request_id, (Transient(op_id, "disk_full", 0),)))
                await until(tablet, lambda: tablet.outbox[0].state == "failed")
                assert [one.ended for one in tablet.outbox[0].earlier] == [
                    "cut",
                    "transient:disk_full",
                ]
                assert tablet.status.pending + tablet.status.failed == 1
        around.now += 3_600_000_000
    start_us = Around().now
    assert sent[0].ops[0].earlier == ()
    assert sent[1].ops[0].earlier == (EarlierAttempt(sent[0].request_id, start_us, "cut"),)
    assert sent[2].ops[0].earlier == (
        EarlierAttempt(sent[0].request_id, start_us, "cut"),
        EarlierAttempt(sent[1].request_id, start_us + 3_600_000_000, "transient:disk_full"),
    )
    assert [push.ops[0].attempts for push in sent] == [1, 2, 3]


async def test_a_program_that_ended_while_sending_remembers_that_it_stopped(
    tmp_path: Path,
) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
    with sqlite3.connect(tmp_path / "a.db") as file:  # as a kill would leave it
        file.execute("UPDATE outbox SET state = 'sending', earlier = NULL")
    file.close()
    async with replica(tmp_path / "a.db") as tablet:
        (attempt,) = tablet.outbox[0].earlier
        assert (attempt.request_id, attempt.ended) == (push.request_id, "stopped")
        assert "app" in attempt.words()
        assert "앱" in attempt.words("ko")


async def test_a_server_that_fell_silent_is_told_from_a_cut(tmp_path: Path) -> None:
    async with replica(tmp_path / "a.db") as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        store = tablet._open_store()
        for code, ended in ((SILENT, "no_answer"), (1000, "cut")):
            await store.change(
                outbox.start_sending,
                user="nurse-kim",
                room=10,
                request_id=new_id(),
                now_us=5,
                frame_bytes=Limits().frame_bytes,
            )
            await store.change(outbox.connection_lost, code)
            row = (await store.look(outbox.rows))[0]
            assert row.earlier[-1].ended == ended


async def test_held_and_refused_are_remembered_and_a_retry_tells_them(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")
        await patients.update("p1", phone="1")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        first, second = (pushed.op.op_id for pushed in push.ops)
        link.say(
            Answers(
                push.request_id,
                (RefusedOp(first, "not_permitted", "name", "no"), Held(second, first)),
            )
        )
        await until(tablet, lambda: tablet.status.failed == 1)
        assert [one.ended for one in tablet.outbox[0].earlier] == ["refused:not_permitted"]
        assert [one.ended for one in tablet.outbox[1].earlier] == ["held"]
        await tablet.retry()
        again = await link.next(Push)
        assert [pushed.earlier[0].ended for pushed in again.ops] == [
            "refused:not_permitted",
            "held",
        ]
        assert json.dumps(tablet.outbox[0].to_json()["earlier"]).count(push.request_id) == 1


async def test_only_the_newest_attempts_are_kept_and_a_hostile_code_stays_short(
    tmp_path: Path,
) -> None:
    async with replica(tmp_path / "a.db") as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        store = tablet._open_store()
        requests = [new_id() for _ in range(MAX_EARLIER + 4)]
        for n, request_id in enumerate(requests):
            (pushed,) = await store.change(
                outbox.start_sending,
                user="nurse-kim",
                room=10,
                request_id=request_id,
                now_us=n + 1,
                frame_bytes=Limits().frame_bytes,
            )
            await store.change(
                outbox.store_answers,
                [Transient(pushed.op.op_id, "<script>" * 1_000, 0)],
                now_us=n + 1,
                draw=0.0,
                new_id=new_id,
            )
            await store.change(outbox.retry, None)
        (row,) = await store.look(outbox.rows)
        assert [one.request_id for one in row.earlier] == requests[-MAX_EARLIER:]
        assert {one.ended for one in row.earlier} == {"transient:other"}
        assert row.attempts == len(requests)


async def test_an_op_at_the_limit_of_a_frame_goes_without_its_earlier_attempts(
    tmp_path: Path,
) -> None:
    async with replica(tmp_path / "a.db") as tablet:
        await tablet.collection("patient").update("p1", name="x" * 1_000)
        store = tablet._open_store()

        async def send(frame_bytes: int) -> tuple[EarlierAttempt, ...]:
            (pushed,) = await store.change(
                outbox.start_sending,
                user="nurse-kim",
                room=10,
                request_id=new_id(),
                now_us=1,
                frame_bytes=frame_bytes,
            )
            await store.change(outbox.connection_lost)
            return pushed.earlier

        (data,) = await store.look(lambda file: file.one("overlay", "patient", "p1"))
        tight = len(data) + outbox.ENVELOPE_BYTES + 10
        assert await send(tight) == ()
        assert await send(tight) == ()
        assert len(await send(tight + 1_000)) == 2


async def test_the_summary_counts_what_failed_by_code(tmp_path: Path) -> None:
    codes = ["disk_full", "disk_full", "not_permitted", *(f"code_{c}" for c in "abcdefgh")]
    async with replica(tmp_path / "a.db") as tablet:
        patients = tablet.collection("patient")
        for n in range(len(codes)):
            await patients.update(f"p{n}", name="Kim")
        store = tablet._open_store()
        assert (await store.look(outbox.counts, "nurse-kim")).summary(0).reasons == {}
        ops = await store.change(
            outbox.start_sending,
            user="nurse-kim",
            room=100,
            request_id=new_id(),
            now_us=1,
            frame_bytes=Limits().frame_bytes,
        )
        await store.change(
            outbox.store_answers,
            [
                RefusedOp(pushed.op.op_id, code, None, "no")
                for pushed, code in zip(ops, codes, strict=True)
            ],
            now_us=1,
            draw=0.0,
            new_id=new_id,
        )
        reasons = (await store.look(outbox.counts, "nurse-kim")).summary(2).reasons
        assert reasons["disk_full"] == 2
        assert len(reasons) == MAX_REASONS


async def test_the_server_hears_at_once_what_failed_and_why(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        op_id = push.ops[0].op.op_id
        link.say(Answers(push.request_id, (RefusedOp(op_id, "not_permitted", "name", "no"),)))
        report = await link.next(CursorReport)
        assert (report.seq, report.outbox.failed) == (0, 1)
        assert report.outbox.reasons == {"not_permitted": 1}


async def test_a_replica_file_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with replica(path) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
    with sqlite3.connect(path) as file:
        file.execute("DROP INDEX outbox_failed")
        file.execute("ALTER TABLE outbox DROP COLUMN earlier")
        file.execute("ALTER TABLE outbox DROP COLUMN sent_us")
        # As it stood before: under way, sent by a version that did not note when.
        file.execute(
            "UPDATE outbox SET state = 'sending', attempts = 1, request_id = ?", (new_id(),)
        )
        file.execute("PRAGMA user_version = 1")
    file.close()
    async with replica(path) as tablet:
        (item,) = tablet.outbox
        assert (item.state, item.attempts, item.earlier) == ("pending", 1, ())


@pytest.mark.parametrize("data", [None])
def test_most_ops_have_no_earlier_attempt(data: bytes | None) -> None:
    assert read_earlier(data) == ()


async def test_an_op_accepted_at_once_leaves_no_trace_of_attempts(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        receipt = ledger.accept(push.ops[0].op)
        assert isinstance(receipt, Receipt)
        link.say(Answers(push.request_id, (receipt,)))
        await until(tablet, lambda: tablet.outbox[0].acknowledged)
        assert tablet.outbox[0].earlier == ()
        await asyncio.sleep(0)
