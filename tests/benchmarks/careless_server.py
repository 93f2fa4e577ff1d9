"""A server for Yjs updates that does one thing wrong: ``lose``, ``double`` or nothing."""

from __future__ import annotations

import asyncio
import signal
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

DONE_WRONG = 7
"""The update that meets with it."""


async def main(fault: str) -> None:
    clients: set[ServerConnection] = set()
    seen = 0

    async def handle(client: ServerConnection) -> None:
        nonlocal seen
        clients.add(client)
        await client.send(b"ready")
        async for update in client:
            seen += 1
            times = {"lose": 0, "double": 2}.get(fault, 1) if seen == DONE_WRONG else 1
            for _ in range(times):
                broadcast(clients, update)
        clients.discard(client)

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(f"port {next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
