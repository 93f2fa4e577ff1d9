"""What people have to decide: conflicts, refused changes, clocks that are wrong."""

from __future__ import annotations

import re

from crdtsync_server.acceptance.handles import Device, DeviceError
from crdtsync_server.acceptance.journal import increment, update
from crdtsync_server.acceptance.rules import TIGHT_CHARS, USER_TIME_BOUND_S, changed
from crdtsync_server.acceptance.stage import Stage, quoted

DAY_S = 86_400
HOUR_S = 3_600
DAY_IN_MINUTES = range(1_435, 1_446)
"""What "a day wrong" may read as in minutes: the network takes its time too."""

CAUSAL_MARGIN_S = 0.1
"""A value that replaces a bounded one comes microseconds after it."""


async def conflict_chosen_while_edited(stage: Stage) -> None:
    """One person chooses while another, who knows nothing of it, writes another value."""
    tablet, phone, desk = await stage.begin("tablet", "phone", "desk")
    stage.step("base_lists")
    await tablet.write([update(item, allergies=["latex"]) for item in ("item-1", "item-2")])
    await stage.in_step(tablet, phone, desk)
    await stage.offline(tablet, phone, desk)
    stage.step("two_lists")
    nuts, penicillin, milk = ["latex", "nuts"], ["latex", "penicillin"], ["latex", "milk"]
    for item in ("item-1", "item-2"):
        await tablet.write([update(item, allergies=nuts)])
        await phone.write([update(item, allergies=penicillin)])
    await desk.write([update("item-1", allergies=milk), update("item-1", name="by the desk")])
    await stage.online(tablet, phone)
    await stage.in_step(tablet, phone)
    await _sees(stage, [tablet, phone], [nuts, penicillin])
    stage.step("chosen_by_tablet")
    both = ["latex", "nuts", "penicillin"]
    await tablet.choose("item-1", "allergies", both)
    await stage.in_step(tablet, phone)
    stage.step("desk_returns")
    await stage.online(desk)
    await stage.in_step(tablet, phone, desk)
    await _sees(stage, [tablet, phone, desk], [both, milk])
    stage.step("two_choices")
    everything = ["latex", "milk", "nuts", "penicillin"]
    await stage.offline(phone, desk)
    await phone.choose("item-1", "allergies", everything)
    await desk.choose("item-1", "allergies", both)
    await stage.online(phone, desk)
    await stage.in_step(tablet, phone, desk)
    await _sees(stage, [tablet, phone, desk], [everything, both])
    stage.step("chosen_finally")
    await phone.choose("item-1", "allergies", everything)
    stage.expect("item-1", "allergies", everything)
    stage.expect_conflict("item-2", "allergies", [nuts, penicillin])


async def _sees(stage: Stage, devices: list[Device], values: list[list[str]]) -> None:
    wanted = sorted(values, key=str)
    seen = [await stage.candidates_on(device, "item-1", "allergies") for device in devices]
    stage.check(
        "side_by_side",
        all(one == wanted for one in seen),
        n=len(wanted),
        devices=len(devices),
        seen=sum(one == wanted for one in seen),
    )


async def refused_and_way_out(stage: Stage) -> None:
    """The server's rules became stricter while a device was away. Three ways out."""
    tablet, phone = await stage.begin("tablet", "phone")
    items = ["item-1", "item-2", "item-3"]
    await tablet.write([update(item, name="short") for item in items])
    await stage.in_step(tablet, phone)
    await stage.offline(tablet)
    long = "longer than the new rules allow"
    stage.step("stricter", limit=TIGHT_CHARS)
    for item in items:
        await tablet.write([update(item, name=long), increment(item)])
    await tablet.write([update("item-4", name="fits")])
    await stage.own.stop()
    await stage.own.start(changed(3, TIGHT_CHARS))
    await stage.connect(phone)
    await stage.online(tablet)
    status = await tablet.until("needs a person")
    refused = {item["record_id"]: item for item in await tablet.outbox() if item["needs_person"]}
    stage.check(
        "refused_told",
        sorted(refused) == items and str(TIGHT_CHARS) in str(refused["item-1"]["ko"]),
        n=len(items),
        seen=len(refused),
        message=quoted(refused.get("item-1", {"en": "–", "ko": "–"})),
        status=quoted(status),
    )
    await tablet.ask("until_waiting", count=2 * len(items), timeout=60, answer_s=70)
    await phone.synced(60)
    shown = await phone.records()
    other, held = shown.get("item-4", {}).get("name"), shown["item-1"]["name"]
    stage.check("others_pass", (other, held) == ("fits", "short"), other=other, held=held)
    stage.step("ways_out")
    await tablet.ask("edit", op_id=refused["item-1"]["op_id"], fields={"name": "edited"})
    await tablet.discard(refused["item-2"]["op_id"])
    await tablet.ask("retry", op_id=refused["item-3"]["op_id"])
    try:
        await tablet.synced(60)
        again = False
    except DeviceError as error:
        again = error.name == "NeedsAttention"
    waiting = (await tablet.status())["needs_person"]
    stage.check("refused_again", again and waiting == 1, waiting=waiting)
    stage.step("rules_relaxed")
    await stage.own.stop()
    await stage.own.start(changed(4, 60))
    await stage.connect(tablet, phone)
    await tablet.ask("retry")
    stage.network_is_back()
    stage.expect("item-1", "name", "edited")
    stage.expect("item-2", "name", "short")
    stage.expect("item-3", "name", long)
    for item in items:
        stage.expect(item, "visits", 1)


async def clock_a_day_wrong(stage: Stage) -> None:
    """One clock a day ahead, one a day behind; an item where the later writer wins."""
    await stage.open()
    ahead = await stage.device("tablet", clock_s=DAY_S)
    behind = await stage.device("phone", clock_s=-DAY_S)
    right = await stage.device("desk")
    devices = (ahead, behind, right)
    stage.step("clocks_wrong")
    # Concurrently, before anyone has seen anybody's time: the right clock is later.
    await behind.write([update("item-3", phone="a day behind")])
    await right.write([update("item-3", phone="the right time")])
    stage.expect("item-3", "phone", "the right time")
    await stage.connect(*devices)
    await stage.in_step(*devices)
    for device in (ahead, behind):
        await _is_warned(stage, device)
    stage.step("clock_seen_wins")
    await ahead.write([update("item-1", phone="a day ahead")])
    await stage.in_step(*devices)
    await behind.write([update("item-1", phone="seen and replaced")])
    stage.expect("item-1", "phone", "seen and replaced")
    await stage.in_step(*devices)
    stage.step("clock_bounded", bound=USER_TIME_BOUND_S)
    await stage.offline(*devices)
    await right.ask("clock", offset_s=HOUR_S)
    await ahead.write([update("item-2", phone="a day ahead")])
    await right.write([update("item-2", phone="an hour ahead")])
    # Both are cut down to a minute after they arrived, so the one that arrives last is later.
    stage.expect("item-2", "phone", "an hour ahead")
    for device in (ahead, right, behind):
        await stage.online(device)
        await stage.in_step(device)
    await right.ask("clock", offset_s=0)
    log = await stage.server.log_copy(stage.space, stage.policy)
    most_s = max((one.effective_us - one.received_us) / 1e6 for one in log.entries)
    stage.check(
        "time_bounded",
        most_s <= USER_TIME_BOUND_S + CAUSAL_MARGIN_S,
        bound=USER_TIME_BOUND_S,
        most=round(most_s, 1),
    )


async def _is_warned(stage: Stage, device: Device) -> None:
    status = await device.status()
    told = [
        any(int(number) in DAY_IN_MINUTES for number in re.findall(r"\d+", status[lang]))
        for lang in ("en", "ko")
    ]
    stage.check("clock_told", all(told), device=device.name, message=quoted(status))
