"""kill -9 of servers and devices around commit, send, receipt and log entry; then a restart."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path
from typing import Literal

import pytest

from crdtsync_server.acceptance.processes import Process
from crdtsync_server.acceptance.proxy import Proxy, Sender
from tests.sync.ward import (
    ROOT,
    ServerLog,
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    server,
    server_process,
)


def writing_device(folder: Path, url: str) -> Process:
    """The device of ``writing_device.py``, in a process of its own."""
    command = [sys.executable, "-m", "tests.sync.writing_device"]
    return Process(*command, str(folder / "writer.db"), url, str(folder / "journal"), cwd=ROOT)


def journal(folder: Path) -> tuple[list[str], set[str]]:
    """(writes that returned, all that were begun)."""
    lines = (folder / "journal").read_text().split("\n")[:-1]
    done = [line.removeprefix("done ") for line in lines if line.startswith("done ")]
    begun = {line.removeprefix("begun ") for line in lines if line.startswith("begun ")}
    return done, begun


async def assert_writer_lost_nothing(folder: Path, url: str) -> None:
    """Open the killed device's file here, sync it with another, and count."""
    done, begun = journal(folder)
    assert done
    assert set(done) <= begun
    async with device(folder, "writer") as writer, device(folder, "phone") as phone:
        writer.connect(url)
        phone.connect(url)
        await in_step(writer, phone)
        assert_alike(writer, phone)
        log = assert_once(folder, done, maybe=begun)
        counted = sum("c/visits" in entry.writes for entry in log.entries)
        assert counted == sum(record["visits"] for record in phone.collection("patient").values())


@pytest.mark.parametrize("arrives", ["not", "whole"])
@pytest.mark.parametrize(
    ("sender", "name"),
    [("replica", "push"), ("server", "answers"), ("server", "changes"), ("replica", "cursor")],
    ids=["push", "answers", "changes", "cursor"],
)
async def test_a_device_killed_at_any_message_loses_and_doubles_nothing(
    tmp_path: Path, sender: Sender, name: str, arrives: Literal["not", "whole"]
) -> None:
    async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
        async with writing_device(tmp_path, proxy.url) as writer:
            fault = proxy.fault(sender, name, skip=2, arrives=arrives, act=writer.kill)
            await fault.happened.wait()
        await assert_writer_lost_nothing(tmp_path, ward.url)


@pytest.mark.parametrize("seed", range(2))
async def test_a_device_killed_again_and_again_while_it_writes_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    async with server(tmp_path) as ward:
        for _ in range(4):
            async with writing_device(tmp_path, ward.url) as writer:
                for _ in range(draw.randrange(1, 60)):
                    assert await writer.line(), await writer.errors()
                await writer.kill()
        await assert_writer_lost_nothing(tmp_path, ward.url)


@pytest.mark.parametrize("seed", range(2))
async def test_a_server_killed_again_and_again_while_it_takes_ops_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    written: list[str] = []
    async with (
        Proxy() as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        for replica in (tablet, phone):
            replica.connect(proxy.url)
        for _ in range(4):
            async with server_process(tmp_path) as ward:
                proxy.upstream_port = ward.port
                for _ in range(draw.randrange(20, 60)):
                    for replica in (tablet, phone):
                        written.append(op_id())
                        await replica.collection("patient").increment(
                            f"p{draw.randrange(5)}", "visits", op_id=written[-1]
                        )
                answers = proxy.messages["server", "answers"]
                enough = answers + draw.randrange(3)
                await proxy.until(
                    lambda enough=enough: (
                        proxy.messages["server", "answers"] >= enough  # type: ignore[misc]
                        or not (tablet.status.waiting or phone.status.waiting)
                    )
                )
                await ward.kill()
        async with server_process(tmp_path) as ward:
            proxy.upstream_port = ward.port
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert_once(tmp_path, written)
            visits = sum(record["visits"] for record in phone.collection("patient").values())
            assert visits == len(written)


async def test_a_server_that_is_terminated_while_a_device_pushes_answers_and_says_come_back(
    tmp_path: Path,
) -> None:
    written = [op_id() for _ in range(1_500)]
    async with Proxy() as proxy, device(tmp_path, "tablet") as tablet:
        patients = tablet.collection("patient")
        for n, one in enumerate(written):
            if n % 300 == 0:
                await patients.update_many({f"q{n}": {"name": "x"}})
            await patients.increment(f"p{n % 40}", "visits", op_id=one)
        extra = [item.op_id for item in tablet.outbox if item.op_id not in set(written)]
        async with server_process(tmp_path) as first:
            proxy.upstream_port = first.port

            async def terminate() -> None:
                first.send(signal.SIGTERM)

            fault = proxy.fault("server", "answers", arrives="whole", act=terminate, cut=False)
            tablet.connect(proxy.url)
            await fault.happened.wait()
            assert await first.wait() == 0, await first.errors()
            assert "Traceback" not in await first.errors()
        assert proxy.messages["server", "goodbye"] == 1
        log = ServerLog(tmp_path)
        log.assert_sound()
        assert 0 < log.seq < len(written), "the server was not stopped in the middle"
        async with server_process(tmp_path) as second:
            proxy.upstream_port = second.port
            async with device(tmp_path, "phone") as phone:
                phone.connect(second.url)
                await in_step(tablet, phone)
                assert_alike(tablet, phone)
        assert_once(tmp_path, [*written, *extra])
