"""No network for a while: nothing is lost, and everything goes out when it is back."""

from __future__ import annotations

import asyncio
import contextlib

from crdtsync_server.acceptance.handles import Device
from crdtsync_server.acceptance.journal import increment, tag, update
from crdtsync_server.acceptance.stage import Stage, quoted

DAY_S = 86_400


async def offline_then_synced(stage: Stage) -> None:
    """Written offline, synced on return."""
    devices = await stage.begin("tablet", "phone")
    count = stage.count(100, 20)
    stage.step("went_offline")
    await stage.offline(*devices)
    for device in devices:
        stage.step("wrote", device=device.name, n=count)
        await device.write(stage.writes_for(count, 8, device.name))
        status = await device.status()
        stage.check(
            "says_waiting",
            status["waiting"] == count and status["state"] != "synced",
            device=device.name,
            n=count,
            message=quoted(status),
        )
    stage.step("network_back")
    await stage.online(*devices)


async def reconnects_by_itself(stage: Stage) -> None:
    """The network goes and comes; nobody presses anything."""
    devices = await stage.begin("tablet", "phone")
    rounds = stage.count(3, 1)
    stage.step("network_gone_rounds", n=rounds)
    before = sum(device.proxy.connections for device in devices)
    for number in range(rounds):
        await stage.offline(*devices)
        for device in devices:
            await device.until("retrying")
            await device.write(stage.writes_for(10, 5, f"{device.name} {number}"))
        for device in devices:
            device.proxy.go_online()
        stage.network_is_back()
        await stage.in_step(*devices)
    made = sum(device.proxy.connections for device in devices) - before
    stage.check("by_itself", made >= 2 * rounds, n=2 * rounds, made=made)


async def airplane_mode(stage: Stage) -> None:
    """On and off again and again while people type."""
    devices = await stage.begin("tablet", "phone")
    times = stage.count(50, 8)
    stage.step("airplane", n=times)
    for number in range(times):
        typing = [
            await device.tell("write", writes=stage.writes_for(2, 5, f"{device.name} {number}"))
            for device in devices
        ]
        for device in devices:
            await _some_messages(device, stage.draw.randrange(6))
        await stage.offline(*devices)
        await stage.online(*devices)
        for device, number_of in zip(devices, typing, strict=True):
            await device.answer_to(number_of)
    made = min(device.proxy.connections for device in devices)
    stage.check("airplane", made > times // 4, n=times, made=made)


async def _some_messages(device: Device, count: int) -> None:
    """Let some messages pass, so that the cut hits another moment each time."""
    wanted = device.proxy.messages.total() + count
    with contextlib.suppress(TimeoutError):
        # Whoever has nothing to say within a second is cut while it is quiet.
        async with asyncio.timeout(1):
            await device.proxy.until(lambda: device.proxy.messages.total() >= wanted)


async def week_offline(stage: Stage) -> None:
    """A device that was away for a week, with 5,000 changes; others went on meanwhile."""
    await stage.open()
    tablet = await stage.device("tablet", clock_s=-7 * DAY_S)
    stage.step("week_ago")
    await tablet.write(
        [
            *(update(f"item-{n}", name=f"item {n}", allergies=["latex"]) for n in range(3)),
            *(increment(f"item-{n}") for n in range(3)),
        ]
    )
    await stage.connect(tablet)
    await stage.in_step(tablet)
    await stage.offline(tablet)
    count, records = stage.count(5_000, 600), stage.count(400, 60)
    writes = []
    for n in range(count):
        write = increment(f"item-{n % records}")
        if n % 5 == 1:
            write = update(f"item-{n % records}", name=f"day {n * 7 // count + 1}, change {n}")
        elif n % 5 == 2:
            write = tag(f"item-{n % records}", f"day {n * 7 // count + 1}")
        writes.append({**write, "clock_s": -7 * DAY_S + n * 7 * DAY_S // count})
    writes[count // 2].update(update("item-0", phone="from the week"))
    writes[count // 2 + 1].update(update("item-1", allergies=["latex", "penicillin"]))
    stage.step("week_of_work", n=count)
    await tablet.write(writes)
    await tablet.ask("clock", offset_s=0)
    phone = await stage.device("phone")
    await stage.connect(phone)
    await stage.in_step(phone)
    stage.step("others_meanwhile")
    await phone.write(
        [
            update("item-0", phone="from today"),
            update("item-1", allergies=["latex", "nuts"]),
            *(increment(f"item-{n}") for n in range(20)),
        ]
    )
    await phone.synced(60)
    stage.step("network_back")
    await stage.online(tablet)
    # The later time of writing stands, although the other one arrives later.
    stage.expect("item-0", "phone", "from today")
    stage.expect_conflict("item-1", "allergies", [["latex", "nuts"], ["latex", "penicillin"]])
    stage.expect("item-2", "allergies", ["latex"])
