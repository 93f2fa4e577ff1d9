"""The machines of a run: a server and devices, each with a disk, a clock and a process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from crdtsync import Replica
from crdtsync.database import StorageError, migrate
from crdtsync.protocol.messages import Limits
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated
from crdtsync_server.service import Service
from crdtsync_server.settings import Settings, Timeouts
from crdtsync_server.simulation.disk import Disk, DiskRates
from crdtsync_server.simulation.executor import SimulatedThread
from crdtsync_server.simulation.network import Network
from crdtsync_server.simulation.plan import Plan
from crdtsync_server.simulation.processes import Process
from crdtsync_server.simulation.rules import POLICIES, ROLES
from crdtsync_server.simulation.surroundings import Clock, Surroundings, new_uuid, stream
from crdtsync_server.storage.store import Store

T = TypeVar("T")

SPACE = "ward"
URL = "ws://server"
FILE = "crdtsync.db"
REWRITE_LOG = True
"""Whether an opening writes the WAL anew first, as ``connect_durable`` does."""


class Doorman:
    """Checks simulated tokens: ``user/number``, good while that number is the user's last one."""

    def __init__(self) -> None:
        self.last: Counter[str] = Counter()
        self.withdrawn: set[str] = set()
        self.refused = 0

    def token(self, user: str) -> str:
        """A token that is good now."""
        return f"{user}/{self.last[user]}"

    async def authenticate(self, credentials: Credentials) -> Identity:
        """See ``Authenticator``."""
        user, _, number = (credentials.token or "/").partition("/")
        if number != str(self.last[user]):
            self.refused += 1
            raise NotAuthenticated("this sign-in has expired; sign in again")
        roles = ROLES - {"nurse"} if user in self.withdrawn else ROLES
        return Identity(user, roles)


@dataclass
class Machine:
    """What a server and a device have in common."""

    name: str
    plan: Plan
    disk: Disk
    clock: Clock
    lives: int = 0
    process: Process | None = None
    executor: SimulatedThread | None = None
    on_crash: Callable[[Machine], None] = lambda machine: None

    @property
    def is_up(self) -> bool:
        """Whether its program runs."""
        return self.process is not None and self.process.alive

    @property
    def can_be_asked(self) -> bool:
        """Whether its program runs and has its files: one that crashed in a job, or could not
        start and has closed them, lies there for a moment before it is buried."""
        if self.executor is not None and (self.executor.is_gone or self.executor.is_closed):
            return False
        return self.is_up

    def random(self, what: str) -> Random:
        """Randomness of this life of the machine."""
        return stream(self.plan.seed, self.name, self.lives, what)

    async def start(self) -> bool:
        """Start the program; False where its disk does not let it."""
        raise NotImplementedError

    def _new_life(self) -> None:
        self.lives += 1
        self.process = Process(f"{self.name}#{self.lives}")
        self.disk.crash_at = None

    def _thread(self) -> SimulatedThread:
        connection = self.disk.connect(
            FILE, checkpoint_pages=self.plan.checkpoint_pages, rewrite_log=REWRITE_LOG
        )
        random, longest_s = self.random("disk"), self.plan.disk_latency_s

        def latency_s() -> float:
            return random.random() ** 4 * longest_s if longest_s else 0.0

        return SimulatedThread(connection, latency_s, on_gone=lambda: self.on_crash(self))

    async def die(self, *, power_cut: bool) -> None:
        """The program is gone between two of its steps; a power cut takes the disk's cache too."""
        process, self.process = self.process, None
        executor, self.executor = self.executor, None
        if executor is not None:
            executor.kill()
        if power_cut:
            self.disk.power_cut()
        else:
            self.disk.process_killed()
        if process is not None:
            await process.kill()


@dataclass
class ServerMachine(Machine):
    """The server."""

    network: Network = None  # type: ignore[assignment]
    doorman: Doorman = field(default_factory=Doorman)
    policy: int = 0
    """Which of the policies is signed."""
    service: Service | None = None

    async def start(self) -> bool:
        """Start the program; False where its disk does not let it."""
        self._new_life()
        assert self.process is not None
        try:
            self.executor = self._thread()
            migrate(self.executor.connection, "crdtsync_server.storage.migrations", what=self.name)
            store = Store(self.executor, self.executor, what="the server's disk")
            small = self.plan.small_window
            limits = Limits(ops_per_push=5, ops_in_flight=12) if small else Limits()
            service = Service(
                POLICIES[self.policy],
                Settings(Path(), limits=limits, timeouts=Timeouts()),
                self.doorman,
                now_us=self.clock.now_us,
            )
            await ended(self.process.start(service.start(store)))
        except (StorageError, OSError, sqlite3.Error):
            await self.die(power_cut=False)
            return False
        self.service = service
        self.network.service, self.network.process = service, self.process
        return True

    async def die(self, *, power_cut: bool) -> None:
        """See ``Machine``; its connections lose this end first."""
        self.service = None
        self.network.server_died()
        await super().die(power_cut=power_cut)

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What is committed in the server's database."""
        assert self.executor is not None
        return list(self.executor.connection.execute(statement, values).fetchall())


@dataclass
class DeviceMachine(Machine):
    """A device: one replica file, one user signed in at a time."""

    network: Network = None  # type: ignore[assignment]
    doorman: Doorman = None  # type: ignore[assignment]
    user: str = ""
    replica: Replica | None = None
    busy_with: object | None = None
    """What a person is doing that has not returned."""
    is_other_file: bool = False
    """Another file was put in the place of this device's own."""
    backup: Disk | None = None
    token: str = ""

    async def start(self) -> bool:
        """Start the program and let it connect; False where its disk does not let it."""
        self._new_life()
        assert self.process is not None
        try:
            self.executor = self._thread()
            replica = Replica.open(
                ":memory:",
                space=SPACE,
                policy=POLICIES[0],
                user=self.user,
                device=self.name,
                dial=self.network.dial_as(self.name),
                surroundings=Surroundings(self.random("ids"), self.clock),
                executor=self.executor,
            )
            await ended(self.process.start(replica.start()))
        except (StorageError, OSError, sqlite3.Error):
            await self.die(power_cut=False)
            return False
        self.replica = replica
        self.sign_in()
        self.connect()
        return True

    @property
    def is_busy(self) -> bool:
        """Whether a person is doing something that has not returned."""
        return self.busy_with is not None

    def sign_in(self) -> None:
        """The person has a good token now."""
        self.token = self.doorman.token(self.user)

    def connect(self) -> None:
        """Keep in step from now on; a program that was told to stop tries again."""
        assert self.replica is not None
        assert self.process is not None
        replica = self.replica

        async def connect() -> None:
            replica.connect(URL, token=lambda: self.token)

        self.process.start(connect())

    async def die(self, *, power_cut: bool) -> None:
        """See ``Machine``."""
        self.replica = None
        self.busy_with = None
        self.network.client_died(self.name)
        await super().die(power_cut=power_cut)

    def new_op_id(self) -> str:
        """An op_id that the app chooses."""
        self._chosen += 1
        return new_uuid(stream(self.plan.seed, self.name, "op", self._chosen))

    _chosen: int = 0


async def ended(task: asyncio.Task[T]) -> T:
    """The result of a process's task. A kill of that process is an OSError here."""
    await asyncio.wait([task])
    if task.cancelled():
        raise OSError("the process was killed")
    return task.result()


def new_disk(plan: Plan, name: str) -> Disk:
    """An empty disk."""
    return Disk(stream(plan.seed, name, "disk"), DiskRates())
