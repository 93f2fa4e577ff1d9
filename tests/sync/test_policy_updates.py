"""The server's policy changes while devices are away: their ops wait, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import Conflict, NeedsAttention, SyncState, UnresolvedConflict
from tests.sync.ward import (
    ServerLog,
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    op_ids_of,
    policy,
    server,
    until_status,
)


async def test_a_new_policy_is_adopted_before_anything_made_under_it(tmp_path: Path) -> None:
    """A field becomes manual and another one is new, with ops of the old policy waiting."""
    newer = policy(2, phone="manual", more='ward = { type = "string", merge = "server-latest" }')
    written = [op_id() for _ in range(5)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path) as ward:
            await tablet.collection("patient").update("p1", phone="000", op_id=written[0])
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            for replica in (tablet, phone):
                await replica.disconnect()
        await tablet.collection("patient").update("p1", phone="111", op_id=written[1])
        await phone.collection("patient").update("p1", phone="222", op_id=written[2])
        async with (
            server(tmp_path, rules=newer) as ward,
            device(tmp_path, "desk", rules=newer) as desk,
        ):
            await desk.collection("patient").update("p1", ward="3 East", op_id=written[3])
            for replica in (desk, tablet, phone):
                replica.connect(ward.url)
            await in_step(desk, tablet, phone)
            assert_alike(desk, tablet, phone)
            assert tablet.policy.version == phone.policy.version == 2
            record = tablet.collection("patient")["p1"]
            assert record["ward"] == "3 East"
            conflict = record["phone"]
            assert isinstance(conflict, Conflict)
            assert {c.value for c in conflict.candidates} == {"111", "222"}
            await phone.collection("patient").update("p1", ward="3 West", op_id=written[4])
            await in_step(phone, desk, tablet)
            assert_alike(desk, tablet, phone)
            assert_once(tmp_path, written)
    # What was adopted is kept for offline use, whatever policy the app brings.
    async with device(tmp_path, "tablet") as tablet:
        assert tablet.policy.version == 2
        assert tablet.collection("patient")["p1"]["ward"] == "3 West"


async def test_the_same_version_with_other_content_stops_sync_and_says_so(tmp_path: Path) -> None:
    other = policy(1, name=", max_length = 7")
    written = op_id()
    async with server(tmp_path) as ward, device(tmp_path, "tablet", rules=other) as tablet:
        await tablet.collection("patient").update("p1", name="Kim", op_id=written)
        tablet.connect(ward.url)
        with pytest.raises(NeedsAttention, match="version"):
            await tablet.synced(timeout=20)
        status = tablet.status
        assert status.state is SyncState.NEEDS_ATTENTION
        assert "policy version 1" in (status.problem or "")
        assert op_ids_of(tablet) == [written]
    async with (
        server(tmp_path, rules=policy(2)) as ward,
        device(tmp_path, "tablet", rules=other) as tablet,
    ):
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        assert_once(tmp_path, [written])


async def test_a_device_whose_policy_is_ahead_waits_for_the_server_and_says_so(
    tmp_path: Path,
) -> None:
    written = op_id()
    async with device(tmp_path, "tablet", rules=policy(2)) as tablet:
        async with server(tmp_path) as ward:
            await tablet.collection("patient").update("p1", name="Kim", op_id=written)
            tablet.connect(ward.url)
            status = await until_status(tablet, lambda status: status.next_retry is not None)
            assert "policy version 2" in (status.problem or "")
            assert status.state is SyncState.OFFLINE
            assert op_ids_of(tablet) == [written]
            port = ward.port
        async with server(tmp_path, rules=policy(2), port=port) as ward:
            tablet.connect(ward.url)  # the same address: try now
            await tablet.synced(timeout=20)
            assert_once(tmp_path, [written])


@pytest.mark.parametrize("kind", ["server-latest", "user-latest"])
async def test_a_conflict_stays_open_when_its_field_stops_being_manual(
    tmp_path: Path, kind: str
) -> None:
    """Invariant 6: a change of the policy chooses no value, and neither does a late write."""
    manual, settles = policy(1, phone="manual"), policy(2, phone=kind)
    async with (
        device(tmp_path, "tablet", rules=manual) as tablet,
        device(tmp_path, "phone", rules=manual) as phone,
        device(tmp_path, "away", rules=manual) as away,
    ):
        devices = (tablet, phone, away)
        patients = tablet.collection("patient")
        async with server(tmp_path, rules=manual) as ward:
            for value, replica in zip(("111", "222"), devices, strict=False):
                await replica.collection("patient").update("p1", phone=value)
            for replica in devices[:2]:
                replica.connect(ward.url)
            await in_step(tablet, phone)
            assert isinstance(patients["p1"]["phone"], Conflict)
            for replica in devices[:2]:
                await replica.disconnect()
        await away.collection("patient").update("p1", phone="333")
        async with server(tmp_path, rules=settles) as ward:
            tablet.connect(ward.url)
            await tablet.synced(timeout=20)
            conflict = patients["p1"]["phone"]
            assert isinstance(conflict, Conflict)
            with pytest.raises(UnresolvedConflict):
                await patients.update("p1", phone="444")
            for replica in devices:
                replica.connect(ward.url)
            await in_step(*devices)
            conflict = patients["p1"]["phone"]
            assert isinstance(conflict, Conflict)
            assert {c.value for c in conflict.candidates} == {"111", "222", "333"}
            assert tablet.status.conflicts == 1
            assert [r.id for r in await patients.where({"phone": "222"})] == ["p1"]
            assert ServerLog(tmp_path).conflicts == {"open": 1}
            await conflict.resolve("222")
            await in_step(*devices)
            assert_alike(*devices)
            assert patients["p1"]["phone"] == "222"
            assert ServerLog(tmp_path).conflicts == {"resolved": 1}
            # From now on it settles by itself.
            await tablet.disconnect()
            await phone.disconnect()
            await patients.update("p1", phone="555")
            await phone.collection("patient").update("p1", phone="666")
            for replica in devices[:2]:
                replica.connect(ward.url)
                await replica.synced(timeout=20)
            await in_step(*devices)
            assert patients["p1"]["phone"] == "666"
            assert_alike(*devices)
