"""A device that was away longer than the log reaches back: snapshots, and its outbox once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtsync import Conflict, Replica
from crdtsync.protocol.codec import decode_server
from crdtsync.protocol.messages import (
    Answers,
    Landmark,
    Message,
    Receipts,
    ReceiptsRequest,
    SnapshotPage,
)
from crdtsync.replica.transport import ConnectionLost, Transport, dial
from crdtsync_server.service import RunningServer
from crdtsync_server.storage import reading
from crdtsync_server.storage.retention import trim_log
from tests.sync.raw import RawClient
from tests.sync.ward import (
    SPACE,
    Around,
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


class Network:
    """A device's way to the server: what arrives there is seen, and may be lost."""

    def __init__(self) -> None:
        self.online = True
        self.lose: type[Message] | None = None
        """The connection ends where a message of this kind would arrive, and stays away."""
        self.arrived: list[str] = []
        self.at_page: Callable[[], Any] | None = None

    async def dial(self, url: str) -> Transport:
        """See ``Dial``."""
        if not self.online:
            raise ConnectionLost("no network")
        return _Line(self, await dial(url))


class _Line:
    def __init__(self, network: Network, transport: Transport) -> None:
        self._network = network
        self._transport = transport
        self.send = transport.send
        self.close = transport.close

    async def receive(self) -> bytes | str:
        frame = await self._transport.receive()
        message = decode_server(frame)
        network = self._network
        if network.lose is not None and isinstance(message, network.lose):
            network.online = False
            raise ConnectionLost("cut")
        network.arrived.append(type(message).__name__)
        if isinstance(message, SnapshotPage) and network.at_page is not None:
            await network.at_page()
        return frame


def behind(network: Network, folder: Path, name: str) -> Replica:
    """A device behind this network."""
    return Replica.open(
        folder / f"{name}.db",
        space=SPACE,
        policy=policy(),
        user=name,
        device=name,
        dial=network.dial,
        surroundings=Around(),
    )


async def trim(ward: RunningServer, below_seq: int) -> None:
    """Trim the log of the space below a seq, as retention does when its time has come."""
    store = ward.service.store
    await store.write(lambda connection: trim_log(connection, store.sql, SPACE, below_seq))


async def receipts_of(ward: RunningServer, *op_ids: str) -> Receipts:
    """What the server says to anyone who asks for these receipts."""
    async with RawClient(ward.url) as client:
        await client.hello(Landmark(0, b""))
        await client.send(ReceiptsRequest(1, op_ids))
        return await client.receive(Receipts)


async def test_a_device_away_longer_than_the_log_gets_snapshots_and_its_ops_are_applied_once(
    tmp_path: Path,
) -> None:
    network = Network()
    written = [op_id() for _ in range(18)]
    sent = [op_id(), op_id()]
    async with (
        server(tmp_path) as ward,
        behind(network, tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
        device(tmp_path, "desk") as desk,
    ):
        patients, theirs = tablet.collection("patient"), phone.collection("patient")
        await patients.update("p1", name="Kim", tags={"a", "b"}, op_id=written[0])
        await patients.update("p2", name="Lee", op_id=written[1])
        await patients.update("p4", name="Han", phone="1", op_id=written[2])
        for replica in (tablet, phone, desk):
            replica.connect(ward.url)
        await in_step(tablet, phone, desk)
        await phone.disconnect()
        await desk.disconnect()
        # A conflict that is open when the tablet leaves, and a name that lost.
        await patients.update("p1", allergies={"latex"}, name="Kim A", op_id=written[3])
        await theirs.update("p1", allergies={"milk"}, name="Kim B", op_id=written[4])
        await desk.collection("patient").update("p1", allergies={"nuts"}, op_id=written[5])
        await tablet.synced(timeout=20)
        await phone.sync_once(ward.url)
        await tablet.synced(timeout=20)
        open_form = patients["p4"]
        seen_conflict = patients["p1"]["allergies"]
        assert isinstance(seen_conflict, Conflict)

        # Two ops reach the server, but the tablet never hears of it: it is away from now on.
        network.lose = Answers
        await patients.increment("p1", "visits", 1, op_id=sent[0])
        await until_status(tablet, lambda _: not network.online)
        assert op_ids_of(tablet) == [sent[0]]
        before = ServerLog(tmp_path)
        (accepted,) = [entry for entry in before.entries if entry.op_id == sent[0]]
        away_at = tablet._open_view().cursor.seq

        # What it does without a network, on the base of entries that will be trimmed.
        await patients.increment("p1", "visits", 10, op_id=written[6])
        await patients.remove("p1", "tags", "a", op_id=written[7])
        await seen_conflict.resolve({"latex", "milk"})
        resolution = op_ids_of(tablet)[-1]
        await patients.update("p2", phone="02", op_id=written[8])
        await patients.update("p3", name="New", op_id=written[9])
        await patients.update("p4", phone="2", based_on=open_form, op_id=written[10])

        # What happens meanwhile: a delete of what it edits, edits of what it replaces, a rival.
        phone.connect(ward.url)
        desk.connect(ward.url)
        await theirs.delete("p2", op_id=written[11])
        await theirs.update("p1", name="Kim C", op_id=written[12])
        await theirs.update("p4", name="Han M", op_id=written[13])
        await theirs.add("p1", "tags", "a", "c", op_id=written[14])
        await theirs.update("p5", name="Choi", op_id=written[15])
        await in_step(phone, desk)
        await trim(ward, ServerLog(tmp_path).seq + 1)
        await theirs.increment("p5", "visits", 7, op_id=written[16])
        await in_step(phone, desk)
        assert "p2" not in theirs

        network.lose, network.online = None, True
        network.arrived.clear()
        tablet.connect(ward.url)
        await in_step(tablet, phone, desk)
        first = network.arrived.index("Receipts")
        assert network.arrived.index("SnapshotPage") > first, "receipts come before snapshots"
        assert tablet._open_view().cursor.seq > away_at + 8

        log = assert_once(tmp_path, [*written[:17], sent[0], resolution])
        assert_alike(tablet, phone, desk)
        p1 = patients["p1"]
        assert p1["visits"] == 11
        assert p1["name"] == "Kim C"
        assert p1["tags"] == {"a", "b", "c"}, "an add that it had not seen outlives its removal"
        # The resolution replaced what the person saw; the rival that came since is still there.
        conflict = p1["allergies"]
        assert isinstance(conflict, Conflict)
        assert {frozenset(one.value) for one in conflict.candidates} == {
            frozenset({"latex", "milk"}),
            frozenset({"nuts"}),
        }
        assert (patients["p2"]["name"], patients["p2"]["phone"]) == ("Lee", "02")
        assert (patients["p4"]["name"], patients["p4"]["phone"]) == ("Han M", "2")
        assert patients["p3"]["name"] == "New"
        assert patients["p5"]["visits"] == 7
        assert any(entry.op_id == written[8] and entry.revived for entry in log.entries)
        assert [one["kind"] for one in phone.notices()] == ["brought_back"]

        # The receipt of a trimmed op is the one of its acceptance.
        (receipt,) = (await receipts_of(ward, sent[0])).receipts
        assert (receipt.seq, receipt.received_us) == (accepted.seq, accepted.received_us)
        assert receipt.outcomes == accepted.outcomes
        # The conflict has had one life.
        assert sum(log.conflicts.values()) == 1
        await conflict.resolve({"latex", "milk", "nuts"})
        await in_step(tablet, phone, desk)
        assert ServerLog(tmp_path).conflicts == {"resolved": 1}
        assert_alike(tablet, phone, desk)


async def test_the_last_value_that_lost_is_told_and_restored_when_its_log_is_long_gone(
    tmp_path: Path,
) -> None:
    """Invariant 7, by a device that never saw the log."""
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        await tablet.collection("patient").update("p1", name="Kim Minji")
        await phone.collection("patient").update("p1", name="Kim Minsu")
        await tablet.sync_once(ward.url)
        await phone.sync_once(ward.url)
        await trim(ward, ServerLog(tmp_path).seq + 1)
        async with device(tmp_path, "fresh") as fresh:
            fresh.connect(ward.url)
            await fresh.synced(timeout=20)
            patients = fresh.collection("patient")
            history = await patients.history("p1", "name")
            assert [past.value for past in history] == ["Kim Minsu", "Kim Minji"]
            assert not history.complete
            lost = history[1]
            assert (lost.left_because, lost.replaced_by_user) == ("lost_received", "phone")
            assert lost.user == "tablet"
            await patients.restore_value("p1", "name", lost)
            await fresh.synced(timeout=20)
            assert patients["p1"]["name"] == "Kim Minji"
        await trim(ward, ServerLog(tmp_path).seq + 1)
        async with device(tmp_path, "another") as another:
            another.connect(ward.url)
            await another.synced(timeout=20)
            told = await another.collection("patient").history("p1", "name")
            assert [past.value for past in told] == ["Kim Minji", "Kim Minji"]
            assert [past.visible for past in told] == [True, False]


async def test_a_log_that_is_trimmed_while_a_device_pages_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 3)
    network = Network()
    async with (
        server(tmp_path) as ward,
        behind(network, tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        theirs = phone.collection("patient")
        written = [op_id() for _ in range(40)]
        for n in range(20):
            await theirs.update(f"p{n % 10}", name=f"{n}", op_id=written[n])
        await phone.sync_once(ward.url)
        phone.connect(ward.url)
        more = iter(written[20:])

        async def write_and_trim() -> None:
            for n, one in zip(range(5), more, strict=False):
                await theirs.update(f"p{n}", phone=f"{n}", op_id=one)
            await phone.synced(timeout=20)
            await trim(ward, ServerLog(tmp_path).seq + 1)

        network.at_page = write_and_trim
        tablet.connect(ward.url)
        await in_step(phone, tablet)
        assert network.arrived.count("SnapshotPage") >= 4
        for one in more:
            await theirs.update("p9", name="last", op_id=one)
        await in_step(phone, tablet)
        assert_alike(tablet, phone)
        assert_once(tmp_path, written)


async def test_a_server_restored_from_a_backup_of_before_trimming_is_noticed_and_made_whole(
    tmp_path: Path,
) -> None:
    kept, lost, fresh = ([op_id() for _ in range(5)] for _ in range(3))
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        patients, theirs = tablet.collection("patient"), phone.collection("patient")
        async with server(tmp_path) as ward:
            for one in kept:
                await patients.update("p1", name=f"{one}", op_id=one)
            await tablet.sync_once(ward.url)
            await phone.sync_once(ward.url)
        shutil.copytree(tmp_path / "server", tmp_path / "backup")
        async with server(tmp_path) as ward:
            for n, one in enumerate(lost):
                await theirs.increment("p1", "visits", 10**n, op_id=one)
            await phone.sync_once(ward.url)
            await tablet.sync_once(ward.url)
            await trim(ward, ServerLog(tmp_path).seq + 1)
            assert ServerLog(tmp_path).seq == 10
        shutil.rmtree(tmp_path / "server")
        shutil.copytree(tmp_path / "backup", tmp_path / "server")
        async with server(tmp_path) as ward:
            for one in fresh:
                await patients.increment("p2", "visits", op_id=one)
            # Trimmed once more, on the old log: digests below its start still tell.
            await trim(ward, 4)
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert patients["p1"]["visits"] == 11_111
            assert patients["p2"]["visits"] == 5
            assert_once(tmp_path, [*kept, *lost, *fresh])
            told = await patients.history("p1", "name")
            assert told[0].value == kept[-1]


async def test_a_week_offline_with_a_thousand_ops_meets_a_trimmed_log(tmp_path: Path) -> None:
    """The outbox is larger than what is in flight at once, and goes out in order."""
    written = [op_id() for _ in range(1_000)]
    others = [op_id() for _ in range(50)]
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await tablet.sync_once(ward.url)
        async with asyncio.TaskGroup() as group:
            for n, one in enumerate(written):
                group.create_task(patients.increment(f"p{n % 7}", "visits", op_id=one))
        for one in others:
            await phone.collection("patient").increment("p0", "visits", 1_000, op_id=one)
        await phone.sync_once(ward.url)
        await trim(ward, 51)
        for replica in (tablet, phone):
            replica.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert patients["p0"]["visits"] == 50_000 + 143
        assert_once(tmp_path, [*written, *others])
