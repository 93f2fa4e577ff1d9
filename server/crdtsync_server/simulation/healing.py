"""The end of a run: everything is repaired, and then everybody must come into step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from crdtsync import Conflict
from crdtsync.documents.state import LogEntry
from crdtsync.replica import outbox
from crdtsync.replica.errors import NeedsAttention, SignedOut, SyncTimeout
from crdtsync_server.simulation.book import Broken
from crdtsync_server.simulation.documents import check_documents
from crdtsync_server.simulation.faults import grant, mend, switch_user
from crdtsync_server.simulation.machines import DeviceMachine
from crdtsync_server.simulation.model import InConflict, Reading
from crdtsync_server.simulation.network import Weather
from crdtsync_server.simulation.permissions import PERMISSIONS
from crdtsync_server.simulation.rules import POLICIES
from crdtsync_server.simulation.surroundings import stream
from crdtsync_server.storage.receipts import ENTRY_DECODER

if TYPE_CHECKING:
    from crdtsync_server.simulation.world import World

IN_STEP_WITHIN_S = 4_000.0
"""Virtual seconds for one device. The longest retry that a server may ask for is an hour."""

TRIES = 12
"""Times that a person looks after one device: signs in as someone, discards what failed."""


class NotAlive(AssertionError):
    """The world was good again, and somebody did not come into step."""


async def heal(world: World) -> None:
    """Repair everything; demand liveness, and then what must hold at rest."""
    world.is_healing = True
    world.note("world", "everything is repaired", "healed")
    network = world.network
    network.weather = Weather(max_delay_s=min(network.weather.max_delay_s, 0.5))
    network.offline.clear()
    network.slow.clear()
    network.thaw()
    for user in sorted(world.server.doorman.withdrawn):
        grant(world, user)
    for machine in (world.server, *world.devices):
        mend(machine)
        machine.disk.full = False
        machine.disk.crash_at = None
    while world.beside:
        await asyncio.wait(tuple(world.beside))
    for machine in (world.server, *world.devices):
        machine.disk.crash_at = None
        await world.start(machine)
        if not machine.is_up:
            raise NotAlive(f"{machine.name} does not start on a good disk")
    for device in world.devices:
        device.sign_in()
        device.connect()
    # People finish what they are doing, or have just begun. Virtual time costs nothing.
    await asyncio.sleep(0.001)
    while any(device.is_busy for device in world.devices):  # noqa: ASYNC110
        await asyncio.sleep(1.0)
    for device in world.devices:
        await _in_step(world, device)
    for device in world.devices:
        await _in_step(world, device)
    world.check()
    _nothing_is_lost(world)
    for device in world.devices:
        _is_in_step(world, device)
        _shows_what_the_log_means(world, device)
    await _losers_are_kept(world)
    _documents_read_alike(world)


async def _in_step(world: World, device: DeviceMachine) -> None:
    for _ in range(TRIES):
        assert device.process is not None
        assert device.replica is not None
        replica = device.replica
        waiting = device.process.start(replica.synced(timeout=IN_STEP_WITHIN_S))
        await asyncio.wait([waiting])
        if world.failure is not None:
            raise NotAlive("something failed before")
        error = waiting.exception()
        world.check()
        if error is None:
            others = {row.user for row in outbox.rows(replica._open_view())} - {device.user}
            if not others:
                return
            await switch_user(world, device, min(others))
        elif isinstance(error, NeedsAttention):
            await _give_up_what_failed(world, device)
        elif isinstance(error, SignedOut):
            others = {item.user for item in replica.outbox} - {device.user}
            if not others:
                raise NotAlive(f"{device.name} is signed out: {error}") from error
            await switch_user(world, device, min(others))
        elif isinstance(error, SyncTimeout):
            raise NotAlive(f"{device.name} did not come into step: {error}") from error
        else:
            raise error
    raise NotAlive(f"{device.name} did not come into step after {TRIES} tries")


async def _give_up_what_failed(world: World, device: DeviceMachine) -> None:
    """A person sees what failed and takes it back."""
    replica = device.replica
    assert replica is not None
    assert device.process is not None
    world.counts["visibly waited for a person"] += 1
    failed = [item for item in replica.outbox if item.needs_person and not item.cancelling]
    mine = [item.op_id for item in failed if item.user == device.user]
    for op_id in mine:
        task = device.process.start(world.people.discard(replica, op_id))
        await asyncio.wait([task])
        task.exception()
    if failed and not mine:
        await switch_user(world, device, min(item.user for item in failed))


def _nothing_is_lost(world: World) -> None:
    for op_id, note in world.book.notes.items():
        there = op_id in world.checks.model.seq_of
        if note.standing == "written" and not there and not world.book.may_be_nothing(note):
            raise Broken(4, f"{op_id} ({note.op.record} on {note.device}) was lost for good")


def _is_in_step(world: World, device: DeviceMachine) -> None:
    assert device.replica is not None
    view = device.replica._open_view()
    if view.cursor.seq != world.checks.model.head:
        raise NotAlive(f"{device.name} is at {view.cursor.seq} of {world.checks.model.head}")
    if not world.checks.is_on_log(view.cursor.seq, view.cursor.digest):
        raise Broken(5, f"{device.name} is not on the server's log")
    left = [(row.op_id, row.state) for row in outbox.rows(view)]
    if left:
        raise NotAlive(f"{device.name} still has {left}")


def _shows_what_the_log_means(world: World, device: DeviceMachine) -> None:
    """What people read is what the log means, conflicts included (invariants 5 and 6)."""
    replica = device.replica
    assert replica is not None
    policy = POLICIES[world.server.policy].collection("item")
    if replica.policy.version != POLICIES[world.server.policy].version:
        raise NotAlive(f"{device.name} still goes by policy {replica.policy.version}")
    items = replica.collection("item")
    for record_id, meaning in world.checks.model.records.items():
        record = items.get(record_id) or items.get_deleted(record_id)
        if record is None:
            raise Broken(5, f"{record_id} does not exist on {device.name}")
        if record.hidden:
            raise Broken(
                PERMISSIONS, f"{device.name} may see all, and does not see {record.hidden}"
            )
        meant = meaning.reading(policy)
        shown = Reading(record.deleted, {name: _shown(record[name]) for name in policy.fields})
        if shown != meant:
            raise Broken(5, f"{record_id} on {device.name} reads {shown}, meant is {meant}")


def _shown(value: Any) -> Any:
    """A value as the model tells it: a conflict is the set of its candidates."""
    if isinstance(value, Conflict):
        return InConflict(frozenset(candidate.value for candidate in value.candidates))
    return value


async def _losers_are_kept(world: World) -> None:
    """What a machine settled away is in the history, as far as detail is kept (invariant 7)."""
    device = world.devices[0]
    assert device.replica is not None
    assert device.process is not None
    (kept_from,) = world.server.rows("SELECT log_start FROM spaces")[0]
    policy = device.replica.policy.collection("item")
    for record_id, meaning in world.checks.model.records.items():
        for rule in policy.fields.values():
            gone = {key: at for key, at in meaning.lost.items() if key[0] == rule.root}
            if not gone:
                continue
            # Detail may have been trimmed, but never that of the last loser.
            last = max(gone.values())
            lost = {
                op_id
                for (_, op_id, _), at in gone.items()
                if at == last or world.checks.model.seq_of[op_id] >= kept_from
            }
            asked = device.process.start(device.replica.history("item", record_id, rule.name))
            await asyncio.wait([asked])
            told = {value.op_id for value in asked.result().values}
            if lost - told:
                raise Broken(7, f"{record_id} {rule.name}: history does not tell of {lost - told}")
            return


def _documents_read_alike(world: World) -> None:
    """As far back as the log's detail reaches: documents made from it agree (invariant 5)."""
    (kept_from,) = world.server.rows("SELECT log_start FROM spaces")[0]
    if kept_from > 1:
        return
    policy = POLICIES[world.server.policy].collection("item")
    by_record: dict[str, list[LogEntry]] = {}
    for (data,) in world.server.rows("SELECT entry FROM log ORDER BY position"):
        entry = ENTRY_DECODER.decode(data)
        by_record.setdefault(entry.record, []).append(entry)
    for record_id, entries in by_record.items():
        random = stream(world.plan.seed, "documents", record_id)
        check_documents(record_id, entries, policy, random)
