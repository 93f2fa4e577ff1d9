"""The sync queue: each state is reached and left, and survives a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from crdtsync import NeedsAttention, NoSuchOperation, SignedOut, SyncState
from crdtsync.protocol.messages import (
    Answer,
    Answers,
    Held,
    Hello,
    Limits,
    Push,
    PushedOp,
    Receipt,
    RefusedOp,
    Transient,
)
from tests.replica.scripted_server import (
    URL,
    Ledger,
    Link,
    ScriptedServer,
    answer_all,
    ops_of,
    serving,
    welcome_and_answer,
)
from tests.replica.wards import POLICY, Around, WalkingAround, queued, replica, until


async def live(server: ScriptedServer, ledger: Ledger, **changes: Any) -> Link:
    """The next connection, welcomed."""
    link = await server.connection()
    hello = await link.next(Hello)
    link.say(ledger.welcome(hello, **changes))
    return link


def refused(pushed: PushedOp, code: str = "not_permitted") -> RefusedOp:
    return RefusedOp(pushed.op.op_id, code, "phone", "your role may not write phone")


async def test_pending_sending_acknowledged_and_gone(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")
        item = tablet.outbox[0]
        assert (item.state, item.attempts, item.request_id) == ("pending", 0, None)
        assert patients["p1"].sync_state == "pending"
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        item = tablet.outbox[0]
        assert (item.state, item.attempts, item.request_id) == ("sending", 1, push.request_id)
        assert patients["p1"].sync_state == "sending"
        assert push.ops[0].created_us > 0
        link.say(Answers(push.request_id, (ledger.accept(push.ops[0].op),)))
        await until(tablet, lambda: tablet.outbox[0].acknowledged)
        assert tablet.outbox[0].state == "sending"
        assert tablet.status.sending == 1
        assert patients["p1"]["name"] == "Kim"
        link.say(ledger.since(0))
        await until(tablet, lambda: not tablet.outbox)
        assert patients["p1"].sync_state == "synced"
        assert patients["p1"]["name"] == "Kim"


@pytest.mark.parametrize("reached", ["no", "yes", "yes, and was answered"])
async def test_after_a_restart_what_was_sent_is_sent_again_under_its_op_id(
    tmp_path: Path, reached: str
) -> None:
    answered = "answered" in reached
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        await tablet.collection("patient").increment("p1", "visits", 5)
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        if reached != "no":
            ledger.accept(push.ops[0].op)
        if answered:
            link.say(Answers(push.request_id, tuple(ledger.receipts.values())))
            await until(tablet, lambda: tablet.outbox[0].acknowledged)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        item = tablet.outbox[0]
        assert (item.state, item.acknowledged) == (
            ("sending", True) if answered else ("pending", False)
        )
        assert tablet.collection("patient")["p1"]["visits"] == 5
        async with serving(server, ledger) as links:
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            pushes = [m for m in links[0].sent if isinstance(m, Push)]
            # A receipt that was lost is asked for before snapshots, never guessed.
            assert len(ops_of(pushes)) == (1 if reached == "no" else 0)
        assert tablet.collection("patient")["p1"]["visits"] == 5
        assert len(ledger.entries) == 1


async def test_a_fault_that_passes_is_retried_by_itself_on_a_schedule_that_grows(
    tmp_path: Path,
) -> None:
    around = Around(draw=0.5)
    server, ledger = ScriptedServer(), Ledger(POLICY)
    delays: list[int] = []
    for attempt in range(1, 5):
        async with replica(tmp_path / "a.db", dial=server.dial, surroundings=around) as tablet:
            if attempt == 1:
                await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            link = await live(server, ledger)
            push = await link.next(Push)
            assert push.ops[0].attempts == attempt
            fault = Transient(push.ops[0].op.op_id, "disk full", 0)
            link.say(Answers(push.request_id, (fault,)))
            await until(tablet, lambda: tablet.outbox[0].state == "failed")
            item = tablet.outbox[0]
            assert item.retry_at is not None
            assert not item.needs_person
            assert "disk full" in (item.last_error or "")
            assert item.words("ko")
            assert tablet.status.failed == 1
        async with replica(tmp_path / "a.db") as tablet:
            # The schedule is on disk.
            row = queued(tablet)[0]
            assert row.retry_at_us is not None
            delays.append((row.retry_at_us - around.now) // 1_000)
            around.now = row.retry_at_us
    assert delays == [250, 500, 1_000, 2_000]


async def test_what_the_server_asks_for_is_never_undercut_and_bounded() -> None:
    around = Around(draw=0.0)
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial, surroundings=around) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        await tablet.collection("patient").update("p2", name="Lee")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        first, second = (pushed.op.op_id for pushed in push.ops)
        answers = (Transient(first, "busy", 7_000), Transient(second, "busy", 2**60))
        link.say(Answers(push.request_id, answers))
        await until(tablet, lambda: tablet.status.failed == 2)
        waits = [(row.retry_at_us or 0) - around.now for row in queued(tablet)]
        assert waits == [7_050_000, 3_600_050_000]


async def test_a_retry_that_came_due_goes_out_without_anyone_asking() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    seen: list[str] = []

    def judge(pushed: PushedOp) -> Answer | None:
        seen.append(pushed.op.record)
        return None if len(seen) > 6 else Transient(pushed.op.op_id, "busy", 20)

    async with replica(dial=server.dial) as tablet, serving(server, ledger, judge):
        for record in ("p1", "p2"):
            await tablet.collection("patient").update(record, name="Kim")
        tablet.connect(URL)
        await tablet.synced(timeout=30)
    assert len(ledger.entries) == 2
    assert len(seen) >= 8


async def test_a_retry_goes_out_although_another_one_is_held_back_when_it_comes_due() -> None:
    """The op that comes due first cannot be sent; the timer must serve the next one."""
    around = WalkingAround()
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial, surroundings=around) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")
        await patients.update("p1", name="Lee")
        await patients.update("p2", name="Cho")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        one, two, three = (pushed.op.op_id for pushed in push.ops)
        link.say(
            Answers(
                push.request_id,
                (Transient(one, "x", 60_000), Transient(two, "x", 30), Transient(three, "x", 200)),
            )
        )
        again = await link.next(Push)
        assert ops_of([again]) == [three]


async def test_a_refused_op_waits_for_a_person_and_says_why(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", phone="010")
        await patients.update("p1", name="Kim")
        await patients.update("p2", name="Lee")
        async with serving(
            server, ledger, lambda p: refused(p) if "r/phone" in p.op.writes else held(p)
        ):
            tablet.connect(URL)
            async with asyncio.timeout(30):
                with pytest.raises(NeedsAttention, match="p1") as caught:
                    await tablet.synced()
            assert caught.value.status.needs_person == 1
            # Invariant 10: other records go on.
            await until(tablet, lambda: len(tablet.outbox) == 2)
        assert [entry.record for entry in ledger.entries] == ["p2"]
    async with replica(tmp_path / "a.db") as tablet:
        failed, waiting = tablet.outbox
        assert (failed.state, failed.needs_person, failed.error_code, failed.error_field) == (
            "failed",
            True,
            "not_permitted",
            "phone",
        )
        assert failed.last_error == "your role may not write phone"
        assert failed.words("ko") != failed.words("en")
        assert (waiting.state, waiting.waits_for) == ("pending", failed.op_id)
        # It has left the document at once; what does not depend on it stays.
        record = tablet.collection("patient")["p1"]
        assert (record["phone"], record["name"]) == (None, "Kim")
        assert record.sync_state == "failed"
        assert tablet.status.state is SyncState.NEEDS_ATTENTION


def held(pushed: PushedOp) -> Answer | None:
    return None if pushed.after is None else Held(pushed.op.op_id, pushed.after)


async def test_held_is_no_attempt_and_no_failure() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")
        await patients.update("p1", name="Lee")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        first, second = push.ops
        assert (first.after, second.after) == (None, first.op.op_id)
        link.say(
            Answers(
                push.request_id,
                (Transient(first.op.op_id, "busy", 0), Held(second.op.op_id, first.op.op_id)),
            )
        )
        again = await link.next(Push)
        assert [(p.op.op_id, p.attempts) for p in again.ops] == [
            (first.op.op_id, 2),
            (second.op.op_id, 1),
        ]
        link.say(Answers(again.request_id, tuple(ledger.accept(p.op) for p in again.ops)))
        link.say(ledger.since(0))
        await until(tablet, lambda: not tablet.outbox)


async def test_retry_makes_failed_ops_pending_one_or_all(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    strict = True

    def judge(pushed: PushedOp) -> Answer | None:
        return refused(pushed) if strict else None

    async with replica(dial=server.dial) as tablet, serving(server, ledger, judge):
        patients = tablet.collection("patient")
        for n in range(3):
            await patients.update(f"p{n}", phone="010")
        tablet.connect(URL)
        await until(tablet, lambda: tablet.status.needs_person == 3)
        strict = False
        await tablet.retry(tablet.outbox[1].op_id)
        await until(tablet, lambda: len(tablet.outbox) == 2)
        assert [entry.record for entry in ledger.entries] == ["p1"]
        await tablet.retry()
        await tablet.synced(timeout=30)
        assert len(ledger.entries) == 3
        with pytest.raises(NoSuchOperation, match="not in the outbox"):
            await tablet.retry("nothing")


async def test_an_op_that_no_frame_can_hold_waits_for_a_person_and_the_others_go_on() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="x" * 5_000)
        await patients.update("p1", phone="010")
        await patients.update("p2", name="Lee")
        tablet.connect(URL)
        link = await live(server, ledger, limits=Limits(frame_bytes=4_000))
        push = await link.next(Push)
        assert [pushed.op.record for pushed in push.ops] == ["p2"]
        large, behind, _ = tablet.outbox
        assert (large.needs_person, large.error_code) == (True, "too_large")
        assert large.words("ko")
        assert behind.waits_for == large.op_id


async def test_an_id_that_collides_is_written_anew_once() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    collisions: list[str] = []

    def judge(pushed: PushedOp) -> Answer | None:
        if pushed.op.writes.keys() == {"r/name"} or pushed.op.replaces is None:
            collisions.append(pushed.op.op_id)
            return RefusedOp(pushed.op.op_id, "id_collision", None, "hash")
        return None

    async with replica(dial=server.dial) as tablet, serving(server, ledger, judge):
        patients = tablet.collection("patient")
        await patients.update("p1", phone="010")
        await patients.update("p2", name="Kim")
        tablet.connect(URL)
        await until(tablet, lambda: tablet.status.needs_person == 1 and len(tablet.outbox) == 1)
        assert ledger.entries[0].record == "p1"
        assert len(collisions) == 3
        assert patients["p1"]["phone"] == "010"


class TestOtherAuthors:
    """An op goes out only under its author's sign-in."""

    async def test_their_ops_wait_and_hold_nothing_back(self, tmp_path: Path) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", user="dr-lee") as tablet:
            await tablet.collection("patient").update("p1", name="Kim", allergies={"nut"})
            first = tablet.outbox[0].op_id
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            patients = tablet.collection("patient")
            assert patients["p1"]["name"] == "Kim"
            await patients.update("p1", name="Lee", allergies={"egg"})
            async with serving(server, ledger):
                tablet.connect(URL)
                async with asyncio.timeout(30):
                    with pytest.raises(SignedOut):
                        await tablet.synced()
                await until(tablet, lambda: len(tablet.outbox) == 1)
            assert tablet.outbox[0].op_id == first
            assert tablet.status.signed_out_ops == 1
            assert [entry.user for entry in ledger.entries] == ["nurse-kim"]
        async with (
            replica(tmp_path / "a.db", dial=server.dial, user="dr-lee") as tablet,
            serving(server, ledger),
        ):
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            record = tablet.collection("patient")["p1"]
            assert record["allergies"] == {"egg"}, "the later write had seen the waiting one"

    async def test_roles_of_one_user_say_nothing_about_another(self, tmp_path: Path) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with (
            replica(tmp_path / "a.db", dial=server.dial) as tablet,
            serving(server, ledger, roles=("cleaner",)),
        ):
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            with pytest.raises(Exception, match="role"):
                await tablet.collection("patient").update("p1", allergies={"nut"})
        async with replica(tmp_path / "a.db", user="dr-lee") as tablet:
            record = await tablet.collection("patient").update("p1", allergies={"nut"})
            assert record["allergies"] == {"nut"}

    async def test_nothing_goes_out_under_a_sign_in_of_somebody_else(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            link = await live(server, ledger, user="dr-lee")
            await link.ended()
            assert not [m for m in link.sent if isinstance(m, Push)]
            await until(tablet, lambda: tablet.status.state is SyncState.SIGNED_OUT)
            with pytest.raises(SignedOut, match="signed out"):
                await tablet.synced()


async def test_ops_leave_in_order_and_a_window_bounds_what_is_in_flight() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        await patients.update_many({f"p{n:02}": {"age": n} for n in range(20)})
        tablet.connect(URL)
        link = await live(server, ledger, limits=Limits(ops_per_push=3, ops_in_flight=7))
        pushes = [await link.next(Push) for _ in range(3)]
        assert [len(push.ops) for push in pushes] == [3, 3, 1]
        assert tablet.status.sending == 7
        records = [p.op.record for push in pushes for p in push.ops]
        assert records == [f"p{n:02}" for n in range(7)]
        for push in pushes:
            link.say(Answers(push.request_id, tuple(ledger.accept(p.op) for p in push.ops)))
        await answer_until_empty(link, ledger, tablet)
        assert [entry.record for entry in ledger.entries] == [f"p{n:02}" for n in range(20)]


async def answer_until_empty(link: Link, ledger: Ledger, tablet: Any) -> None:
    link.say(ledger.since(0))
    task = asyncio.create_task(answer_all(link, ledger))
    await until(tablet, lambda: not tablet.outbox)
    link.cut()
    await task


async def test_a_receipt_below_the_cursor_empties_the_queue_at_once() -> None:
    """The log entry was passed as a stub that did not name the op."""
    from crdtsync.documents.state import Stub
    from crdtsync.protocol.messages import Changes

    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        receipt = ledger.accept(push.ops[0].op)
        entry = ledger.entries[0]
        link.say(Changes((Stub(1, entry.digest),)), Answers(push.request_id, (receipt,)))
        await until(tablet, lambda: not tablet.outbox)
        assert isinstance(receipt, Receipt)


async def test_a_schedule_made_by_a_clock_that_ran_ahead_does_not_hold_an_op_for_years(
    tmp_path: Path,
) -> None:
    ahead = Around(now_us=1_900_000_000_000_000)
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(tmp_path / "a.db", dial=server.dial, surroundings=ahead) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await live(server, ledger)
        push = await link.next(Push)
        link.say(Answers(push.request_id, (Transient(push.ops[0].op.op_id, "busy", 0),)))
        await until(tablet, lambda: tablet.status.failed == 1)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        tablet.connect(URL)
        link = await server.connection()
        task = asyncio.create_task(welcome_and_answer(link, ledger))
        await tablet.synced(timeout=30)
        link.cut()
        await task
