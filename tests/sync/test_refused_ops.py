"""A refused op needs a person; what depends on it is held, shown, and goes on afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from crdtsync import Conflict, NeedsAttention, NotPermitted, Replica, SyncState
from crdtsync_server.service import RunningServer
from tests.sync.sign_in import Roles
from tests.sync.ward import (
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    op_ids_of,
    policy,
    queued,
    server,
)

STRICT = policy(2, name=", max_length = 5")


@dataclass
class Refused:
    """A tablet whose second op of five was refused, with the server it is connected to."""

    folder: Path
    ward: RunningServer
    tablet: Replica
    phone: Replica
    ops: list[str]

    @property
    def too_long(self) -> str:
        """The op that was refused."""
        return self.ops[1]

    async def assert_through(self, written: list[str], name: str) -> None:
        """Everything is in the log once, and everyone reads the same."""
        await in_step(self.tablet, self.phone)
        assert_alike(self.tablet, self.phone)
        assert self.phone.collection("patient")["p1"]["name"] == name
        assert_once(self.folder, written)


@asynccontextmanager
async def refused_op(folder: Path) -> AsyncIterator[Refused]:
    """Five ops written under the first policy; the server has a stricter one."""
    ops = [op_id() for _ in range(5)]
    async with (
        server(folder, rules=STRICT) as ward,
        device(folder, "tablet") as tablet,
        device(folder, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim", op_id=ops[0])
        await patients.update("p1", name="Kim Minji", phone="010", op_id=ops[1])
        await patients.update("p1", name="Minji", op_id=ops[2])
        await patients.increment("p1", "visits", op_id=ops[3])
        await patients.update("p2", name="Park", op_id=ops[4])
        tablet.connect(ward.url)
        phone.connect(ward.url)
        with pytest.raises(NeedsAttention, match="patient/p1"):
            await tablet.synced(timeout=20)
        yield Refused(folder, ward, tablet, phone, ops)


async def until_waiting(tablet: Replica, count: int) -> None:
    """Until so many ops are left in the outbox."""
    async with tablet.watch_status() as statuses:
        async for status in statuses:
            if status.waiting == count and not status.sending:
                return


async def test_a_refused_op_is_shown_with_its_reason_and_holds_back_its_own_record_only(
    tmp_path: Path,
) -> None:
    async with refused_op(tmp_path) as case:
        await until_waiting(case.tablet, 3)
        refused, *held = case.tablet.outbox
        assert refused.op_id == case.too_long
        assert (refused.state, refused.needs_person, refused.retry_at) == ("failed", True, None)
        assert (refused.error_code, refused.error_field) == ("too_long", "name")
        assert "5" in (refused.words("en") or "")
        assert "5" in (refused.words("ko") or "")
        assert [(item.op_id, item.state, item.waits_for) for item in held] == [
            (case.ops[2], "pending", case.too_long),
            (case.ops[3], "pending", case.too_long),
        ]
        status = case.tablet.status
        assert status.state is SyncState.NEEDS_ATTENTION
        assert (status.needs_person, status.pending, status.failed) == (1, 2, 1)
        # The refused op left the screen; what was written on top of it is still shown.
        record = case.tablet.collection("patient")["p1"]
        assert (record["name"], record["phone"], record["visits"]) == ("Minji", None, 1)
        assert record.sync_state == "failed"
        # p2 was not held back (invariant 10), and nobody else sees what was not accepted.
        await case.phone.synced(timeout=20)
        assert case.phone.collection("patient")["p2"]["name"] == "Park"
        assert case.phone.collection("patient")["p1"]["name"] == "Kim"
        assert_once(tmp_path, [case.ops[0], case.ops[4]])


async def test_an_edited_op_takes_its_place_and_the_held_ones_follow(tmp_path: Path) -> None:
    async with refused_op(tmp_path) as case:
        assert await case.tablet.edit(case.too_long, {"name": "Kim M"})
        (edited,) = [item for item in case.tablet.outbox if item.replaces == case.too_long]
        assert edited.fields == {"name": "Kim M", "phone": "010"}
        written = [case.ops[0], edited.op_id, *case.ops[2:]]
        await case.assert_through(written, "Minji")
        record = case.phone.collection("patient")["p1"]
        assert (record["phone"], record["visits"]) == ("010", 1)


async def test_a_discarded_op_is_gone_and_the_held_ones_follow(tmp_path: Path) -> None:
    async with refused_op(tmp_path) as case:
        assert await case.tablet.discard(case.too_long)
        assert case.too_long not in op_ids_of(case.tablet)
        await case.assert_through([case.ops[0], *case.ops[2:]], "Minji")
        assert case.phone.collection("patient")["p1"]["phone"] is None


async def test_a_retry_is_judged_anew_and_survives_restarts_of_both(tmp_path: Path) -> None:
    async with refused_op(tmp_path) as case:
        await case.tablet.retry(case.too_long)
        with pytest.raises(NeedsAttention):
            await case.tablet.synced(timeout=20)
        await until_waiting(case.tablet, 3)
        assert case.tablet.outbox[0].attempts == 2
        ops = case.ops
    lenient = policy(3, name=", max_length = 9")
    async with (
        server(tmp_path, rules=lenient) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        assert op_ids_of(tablet) == ops[1:4]
        tablet.connect(ward.url)
        phone.connect(ward.url)
        with pytest.raises(NeedsAttention):
            await tablet.synced(timeout=20)
        await tablet.retry()
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["phone"] == "010"
        assert_once(tmp_path, ops)


async def test_ops_after_a_refused_one_on_a_manual_field_inherit_what_it_replaced(
    tmp_path: Path,
) -> None:
    """Without inheritance the first value would come back beside the last one."""
    rules = policy(2, allergies=", max_length = 5")
    ops = [op_id() for _ in range(3)]
    async with (
        server(tmp_path, rules=rules) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await patients.update("p1", allergies={"latex"}, op_id=ops[0])
        await patients.update("p1", allergies={"latex", "hazelnuts"}, op_id=ops[1])
        await patients.update("p1", allergies={"nuts", "milk"}, op_id=ops[2])
        tablet.connect(ward.url)
        phone.connect(ward.url)
        with pytest.raises(NeedsAttention):
            await tablet.synced(timeout=20)
        assert queued(tablet, ops[1]).error_code == "too_long"
        await tablet.discard(ops[1])
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["allergies"] == {"nuts", "milk"}
        assert_once(tmp_path, [ops[0], ops[2]])


async def test_without_the_role_an_op_is_refused_and_with_it_a_retry_goes_through(
    tmp_path: Path,
) -> None:
    rules = policy(1, allergies=', write = ["nurse"]')
    doors = Roles(tablet=[], phone=["nurse"])
    ops = [op_id() for _ in range(2)]
    async with (
        server(tmp_path, rules=rules, authenticator=doors) as ward,
        device(tmp_path, "tablet", rules=rules) as tablet,
        device(tmp_path, "phone", rules=rules) as phone,
    ):
        patients = tablet.collection("patient")
        # Before the first welcome the roles are not known, and nothing is refused for one.
        await patients.update("p1", allergies={"latex"}, op_id=ops[0])
        await patients.update("p1", name="Kim", op_id=ops[1])
        tablet.connect(ward.url)
        phone.connect(ward.url)
        with pytest.raises(NeedsAttention):
            await tablet.synced(timeout=20)
        assert queued(tablet, ops[0]).error_code == "not_permitted"
        assert len(tablet.outbox) == 2
        with pytest.raises(NotPermitted):
            await patients.update("p2", allergies={"nuts"})
        doors.roles["tablet"] = frozenset({"nurse"})
        await tablet.disconnect()
        tablet.connect(ward.url)
        await tablet.retry(ops[0])
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["allergies"] == {"latex"}
        assert_once(tmp_path, ops)


async def test_a_seventeenth_candidate_waits_visibly_until_a_person_has_chosen(
    tmp_path: Path,
) -> None:
    ops = [op_id() for _ in range(17)]
    async with server(tmp_path) as ward, device(tmp_path, "last") as last:
        for n, one in enumerate(ops[:16]):
            async with device(tmp_path, f"d{n}") as other:
                await other.collection("patient").update("p1", allergies={f"a{n}"}, op_id=one)
                await other.sync_once(ward.url)
        await last.collection("patient").update("p1", allergies={"a17"}, op_id=ops[16])
        last.connect(ward.url)
        with pytest.raises(NeedsAttention):
            await last.synced(timeout=20)
        assert queued(last, ops[16]).error_code == "too_many_candidates"
        conflict = last.collection("patient")["p1"]["allergies"]
        assert isinstance(conflict, Conflict)
        assert len(conflict.candidates) == 16
        # The choice would be held behind the refused op, which cannot go before the
        # choice: the way out is to take it back and to choose with it in view.
        await last.discard(ops[16])
        await conflict.resolve(conflict.union() | {"a17"})
        resolution = last.outbox[-1].op_id
        await last.synced(timeout=20)
        assert last.collection("patient")["p1"]["allergies"] == {
            "a17",
            *(f"a{n}" for n in range(16)),
        }
        assert_once(tmp_path, [*ops[:16], resolution])
