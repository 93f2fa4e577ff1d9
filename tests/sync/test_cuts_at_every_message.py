"""The connection ends, or the server dies, at an exact message: nothing lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from crdtsync_server.acceptance.proxy import Proxy, Sender
from tests.sync.ward import (
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    server,
    server_process,
)

WRITES = 30
POINTS: list[tuple[Sender, str]] = [
    ("replica", "hello"),
    ("server", "welcome"),
    ("replica", "push"),
    ("server", "answers"),
    ("server", "changes"),
    ("replica", "cursor"),
]


@pytest.mark.parametrize("arrives", ["not", "half", "whole"])
@pytest.mark.parametrize(("sender", "name"), POINTS, ids=[f"{s}-{n}" for s, n in POINTS])
async def test_a_cut_at_any_message_of_a_push_loses_and_doubles_nothing(
    tmp_path: Path, sender: Sender, name: str, arrives: Literal["not", "half", "whole"]
) -> None:
    written = [op_id() for _ in range(WRITES)]
    async with (
        server(tmp_path) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        phone.connect(ward.url)
        await phone.synced(timeout=20)
        fault = proxy.fault(sender, name, arrives=arrives)
        patients = tablet.collection("patient")
        for n, one in enumerate(written):
            if n % 3:
                await patients.update(f"p{n % 7}", name=f"name {n}", op_id=one)
            else:
                await patients.increment(f"p{n % 7}", "visits", 1, op_id=one)
        tablet.connect(proxy.url)
        await in_step(tablet, phone)
        assert fault.happened.is_set()
        assert proxy.connections >= 2
        assert_alike(tablet, phone)
        assert sum(record["visits"] for record in phone.collection("patient").values()) == 10
        assert_once(tmp_path, written)


@pytest.mark.parametrize("arrives", ["not", "whole"])
@pytest.mark.parametrize(
    ("sender", "name"),
    [("server", "welcome"), ("replica", "snapshots?"), ("server", "snapshots")],
    ids=["welcome", "snapshots asked", "snapshots"],
)
async def test_a_first_sync_that_is_cut_goes_on_and_ends_complete(
    tmp_path: Path, sender: Sender, name: str, arrives: Literal["not", "whole"]
) -> None:
    records = 700  # more than one page of snapshots
    async with (
        server(tmp_path) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        await tablet.collection("patient").update_many(
            {f"p{n}": {"name": f"name {n}"} for n in range(records)}
        )
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        own = op_id()
        await phone.collection("patient").increment("p3", "visits", op_id=own)
        fault = proxy.fault(sender, name, skip=0 if name == "welcome" else 1, arrives=arrives)
        phone.connect(proxy.url)
        await in_step(phone, tablet)
        assert fault.happened.is_set()
        assert len(phone.collection("patient")) == records
        assert phone.collection("patient")["p3"]["visits"] == 1
        assert_alike(tablet, phone)


@pytest.mark.parametrize("arrives", ["not", "whole"])
@pytest.mark.parametrize(("sender", "name"), POINTS[2:5], ids=[n for _, n in POINTS[2:5]])
async def test_a_server_killed_at_any_message_of_a_push_loses_and_doubles_nothing(
    tmp_path: Path, sender: Sender, name: str, arrives: Literal["not", "whole"]
) -> None:
    written = [op_id() for _ in range(WRITES)]
    async with (
        server_process(tmp_path) as first,
        Proxy(first.port) as proxy,
        device(tmp_path, "tablet") as tablet,
    ):
        fault = proxy.fault(sender, name, arrives=arrives, act=first.kill)
        patients = tablet.collection("patient")
        for n, one in enumerate(written):
            await patients.increment(f"p{n % 7}", "visits", 1, op_id=one)
        tablet.connect(proxy.url)
        await fault.happened.wait()
        async with server_process(tmp_path) as second, device(tmp_path, "phone") as phone:
            proxy.upstream_port = second.port
            phone.connect(second.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert sum(record["visits"] for record in phone.collection("patient").values()) == 30
            assert_once(tmp_path, written)
