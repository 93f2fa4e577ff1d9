"""A lossy network in memory: frames are delayed, connections are cut at any frame.

A connection carries frames in order, as TCP does. Cutting it loses what is on
its way, in both directions, and each side hears of it at its own time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

from crdtsync.replica.transport import ConnectionLost, Dial, Transport
from crdtsync_server.connection import Connection
from crdtsync_server.service import Service


class Pipe:
    """One direction of a connection."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()
        self._last_arrival_s = 0.0
        self._is_cut = False

    def put(self, item: Any) -> None:
        """Deliver after the network's delay, never before what was put earlier."""
        loop = asyncio.get_running_loop()
        # Strictly later: timers of one moment run in no particular order.
        arrival_s = max(loop.time() + self._network.delay_s(), self._last_arrival_s + 1e-6)
        self._last_arrival_s = arrival_s
        loop.call_at(arrival_s, self._arrive, item)

    def _arrive(self, item: Any) -> None:
        if not self._is_cut:
            self._arrived.put_nowait(item)

    def end(self, item: Any) -> None:
        """Lose what is on its way; the end itself is heard after a delay."""
        self._is_cut = True
        loop = asyncio.get_running_loop()
        loop.call_later(self._network.delay_s(), self._arrived.put_nowait, item)

    async def get(self) -> Any:
        """The next item."""
        return await self._arrived.get()


class Link:
    """A connection between a replica and the server."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.up = Pipe(network)
        self.down = Pipe(network)
        self.is_cut = False

    def cut(self) -> None:
        """Both directions end; frames on their way are lost."""
        if not self.is_cut:
            self.is_cut = True
            self._network.links.pop(self, None)
            self._network.counts["cut"] += 1
            self.up.end({"type": "websocket.disconnect"})
            self.down.end(ConnectionLost("cut"))

    def frame_passed(self) -> None:
        """The network may fail at any frame."""
        self._network.counts["frames"] += 1
        if self._network.random.random() < self._network.cut_rate:
            self.cut()


class ClientEnd(Transport):
    """The replica's end of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        await asyncio.sleep(0)
        if self._link.is_cut:
            raise ConnectionLost("cut")
        self._link.up.put({"type": "websocket.receive", "bytes": frame})
        self._link.frame_passed()

    async def receive(self) -> bytes | str:
        """See ``Transport``."""
        item = await self._link.down.get()
        if isinstance(item, ConnectionLost):
            raise item
        frame: bytes = item
        return frame

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        if not self._link.is_cut:
            self._link.is_cut = True
            self._link.up.put({"type": "websocket.disconnect", "code": code})


class Network:
    """Connects replicas to whatever server runs now."""

    def __init__(self, random: Random, *, cut_rate: float, max_delay_s: float) -> None:
        self.random = random
        self.cut_rate = cut_rate
        self.max_delay_s = max_delay_s
        self.service: Service | None = None
        self.offline: set[str] = set()
        self.links: dict[Link, None] = {}
        self.counts: Counter[str] = Counter()
        self._serving: dict[asyncio.Task[None], None] = {}

    def delay_s(self) -> float:
        """How long the next frame takes."""
        return self.random.random() ** 3 * self.max_delay_s

    def dial_as(self, device: str) -> Dial:
        """The ``dial`` of one device."""

        async def dial(url: str) -> Transport:
            await asyncio.sleep(self.delay_s())
            service = self.service
            if service is None or device in self.offline:
                raise ConnectionLost("no server is reachable")
            link = Link(self)
            self.links[link] = None

            async def send(message: dict[str, Any]) -> None:
                await asyncio.sleep(0)
                if link.is_cut:
                    raise OSError("cut")
                if message["type"] == "websocket.close":
                    link.down.put(ConnectionLost(f"closed {message['code']}"))
                else:
                    link.down.put(message["bytes"])
                    link.frame_passed()

            connection = Connection(service, link.up.get, send, link.cut)
            task = asyncio.create_task(service.serve_connection(connection))
            self._serving[task] = None
            task.add_done_callback(lambda ended: self._serving.pop(ended, None))
            return ClientEnd(link)

        return dial

    async def kill_server(self) -> None:
        """The server's process is gone between two steps of the loop; its disk stays."""
        service, self.service = self.service, None
        assert service is not None
        assert service.ingest._task is not None
        service.ingest._task.cancel()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for link in tuple(self.links):
            link.cut()
        self.counts["server killed"] += 1
