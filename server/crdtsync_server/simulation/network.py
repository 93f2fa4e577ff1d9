"""A network that delays, loses, doubles, freezes and cuts.

A connection carries frames in order, as TCP does. When it is cut, some of what
is on its way still arrives, perhaps long after a newer connection was made, and
each side hears of the end at its own time, or never (half open). A frozen
direction keeps its frames back until it thaws. A peer that does not read lets
the other side's window fill up.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from crdtsync.replica.transport import ConnectionLost, Dial, Transport
from crdtsync_server.connection import Connection
from crdtsync_server.service import Service
from crdtsync_server.simulation.processes import Process
from crdtsync_server.simulation.surroundings import stream

WINDOW_FRAMES = 24
"""On their way or unread in one direction; beyond it a sender waits."""

PUSH = b"\xa4push"
"""How the frame of a push goes on after its first byte."""

OPEN_TIMEOUT_S = 10.0
"""A dial into a frozen network gives up then."""


@dataclass(frozen=True)
class Weather:
    """How bad the network is: chances per frame, and times in seconds."""

    max_delay_s: float = 0.05
    spike: float = 0.0
    """A frame that takes up to 60 times as long."""
    lose: float = 0.0
    """A frame that vanishes inside a connection that lives on (a broken proxy)."""
    duplicate: float = 0.0
    """A frame that arrives twice."""
    cut: float = 0.0
    half_open: float = 0.0
    """Of the cuts: a side that never hears of it."""


class Ended(Exception):
    """The other side, or the network, has ended the connection."""


class Pipe:
    """One direction of a connection."""

    def __init__(self, network: Network, link: Link, way: str) -> None:
        self.way = way
        self._network = network
        self._link = link
        self._random = network.random(link.device, way)
        self._flying: deque[tuple[float, Any]] = deque()
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()
        self._last_arrival_s = 0.0
        self._is_broken = False
        self._is_held = False
        self._timer: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()

    async def put(self, frame: bytes) -> None:
        """Send a frame; waits while the window is full. Into a broken pipe it just vanishes."""
        while not self._is_broken and len(self._flying) + self._arrived.qsize() >= WINDOW_FRAMES:
            self._network.counts["a sender had to wait"] += 1
            self._moved.clear()
            await self._moved.wait()
        if self._is_broken:
            return
        network = self._network
        network.frames += 1
        network.watch(self._link.device, self.way, frame, self._link.number)
        if self.way == "up" and frame[1:6] == PUSH:
            at_push = network.at_push.pop(self._link.device, None)
            if at_push is not None:
                at_push()
        weather, random = network.weather, self._random
        if weather.lose and random.random() < weather.lose:
            network.note(self._link.device, f"a frame {self.way} was lost", "frame lost")
            return
        self._fly(frame)
        if weather.duplicate and random.random() < weather.duplicate:
            network.note(self._link.device, f"a frame {self.way} was doubled", "frame doubled")
            self._fly(frame)
        if weather.cut and random.random() < weather.cut:
            self._link.cut()

    async def get(self) -> bytes:
        """The next frame. Raises Ended."""
        item = await self._arrived.get()
        self._moved.set()
        if isinstance(item, Ended):
            raise item
        frame: bytes = item
        return frame

    def snap(self, keep: int | None = None, *, is_heard: bool = True) -> None:
        """Of what is on its way the first ``keep`` (or some) still arrive; then the end, unless
        nobody is left to hear it, or the network keeps it to itself."""
        if self._is_broken:
            return
        self._is_broken = True
        if keep is None:
            keep = self._random.choice((0, 0, 1, 2, WINDOW_FRAMES))
        heard_after_s = self._network.news_s(self._random) if is_heard else None
        lost = len(self._flying) - keep
        while len(self._flying) > max(keep, 0):
            self._flying.pop()
        if lost > 0:
            self._network.counts["frame lost in a cut"] += lost
        if keep > 0 and self._flying:
            self._network.counts["frame arrived after the cut"] += len(self._flying)
        if heard_after_s is not None:
            self._fly(Ended(), heard_after_s)
        self._moved.set()

    def end_now(self) -> None:
        """The reader itself closed: it hears the end at once and nothing else."""
        self._is_broken = True
        self._flying.clear()
        self._arrived.put_nowait(Ended())
        self._moved.set()

    def thaw(self) -> None:
        """What was held back goes on."""
        if self._is_held:
            self._is_held = False
            self._schedule()

    def _fly(self, item: Any, delay_s: float | None = None) -> None:
        now_s = asyncio.get_running_loop().time()
        if delay_s is None:
            delay_s = self._network.delay_s(self._random)
        # Strictly later: timers of one moment run in no particular order.
        self._last_arrival_s = max(now_s + delay_s, self._last_arrival_s + 1e-6)
        self._flying.append((self._last_arrival_s, item))
        if len(self._flying) == 1 or self._timer is None:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and self._flying and not self._is_held:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._flying[0][0], self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        if not self._flying:
            return
        if self._network.is_frozen(self._link.device, self.way):
            self._is_held = True
            self._network.held[self] = self._link.device
            return
        _, item = self._flying.popleft()
        self._arrived.put_nowait(item)
        self._moved.set()
        self._schedule()


class Link:
    """A connection between a replica and the server."""

    def __init__(self, network: Network, device: str) -> None:
        self.device = device
        self.network = network
        network.connections += 1
        self.number = network.connections
        self.up = Pipe(network, self, "up")
        self.down = Pipe(network, self, "down")
        self.client_ended = False
        self.server_ended = False

    def cut(self) -> None:
        """The network ends it. Each side hears of it at its own time, or never."""
        network = self.network
        network.links.pop(self, None)
        network.note(self.device, "a connection was cut", "connection cut")
        self.up.snap()
        self.down.snap()

    def client_died(self) -> None:
        """The replica's process is gone."""
        self.client_ended = True
        self.network.links.pop(self, None)
        self.down.snap(0, is_heard=False)
        self.up.snap()

    def server_died(self) -> None:
        """The server's process is gone."""
        self.server_ended = True
        self.network.links.pop(self, None)
        self.up.snap(0, is_heard=False)
        self.down.snap()

    def server_closes(self, keep: int | None = WINDOW_FRAMES) -> None:
        """The server says goodbye: what it sent before still arrives."""
        if not self.server_ended:
            self.server_ended = True
            self.network.links.pop(self, None)
            self.up.end_now()
            self.down.snap(keep)

    def server_aborts(self) -> None:
        """The server ends the connection without waiting for the peer."""
        self.server_closes(None)


class ClientEnd(Transport):
    """The replica's end of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        await asyncio.sleep(0)
        if self._link.client_ended:
            raise ConnectionLost("the connection was cut")
        await self._link.up.put(frame)

    async def receive(self) -> bytes | str:
        """See ``Transport``."""
        slow_s = self._link.network.reading_s(self._link.device)
        if slow_s:
            await asyncio.sleep(slow_s)
        try:
            return await self._link.down.get()
        except Ended:
            self._link.client_ended = True
            raise ConnectionLost("the connection was cut") from None

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        if not self._link.client_ended:
            self._link.client_ended = True
            self._link.network.links.pop(self._link, None)
            self._link.down.snap(0, is_heard=False)
            self._link.up.snap(WINDOW_FRAMES)


class Network:
    """Connects replicas to whatever server runs now."""

    def __init__(
        self,
        seed: int,
        weather: Weather,
        *,
        counts: Counter[str],
        note: Callable[[str, str, str], None],
        watch: Callable[[str, str, bytes, int], None],
    ) -> None:
        self.seed = seed
        self.weather = weather
        self.counts = counts
        self.note = note
        self.watch = watch
        self.frames = 0
        self.connections = 0
        self.service: Service | None = None
        self.process: Process | None = None
        self.offline: set[str] = set()
        self.slow: dict[str, float] = {}
        self.links: dict[Link, None] = {}
        self.at_push: dict[str, Callable[[], None]] = {}
        """What is done once, when a device sends its next push."""
        self.held: dict[Pipe, str] = {}
        self._frozen: set[tuple[str, str]] = set()
        self._randoms: dict[tuple[str, str], Random] = {}

    # ── chances ─────────────────────────────────────────────────────────────

    def random(self, device: str, way: str) -> Random:
        """Chances of their own for each direction of each device: one disturbs no other."""
        found = self._randoms.get((device, way))
        if found is None:
            found = self._randoms[device, way] = stream(self.seed, "network", device, way)
        return found

    def delay_s(self, random: Random) -> float:
        """How long the next frame takes."""
        delay_s = random.random() ** 3 * self.weather.max_delay_s
        if self.weather.spike and random.random() < self.weather.spike:
            self.counts["delay spike"] += 1
            delay_s *= 60
        return delay_s

    def news_s(self, random: Random) -> float | None:
        """When a side hears that its connection has ended; None: never."""
        if self.weather.half_open and random.random() < self.weather.half_open:
            self.counts["half-open connection"] += 1
            return None
        return self.delay_s(random)

    def reading_s(self, device: str) -> float:
        """How long a slow reader takes for its next frame."""
        slow_s = self.slow.get(device)
        return slow_s * self.random(device, "reading").random() if slow_s else 0.0

    # ── partitions ──────────────────────────────────────────────────────────

    def is_frozen(self, device: str, way: str) -> bool:
        """Whether nothing passes this way now."""
        return (device, way) in self._frozen

    def freeze(self, device: str, ways: tuple[str, ...]) -> None:
        """Nothing passes these ways any more, and nobody is told."""
        self._frozen |= {(device, way) for way in ways}

    def thaw(self, device: str | None = None) -> None:
        """Everything passes again (of one device, or of all)."""
        self._frozen = {one for one in self._frozen if device is not None and one[0] != device}
        for pipe, owner in tuple(self.held.items()):
            if device in (None, owner):
                del self.held[pipe]
                pipe.thaw()

    # ── connections ─────────────────────────────────────────────────────────

    def dial_as(self, device: str) -> Dial:
        """The ``dial`` of one device."""

        async def dial(url: str) -> Transport:
            await asyncio.sleep(self.delay_s(self.random(device, "dial")))
            if self.is_frozen(device, "up") or self.is_frozen(device, "down"):
                await asyncio.sleep(OPEN_TIMEOUT_S)
                raise ConnectionLost("the server does not answer")
            if self.service is None or self.process is None or device in self.offline:
                raise ConnectionLost("no server is reachable")
            return self._connect(device, self.service, self.process)

        return dial

    def _connect(self, device: str, service: Service, process: Process) -> Transport:
        link = Link(self, device)
        self.links[link] = None

        async def send(message: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            if link.server_ended:
                raise OSError("the connection was cut")
            if message["type"] == "websocket.close":
                link.server_closes()
            else:
                await link.down.put(message["bytes"])

        async def receive() -> dict[str, Any]:
            try:
                return {"type": "websocket.receive", "bytes": await link.up.get()}
            except Ended:
                link.server_ended = True
                return {"type": "websocket.disconnect"}

        connection = Connection(service, receive, send, link.server_aborts)
        process.start(service.serve_connection(connection))
        return ClientEnd(link)

    def server_died(self) -> None:
        """Every connection loses its server end."""
        self.service = self.process = None
        for link in tuple(self.links):
            link.server_died()

    def client_died(self, device: str) -> None:
        """Every connection of a device loses its end there."""
        for link in tuple(self.links):
            if link.device == device:
                link.client_died()
