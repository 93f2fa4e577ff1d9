"""Networks as they are: gone, slow, silent, back again. Nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crdtsync import SyncState, SyncTimeout
from crdtsync.protocol.codec import decode_client, decode_server
from crdtsync.protocol.messages import History, HistoryRequest, Limits
from crdtsync.replica.questions import ASKED_AT_ONCE
from crdtsync.replica.transport import Transport, dial
from crdtsync_server.acceptance.proxy import Proxy
from tests.sync.ward import (
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    op_ids_of,
    server,
    until_status,
)


async def test_a_device_comes_back_by_itself_when_the_server_does(tmp_path: Path) -> None:
    written = [op_id() for _ in range(3)]
    async with Proxy() as proxy, device(tmp_path, "tablet") as tablet:
        patients = tablet.collection("patient")
        await patients.increment("p1", "visits", op_id=written[0])
        tablet.connect(proxy.url)
        status = await until_status(tablet, lambda status: status.next_retry is not None)
        assert (status.waiting, status.state) == (1, SyncState.OFFLINE)
        with pytest.raises(SyncTimeout) as late:
            await tablet.synced(timeout=0.2)
        assert late.value.status.waiting == 1
        async with server(tmp_path) as ward:
            proxy.upstream_port = ward.port
            await tablet.synced(timeout=20)
            await patients.increment("p1", "visits", op_id=written[1])
            await tablet.synced(timeout=20)
        await until_status(tablet, lambda status: status.state is not SyncState.SYNCED)
        await patients.increment("p1", "visits", op_id=written[2])
        assert tablet.status.waiting == 1
        async with server(tmp_path) as ward:
            proxy.upstream_port = ward.port
            await tablet.synced(timeout=20)
            assert_once(tmp_path, written)


class CountsQuestions:
    """A transport that knows how many requests for history are unanswered."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.unanswered = self.most = 0

    async def send(self, frame: bytes) -> None:
        """See ``Transport.send``."""
        self.unanswered += isinstance(decode_client(frame), HistoryRequest)
        self.most = max(self.most, self.unanswered)
        await self._inner.send(frame)

    async def receive(self) -> bytes | str:
        """See ``Transport.receive``."""
        frame = await self._inner.receive()
        self.unanswered -= isinstance(decode_server(frame), History)
        return frame

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport.close``."""
        await self._inner.close(code, reason)


async def test_a_thousand_questions_at_once_are_asked_in_turn_and_all_are_answered(
    tmp_path: Path,
) -> None:
    """Invariant 9: sent all at once, neither side would read while the other sends."""
    counting: list[CountsQuestions] = []

    async def dial_counting(url: str) -> Transport:
        counting.append(CountsQuestions(await dial(url)))
        return counting[-1]

    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet", dial=dial_counting) as tablet,
    ):
        patients = tablet.collection("patient")
        await patients.increment("p1", "visits")
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        asked = [patients.history("p1", "visits") for _ in range(1_000)]
        for past in await asyncio.gather(*asked):
            assert (len(past), past.complete) == (1, True)
        assert [one.most for one in counting] == [ASKED_AT_ONCE]


async def test_airplane_mode_fifty_times_while_two_devices_write(tmp_path: Path) -> None:
    written: list[str] = []
    async with (
        server(tmp_path) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        for replica in (tablet, phone):
            replica.connect(proxy.url)
        for n in range(50):
            for replica in (tablet, phone):
                written.append(op_id())
                patients = replica.collection("patient")
                await patients.increment(f"p{n % 5}", "visits", op_id=written[-1])
            if n % 3:
                # Off at some moment of connecting, sending or receiving.
                seen = proxy.messages.total()
                for replica in (tablet, phone):
                    replica.connect(proxy.url)  # do not wait for the backoff
                await proxy.until(lambda seen=seen, n=n: proxy.messages.total() > seen + n % 7)  # type: ignore[misc]
            await proxy.go_offline()
            assert not await still_open(proxy)
            proxy.go_online()
        assert proxy.connections > 30
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        visits = [record["visits"] for record in phone.collection("patient").values()]
        assert sum(visits) == len(written) == 100
        assert_once(tmp_path, written)


async def still_open(proxy: Proxy) -> bool:
    """Whether anybody can talk to the server through the proxy."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read(10)
        writer.close()
        return bool(answer)
    except OSError:
        return False


async def test_a_slow_network_delays_and_does_nothing_worse(tmp_path: Path) -> None:
    written = [op_id() for _ in range(60)]
    async with (
        server(tmp_path, limits=Limits(heartbeat_ms=200, silence_ms=10_000)) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        proxy.bytes_per_s = 100_000
        proxy.delay_s = 0.02
        for n, one in enumerate(written):
            await tablet.collection("patient").update(f"p{n}", name="x" * 500, op_id=one)
        tablet.connect(proxy.url)
        phone.connect(proxy.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert proxy.connections == 2, "slow is not dead"
        assert_once(tmp_path, written)


async def test_large_ops_and_a_first_sync_get_through_a_slow_network(tmp_path: Path) -> None:
    """Frames are so small that one of them passes before the other side counts as silent."""
    async with (
        server(tmp_path, limits=Limits(heartbeat_ms=500, silence_ms=5_000)) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        proxy.bytes_per_s = 125_000  # as 10 kB/s is to the true limit of a minute
        await tablet.collection("patient").update_many(
            {f"p{n}": {"name": "x" * 60_000} for n in range(15)}
        )
        written = op_ids_of(tablet)
        tablet.connect(proxy.url)
        await tablet.synced(timeout=60)
        assert proxy.connections == 1
        phone.connect(proxy.url)
        await phone.synced(timeout=60)
        assert proxy.connections == 2
        assert_alike(tablet, phone)
        assert_once(tmp_path, written)


@pytest.mark.parametrize(
    ("count", "size"), [(20, 20), (250, 60_000)], ids=["small ops", "ops that fill the socket"]
)
async def test_a_network_that_swallows_everything_is_noticed_and_left(
    tmp_path: Path, count: int, size: int
) -> None:
    """A black hole tells nobody: only the silence does (HAZARDS.md, heartbeats)."""
    before = op_id()
    async with (
        server(tmp_path, limits=Limits(heartbeat_ms=150, silence_ms=2_500)) as ward,
        Proxy(ward.port) as hole,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        tablet.connect(hole.url)
        await tablet.collection("patient").update("p0", name="there", op_id=before)
        await tablet.synced(timeout=20)
        hole.stall()
        await tablet.collection("patient").update_many(
            {f"p{n}": {"name": "x" * size} for n in range(count)}
        )
        written = op_ids_of(tablet)
        assert len(written) == count
        status = await until_status(tablet, lambda status: status.next_retry is not None)
        assert status.state is not SyncState.SYNCING
        assert status.problem is not None
        assert status.waiting == count
        tablet.connect(proxy.url)
        phone.connect(proxy.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert_once(tmp_path, [before, *written])


async def test_a_week_offline_is_drained(tmp_path: Path) -> None:
    """5,000 ops of one device, while another one worked on the same records."""
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        for day in range(10):
            await tablet.collection("patient").update_many(
                {f"p{n}": {"name": f"day {day}", "tags": {f"t{day}"}} for n in range(500)}
            )
        written = [item.op_id for item in tablet.outbox]
        assert len(written) == 5_000
        other = [op_id() for _ in range(20)]
        for n, one in enumerate(other):
            await phone.collection("patient").update(f"p{n}", allergies={"latex"}, op_id=one)
        await phone.sync_once(ward.url)
        tablet.connect(ward.url)
        phone.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        record = phone.collection("patient")["p7"]
        assert (record["name"], record["tags"]) == ("day 9", {"t9"})
        assert record["allergies"] == {"latex"}
        assert_once(tmp_path, [*written, *other])


async def test_five_hundred_quick_edits_of_one_record_while_another_device_edits_it(
    tmp_path: Path,
) -> None:
    written: list[str] = []
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        for replica in (tablet, phone):
            replica.connect(ward.url)

        async def edit(times: int, replica_no: int) -> None:
            replica = (tablet, phone)[replica_no]
            for n in range(times):
                ones = [op_id(), op_id()]
                written.extend(ones)
                await asyncio.gather(
                    replica.collection("patient").update(
                        "p1", name=f"{replica_no}-{n}", phone=f"{replica_no}-{n}", op_id=ones[0]
                    ),
                    replica.collection("patient").increment("p1", "visits", op_id=ones[1]),
                )

        await asyncio.gather(edit(250, 0), edit(60, 1))
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        record = phone.collection("patient")["p1"]
        assert record["visits"] == 310
        log = assert_once(tmp_path, written)
        last = [entry for entry in log.entries if "r/name" in entry.writes][-1]
        assert last.writes["r/name"] == (f'"{record["name"]}"',)
        latest = max(
            (entry for entry in log.entries if "r/phone" in entry.writes),
            key=lambda entry: (entry.effective_us, entry.op_id),
        )
        assert latest.writes["r/phone"] == (f'"{record["phone"]}"',)


async def test_many_questions_at_once_are_all_answered(tmp_path: Path) -> None:
    """A screen that asks for the history of 150 records must not be cut off for it."""
    async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
        async with device(tmp_path, "tablet") as tablet:
            await tablet.collection("patient").update_many(
                {f"p{n}": {"name": f"name {n}"} for n in range(150)}
            )
            await tablet.sync_once(ward.url)
        async with device(tmp_path, "phone") as phone:
            phone.connect(proxy.url)
            await phone.synced(timeout=20)
            found = await asyncio.gather(
                *(record.history("name") for record in phone.collection("patient").values()),
                *(phone.synced(timeout=20) for _ in range(50)),
            )
            histories = [one for one in found if one is not None]
            assert len(histories) == 150
            assert all(one.complete and len(one) == 1 for one in histories)
            assert proxy.connections == 1
