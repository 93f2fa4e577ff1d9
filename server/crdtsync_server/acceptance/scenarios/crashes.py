"""Power cuts, crashes, lost disks and full ones."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from crdtsync_server.acceptance.disks import fill
from crdtsync_server.acceptance.handles import Device, DeviceError
from crdtsync_server.acceptance.journal import increment, update
from crdtsync_server.acceptance.proxy import Proxy
from crdtsync_server.acceptance.stage import Stage, quoted


async def server_killed(stage: Stage) -> None:
    """kill -9 of the server while devices push, again and again."""
    devices = await stage.begin("tablet", "phone")
    rounds, count = stage.count(8, 2), stage.count(80, 30)
    stage.step("server_kills", n=rounds)
    for number in range(rounds):
        typing = [
            await device.tell("write", writes=stage.writes_for(count, 6, f"{device.name} {number}"))
            for device in devices
        ]
        await _some_answers(devices[stage.draw.randrange(2)].proxy, 1 + stage.draw.randrange(3))
        await stage.own.kill()
        for device, answer in zip(devices, typing, strict=True):
            await device.answer_to(answer)
        await stage.own.start()
        stage.network_is_back()
        await stage.connect(*devices)
    await stage.in_step(*devices)
    made = stage.own.starts - 1
    stage.check("server_starts", made == rounds, n=rounds, made=made)


async def _some_answers(proxy: Proxy, count: int) -> None:
    """Until the server has given so many answers, or has nothing to answer any more."""
    wanted = proxy.messages["server", "answers"] + count
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3):
            await proxy.until(lambda: proxy.messages["server", "answers"] >= wanted)


async def server_restarted(stage: Stage) -> None:
    """The server is stopped in order while a device pushes, and started again."""
    tablet, phone = await stage.begin("tablet", "phone")
    await stage.offline(tablet)
    count = stage.count(1_500, 400)
    stage.step("wrote", device="tablet", n=count)
    await tablet.write([increment(f"item-{n % 40}") for n in range(count)])
    stage.step("server_stopped")
    codes: list[int] = []

    async def stop() -> None:
        codes.append(await stage.own.stop())

    fault = tablet.proxy.fault("server", "answers", arrives="whole", act=stop, cut=False)
    await stage.online(tablet)
    async with asyncio.timeout(60):
        await fault.happened.wait()
    await stage.own.start()
    stage.network_is_back()
    await stage.connect(tablet, phone)
    await stage.in_step(tablet, phone)
    stage.check("stopped_in_order", codes == [0], code=codes[0] if codes else "–")


async def device_killed(stage: Stage) -> None:
    """kill -9 of a device while a person types, again and again."""
    tablet, phone = await stage.begin("tablet", "phone")
    rounds = stage.count(8, 2)
    stage.step("device_kills", n=rounds)
    for number in range(rounds):
        with contextlib.suppress(DeviceError):
            await tablet.tell("write", writes=stage.writes_for(400, 6, f"tablet {number}"))
        await tablet.saved(1 + stage.draw.randrange(60))
        await tablet.kill()
        await tablet.start()
        stage.network_is_back()
        await stage.connect(tablet)
    await stage.in_step(tablet, phone)
    unsure = len(stage.journal.unsure)
    stage.check("device_starts", unsure <= rounds, n=rounds, unsure=unsure)


async def old_copy_restored(stage: Stage) -> None:
    """A device loses its file and goes on from an old copy of it."""
    tablet, phone = await stage.begin("tablet", "phone")
    count = stage.count(40, 10)
    await stage.offline(tablet)
    stage.step("copied_with_waiting", n=count)
    await tablet.write(stage.writes_for(count, 5, "before the copy"))
    await tablet.stop()
    copy = tablet.back_up()
    await tablet.start()
    await stage.online(tablet)
    stage.step("wrote_after_copy", n=count)
    await tablet.write(stage.writes_for(count, 5, "after the copy"))
    await stage.in_step(tablet, phone)
    stage.step("file_lost")
    await tablet.kill()
    tablet.put_back(copy)
    await tablet.start()
    waiting = len(await tablet.outbox())
    stage.check("copy_waits", waiting == count, n=count, waiting=waiting)
    await tablet.write(stage.writes_for(count, 5, "with the old copy"))
    stage.network_is_back()
    await stage.connect(tablet)
    await stage.in_step(tablet, phone)


async def full_disk(stage: Stage) -> None:
    """No room on the server, then none on a device."""
    servers, phones = stage.small_disk("server-disk"), stage.small_disk("phone-disk")
    (tablet,) = await stage.open("tablet", data=servers)
    phone = await stage.device("phone", folder=phones)
    stage.step("began", n=2)
    await stage.connect(tablet, phone)
    await tablet.write([increment("item-1"), update("item-1", name="before")])
    await stage.in_step(tablet, phone)
    await stage.offline(phone)
    await _server_full(stage, tablet, servers)
    await _device_full(stage, phone, phones)
    await stage.online(phone)
    await stage.in_step(tablet, phone)


async def _server_full(stage: Stage, tablet: Device, disk: Path) -> None:
    filler, count = fill(disk), stage.count(300, 200)
    stage.step("server_full", n=count)
    await tablet.write([update(f"item-{n}", phone="x" * 900) for n in range(count)])
    await tablet.until("failed")
    failed = [item for item in await tablet.outbox() if item["state"] == "failed"]
    stage.check(
        "server_says_full",
        bool(failed) and {item["error_code"] for item in failed} == {"disk_full"},
        n=len(failed),
        message=quoted(failed[0]) if failed else "–",
    )
    filler.unlink()
    await tablet.ask("retry")
    stage.network_is_back()
    await stage.in_step(tablet)


async def _device_full(stage: Stage, phone: Device, disk: Path) -> None:
    stage.step("device_full")
    filler, error = fill(disk), "–"
    try:
        await phone.write(
            [update(f"item-{n}", name=f"n {n}", phone="y" * 5_000) for n in range(300)]
        )
    except DeviceError as full:
        error = full.name
    stage.check("device_says_full", error == "DiskFull", error=error)
    filler.unlink()
    await phone.write([increment("item-1")])
