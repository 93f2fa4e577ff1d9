"""Edit and discard, what later ops inherit, and every way that a ``cancelling`` op can end."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crdtsync import Collection, Conflict, NoSuchOperation, Replica, UsageError
from crdtsync.documents.ops import EntryId
from crdtsync.protocol.messages import (
    Answer,
    Answers,
    Held,
    Hello,
    Push,
    PushedOp,
    Receipts,
    ReceiptsRequest,
    RefusedOp,
    Transient,
)
from crdtsync.replica import outbox
from tests.replica.scripted_server import URL, Ledger, ScriptedServer, hear, serving
from tests.replica.wards import POLICY, foreign_op, new_id, queued, replica, until


async def answer(tablet: Replica, *answers: Answer) -> None:
    """As if these answers had come to a push."""
    await tablet._open_store().change(
        outbox.store_answers, answers, now_us=tablet.now_us(), draw=0.0, new_id=new_id
    )


async def send(tablet: Replica) -> list[PushedOp]:
    """As if everything that can go had been sent."""
    return await tablet._open_store().change(
        outbox.start_sending,
        user=tablet.user,
        room=100,
        request_id=new_id(),
        now_us=tablet.now_us(),
        frame_bytes=1_000_000,
    )


def no(op_id: str) -> RefusedOp:
    return RefusedOp(op_id, "not_permitted", "phone", "no")


class TestEdit:
    """A new op_id in the same place, naming the op that it replaces."""

    async def test_of_a_pending_op_changes_adds_nothing_and_leaves_out(self) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", name="Kim", phone="010", dose=Decimal(1))
            await patients.update("p2", name="Lee")
            first, second = tablet.outbox
            assert await tablet.edit(first.op_id, {"name": "Cho"}, leave_out=["phone"])
            edited, other = tablet.outbox
            assert other.op_id == second.op_id
            assert edited.op_id != first.op_id
            assert edited.replaces == first.op_id
            assert edited.fields == {"name": "Cho", "dose": "1"}
            record = patients["p1"]
            assert (record["name"], record["phone"], record["dose"]) == ("Cho", None, 1)

    async def test_of_a_counter_changes_the_amount(self) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.increment("p1", "visits", 5)
            assert await tablet.edit(tablet.outbox[0].op_id, {"visits": 7})
            assert patients["p1"]["visits"] == 7

    async def test_of_a_counter_that_was_refused_after_it_was_sent(self) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.increment("p1", "visits", 5)
            (pushed,) = await send(tablet)
            await answer(tablet, no(pushed.op.op_id))
            assert "p1" not in patients
            assert await tablet.edit(pushed.op.op_id, {"visits": 7})
            assert patients["p1"]["visits"] == 7

    async def test_says_what_cannot_be_edited(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", name="Kim", tags={"a"})
            await patients.delete("p1")
            first, second = (item.op_id for item in tablet.outbox)
            with pytest.raises(UsageError, match="discard it instead"):
                await tablet.edit(second, {"name": "Lee"})
            with pytest.raises(UsageError, match="does not write 'phone'"):
                await tablet.edit(first, {"phone": "010"})
            with pytest.raises(UsageError, match="no field"):
                await tablet.edit(first, {"nickname": "x"})
            with pytest.raises(UsageError, match="set"):
                await tablet.edit(first, {"tags": {"b"}})
            with pytest.raises(UsageError, match="nothing would be left"):
                await tablet.edit(first, leave_out=["name", "tags"])
            with pytest.raises(NoSuchOperation):
                await tablet.edit(new_id(), {"name": "Lee"})
            assert [item.op_id for item in tablet.outbox] == [first, second]
        async with replica(tmp_path / "a.db", user="dr-lee") as tablet:
            with pytest.raises(UsageError, match="only its author"):
                await tablet.edit(first, {"name": "Lee"})

    async def test_keeps_what_the_op_had_replaced(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"r/allergies": '["nut"]'}))
            await hear(tablet, ledger)
            await tablet.collection("patient").update("p1", allergies={"egg"})
            await tablet.edit(tablet.outbox[0].op_id, {"allergies": {"milk"}})
            assert tablet.collection("patient")["p1"]["allergies"] == {"milk"}

    async def test_a_value_that_it_leaves_as_it_was_stays_replaced_by_what_replaced_it(
        self,
    ) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", allergies={"nut"}, phone="bad")
            await patients.add("p1", "tags", "red")
            await patients.update("p1", allergies={"nut", "egg"})
            await patients.remove("p1", "tags", "red")
            await patients.update("p2", name="Lee")
            await patients.delete("p2")
            first, tags, *_, named, _ = tablet.outbox
            await tablet.edit(first.op_id, {"phone": "010"})
            await tablet.edit(tags.op_id)
            await tablet.edit(named.op_id)
            assert patients["p1"]["allergies"] == {"nut", "egg"}
            assert patients["p1"]["tags"] == frozenset()
            assert "p2" not in patients
            ledger = Ledger(POLICY)
            for row in queued(tablet):
                ledger.accept(row.op)
            await hear(tablet, ledger)
            assert patients["p1"]["allergies"] == {"nut", "egg"}
            assert patients["p1"]["tags"] == frozenset()
            assert "p2" not in patients

    async def test_a_value_that_it_changes_was_seen_by_nobody_and_stands(self) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", allergies={"nut"})
            await patients.update("p1", allergies={"nut", "egg"})
            await tablet.edit(tablet.outbox[0].op_id, {"allergies": {"latex"}})
            conflict = patients["p1"]["allergies"]
            assert isinstance(conflict, Conflict)
            assert conflict.union() == {"nut", "egg", "latex"}


class TestDiscard:
    """What a discarded op had replaced comes back, and what replaced it inherits."""

    async def test_brings_back_what_it_had_replaced(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"r/allergies": '["nut"]', "r/name": '"Kim"'}))
            await hear(tablet, ledger)
            patients = tablet.collection("patient")
            await patients.update("p1", allergies={"egg"}, name="Lee")
            assert await tablet.discard(tablet.outbox[0].op_id)
            assert (patients["p1"]["allergies"], patients["p1"]["name"]) == ({"nut"}, "Kim")
            assert tablet.outbox == []

    async def test_of_the_only_op_of_a_record_takes_the_record_away(self) -> None:
        async with replica() as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            await tablet.discard(tablet.outbox[0].op_id)
            assert "p1" not in tablet.collection("patient")
            with pytest.raises(NoSuchOperation):
                await tablet.discard(new_id())

    @pytest.mark.parametrize("order", [(0, 1), (1, 0), (0,), (1,)])
    @pytest.mark.parametrize("how", ["discarded", "refused"])
    async def test_in_a_chain_of_three_leaves_the_last_as_the_only_value(
        self, order: tuple[int, ...], how: str
    ) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"r/allergies": '["nut"]', "r/phone": '"1"'}))
            await hear(tablet, ledger)
            patients = tablet.collection("patient")
            for n in range(3):
                await patients.update("p1", allergies={f"a{n}"}, phone=f"{n}")
            chain = [item.op_id for item in tablet.outbox]
            for place in order:
                if how == "discarded":
                    await tablet.discard(chain[place])
                else:
                    await answer(tablet, no(chain[place]))
            assert patients["p1"]["allergies"] == {"a2"}
            assert patients["p1"]["phone"] == "2"
            for row in queued(tablet):
                if row.state == "pending":
                    ledger.accept(row.op)
            await hear(tablet, ledger)
            assert patients["p1"]["allergies"] == {"a2"}

    async def test_in_a_set_only_the_same_elements_are_inherited(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"s/tags": '"red"'}))
            ledger.accept(foreign_op("p1", {"s/tags": '"blue"'}))
            await hear(tablet, ledger)
            patients = tablet.collection("patient")
            await patients.add("p1", "tags", "red", "blue")
            await patients.remove("p1", "tags", "red")
            await tablet.discard(tablet.outbox[0].op_id)
            assert patients["p1"]["tags"] == {"blue"}
            ledger.accept(queued(tablet)[0].op)
            await hear(tablet, ledger)
            assert patients["p1"]["tags"] == {"blue"}

    async def test_a_record_held_by_the_caller_inherits(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"r/allergies": '["nut"]'}))
            await hear(tablet, ledger)
            patients = tablet.collection("patient")
            held = await patients.update("p1", allergies={"egg"})
            await tablet.discard(tablet.outbox[0].op_id)
            for base in (held, held.version):
                record = await patients.update("p1", allergies={"milk"}, based_on=base)
                assert record["allergies"] == {"milk"}
                await tablet.discard(tablet.outbox[0].op_id)

    async def test_150_ops_of_one_record_are_discarded_one_by_one(self) -> None:
        async with replica() as tablet:
            patients = tablet.collection("patient")
            for n in range(150):
                await patients.update("p1", allergies={str(n)})
            for item in tablet.outbox[:-1]:
                await tablet.discard(item.op_id)
            assert patients["p1"]["allergies"] == {"149"}


class TestCancelling:
    """An op that may have reached the server is taken back when the server has spoken."""

    async def cut_while_sending(self, tablet: Replica, wish: str) -> str:
        """p1's allergies {nut} were sent and never answered; now somebody wants them back."""
        await tablet.collection("patient").update("p1", allergies={"nut"}, phone="1")
        (pushed,) = await send(tablet)
        if wish == "edit":
            assert not await tablet.edit(pushed.op.op_id, {"allergies": {"egg"}})
        else:
            assert not await tablet.discard(pushed.op.op_id)
        (item,) = tablet.outbox
        assert item.cancelling
        assert (item.op_id, item.fields["allergies"]) == (pushed.op.op_id, ["nut"])
        return pushed.op.op_id

    @pytest.mark.parametrize("wish", ["edit", "discard"])
    @pytest.mark.parametrize("answered", ["refused", "held", "transient"])
    async def test_ends_with_an_answer_that_it_is_not_in_the_log(
        self, wish: str, answered: str
    ) -> None:
        async with replica() as tablet:
            op_id = await self.cut_while_sending(tablet, wish)
            answers: dict[str, Answer] = {
                "refused": no(op_id),
                "held": Held(op_id, new_id()),
                "transient": Transient(op_id, "busy", 0),
            }
            await answer(tablet, answers[answered])
            self.assert_done(tablet, wish, op_id)

    @pytest.mark.parametrize("wish", ["edit", "discard"])
    async def test_ends_when_receipts_say_no(self, wish: str, tmp_path: Path) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db") as tablet:
            op_id = await self.cut_while_sending(tablet, wish)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            (item,) = tablet.outbox
            assert (item.cancelling, item.state) == (True, "pending")
            async with serving(server, ledger) as links:
                tablet.connect(URL)
                await tablet.synced(timeout=30)
                asked = [m.op_ids for m in links[0].sent if isinstance(m, ReceiptsRequest)]
                assert asked == [(op_id,)]
            assert op_id not in ledger.receipts
            record = tablet.collection("patient").get("p1")
            if wish == "edit":
                assert record is not None
                assert (record["allergies"], record["phone"]) == ({"egg"}, "1")
                assert ledger.entries[0].op_id != op_id
            else:
                assert record is None
                assert ledger.entries == []

    @pytest.mark.parametrize("wish", ["edit", "discard"])
    @pytest.mark.parametrize("told_by", ["receipts", "receipt", "log entry"])
    async def test_comes_too_late_when_the_server_has_it(self, wish: str, told_by: str) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            op_id = await self.cut_while_sending(tablet, wish)
            receipt = ledger.accept(queued(tablet)[0].op)
            if told_by == "receipts":
                await tablet._open_store().change(
                    outbox.store_receipts, [op_id], [receipt], tablet.now_us()
                )
            elif told_by == "receipt":
                await answer(tablet, receipt)
            await hear(tablet, ledger)
            record = tablet.collection("patient")["p1"]
            if wish == "discard":
                assert record["allergies"] == {"nut"}
                assert tablet.outbox == []
                (notice,) = tablet.notices()
                assert notice["kind"] == "too_late_to_discard"
                assert op_id in str(notice["detail"])
                return
            assert record["allergies"] == {"egg"}
            (item,) = tablet.outbox
            # What the edit left as it was is in the log already.
            assert (item.fields, item.replaces) == ({"allergies": ["egg"]}, op_id)
            ledger.accept(queued(tablet)[0].op)
            await hear(tablet, ledger)
            record = tablet.collection("patient")["p1"]
            assert (record["allergies"], record["phone"]) == ({"egg"}, "1")

    async def test_an_edit_that_comes_too_late_corrects_a_counter_by_the_difference(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            patients = tablet.collection("patient")
            await patients.increment("p1", "visits", 5)
            await patients.increment("p1", "balance", Decimal("1.50"))
            first, second = await send(tablet)
            assert not await tablet.edit(first.op.op_id, {"visits": 7})
            assert not await tablet.edit(second.op.op_id, {"balance": Decimal("1.25")})
            for pushed in (first, second):
                await answer(tablet, ledger.accept(pushed.op))
            await hear(tablet, ledger)
            assert (patients["p1"]["visits"], patients["p1"]["balance"]) == (7, Decimal("1.25"))
            for row in queued(tablet):
                ledger.accept(row.op)
            await hear(tablet, ledger)
            assert (patients["p1"]["visits"], patients["p1"]["balance"]) == (7, Decimal("1.25"))

    async def test_a_later_write_stays_later_than_an_edit_that_came_too_late(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            patients = tablet.collection("patient")
            await patients.update("p1", name="one")
            (first,) = await send(tablet)
            assert not await tablet.edit(first.op.op_id, {"name": "two"})
            await patients.update("p1", name="three")
            await patients.update("p1", age=3)
            await answer(tablet, ledger.accept(first.op))
            assert patients["p1"]["name"] == "three"
            names = [row.op.writes["r/name"].values[0] for row in queued(tablet)[:-1]]
            assert names == ['"one"', '"two"', '"three"']
            positions = [row.position for row in queued(tablet)]
            assert positions == sorted(set(positions))

    async def test_what_replaced_a_discarded_op_inherits_when_the_server_has_spoken(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            ledger.accept(foreign_op("p1", {"r/allergies": '["milk"]'}))
            await hear(tablet, ledger)
            op_id = await self.cut_while_sending(tablet, "discard")
            patients = tablet.collection("patient")
            await patients.update("p1", allergies={"soy"})
            await answer(tablet, no(op_id))
            assert patients["p1"]["allergies"] == {"soy"}
            (row,) = queued(tablet)
            supersedes = row.op.writes["r/allergies"].supersedes
            # The name stays, so that the op is already superseded should it arrive after all.
            assert EntryId(op_id, 0) in supersedes
            assert EntryId(ledger.entries[0].op_id, 0) in supersedes

    async def test_an_edit_that_waited_inherits_from_what_was_discarded_meanwhile(self) -> None:
        """Found by the simulator (seed 100550): the values that a choice had replaced came back."""
        async with replica() as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", phone="1")
            await patients.update("p1", phone="2")
            await patients.update("p1", phone="3")
            first, second, third = (item.op_id for item in tablet.outbox)
            await send(tablet)
            assert not await tablet.edit(third, {"phone": "4"})
            assert not await tablet.discard(second)
            store = tablet._open_store()
            await store.change(outbox.store_receipts, [second, third], [], tablet.now_us())
            _, row = queued(tablet)
            assert EntryId(first, 0) in row.op.writes["r/phone"].supersedes
            assert patients["p1"]["phone"] == "4"

    async def test_holds_back_its_record_only_and_is_never_sent_again(self) -> None:
        async with replica() as tablet:
            op_id = await self.cut_while_sending(tablet, "discard")
            patients = tablet.collection("patient")
            await patients.update("p1", name="Kim")
            await patients.update("p2", name="Lee")
            await tablet._open_store().change(outbox.connection_lost)
            assert [pushed.op.record for pushed in await send(tablet)] == ["p2"]
            assert tablet.outbox[1].waits_for == op_id

    async def test_of_somebody_elses_op_asks_on_the_connection_that_stands(
        self, tmp_path: Path
    ) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", user="dr-lee") as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            (pushed,) = await send(tablet)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello)))
            await until(tablet, lambda: tablet.status.state.value == "syncing")
            assert not await tablet.discard(pushed.op.op_id)
            asked = await link.next(ReceiptsRequest)
            assert asked.op_ids == (pushed.op.op_id,)
            link.say(Receipts(asked.request, ()))
            await until(tablet, lambda: not tablet.outbox)

    async def test_the_edited_op_goes_out_on_the_same_connection(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello)))
            push = await link.next(Push)
            assert not await tablet.edit(push.ops[0].op.op_id, {"name": "Lee"})
            link.say(Answers(push.request_id, (no(push.ops[0].op.op_id),)))
            again = await link.next(Push)
            assert again.ops[0].op.replaces == push.ops[0].op.op_id
            assert again.ops[0].op.writes["r/name"].values == ('"Lee"',)

    async def test_can_be_asked_for_again_in_another_way(self) -> None:
        async with replica() as tablet:
            op_id = await self.cut_while_sending(tablet, "edit")
            assert not await tablet.discard(op_id)
            await answer(tablet, no(op_id))
            assert tablet.outbox == []

    async def test_an_acknowledged_op_is_not_taken_back(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            await tablet.collection("patient").update("p1", name="Kim")
            (pushed,) = await send(tablet)
            await answer(tablet, ledger.accept(pushed.op))
            for wish in (
                tablet.edit(pushed.op.op_id, {"name": "x"}),
                tablet.discard(pushed.op.op_id),
            ):
                with pytest.raises(UsageError, match="the server has"):
                    await wish

    def assert_done(self, tablet: Replica, wish: str, op_id: str) -> None:
        patients: Collection = tablet.collection("patient")
        if wish == "discard":
            assert tablet.outbox == []
            assert "p1" not in patients
            return
        (item,) = tablet.outbox
        assert (item.state, item.cancelling, item.replaces) == ("pending", False, op_id)
        assert patients["p1"]["allergies"] == {"egg"}


async def test_a_log_entry_of_an_op_that_is_being_edited_does_not_lose_the_edit() -> None:
    """The entry may overtake the receipt (invariant 4)."""
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(URL)
        link = await server.connection()
        link.say(ledger.welcome(await link.next(Hello)))
        push = await link.next(Push)
        assert not await tablet.edit(push.ops[0].op.op_id, {"name": "Lee"})
        receipt = ledger.accept(push.ops[0].op)
        link.say(ledger.since(0), Answers(push.request_id, (receipt,)))
        again = await link.next(Push)
        assert again.ops[0].op.writes["r/name"].values == ('"Lee"',)
        link.say(Answers(again.request_id, (ledger.accept(again.ops[0].op),)), ledger.since(1))
        await until(tablet, lambda: not tablet.outbox)
        assert tablet.collection("patient")["p1"]["name"] == "Lee"


async def test_a_job_of_the_queue_that_fails_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with replica() as tablet:
        await tablet.collection("patient").update("p1", allergies={"nut"})
        before = queued(tablet)[0]

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("in the middle")

        monkeypatch.setattr("crdtsync.replica.taking_back.insert", fail)
        with pytest.raises(RuntimeError):
            await tablet.edit(before.op_id, {"allergies": {"egg"}})
        (after,) = queued(tablet)
        assert (after.op, after.state) == (before.op, before.state)
        assert tablet.collection("patient")["p1"]["allergies"] == {"nut"}
