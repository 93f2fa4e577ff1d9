"""Every state of an op in the outbox, reached and left, as people see it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from crdtsync.protocol.messages import Limits
from crdtsync_server.acceptance.processes import WAIT_S
from crdtsync_server.acceptance.proxy import Proxy
from tests.sync.ward import (
    assert_alike,
    assert_once,
    copy_file,
    device,
    in_step,
    op_id,
    op_ids_of,
    queued,
    server,
    until_status,
)


class Gate:
    """Holds a message in the proxy until the test lets it pass."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self) -> None:
        """See ``Fault.act``."""
        self.reached.set()
        await self.open.wait()


async def test_an_op_goes_from_pending_over_sending_and_acknowledged_to_synced(
    tmp_path: Path,
) -> None:
    written = op_id()
    async with (
        server(tmp_path) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
    ):
        patients = tablet.collection("patient")
        record = await patients.update("p1", name="Kim", op_id=written)
        item = queued(tablet, written)
        assert (item.state, item.attempts, record.sync_state) == ("pending", 0, "pending")
        assert str(tablet.status.state) == "offline"
        # The push arrives; what comes back waits at the gate.
        sent, answered = Gate(), Gate()
        proxy.fault("replica", "push", arrives="whole", act=sent, cut=False)
        proxy.fault("server", "answers", arrives="whole", act=answered, cut=False)
        tablet.connect(proxy.url)
        await sent.reached.wait()
        item = queued(tablet, written)
        assert (item.state, item.attempts, item.acknowledged) == ("sending", 1, False)
        assert item.request_id is not None
        assert patients["p1"].sync_state == "sending"
        assert str(tablet.status.state) == "syncing"
        async with patients.watch() as changes, asyncio.timeout(WAIT_S):
            sent.open.set()
            async for _ in changes:
                if queued(tablet, written).acknowledged:
                    break
        # Acknowledged counts as sending until the log brings the op back.
        assert queued(tablet, written).state == "sending"
        assert (tablet.status.sending, tablet.status.pending) == (1, 0)
        assert_once(tmp_path, [written])
        answered.open.set()
        await tablet.synced(timeout=20)
        assert tablet.outbox == []
        assert patients["p1"].sync_state == "synced"
        assert str(tablet.status.state) == "synced"
        assert tablet.status.last_synced is not None


async def test_an_acknowledged_op_survives_restarts_and_a_first_sync_by_snapshots(
    tmp_path: Path,
) -> None:
    """Its entry never came as a change: the snapshot of its record covers it."""
    written, other = op_id(), [op_id() for _ in range(3)]
    async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
        async with device(tmp_path, "tablet") as tablet:
            await tablet.collection("patient").increment("p1", "visits", op_id=written)

            async def no_network() -> None:
                proxy.online = False

            fault = proxy.fault("server", "changes", act=no_network)
            tablet.connect(proxy.url)
            await fault.happened.wait()
            await until_status(tablet, lambda status: status.next_retry is not None)
            assert queued(tablet, written).acknowledged
        proxy.go_online()
        async with device(tmp_path, "phone") as phone, device(tmp_path, "tablet") as tablet:
            for one in other:
                await phone.collection("patient").increment("p1", "visits", op_id=one)
            phone.connect(ward.url)
            await phone.synced(timeout=20)
            tablet.connect(proxy.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert proxy.messages["server", "snapshots"] > 0
            assert tablet.collection("patient")["p1"]["visits"] == 4
            assert_once(tmp_path, [written, *other])


async def test_a_push_that_arrives_after_its_device_has_come_back_is_not_taken(
    tmp_path: Path,
) -> None:
    """The hello fences older connections: what was discarded meanwhile stays discarded."""
    slow, kept = op_id(), op_id()
    async with (
        server(tmp_path, limits=Limits(heartbeat_ms=100, silence_ms=1_500)) as ward,
        Proxy(ward.port) as old_way,
        Proxy(ward.port) as new_way,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        tablet.connect(old_way.url)
        await tablet.synced(timeout=20)
        old_way.stall()
        await patients.increment("p1", "visits", 100, op_id=slow)
        await until_status(tablet, lambda status: status.next_retry is not None)
        assert not await tablet.discard(slow)
        await patients.increment("p1", "visits", 1, op_id=kept)
        tablet.connect(new_way.url)
        phone.connect(ward.url)
        await in_step(tablet, phone)
        pushed = old_way.messages["replica", "push"]
        old_way.flow()
        await old_way.until(lambda: old_way.messages["replica", "push"] > pushed)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["visits"] == 1
        assert_once(tmp_path, [kept])


async def test_an_outbox_can_be_exported_and_survives_logout_and_a_copy(tmp_path: Path) -> None:
    written = [op_id() for _ in range(5)]
    async with device(tmp_path, "tablet") as tablet:
        for n, one in enumerate(written):
            await tablet.collection("patient").update(f"p{n}", name=f"n {n}", op_id=one)
        exported = tmp_path / "queue.jsonl"
        assert await tablet.export_outbox(exported) == 5
        lines = [json.loads(line) for line in exported.read_text().splitlines()]
        assert [line["op_id"] for line in lines] == written
        assert [line["fields"] for line in lines] == [{"name": f"n {n}"} for n in range(5)]
        await tablet.disconnect()
        assert op_ids_of(tablet) == written
    copy_file(tmp_path / "tablet.db", tmp_path / "copy.db")
    async with server(tmp_path) as ward, device(tmp_path, "copy", user="tablet") as copy:
        assert op_ids_of(copy) == written
        await copy.sync_once(ward.url)
        assert copy.outbox == []
        assert_once(tmp_path, written)
