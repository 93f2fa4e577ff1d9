"""Networks as they are: cut, weak, half dead, saying things twice."""

from __future__ import annotations

import asyncio
import uuid
from itertools import product
from typing import get_args

from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.protocol.messages import Answer, Receipt
from crdtsync_server.acceptance.handles import Device
from crdtsync_server.acceptance.journal import increment
from crdtsync_server.acceptance.proxy import Arrives, Fault, Sender
from crdtsync_server.acceptance.rules import COLLECTION
from crdtsync_server.acceptance.stage import Stage
from crdtsync_server.demo.repeats import QueuedOp
from crdtsync_server.service import wall_clock_us

STEPS_OF_A_PUSH: tuple[tuple[Sender, str], ...] = (
    ("replica", "hello"),
    ("server", "welcome"),
    ("replica", "push"),
    ("server", "answers"),
    ("server", "changes"),
    ("replica", "cursor"),
)
HAPPENS_S = 60
CONNECTIONS = 2
"""In each of them a stranger sends one frame twice."""


async def cut_during_push(stage: Stage) -> None:
    """The connection ends at every message of a push: before, in the middle, after."""
    tablet, phone = await stage.begin("tablet", "phone")
    places = list(product(STEPS_OF_A_PUSH, get_args(Arrives)))
    if stage.quick:
        places = places[:: len(get_args(Arrives)) + 1]
    stage.step("cuts", n=len(places))
    done = 0
    for (sender, name), arrives in places:
        await stage.offline(tablet)
        await tablet.write(stage.writes_for(8, 5, f"{name} {arrives}"))
        fault = tablet.proxy.fault(sender, name, arrives=arrives)
        await stage.online(tablet)
        done += await _happened(fault)
        stage.network_is_back()
        await stage.connect(tablet)
        await stage.in_step(tablet, phone)
    stage.check("cuts", done == len(places), n=len(places), done=done)


async def weak_network(stage: Stage) -> None:
    """Slow, jerky and thin, all the time."""
    devices = await stage.begin("tablet", "phone")
    before = sum(device.proxy.connections for device in devices)
    stage.step("weak", latency_ms=300, stalls=5, rate_kb=20)
    for device in devices:
        device.proxy.delay_s, device.proxy.jitter_s = 0.3, 0.05
        device.proxy.stall_rate, device.proxy.stall_s = 0.05, 1.0
        device.proxy.bytes_per_s = 20_000
    rounds, count = stage.count(8, 2), stage.count(15, 6)
    stage.step("typed_online", n=rounds * count)
    for number in range(rounds):
        for device in devices:
            await device.write(stage.writes_for(count, 6, f"{device.name} {number}"))
            await device.ask("until_waiting", count=count // 2, timeout=60, answer_s=70)
    stage.network_is_back()  # the last change is made: from now on everyone only waits
    await stage.in_step(*devices)
    made = sum(device.proxy.connections for device in devices) - before
    stage.check("weak", made == 0, made=made)


async def duplicate_requests(stage: Stage) -> None:
    """The same request twice, in every way in which that happens."""
    tablet, phone = await stage.begin("tablet", "phone")
    times = stage.count(10, 3)
    stage.step("answers_lost", n=times)
    again = 0
    for _ in range(times):
        await stage.offline(tablet)
        await tablet.write([increment("item-1"), increment("item-2", 2)])
        # The server takes it, and the device never hears so: it has to send it again.
        fault = tablet.proxy.fault("replica", "push", arrives="whole")
        await stage.online(tablet)
        again += await _happened(fault)
        await stage.connect(tablet)
        await stage.in_step(tablet, phone)
    stage.step("replayed", n=times)
    for _ in range(times):
        fault = tablet.proxy.fault("replica", "push", arrives="whole", cut=False, copies=2)
        await tablet.write([increment("item-1"), increment("item-3", 3)])
        again += await _happened(fault)
        await stage.connect(tablet)
        await stage.in_step(tablet, phone)
    stage.step("stranger_twice")
    same = await _stranger(stage, tablet)
    stage.check("repeats", again == 2 * times, n=2 * times, done=again)
    stage.check("same_receipt", same == 2 * CONNECTIONS, same=same)


async def _stranger(stage: Stage, tablet: Device) -> int:
    """A bare client sends one frame twice, and the same op later under a new request; how
    many of the four answers are the first receipt."""
    op_id = str(uuid.uuid4())
    write = increment("item-1", 5)
    now_us = wall_clock_us()
    op = Op(op_id, "stranger", COLLECTION, "item-1", now_us, {"c/visits": FieldWrite(("5",))})
    tablet.journal.begun("stranger", op_id, write)
    receipts: list[Answer] = []
    for _ in range(CONNECTIONS):
        async with stage.stranger("stranger") as client:
            receipts += await client.send_twice(QueuedOp(op, now_us))
    tablet.journal.done(op_id)
    return sum(isinstance(one, Receipt) and one == receipts[0] for one in receipts)


async def half_open_connection(stage: Stage) -> None:
    """One direction is dead and nobody is told: only the silence tells."""
    tablet, phone = await stage.begin("tablet", "phone")
    stage.step("half_open")
    tablet.proxy.hush("replica")
    phone.proxy.hush("server")
    stage.network_is_back()  # whoever connects anew has a good connection
    count = stage.count(20, 5)
    for device in (tablet, phone):
        stage.step("wrote", device=device.name, n=count)
        await device.write(stage.writes_for(count, 5, device.name))
    await stage.in_step(tablet, phone)
    made = min(device.proxy.connections for device in (tablet, phone))
    stage.check("by_itself", made >= 2, n=2, made=made)


async def _happened(fault: Fault) -> bool:
    """Whether a fault came about; a device that sends nothing more makes none happen."""
    try:
        async with asyncio.timeout(HAPPENS_S):
            await fault.happened.wait()
    except TimeoutError:
        return False
    return True
