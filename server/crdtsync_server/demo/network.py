"""The demo's network between devices and server: it can be cut, and it is a little slow."""

from __future__ import annotations

import asyncio

from crdtsync.replica.transport import ConnectionLost, Transport, dial

DELAY_S = 0.12
"""What a frame from the server takes: long enough that the queue's states can be seen."""


class Network:
    """Hand ``dial`` to a replica; ``cut`` and ``mend`` are the person who pulls the plug."""

    def __init__(self) -> None:
        self._up = True
        self._lines: set[_Line] = set()

    async def dial(self, url: str) -> Transport:
        """Connect, while there is a network."""
        if not self._up:
            raise ConnectionLost("there is no network")
        line = _Line(await dial(url))
        self._lines.add(line)
        return line

    async def cut(self) -> None:
        """No network from now on; open connections end."""
        self._up = False
        lines, self._lines = self._lines, set()
        for line in lines:
            await line.close(1000, "")

    def mend(self) -> None:
        """The network is back."""
        self._up = True


class _Line:
    """One connection, with the delay."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, frame: bytes) -> None:
        await self._transport.send(frame)

    async def receive(self) -> bytes | str:
        frame = await self._transport.receive()
        # The replica cancels its reader only when the whole connection is over, so a frame
        # that is lost here was lost with its connection.
        await asyncio.sleep(DELAY_S)
        return frame

    async def close(self, code: int, reason: str) -> None:
        await self._transport.close(code, reason)
