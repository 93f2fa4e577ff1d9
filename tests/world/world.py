"""A small seeded world: real replicas and a real server in virtual time.

Run one by hand: ``python -m tests.world.world SEED``. It prints what happened.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec

from crdtsync import Conflict, Policy, Replica, UsageError
from crdtsync.database import InlineExecutor, Job, T, connect_durable
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import Decision, decide
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import MergeKind
from crdtsync.protocol.messages import Limits
from crdtsync.replica import outbox
from crdtsync.replica.taking_back import Cancelling
from crdtsync_server.authentication import DevAuthenticator
from crdtsync_server.service import Service
from crdtsync_server.settings import Settings, Timeouts
from crdtsync_server.storage import group
from crdtsync_server.storage.receipts import ENTRY_DECODER
from crdtsync_server.storage.store import Store
from tests.world.model import Accepted, Expected, expected
from tests.world.network import Network
from tests.world.virtual_time import run_virtually

POLICY = Policy.parse(
    """
version = 1
[item.fields]
name = { type = "string" }
phone = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
visits = { type = "integer", merge = "counter" }
tags = { type = "set<string>", merge = "set" }
"""
)
EPOCH_US = 1_700_000_000_000_000
RECORDS = ("a", "b", "c")
Candidates = set[frozenset[str] | None]
WORDS = ("peanut", "latex", "milk", "egg")


class Killed(sqlite3.OperationalError):
    """The process that would have done this is gone."""


class Disk(InlineExecutor):
    """One opening of a device's disk; the disk itself outlives it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.dead = False

    async def run(self, job: Job[T]) -> T:
        """Run a job unless the process was killed."""
        if self.dead:
            raise Killed("killed")
        return await super().run(job)

    async def close(self) -> None:
        """The disk stays."""


class Surroundings:
    """Seeded randomness and a clock that may be wrong."""

    def __init__(self, random: Random, skew_us: int) -> None:
        self._random = random
        self.skew_us = skew_us

    def now_us(self) -> int:
        """Virtual time, as this device's clock shows it."""
        loop = asyncio.get_running_loop()
        return EPOCH_US + round(loop.time() * 1_000_000) + self.skew_us

    def draw(self) -> float:
        """A random number in [0, 1)."""
        return self._random.random()

    def new_id(self) -> str:
        """A seeded UUID v4."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


@dataclass
class Device:
    """A device: its disk, and the replica that runs on it now."""

    name: str
    connection: sqlite3.Connection
    surroundings: Surroundings
    disk: Disk | None = None
    replica: Replica | None = None


@dataclass
class World:
    """Everything of one run."""

    seed: int
    random: Random
    network: Network
    devices: list[Device] = field(default_factory=list)
    written: dict[str, Op] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    store: Store | None = None
    from_backups: bool = False
    """Whether the server is restored from backups now and then, or loses everything."""
    accepted: dict[tuple[str, int], Op] = field(default_factory=dict)
    """Ops as they were accepted, by op_id and receive time: a lost log may be written anew."""

    # ── processes ───────────────────────────────────────────────────────────

    async def start_server(self) -> None:
        """Start a server on the server's disk."""
        service = Service(
            POLICY,
            Settings(Path("."), "127.0.0.1", 0, True, Limits(), Timeouts()),
            DevAuthenticator(POLICY),
            now_us=Surroundings(self.random, 0).now_us,
        )
        assert self.store is not None
        await service.start(self.store)
        self.network.service = service

    async def restore_server(self) -> None:
        """Take a backup, or put an old one (or nothing at all) in the place of the data."""
        chance = self.random.random()
        if chance < 0.5:
            self._backups.append(_copied(self._database()))
            return
        await self.network.kill_server()
        found = self.random.choice(self._backups) if self._backups and chance < 0.9 else None
        if found is None:
            self.store = Store.in_memory()
        else:
            executor = InlineExecutor(_copied(found))
            self.store = Store(executor, executor, what="a restored database")
        self.counts["server restored"] += 1
        await self.start_server()

    _backups: list[sqlite3.Connection] = field(default_factory=list)

    async def start_device(self, device: Device) -> None:
        """Open the device's replica and let it connect."""
        device.disk = Disk(device.connection)
        device.replica = Replica.open(
            ":memory:",
            space="w",
            policy=POLICY,
            user=device.name,
            device=device.name,
            dial=self.network.dial_as(device.name),
            surroundings=device.surroundings,
            executor=device.disk,
        )
        await device.replica.start()
        device.replica.connect("ws://server")

    async def kill_device(self, device: Device) -> None:
        """The process is gone between two steps of the loop; nothing more is written."""
        assert device.disk is not None
        assert device.replica is not None
        device.disk.dead = True
        await device.replica.disconnect()
        self.counts["device killed"] += 1

    # ── people ──────────────────────────────────────────────────────────────

    async def act(self, device: Device) -> None:
        """Somebody does something on a device."""
        replica, random = device.replica, self.random
        assert replica is not None
        items = replica.collection("item")
        record = random.choice(RECORDS)
        what = random.choices(
            [
                *("name", "phone", "allergies", "visits", "add", "remove"),
                *("delete", "resolve", "clear", "discard", "edit"),
            ],
            [4, 4, 6, 3, 3, 2, 1, 5, 1, 2, 2],
        )[0]
        known = set(self._op_ids(replica))
        try:
            match what:
                case "name" | "phone":
                    await items.update(record, {what: f"{what}-{random.randrange(1000)}"})
                case "allergies":
                    old = self.stale.get((device.name, record))
                    value = set(random.sample(WORDS, random.randrange(3)))
                    basis = old if old is not None and random.random() < 0.5 else None
                    await items.update(record, {"allergies": value}, based_on=basis)
                case "visits":
                    await items.increment(record, "visits", random.choice((1, 2, -1)))
                case "add":
                    await items.add(record, "tags", random.choice(WORDS))
                case "remove":
                    await items.remove(record, "tags", random.choice(WORDS))
                case "clear":
                    await items.clear(record, "allergies")
                case "delete":
                    await items.delete(record)
                case "resolve":
                    conflict = items[record]["allergies"]
                    if isinstance(conflict, Conflict):
                        await conflict.resolve(conflict.union())
                case "discard" | "edit":
                    await self._take_back(replica, what)
        except UsageError:
            # E.g. a deleted record: people bring it back now and then.
            self.counts["refused on the device"] += 1
            if items.get_deleted(record) is not None and random.random() < 0.5:
                await items.restore(record)
                what = "restore"
        for row in outbox.rows(replica._open_view()):
            if row.op_id not in known and row.op_id not in self.written:
                self.written[row.op_id] = row.op
                self.counts[what] += 1
        if record in items and random.random() < 0.3:
            self.stale[device.name, record] = items[record]

    async def _take_back(self, replica: Replica, what: str) -> None:
        waiting = [item for item in replica.outbox if not item.cancelling]
        if what == "edit":
            waiting = [item for item in waiting if "allergies" in item.fields]
        if not waiting:
            return
        op_id = self.random.choice(waiting).op_id
        if what == "discard":
            done = await replica.discard(op_id)
        else:
            row = outbox.row_of(replica._open_view(), op_id)
            assert row is not None
            before = row.op.writes["r/allergies"].values[0]
            others = [word for word in WORDS if before != f'["{word}"]']
            done = await replica.edit(op_id, {"allergies": {self.random.choice(others)}})
        self.taken_back.add(op_id)
        self.counts[f"{what} {'at once' if done else 'later'}"] += 1
        row = outbox.row_of(replica._open_view(), op_id)
        if row is not None and row.cancelling is not None:
            replacement = msgspec.msgpack.decode(row.cancelling, type=Cancelling).replacement
            if replacement is not None:
                self.written[replacement.op_id] = replacement
                if replacement.writes["r/allergies"].values == row.op.writes["r/allergies"].values:
                    # Should the server have the first one, this says nothing new.
                    self.taken_back.add(replacement.op_id)

    taken_back: set[str] = field(default_factory=set)
    """Ops that somebody edited or discarded: they are in the log or not, but never half."""

    stale: dict[tuple[str, str], Any] = field(default_factory=dict)

    @staticmethod
    def _op_ids(replica: Replica) -> list[str]:
        return [item.op_id for item in replica.outbox]

    # ── the run ─────────────────────────────────────────────────────────────

    async def live(self, steps: int) -> None:
        """Write, cut, kill and restart for a while."""
        for _ in range(steps):
            device = self.random.choice(self.devices)
            chance = self.random.random()
            if self.from_backups and self.random.random() < 0.03:
                await self.restore_server()
            elif chance < 0.04:
                await self.kill_device(device)
                self.stale = {k: v for k, v in self.stale.items() if k[0] != device.name}
                await self.start_device(device)
            elif chance < 0.06:
                await self.network.kill_server()
                await asyncio.sleep(self.random.random() * 5)
                await self.start_server()
            elif chance < 0.14:
                self.network.offline ^= {device.name}
            else:
                await self.act(device)
            await asyncio.sleep(self.random.random() ** 2 * 2)

    async def heal(self) -> None:
        """The network is good from now on; everybody must come into step."""
        self.network.cut_rate = 0.0
        self.network.offline.clear()
        for device in self.devices:
            assert device.replica is not None
            device.replica.connect("ws://server")
        for _ in range(2):
            for device in self.devices:
                assert device.replica is not None
                await device.replica.synced(timeout=600)

    def _database(self) -> sqlite3.Connection:
        assert self.store is not None
        writer = self.store._writer
        assert isinstance(writer, InlineExecutor)
        return writer.connection

    def log(self) -> list[LogEntry]:
        """The server's log."""
        rows = self._database().execute("SELECT entry FROM log ORDER BY position").fetchall()
        return [ENTRY_DECODER.decode(row[0]) for row in rows]

    def open_conflicts(self) -> list[tuple[str, str]]:
        """(record, root) of the conflicts that the server says are open."""
        statement = "SELECT record, root FROM conflicts WHERE status = 'open'"
        return [(record, root) for record, root in self._database().execute(statement)]


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    copy = connect_durable(":memory:")
    connection.backup(copy)
    return copy


def readings(replica: Replica) -> dict[str, Any]:
    """All that a replica shows, in a form that compares."""
    items = replica.collection("item")
    shown: dict[str, Any] = {}
    for record_id in RECORDS:
        record = items.get(record_id) or items.get_deleted(record_id)
        if record is not None:
            text = json.dumps(record.to_json(), sort_keys=True)
            shown[record_id] = (record.deleted, json.loads(text))
    return shown


def expected_candidates(world: World, record: str) -> tuple[Candidates, Candidates]:
    """A plain model of a manual field: every value that no accepted write replaced.

    The second set may stand there or not: an edited op takes the place of the
    first one, so who had replaced that one may have replaced the edit too.
    """
    root = "r/allergies"
    writes = {
        op.op_id: op.writes[root]
        for op in world.written.values()
        if op.record == record and root in op.writes
    }
    logged = {entry.op_id for entry in world.log()}
    replaced: set[str] = set()

    def replace(op_id: str) -> None:
        # What was taken back before it reached the log hands on what it had replaced.
        for seen in writes[op_id].supersedes:
            if seen.op_id not in replaced:
                replaced.add(seen.op_id)
                if seen.op_id not in logged and seen.op_id in writes:
                    replace(seen.op_id)

    edits = [op_id for op_id in writes if op_id in logged and world.written[op_id].replaces]
    for op_id in writes:
        if op_id in logged:
            replace(op_id)
    in_place = {op_id for op_id in edits if world.written[op_id].replaces in replaced}
    replaced |= {str(world.written[op_id].replaces) for op_id in edits}
    left = {op_id for op_id in writes if op_id in logged and op_id not in replaced}

    def values(op_ids: set[str]) -> Candidates:
        texts = [json.loads(writes[op_id].values[0]) for op_id in op_ids]
        return {None if text is None else frozenset(text) for text in texts}

    return values(left - in_place), values(left & in_place)


async def run_world(
    seed: int, *, devices: int = 3, steps: int = 120, from_backups: bool = False
) -> World:
    """Build a world, let it live, heal it."""
    random = Random(seed)
    network = Network(random, cut_rate=0.02, max_delay_s=random.choice((0.05, 0.5, 3.0)))
    world = World(seed, random, network, store=Store.in_memory(), from_backups=from_backups)
    await world.start_server()
    for n in range(devices):
        skew_us = random.choice((0, 0, 3_600_000_000, -86_400_000_000))
        device = Device(f"device-{n}", connect_durable(":memory:"), Surroundings(random, skew_us))
        world.devices.append(device)
        await world.start_device(device)
    await world.live(steps)
    await world.heal()
    return world


async def end(world: World) -> None:
    """Close everything."""
    for device in world.devices:
        assert device.replica is not None
        await device.replica.close()
        device.connection.close()
    assert world.network.service is not None
    await world.network.service.drain()
    await world.network.service.close()


def check(world: World) -> None:
    """Invariants 3, 4, 5 and 6 after healing."""
    logged = [entry.op_id for entry in world.log()]
    assert len(logged) == len(set(logged)), "an op is in the log twice (invariant 3)"
    assert set(logged) <= set(world.written), "an op was invented"
    lost = set(world.written) - set(logged) - world.taken_back
    assert not lost, "an op was lost (invariant 4)"
    first, *others = (device.replica for device in world.devices)
    assert first is not None
    shown = readings(first)
    for other in others:
        assert other is not None
        assert readings(other) == shown, "replicas differ (invariant 5)"
    for record_id, (_, values) in shown.items():
        field_value = values["allergies"]
        if isinstance(field_value, dict):
            found = {
                None if c["value"] is None else frozenset(c["value"])
                for c in field_value["conflict"]
            }
        else:
            found = {None if field_value is None else frozenset(field_value)}
        must, may = expected_candidates(world, record_id)
        assert must <= found, f"{record_id}: a manual value vanished (invariant 6)"
        assert found <= must | may | (set() if must else {None}), f"{record_id}: a value came back"
    check_against_model(world, first)


def check_against_model(world: World, replica: Replica) -> None:
    """What everybody shows is what the log means, by rules that are told a second time."""
    policy = POLICY.collection("item")
    told = expected(
        policy,
        [
            Accepted(world.accepted[entry.op_id, entry.received_us], entry.seq, entry.received_us)
            for entry in world.log()
        ],
    )
    items = replica.collection("item")
    found = {}
    for record_id in told:
        record = items.get(record_id) or items.get_deleted(record_id)
        assert record is not None, f"{record_id} is not there"
        state = record.basis.state
        assert state is not None
        values: dict[str, Any] = {
            name: record[name]
            if rule.merge is MergeKind.COUNTER
            else {rule.key(entry.value) for entry in state.visible(rule.root)}
            for name, rule in policy.fields.items()
        }
        found[record_id] = Expected(record.deleted, values)
    assert found == told, "what is shown is not what the log means"
    opened = [(record, "r/allergies") for record in told if len(told[record][1]["allergies"]) > 1]
    assert sorted(world.open_conflicts()) == sorted(opened), "a conflict's life is told wrongly"


def run_and_check(seed: int, *, from_backups: bool = False, **sizes: int) -> World:
    """One whole run in virtual time."""
    accepted: dict[tuple[str, int], Op] = {}

    def decide_and_note(state: RecordState, op: Op, *args: Any, **more: Any) -> Decision:
        decision = decide(state, op, *args, **more)
        accepted[op.op_id, more["received_us"]] = op
        return decision

    async def main() -> World:
        world = await run_world(seed, from_backups=from_backups, **sizes)
        world.accepted = accepted
        try:
            check(world)
        finally:
            await end(world)
        return world

    with patch.object(group, "decide", decide_and_note):
        return run_virtually(main())


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        done = run_and_check(number)
        print(number, len(done.written), dict(done.counts), dict(done.network.counts))
