"""A TCP proxy between real replicas and a real server that knows where frames end.

It can cut, stall, slow down, hush one direction and count, and it can do so at an
exact message: "after the push has left, before its answers arrive" is one ``Fault``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Literal, Self

from crdtsync_server.acceptance.frames import Splitter
from crdtsync_server.acceptance.lanes import Lane, Weather

Sender = Literal["replica", "server"]
Arrives = Literal["whole", "half", "not"]
Act = Callable[[], Awaitable[None]]

CHUNK_BYTES = 65_536


@dataclass(eq=False)
class Fault:
    """What happens once, at one message on the wire."""

    sender: Sender
    name: str
    """The tag of the message: ``push``, ``answers``, ``changes``, ``hello``, …"""
    skip: int = 0
    """How many messages of this kind pass before."""
    arrives: Arrives = "not"
    """What of the message still reaches the other side."""
    act: Act | None = None
    """Done at once after that and before anything else passes, e.g. killing a process."""
    cut: bool = True
    """Whether every connection ends then."""
    copies: int = 1
    """How often a message that arrives whole arrives."""
    happened: asyncio.Event = field(default_factory=asyncio.Event)


class Cut(Exception):
    """Ends one connection from inside of a pump."""


@dataclass(eq=False)
class _Connection:
    """One connection: its task, and the directions that fell silent."""

    task: asyncio.Task[None]
    hushed: set[Sender] = field(default_factory=set)


class Proxy(Weather):
    """``async with Proxy(port) as proxy: replica.connect(proxy.url)``.

    The attributes of ``Weather`` say how the network is; both directions of every
    connection have it.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        seed: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``tls``: how the server is reached. Devices speak plainly to this proxy, because
        nobody can tell one message from another in what is encrypted."""
        super().__init__()
        self._tls = tls
        self.upstream_host = host
        self.upstream_port = port
        """The server's port; may be changed while the proxy runs (0: nobody listens)."""
        self.messages: Counter[tuple[Sender, str]] = Counter()
        """Messages that came in at the proxy, by who sent them and their tag."""
        self.connections = 0
        self.refused = 0
        """Connections that were turned away while the network was off."""
        self.stalls = 0
        """How often everything stood still because of ``stall_rate``."""
        self.online = True
        self._draw = Random(seed)
        self._faults: list[Fault] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._moved = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """What replicas connect to."""
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        await self.cut()
        await self._server.wait_closed()

    # ── what a test does to the network ─────────────────────────────────────

    def fault(
        self,
        sender: Sender,
        name: str,
        *,
        skip: int = 0,
        arrives: Arrives = "not",
        act: Act | None = None,
        cut: bool = True,
        copies: int = 1,
    ) -> Fault:
        """Plan a fault; ``happened`` is set when it was done."""
        planned = Fault(sender, name, skip, arrives, act, cut, copies)
        self._faults.append(planned)
        return planned

    async def cut(self) -> None:
        """End every connection now."""
        mine = asyncio.current_task()
        ending = [one.task for one in self._open if one.task is not mine]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def go_offline(self) -> None:
        """Airplane mode: every connection ends, and none can be made."""
        self.online = False
        await self.cut()

    def go_online(self) -> None:
        """The network is back."""
        self.online = True

    def stall(self) -> None:
        """Nothing passes any more, and nobody is told: a black hole."""
        self._flowing.clear()

    def flow(self) -> None:
        """Everything passes again."""
        self._flowing.set()

    def hush(self, sender: Sender) -> int:
        """Half-open: from now on nothing of ``sender`` arrives on the connections that
        stand, its end included, and nobody is told. How many connections that are."""
        for connection in self._open:
            connection.hushed.add(sender)
        return len(self._open)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that this proxy counts is so."""
        while not condition():
            moved = self._moved
            await moved.wait()

    # ── inside ──────────────────────────────────────────────────────────────

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = _Connection(task)
        self._open.add(connection)
        try:
            await self._serve(connection, reader, writer)
        except asyncio.CancelledError:
            # Cut by a test; asyncio's stream server would report it as a fault.
            pass
        finally:
            self._open.discard(connection)
            writer.close()

    async def _serve(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if not self.online:
            self.refused += 1
            self._tell()
            return
        try:
            above, below = await asyncio.open_connection(
                self.upstream_host, self.upstream_port, ssl=self._tls
            )
        except OSError:
            return
        self.connections += 1
        self._tell()
        up, down = Lane(self, below, self._draw), Lane(self, writer, self._draw)
        parts = [
            asyncio.create_task(part)
            for part in (
                self._pump(connection, "replica", reader, up),
                self._pump(connection, "server", above, down),
                _deliver(up),
                _deliver(down),
            )
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stalls += up.stalls + down.stalls
            below.close()  # first, because a cut may cancel the wait below
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _pump(
        self, connection: _Connection, sender: Sender, source: asyncio.StreamReader, lane: Lane
    ) -> None:
        splitter = Splitter()
        with contextlib.suppress(OSError, Cut):
            while data := await source.read(CHUNK_BYTES):
                for name, part in splitter.feed(data):
                    await self._flowing.wait()
                    if sender in connection.hushed:
                        continue
                    if name is None:
                        await lane.put(part)
                    else:
                        await self._message(sender, name, part, lane)
            if sender in connection.hushed:
                await asyncio.Event().wait()  # the other side does not hear of the end either
            await lane.arrived()

    async def _message(self, sender: Sender, name: str, frame: bytes, lane: Lane) -> None:
        self.messages[sender, name] += 1
        self._tell()
        fault = self._due(sender, name)
        if fault is None:
            await lane.put(frame)
            return
        if fault.arrives == "whole":
            for _ in range(fault.copies):
                await lane.put(frame)
        elif fault.arrives == "half":
            await lane.put(frame[: len(frame) // 2])
        await lane.arrived()
        if fault.act is None:
            fault.happened.set()
        else:
            # In a task of its own: a server that is killed ends this connection too.
            acting = asyncio.ensure_future(fault.act())
            acting.add_done_callback(lambda _: fault.happened.set())
            await asyncio.shield(acting)
        if fault.cut:
            raise Cut

    def _due(self, sender: Sender, name: str) -> Fault | None:
        for fault in self._faults:
            if (fault.sender, fault.name) == (sender, name):
                if fault.skip:
                    fault.skip -= 1
                    return None
                self._faults.remove(fault)
                return fault
        return None

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


async def _deliver(lane: Lane) -> None:
    with contextlib.suppress(OSError):
        await lane.run()
