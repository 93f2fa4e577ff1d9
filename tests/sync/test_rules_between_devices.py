"""Every merge rule and the delete rules, between real devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import Conflict, NoSuchRecord
from crdtsync.documents.clock import FUTURE_BOUND_US
from tests.sync.ward import (
    ServerLog,
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    server,
    server_now_us,
)

DAY_S = 86_400


async def test_counters_and_sets_of_three_devices_add_up(tmp_path: Path) -> None:
    written = [op_id() for _ in range(13)]
    ids = iter(written)
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
        device(tmp_path, "desk") as desk,
    ):
        three = (tablet, phone, desk)
        await tablet.collection("patient").add("p1", "tags", "old", "kept", op_id=next(ids))
        for replica in three:
            replica.connect(ward.url)
        await in_step(*three)
        for replica in three:
            await replica.disconnect()
        for n, replica in enumerate(three):
            patients = replica.collection("patient")
            await patients.increment("p1", "visits", 10**n, op_id=next(ids))
            await patients.increment("p1", "visits", 10**n, op_id=next(ids))
            await patients.add("p1", "tags", f"by {n}", op_id=next(ids))
        # One takes an element away, another adds it again without knowing: add wins.
        await tablet.collection("patient").remove("p1", "tags", "old", op_id=next(ids))
        await phone.collection("patient").remove("p1", "tags", "kept", op_id=next(ids))
        await desk.collection("patient").add("p1", "tags", "kept", op_id=next(ids))
        for replica in three:
            replica.connect(ward.url)
        await in_step(*three)
        assert_alike(*three)
        record = desk.collection("patient")["p1"]
        assert record["visits"] == 2 + 20 + 200
        assert record["tags"] == {"kept", "by 0", "by 1", "by 2"}
        assert_once(tmp_path, written)


@pytest.mark.parametrize("wrong_s", [DAY_S, -DAY_S], ids=["a day ahead", "a day behind"])
async def test_a_clock_that_is_a_day_wrong_is_bounded_told_and_drags_nobody(
    tmp_path: Path, wrong_s: int
) -> None:
    first, wrong, right, after = (op_id() for _ in range(4))
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet", clock_off_s=wrong_s) as tablet,
        device(tmp_path, "phone") as phone,
    ):
        await phone.collection("patient").update("p1", phone="000", op_id=first)
        for replica in (phone, tablet):
            replica.connect(ward.url)
        await in_step(phone, tablet)
        for replica in (phone, tablet):
            await replica.disconnect()
        await tablet.collection("patient").update("p1", phone="wrong", op_id=wrong)
        await phone.collection("patient").update("p1", phone="right", op_id=right)
        for replica in (tablet, phone):
            replica.connect(ward.url)
            await replica.synced(timeout=20)
        await in_step(phone, tablet)
        assert_alike(phone, tablet)
        entries = {entry.op_id: entry for entry in ServerLog(tmp_path).entries}
        shown = phone.collection("patient")["p1"]["phone"]
        if wrong_s > 0:
            # It wins, for within the bound its time counts as later; but no further.
            assert shown == "wrong"
            effective = entries[wrong].effective_us
            assert effective == entries[wrong].received_us + FUTURE_BOUND_US
            assert entries[wrong].time_us > effective + (DAY_S - 120) * 1_000_000
        else:
            assert shown == "right"
            assert entries[wrong].effective_us > entries[first].effective_us
        assert abs(tablet.status.clock_skew_s - wrong_s) < 60
        assert abs(phone.status.clock_skew_s) < 60
        assert str(DAY_S // 60) in tablet.status.message()
        assert str(DAY_S // 60) in tablet.status.message("ko")
        # Who saw it goes on from what counted, not from the wrong clock.
        await phone.collection("patient").update("p1", phone="after", op_id=after)
        await in_step(phone, tablet)
        stamp = {entry.op_id: entry for entry in ServerLog(tmp_path).entries}[after].time_us
        assert stamp < server_now_us() + FUTURE_BOUND_US + 1_000_000
        assert tablet.collection("patient")["p1"]["phone"] == "after"
        assert_once(tmp_path, [first, wrong, right, after])


@pytest.mark.parametrize("order", ["delete first", "edit first"])
async def test_an_edit_that_a_delete_had_not_seen_revives_the_record_everywhere(
    tmp_path: Path, order: str
) -> None:
    first, delete, edit, later = (op_id() for _ in range(4))
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
        device(tmp_path, "desk") as desk,
    ):
        await tablet.collection("patient").update("p1", name="Kim", op_id=first)
        for replica in (tablet, phone, desk):
            replica.connect(ward.url)
        await in_step(tablet, phone, desk)
        await tablet.disconnect()
        await phone.disconnect()
        await tablet.collection("patient").delete("p1", op_id=delete)
        await phone.collection("patient").update("p1", allergies={"latex"}, op_id=edit)
        assert "p1" not in tablet.collection("patient")
        pair = (tablet, phone) if order == "delete first" else (phone, tablet)
        for replica in pair:
            replica.connect(ward.url)
            await replica.synced(timeout=20)
        await in_step(tablet, phone, desk)
        assert_alike(tablet, phone, desk)
        record = tablet.collection("patient")["p1"]
        assert (record["name"], record["allergies"]) == ("Kim", {"latex"})
        log = assert_once(tmp_path, [first, delete, edit])
        second = log.entries[-1]
        assert second.revived
        assert ("d/", delete, 0, "revived") in {
            (gone.root, gone.op_id, gone.n, gone.why) for gone in second.removed
        }
        for replica in (tablet, phone, desk):
            (told,) = replica.notices()
            assert (told["kind"], '"record": "p1"' in told["detail"]) == ("brought_back", True)
            await replica.dismiss_notices(told["n"])
            assert replica.notices() == []
        # A delete by somebody who has seen it all stands.
        await desk.collection("patient").delete("p1", op_id=later)
        await in_step(desk, tablet, phone)
        for replica in (tablet, phone, desk):
            with pytest.raises(NoSuchRecord):
                replica.collection("patient")["p1"]
        assert_once(tmp_path, [first, delete, edit, later])


async def test_under_the_delete_rule_a_delete_wins_and_restore_brings_the_edit_back(
    tmp_path: Path,
) -> None:
    first, delete, edit, restore = (op_id() for _ in range(4))
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        await tablet.collection("task").update("t1", title="wash", op_id=first)
        for replica in (tablet, phone):
            replica.connect(ward.url)
        await in_step(tablet, phone)
        await tablet.disconnect()
        await phone.disconnect()
        await tablet.collection("task").delete("t1", op_id=delete)
        await phone.collection("task").update("t1", title="wash hands", op_id=edit)
        for replica in (tablet, phone):
            replica.connect(ward.url)
        await in_step(tablet, phone)
        for replica in (tablet, phone):
            assert "t1" not in replica.collection("task")
        deleted = phone.collection("task").get_deleted("t1")
        assert deleted is not None
        assert deleted["title"] == "wash hands"
        await phone.collection("task").restore("t1", op_id=restore)
        await in_step(phone, tablet)
        assert_alike(phone, tablet)
        assert tablet.collection("task")["t1"]["title"] == "wash hands"
        assert_once(tmp_path, [first, delete, edit, restore])


async def test_the_life_of_a_conflict_between_three_devices(tmp_path: Path) -> None:
    """opened, a candidate joins, chosen by two at once, open again, chosen for good."""
    written = [op_id() for _ in range(4)]
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
        device(tmp_path, "late") as late,
    ):
        three = (tablet, phone, late)
        for replica in three:
            replica.connect(ward.url)
        await tablet.collection("patient").update("p1", allergies={"old"}, op_id=written[0])
        await in_step(*three)
        for replica in three:
            await replica.disconnect()
        for n, replica in enumerate(three, start=1):
            await replica.collection("patient").update("p1", allergies={f"a{n}"}, op_id=written[n])
        for replica in (tablet, phone):
            replica.connect(ward.url)
        await in_step(tablet, phone)
        assert tablet.status.conflicts == phone.status.conflicts == 1
        conflicts = [
            replica.collection("patient")["p1"]["allergies"] for replica in (tablet, phone)
        ]
        for replica in (tablet, phone):
            await replica.disconnect()
        for replica, conflict, choice in zip(
            (tablet, phone), conflicts, ({"a1"}, {"a1", "a2"}), strict=True
        ):
            assert isinstance(conflict, Conflict)
            await conflict.resolve(choice)
            written.append(replica.outbox[-1].op_id)
        for replica in three:
            replica.connect(ward.url)
        await in_step(*three)
        assert_alike(*three)
        again = late.collection("patient")["p1"]["allergies"]
        assert isinstance(again, Conflict)
        assert {frozenset(c.value) for c in again.candidates} == {
            frozenset({"a1"}),
            frozenset({"a1", "a2"}),
            frozenset({"a3"}),
        }
        assert ServerLog(tmp_path).conflicts == {"open": 1}
        await again.resolve(again.union(), if_unchanged=True)
        written.append(late.outbox[-1].op_id)
        await in_step(late, tablet, phone)
        assert_alike(*three)
        assert tablet.collection("patient")["p1"]["allergies"] == {"a1", "a2", "a3"}
        log = assert_once(tmp_path, written)
        assert log.conflicts == {"resolved": 1}
