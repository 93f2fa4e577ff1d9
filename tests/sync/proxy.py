"""A TCP proxy between real replicas and a real server that knows where frames end.

It can cut, stall, slow down and count, and it can do so at an exact message:
"after the push has left, before its answers arrive" is one ``Fault``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Sender = Literal["replica", "server"]
Act = Callable[[], Awaitable[None]]

CHUNK_BYTES = 65_536
CONTROL = {8: "(close)", 9: "(ping)", 10: "(pong)"}


@dataclass(eq=False)
class Fault:
    """What happens once, at one message on the wire."""

    sender: Sender
    name: str
    """The tag of the message: ``push``, ``answers``, ``changes``, ``hello``, …"""
    skip: int = 0
    """How many messages of this kind pass before."""
    arrives: Literal["whole", "half", "not"] = "not"
    """What of the message still reaches the other side."""
    act: Act | None = None
    """Done at once after that and before anything else passes, e.g. killing a process."""
    cut: bool = True
    """Whether every connection ends then."""
    happened: asyncio.Event = field(default_factory=asyncio.Event)


class Cut(Exception):
    """Ends one connection from inside of a pump."""


class Proxy:
    """``async with Proxy(port) as proxy: replica.connect(proxy.url)``."""

    def __init__(self, port: int = 0) -> None:
        self.upstream_port = port
        """The server's port; may be changed while the proxy runs (0: nobody listens)."""
        self.messages: Counter[tuple[Sender, str]] = Counter()
        """Messages that came in at the proxy, by who sent them and their tag."""
        self.connections = 0
        self.refused = 0
        """Connections that were turned away while the network was off."""
        self.delay_s = 0.0
        self.bytes_per_s: float | None = None
        self.online = True
        self._faults: list[Fault] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.Task[None]] = set()
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
        arrives: Literal["whole", "half", "not"] = "not",
        act: Act | None = None,
        cut: bool = True,
    ) -> Fault:
        """Plan a fault; ``happened`` is set when it was done."""
        planned = Fault(sender, name, skip, arrives, act, cut)
        self._faults.append(planned)
        return planned

    async def cut(self) -> None:
        """End every connection now."""
        mine = asyncio.current_task()
        ending = [task for task in self._open if task is not mine]
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

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that this proxy counts is so."""
        while not condition():
            moved = self._moved
            await moved.wait()

    # ── inside ──────────────────────────────────────────────────────────────

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            # Cut by a test; asyncio's stream server would report it as a fault.
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.online:
            self.refused += 1
            self._tell()
            return
        try:
            above, below = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        except OSError:
            return
        self.connections += 1
        self._tell()
        pumps = [
            asyncio.create_task(self._pump("replica", reader, below)),
            asyncio.create_task(self._pump("server", above, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            below.close()

    async def _pump(
        self, sender: Sender, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        splitter = Splitter()
        with contextlib.suppress(OSError, Cut):
            while data := await source.read(CHUNK_BYTES):
                for name, part in splitter.feed(data):
                    await self._flowing.wait()
                    if name is None:
                        await self._put(target, part)
                    else:
                        await self._message(sender, name, part, target)

    async def _message(
        self, sender: Sender, name: str, frame: bytes, target: asyncio.StreamWriter
    ) -> None:
        self.messages[sender, name] += 1
        self._tell()
        fault = self._due(sender, name)
        if fault is None:
            await self._put(target, frame)
            return
        if fault.arrives != "not":
            await self._put(target, frame if fault.arrives == "whole" else frame[: len(frame) // 2])
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

    async def _put(self, target: asyncio.StreamWriter, data: bytes) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.bytes_per_s is None:
            target.write(data)
            await target.drain()
            return
        step = max(int(self.bytes_per_s / 50), 1)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            target.write(piece)
            await target.drain()
            await asyncio.sleep(len(piece) / self.bytes_per_s)

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


class Splitter:
    """Cuts one direction of a WebSocket into its HTTP head and its frames (RFC 6455, 5.2)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._upgraded = False

    def feed(self, data: bytes) -> list[tuple[str | None, bytes]]:
        """What is complete now: (None, the head) or (name of the message, its frame)."""
        self._buffer += data
        found: list[tuple[str | None, bytes]] = []
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return found
            found.append((None, self._take(end + 4)))
            self._upgraded = True
        while (size := self._frame_size()) is not None:
            frame = self._take(size)
            found.append((message_name(frame), frame))
        return found

    def _take(self, size: int) -> bytes:
        part = bytes(self._buffer[:size])
        del self._buffer[:size]
        return part

    def _frame_size(self) -> int | None:
        if len(self._buffer) < 2:
            return None
        head, length = head_and_length(self._buffer)
        if length is None or len(self._buffer) < head + length:
            return None
        return head + length


def head_and_length(data: bytes | bytearray) -> tuple[int, int | None]:
    """The size of a frame's header (its mask included) and of its payload, if known."""
    short = data[1] & 0x7F
    mask = 4 if data[1] & 0x80 else 0
    if short < 126:
        return 2 + mask, short
    wide = 2 if short == 126 else 8
    if len(data) < 2 + wide:
        return 2 + wide + mask, None
    return 2 + wide + mask, int.from_bytes(data[2 : 2 + wide], "big")


def message_name(frame: bytes) -> str:
    """The tag of the msgpack array in a binary frame, or the kind of a control frame."""
    opcode = frame[0] & 0x0F
    if opcode != 2:
        return CONTROL.get(opcode, "(text)")
    head, _ = head_and_length(frame)
    start = frame[head : head + 64]
    if frame[1] & 0x80:
        mask = frame[head - 4 : head]
        start = bytes(byte ^ mask[n % 4] for n, byte in enumerate(start))
    at = {0xDC: 3, 0xDD: 5}.get(start[0], 1) if start else 0
    if at >= len(start) or not 0xA0 <= start[at] <= 0xBF:
        return "(unreadable)"
    return start[at + 1 : at + 1 + (start[at] & 0x1F)].decode(errors="replace")
