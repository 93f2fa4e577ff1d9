"""Several people at the same item at the same time."""

from __future__ import annotations

from crdtsync_server.acceptance.journal import increment, tag, update
from crdtsync_server.acceptance.stage import Stage


async def rapid_edits(stage: Stage) -> None:
    """One person edits one item as fast as the device takes it; another looks on."""
    tablet, phone = await stage.begin("tablet", "phone")
    count = stage.count(500, 60)
    stage.step("rapid", n=count)
    writes = []
    for n in range(count - 1):
        writes.append(increment("item-1") if n % 5 == 4 else update("item-1", name=f"edit {n}"))
    writes.append(update("item-1", name=f"edit {count}", phone="the last one"))
    await tablet.write(writes)
    stage.network_is_back()  # the last edit is made: from now on everyone only waits
    await stage.in_step(tablet, phone)
    stage.expect("item-1", "name", f"edit {count}")
    stage.expect("item-1", "phone", "the last one")
    stage.expect("item-1", "visits", (count - 1) // 5)


async def three_devices_one_item(stage: Stage) -> None:
    """Three people edit one item, first all online, then all offline."""
    devices = await stage.begin("tablet", "phone", "desk")
    rounds = stage.count(40, 8)
    stage.step("three_online", n=rounds)
    for number in range(rounds):
        typing = [
            await device.tell(
                "write",
                writes=[
                    update("item-1", name=f"{device.name} {number}"),
                    increment("item-1"),
                    tag("item-1", f"{device.name} {number % 3}"),
                ],
            )
            for device in devices
        ]
        for device, answer in zip(devices, typing, strict=True):
            await device.answer_to(answer)
    await stage.in_step(*devices)
    stage.step("three_offline")
    await stage.offline(*devices)
    lists = {device.name: ["latex", f"seen by {device.name}"] for device in devices}
    for device in devices:
        await device.write(
            [
                update("item-1", phone=f"from {device.name}", allergies=lists[device.name]),
                increment("item-1", 10),
            ]
        )
    stage.step("network_back")
    await stage.online(*devices)
    stage.expect("item-1", "visits", len(devices) * (rounds + 10))
    # Written last, by clocks that agree.
    stage.expect("item-1", "phone", "from desk")
    stage.expect_conflict("item-1", "allergies", list(lists.values()))
