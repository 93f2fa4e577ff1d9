"""One run: a plan is carried out, everything is watched, and in the end it must heal."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from crdtsync.replica.file import ReplicaFile
from crdtsync_server.simulation import faults
from crdtsync_server.simulation.book import Book, Broken
from crdtsync_server.simulation.checks import Checks
from crdtsync_server.simulation.disk import DiskRates
from crdtsync_server.simulation.healing import heal
from crdtsync_server.simulation.limits import LimitsInForce, limits
from crdtsync_server.simulation.machines import (
    DeviceMachine,
    Machine,
    ServerMachine,
    new_disk,
)
from crdtsync_server.simulation.network import Network
from crdtsync_server.simulation.people import People
from crdtsync_server.simulation.plan import ACTIONS, Plan, Step
from crdtsync_server.simulation.processes import CURRENT, install
from crdtsync_server.simulation.rules import USERS
from crdtsync_server.simulation.surroundings import Clock, stream
from crdtsync_server.simulation.timeline import Timeline
from crdtsync_server.simulation.virtual_time import VirtualTimeLoop, run_virtually
from crdtsync_server.simulation.watching import Decided, watched

SKEWS_US = (0, 0, 3_600_000_000, -86_400_000_000, 86_400_000_000)


@dataclass(frozen=True)
class Outcome:
    """What a run gave."""

    plan: Plan
    virtual_s: float
    counts: Counter[str]
    frames: int
    ops: int
    timeline: Timeline
    failure: BaseException | None

    @property
    def invariant(self) -> str:
        """What broke: an invariant's number, liveness, or a fault of the program."""
        if self.failure is None:
            return ""
        if isinstance(self.failure, Broken):
            return f"invariant {self.failure.invariant}"
        return type(self.failure).__name__


class Fault(AssertionError):
    """The program itself reported a fault of its own, or raised what nobody expects."""


@dataclass
class World:
    """Everything of one run."""

    plan: Plan
    timeline: Timeline
    limits: LimitsInForce
    counts: Counter[str] = field(default_factory=Counter)
    book: Book = field(default_factory=Book)
    decided: Decided = field(default_factory=Decided)
    devices: list[DeviceMachine] = field(default_factory=list)
    failure: BaseException | None = None
    order_is_lost: bool = False
    """A device was restored or copied: an earlier op of a record may be gone or elsewhere."""
    was_rolled_back: bool = False
    is_healing: bool = False

    def __post_init__(self) -> None:
        seed = self.plan.seed
        self.checks = Checks(self)
        self.network = Network(
            seed,
            self.plan.weather,
            counts=self.counts,
            note=self.note,
            watch=self._frame,
        )
        self.server = ServerMachine(
            "server",
            self.plan,
            new_disk(self.plan, "server"),
            Clock(),
            on_crash=self._crashed,
            network=self.network,
        )
        self.people = People(self.book, self.counts, self.note)
        self.kept_counts: Counter[str] = Counter()
        """Faults of disks that were replaced."""
        self._owners: dict[int, str] = {}
        self.backups: list[faults.Backup] = []

    @property
    def loop(self) -> VirtualTimeLoop:
        """The loop of this world."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return loop

    # ── what happens is noted ───────────────────────────────────────────────

    def note(self, who: str, words: str, kind: str) -> None:
        """Write into the timeline, and count the kind of thing that happened."""
        self.counts[kind] += 1
        self.timeline.add(asyncio.get_running_loop().time(), who, words)

    def fail(self, error: BaseException) -> None:
        """The first failure is the one that counts."""
        if self.failure is None:
            self.failure = error
            self.timeline.add(asyncio.get_running_loop().time(), "FAILED", str(error))

    def _frame(self, device: str, way: str, frame: bytes, connection: int) -> None:
        self.timeline.frame(asyncio.get_running_loop().time(), device, way, frame)
        if way == "down":
            try:
                self.checks.frame_left_server(frame)
                self.checks.permissions.frame_left_server(frame, connection)
            except Broken as error:
                self.fail(error)

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        process = CURRENT.get()
        if process is None or process.alive:
            error = context.get("exception")
            fault = Fault(f"{context.get('message')}: {error!r}")
            fault.__cause__ = error
            self.fail(fault)

    def device_of(self, file: ReplicaFile) -> str:
        """Which device a replica's file is on."""
        return self._owners[id(file.connection)]

    def kept_to_offer_again(self, device: DeviceMachine) -> set[str]:
        """Own accepted ops that a device offers to a server that was restored."""
        if not self.was_rolled_back or device.executor is None:
            return set()
        rows = device.executor.connection.execute("SELECT op_id FROM accepted")
        return {op_id for (op_id,) in rows}

    # ── machines ────────────────────────────────────────────────────────────

    def new_device(self, like: DeviceMachine | None = None) -> DeviceMachine:
        """One more device, or a copy of one with its file."""
        n = len(self.devices)
        name = f"device-{n}"
        random = stream(self.plan.seed, name)
        skew_us = random.choice(SKEWS_US) if self.plan.skewed_clocks else 0
        if like is None:
            disk, user = new_disk(self.plan, name), USERS[n % len(USERS)]
        else:
            disk, user = like.disk.copy(random), like.user
        device = DeviceMachine(
            name,
            self.plan,
            disk,
            Clock(skew_us),
            on_crash=self._crashed,
            network=self.network,
            doorman=self.server.doorman,
            user=user,
        )
        self.devices.append(device)
        return device

    async def start(self, machine: Machine) -> None:
        """Start a machine's program, and settle what became of writes that were cut off."""
        if machine.is_up:
            return
        # Known before the first op is made on it.
        started = await machine.start()
        if not started:
            self.note(machine.name, "could not start: its disk fails", "could not start")
            return
        if isinstance(machine, DeviceMachine):
            assert machine.executor is not None
            self._owners[id(machine.executor.connection)] = machine.name
            with self.quiet_disks():
                if machine.is_other_file:
                    machine.is_other_file = False
                    faults.look_what_is_left(self, machine)
                else:
                    self._settle_unanswered(machine)
        self.note(machine.name, f"runs (life {machine.lives})", "program started")

    def _settle_unanswered(self, device: DeviceMachine) -> None:
        """Writes that a kill cut off are there wholly or not at all (invariant 1)."""
        assert device.replica is not None
        there = faults.ops_on(device)
        for note in self.book.unanswered(device.name):
            if note.op.op_id in there:
                note.standing = "written"
            elif not device.disk.counts["fsync failed"] and not device.disk.counts["write failed"]:
                note.standing = "never made"

    async def kill(self, machine: Machine, *, power_cut: bool) -> None:
        """A machine's program is gone."""
        if machine.is_up:
            words = "power cut" if power_cut else "killed"
            self.note(machine.name, words, f"{_kind(machine)} {words}")
            await machine.die(power_cut=power_cut)

    def _crashed(self, machine: Machine) -> None:
        """A machine's disk says that it is gone in the middle of a job."""
        process = machine.process
        loop = asyncio.get_running_loop()
        if process is not None:
            process.crashed = True

        async def bury() -> None:
            if machine.process is process:
                self.note(machine.name, "crashed in a job", f"{_kind(machine)} crashed in a job")
                await machine.die(power_cut=machine.random("crash").random() < 0.5)

        loop.call_soon(lambda: self.aside(bury()))

    def aside(self, main: Any) -> None:
        """Run something of the world's own beside the plan."""
        task = asyncio.get_running_loop().create_task(main)
        self.beside[task] = None
        task.add_done_callback(self._beside_done)

    beside: dict[asyncio.Task[Any], None] = field(default_factory=dict)

    def _beside_done(self, task: asyncio.Task[Any]) -> None:
        self.beside.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    # ── the run ─────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Carry out the plan, then heal."""
        loop = asyncio.get_running_loop()
        install(loop)
        loop.set_exception_handler(self._loop_fault)
        try:
            await self.start(self.server)
            for _ in range(self.plan.devices):
                await self.start(self.new_device())
            for step in self.plan.steps:
                await asyncio.sleep(step.pause_s)
                await self._step(step)
                self.check()
                if self.failure is not None:
                    return
            await heal(self)
        except (AssertionError, sqlite3.Error) as error:
            self.fail(error)
        finally:
            await self._end()

    def check(self) -> None:
        """Demand the invariants."""
        with self.quiet_disks():
            try:
                self.checks.now()
            except Broken as error:
                self.fail(error)

    @contextmanager
    def quiet_disks(self) -> Iterator[None]:
        """Who watches is not disturbed by disks that fail."""
        disks = [machine.disk for machine in (self.server, *self.devices)]
        kept = [(disk, disk.rates) for disk in disks]
        for disk in disks:
            disk.rates = DiskRates()
        try:
            yield
        finally:
            for disk, rates in kept:
                disk.rates = rates

    async def _step(self, step: Step) -> None:
        random = step.random(self.plan.seed)
        device = self.devices[step.device % len(self.devices)]
        if step.what in ACTIONS:
            self._act(device, step.what, random)
        elif step.what in faults.AT_A_PUSH and random.random() < 0.5:
            self._at_next_push(step.what, device, random)
        else:
            await faults.FAULTS[step.what](self, device, random)
        if random.random() < 0.7:
            await self._start_what_is_down(random)

    def _at_next_push(self, what: str, device: DeviceMachine, random: Random) -> None:
        """Let a fault come at the worst time: while ops are sent, decided or answered."""

        def now() -> None:
            if not self.is_healing:
                self.aside(faults.FAULTS[what](self, device, random))

        turns = random.randrange(1, random.choice((12, 40, 120)))
        self.network.at_push[device.name] = lambda: self.loop.after_turns(turns, now)

    async def _start_what_is_down(self, random: Random) -> None:
        for machine in (self.server, *self.devices):
            if not machine.is_up and random.random() < 0.5:
                await self.start(machine)

    def _act(self, device: DeviceMachine, what: str, random: Random) -> None:
        if not device.is_up or device.is_busy or device.replica is None:
            self.counts["nobody could act"] += 1
            return
        assert device.process is not None
        task = device.process.start(self.people.act(device, what, random))
        task.add_done_callback(lambda done: self._acted(device, done))

    def _acted(self, device: DeviceMachine, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Broken):
            self.fail(error)
        elif error is not None and device.is_up:
            fault = Fault(f"a call on {device.name} raised {error!r}")
            fault.__cause__ = error
            self.fail(fault)

    async def _end(self) -> None:
        for task in tuple(self.beside):
            task.cancel()
        for machine in (*self.devices, self.server):
            if machine.process is not None:
                await machine.die(power_cut=False)
            machine.disk.close()


def _kind(machine: Machine) -> str:
    return "device" if isinstance(machine, DeviceMachine) else "server"


class _Listener(logging.Handler):
    """The server's log: an error that no disk explains is a fault of the program."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        super().__init__(logging.WARNING)
        self._fail = fail

    def emit(self, record: logging.LogRecord) -> None:
        process = CURRENT.get()
        if record.exc_info and (process is None or process.alive):
            error = record.exc_info[1]
            if not isinstance(error, sqlite3.Error) and not _comes_from_disk(error):
                fault = Fault(f"the server logged: {record.getMessage()}: {error!r}")
                fault.__cause__ = error
                self._fail(fault)


def _comes_from_disk(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, sqlite3.Error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _listening(fail: Callable[[BaseException], None]) -> Iterator[None]:
    logger = logging.getLogger("crdtsync.server")
    listener = _Listener(fail)
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate = before[0]
        logger.setLevel(before[1])


def run_plan(plan: Plan, *, trace: bool = False) -> Outcome:
    """Carry out a plan from beginning to end, in virtual time."""
    timeline = Timeline(keep=trace)
    worlds: list[World] = []

    async def main() -> float:
        with limits(small=plan.small_limits) as in_force:
            world = World(plan, timeline, in_force)
            worlds.append(world)
            with watched(world.book, world.decided, world.device_of), _listening(world.fail):
                await world.run()
        return world.loop.time()

    virtual_s = 0.0
    escaped: BaseException | None = None
    try:
        virtual_s = run_virtually(main())
    except Exception as error:
        escaped = error
    world = worlds[0]
    disks = world.kept_counts.copy()
    for machine in (world.server, *world.devices):
        disks += machine.disk.counts
    return Outcome(
        plan,
        virtual_s,
        world.counts + Counter({f"disk: {what}": n for what, n in disks.items()}),
        world.network.frames,
        len(world.book.notes),
        timeline,
        world.failure or escaped,
    )
