"""What goes wrong in a world. Each fault is one function; ``FAULTS`` names them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from crdtsync.replica import outbox
from crdtsync.replica.taking_back import Cancelling
from crdtsync_server.simulation.disk import Disk
from crdtsync_server.simulation.machines import SPACE, DeviceMachine, Machine, new_disk
from crdtsync_server.simulation.plan import MAX_DEVICES
from crdtsync_server.simulation.rules import POLICIES, USERS
from crdtsync_server.simulation.surroundings import stream
from crdtsync_server.storage.retention import trim_log

if TYPE_CHECKING:
    from crdtsync_server.service import Service
    from crdtsync_server.simulation.world import World

JUMPS_US = (10_000_000, 600_000_000, 86_400_000_000)


@dataclass
class Backup:
    """A copy of the server's disk, and the head of the log in it."""

    disk: Disk
    head: int


Act = Callable[["World", DeviceMachine, Random], Coroutine[Any, Any, None]]


def _lasting(world: World, random: Random, undo: Callable[[], None]) -> None:
    """Undo something after a while."""
    for_s = random.choice((1.0, 5.0, 30.0, 90.0)) * (0.5 + random.random())

    async def later() -> None:
        await asyncio.sleep(for_s)
        if not world.is_healing:
            undo()

    world.aside(later())


# ── network ─────────────────────────────────────────────────────────────────


async def airplane_mode(world: World, device: DeviceMachine, random: Random) -> None:
    """No network on a device, until it is switched on again."""
    network = world.network
    if device.name in network.offline:
        network.offline.discard(device.name)
        world.note(device.name, "network on", "airplane mode off")
        return
    network.offline.add(device.name)
    world.note(device.name, "airplane mode", "airplane mode on")
    for link in tuple(network.links):
        if link.device == device.name:
            link.cut()


async def partition(world: World, device: DeviceMachine, random: Random) -> None:
    """Nothing passes in either direction, and nobody is told."""
    _freeze(world, device, random, ("up", "down"), "partition")


async def one_way_partition(world: World, device: DeviceMachine, random: Random) -> None:
    """Nothing passes in one direction."""
    way = random.choice(("up", "down"))
    _freeze(world, device, random, (way,), f"one-way partition ({way})")


def _freeze(
    world: World, device: DeviceMachine, random: Random, ways: tuple[str, ...], kind: str
) -> None:
    world.network.freeze(device.name, ways)
    world.note(device.name, f"nothing passes {' and '.join(ways)}", kind)
    _lasting(world, random, lambda: world.network.thaw(device.name))


async def cut(world: World, device: DeviceMachine, random: Random) -> None:
    """The device's connections end."""
    for link in tuple(world.network.links):
        if link.device == device.name:
            link.cut()


async def slow_reader(world: World, device: DeviceMachine, random: Random) -> None:
    """The device takes its time to read."""
    world.network.slow[device.name] = random.choice((0.5, 5.0, 40.0))
    world.note(device.name, "reads slowly", "slow reader")

    def hurry() -> None:
        world.network.slow.pop(device.name, None)

    _lasting(world, random, hurry)


# ── machines ────────────────────────────────────────────────────────────────


async def device_killed(world: World, device: DeviceMachine, random: Random) -> None:
    """The app is gone between any two steps."""
    _kill_soon(world, device, random, power_cut=False)


async def device_power_cut(world: World, device: DeviceMachine, random: Random) -> None:
    """The battery is empty."""
    _kill_soon(world, device, random, power_cut=True)


async def device_crash(world: World, device: DeviceMachine, random: Random) -> None:
    """The device is gone in the middle of writing to its disk."""
    device.disk.crash_at = random.randrange(30)


async def server_killed(world: World, device: DeviceMachine, random: Random) -> None:
    """The server's program is gone between any two steps."""
    _kill_soon(world, world.server, random, power_cut=False)


async def server_power_cut(world: World, device: DeviceMachine, random: Random) -> None:
    """The server's machine is gone between any two steps."""
    _kill_soon(world, world.server, random, power_cut=True)


async def server_crash(world: World, device: DeviceMachine, random: Random) -> None:
    """The server is gone in the middle of writing to its disk."""
    world.server.disk.crash_at = random.randrange(30)


def _kill_soon(world: World, machine: Machine, random: Random, *, power_cut: bool) -> None:
    process = machine.process

    def kill() -> None:
        if machine.process is process and not world.is_healing:
            world.aside(world.kill(machine, power_cut=power_cut))

    turns = random.choice((0, 0, random.randrange(10), random.randrange(300)))
    if turns:
        world.loop.after_turns(turns, kill)
    else:
        kill()


# ── disks ───────────────────────────────────────────────────────────────────


async def device_disk_full(world: World, device: DeviceMachine, random: Random) -> None:
    """No space on the device for a while."""
    _fill(world, device, random)


async def server_disk_full(world: World, device: DeviceMachine, random: Random) -> None:
    """No space on the server for a while."""
    _fill(world, world.server, random)


def _fill(world: World, machine: Machine, random: Random) -> None:
    machine.disk.full = True
    world.note(machine.name, "the disk is full", "disk full")
    disk = machine.disk
    _lasting(world, random, lambda: setattr(disk, "full", False))


async def device_disk_fails(world: World, device: DeviceMachine, random: Random) -> None:
    """The device's disk fails now and then for a while."""
    _spoil(world, device, random)


async def server_disk_fails(world: World, device: DeviceMachine, random: Random) -> None:
    """The server's disk fails now and then for a while."""
    _spoil(world, world.server, random)


def _spoil(world: World, machine: Machine, random: Random) -> None:
    rates = machine.disk.rates
    rates.fail_sync = random.choice((0.0, 0.2, 0.6))
    rates.fail_write = random.choice((0.0, 0.05, 0.3))
    rates.fail_read = random.choice((0.0, 0.0, 0.05))
    world.note(machine.name, f"the disk fails now and then: {rates}", "disk fails")
    if random.random() < 0.5:
        machine.disk.on_sync_failed = lambda: _gives_up(world, machine, random)
    _lasting(world, random, lambda: mend(machine))


def _gives_up(world: World, machine: Machine, random: Random) -> None:
    """The program ends where a sync fails; it is started again, and later the power fails."""
    machine.disk.on_sync_failed = None
    world.note(
        machine.name, "a sync failed, and the program ends", "program ended by a failed sync"
    )
    world.loop.call_soon(lambda: world.aside(world.kill(machine, power_cut=False)))
    if random.random() < 0.7:
        _lasting(world, random, lambda: world.aside(world.kill(machine, power_cut=True)))


def mend(machine: Machine) -> None:
    """The machine's disk is good from now on."""
    rates = machine.disk.rates
    rates.fail_sync = rates.fail_write = rates.fail_read = 0.0
    machine.disk.on_sync_failed = None


async def device_restored(world: World, device: DeviceMachine, random: Random) -> None:
    """Somebody takes a copy of the device's file, or puts an old copy in its place."""
    if device.backup is None or random.random() < 0.3:
        device.backup = device.disk.copy(stream(world.plan.seed, device.name, "copy", device.lives))
        world.note(device.name, "its file is copied away", "device backup")
        return
    world.check()
    await world.kill(device, power_cut=False)
    world.kept_counts += device.disk.counts
    device.disk.close()
    device.disk = device.backup.copy(stream(world.plan.seed, device.name, "restored", device.lives))
    world.order_is_lost = True
    device.is_other_file = True
    world.note(device.name, "an old copy of its file is put back", "device restored from a copy")


async def device_copied(world: World, device: DeviceMachine, random: Random) -> None:
    """The device's file is copied to a new device, and both go on."""
    if len(world.devices) >= MAX_DEVICES:
        return
    world.check()
    copy = world.new_device(device)
    world.order_is_lost = True
    for note in world.book.notes.values():
        if device.name in note.homes:
            note.homes.add(copy.name)
    copy.is_other_file = True
    world.note(device.name, f"its file goes on as {copy.name} too", "device copied")
    await world.start(copy)


def ops_on(device: DeviceMachine) -> set[str]:
    """The own ops that a device's file holds, in whatever form."""
    assert device.replica is not None
    view = device.replica._open_view()
    there = {op_id for (op_id,) in view.connection.execute("SELECT op_id FROM accepted")}
    for row in outbox.rows(view):
        there.add(row.op_id)
        if row.cancelling is not None:
            wish = msgspec.msgpack.decode(row.cancelling, type=Cancelling).replacement
            if wish is not None:
                there.add(wish.op_id)
    return there


def look_what_is_left(world: World, device: DeviceMachine) -> None:
    """After another file was put in place: what it does not hold may be gone for good."""
    there = ops_on(device)
    for op_id, note in world.book.notes.items():
        if device.name in note.homes and op_id not in there:
            note.homes.discard(device.name)
            if not note.homes and op_id not in world.checks.model.seq_of:
                note.standing = "gone with a disk"


async def server_backup(world: World, device: DeviceMachine, random: Random) -> None:
    """A backup of the server is taken."""
    if world.server.is_up:
        world.check()
        copy = world.server.disk.copy(stream(world.plan.seed, "backup", len(world.backups)))
        world.backups.append(Backup(copy, world.checks.model.head))
        world.note("server", f"backup at {world.checks.model.head}", "server backup")


async def server_rolled_back(world: World, device: DeviceMachine, random: Random) -> None:
    """The server's data is lost: a backup takes its place, or nothing."""
    if not world.server.is_up:
        return
    world.check()
    await world.kill(world.server, power_cut=False)
    seed, server = world.plan.seed, world.server
    world.kept_counts += server.disk.counts
    server.disk.close()
    if world.backups and random.random() < 0.8:
        backup = random.choice(world.backups)
        server.disk = backup.disk.copy(stream(seed, "restored", server.lives))
        head = backup.head
    else:
        server.disk, head = new_disk(world.plan, f"server after {server.lives}"), 0
    world.backups = [backup for backup in world.backups if backup.head <= head]
    world.was_rolled_back = True
    for op_id in world.checks.server_rolled_back(head):
        note = world.book.notes[op_id]
        if not note.homes:
            note.standing = "gone with a disk"
    world.note("server", f"rolled back to {head}", "server rolled back")
    await world.start(server)


async def log_trimmed(world: World, device: DeviceMachine, random: Random) -> None:
    """Old log detail goes, as retention has it."""
    server = world.server
    if server.is_up and server.service is not None and server.process is not None:
        world.check()
        store = server.service.store
        keep_from = random.randrange(world.checks.model.head + 2)
        job = store.write(lambda connection: trim_log(connection, store.sql, SPACE, keep_from))
        task = server.process.start(job)
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            world.note("server", f"log trimmed below {keep_from}", "log trimmed")


# ── clocks, sign-ins, rules ─────────────────────────────────────────────────


async def device_clock_jumps(world: World, device: DeviceMachine, random: Random) -> None:
    """Somebody sets the device's clock."""
    _jump(world, device, random)


async def server_clock_jumps(world: World, device: DeviceMachine, random: Random) -> None:
    """The server's clock is set."""
    _jump(world, world.server, random)


def _jump(world: World, machine: Machine, random: Random) -> None:
    by_us = random.choice(JUMPS_US) * random.choice((1, -1))
    machine.clock.off_us += by_us
    world.note(machine.name, f"the clock jumps by {by_us / 1e6:+.0f} s", "clock jump")


async def _end_sign_in(service: Service, user: str) -> None:
    service.end_sign_ins(lambda identity: identity.user == user)


async def token_expires(world: World, device: DeviceMachine, random: Random) -> None:
    """A user's sign-in ends; some time later they sign in again on each device.

    Every second time the server itself ends the connections, as it does when a
    token expires or is revoked; else they are cut, and the next hello is refused.
    """
    user = device.user
    doorman, server = world.server.doorman, world.server
    doorman.last[user] += 1
    world.note(device.name, f"the sign-in of {user} expires", "token expired")
    theirs = [one for one in world.devices if one.user == user]
    if doorman.last[user] % 2 and server.service is not None and server.process is not None:
        ending = _end_sign_in(server.service, user)
        await asyncio.wait([server.process.start(ending)])
    else:
        for link in tuple(world.network.links):
            if link.device in {one.name for one in theirs}:
                link.cut()

    def sign_in() -> None:
        for one in theirs:
            if one.user == user and one.is_up and one.replica is not None:
                one.sign_in()
                one.connect()

    _lasting(world, random, sign_in)


async def role_withdrawn(world: World, device: DeviceMachine, random: Random) -> None:
    """A user loses a role, for a while."""
    withdrawn, user = world.server.doorman.withdrawn, device.user
    withdrawn.add(user)
    world.note(device.name, f"{user} is no nurse any more", "role withdrawn")
    for link in tuple(world.network.links):
        if link.device == device.name:
            link.cut()
    _lasting(world, random, lambda: grant(world, user))


def grant(world: World, user: str) -> None:
    """A role is granted again. A connection has the roles of its hello, so this user's end,
    as their old token does."""
    world.server.doorman.withdrawn.discard(user)
    for link in tuple(world.network.links):
        if any(one.name == link.device and one.user == user for one in world.devices):
            link.cut()


async def user_switched(world: World, device: DeviceMachine, random: Random) -> None:
    """Somebody else signs in on the device."""
    if device.is_busy:
        return
    await switch_user(world, device, random.choice(USERS))


async def switch_user(world: World, device: DeviceMachine, user: str) -> None:
    """Close the app as people do, and open it for another user."""
    if device.is_up and device.process is not None and device.replica is not None:
        replica, device.replica = device.replica, None  # nobody uses or looks at it meanwhile
        await asyncio.wait([device.process.start(replica.close())])
        await device.die(power_cut=False)
    device.user = user
    world.note(device.name, f"{user} signs in", "user switched")
    await world.start(device)


async def policy_signed(world: World, device: DeviceMachine, random: Random) -> None:
    """A new version of the policy: the server is stopped in order and started with it."""
    server = world.server
    if server.policy + 1 >= len(POLICIES):
        return
    # It is down when the version counts: somebody else may start it while it is stopped.
    while server.is_up and server.policy + 1 < len(POLICIES):
        if server.process is not None and server.service is not None:
            stopping: Coroutine[Any, Any, None] = server.service.drain()
            await asyncio.wait([server.process.start(stopping)])
        world.check()
        await server.die(power_cut=False)
    if server.policy + 1 < len(POLICIES):
        server.policy += 1
        world.note("server", f"policy version {server.policy + 1}", "policy signed")
    await world.start(server)


FAULTS: dict[str, Act] = {
    "airplane mode": airplane_mode,
    "partition": partition,
    "one-way partition": one_way_partition,
    "cut": cut,
    "slow reader": slow_reader,
    "device killed": device_killed,
    "device power cut": device_power_cut,
    "device crash in a job": device_crash,
    "server killed": server_killed,
    "server power cut": server_power_cut,
    "server crash in a job": server_crash,
    "device disk full": device_disk_full,
    "server disk full": server_disk_full,
    "device disk fails": device_disk_fails,
    "server disk fails": server_disk_fails,
    "device restored": device_restored,
    "device copied": device_copied,
    "server backup": server_backup,
    "server rolled back": server_rolled_back,
    "log trimmed": log_trimmed,
    "device clock jumps": device_clock_jumps,
    "server clock jumps": server_clock_jumps,
    "token expires": token_expires,
    "role withdrawn": role_withdrawn,
    "user switched": user_switched,
    "policy signed": policy_signed,
}

AT_A_PUSH = frozenset(
    {
        *("airplane mode", "partition", "one-way partition", "cut"),
        *("device killed", "device power cut", "device crash in a job"),
        *("server killed", "server power cut", "server crash in a job"),
        *("device disk fails", "server disk fails", "device clock jumps"),
        *("token expires", "role withdrawn", "policy signed", "server rolled back"),
    }
)
"""Faults that are worst while a push is under way."""
