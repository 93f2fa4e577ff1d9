"""The least that a durable sync server can do: the limit that the real ones are held against.

``python -m benchmarks.live.bare_loop FOLDER`` takes Yjs updates, one a frame, at
``/SPACE``. Each is applied to the space's document and written to SQLite (WAL,
``synchronous=FULL``); after the commit of its group every client of the space gets one
frame with all of them. While one group commits on its thread the next one gathers. There
is no policy, no receipt, no idempotency, no limit, no sight of who may read what.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from pycrdt import Doc
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

FILE = "bare.db"
READY = b"ready"
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Space:
    """One document, and who is connected to it."""

    def __init__(self) -> None:
        self.document: Doc[Any] = Doc()
        self.clients: dict[int, Send] = {}


class BareLoop:
    """Gathers updates, commits them in groups, and hands them out."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / FILE, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, space TEXT, change BLOB)")
        self._spaces: dict[str, Space] = {}
        self._gathered: list[tuple[str, bytes]] = []
        self._woken = asyncio.Event()
        self._thread = ThreadPoolExecutor(1)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One client, until it goes."""
        await receive()
        await send({"type": "websocket.accept"})
        name = scope["path_params"]["space"]
        space = self._spaces.setdefault(name, Space())
        space.clients[id(send)] = send
        await send({"type": "websocket.send", "bytes": READY})
        while (event := await receive())["type"] != "websocket.disconnect":
            change = event["bytes"]
            space.document.apply_update(change)
            self._gathered.append((name, change))
            self._woken.set()
        del space.clients[id(send)]

    async def run(self) -> None:
        """Commit group after group; hand out the last while the next is committed."""
        loop = asyncio.get_running_loop()
        committed: list[tuple[str, bytes]] = []
        while True:
            if not self._gathered and not committed:
                self._woken.clear()
                await self._woken.wait()
            group, self._gathered = self._gathered, []
            committing = loop.run_in_executor(self._thread, self._commit, group) if group else None
            await self._hand_out(committed)
            if committing is not None:
                await committing
            committed = group

    def _commit(self, group: list[tuple[str, bytes]]) -> None:
        self._database.executemany("INSERT INTO log (space, change) VALUES (?, ?)", group)
        self._database.commit()

    async def _hand_out(self, group: list[tuple[str, bytes]]) -> None:
        parts: dict[str, list[bytes]] = {}
        for name, change in group:
            parts.setdefault(name, []).append(change)
        for name, changes in parts.items():
            frame = b"".join(part for one in changes for part in (len(one).to_bytes(4, "big"), one))
            message = {"type": "websocket.send", "bytes": frame}
            for send in list(self._spaces[name].clients.values()):
                await send(message)


async def main(folder: Path) -> None:
    """Until SIGTERM."""
    bare = BareLoop(folder)
    app = Starlette(routes=[WebSocketRoute("/{space}", bare)])
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app, ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=None,
        lifespan="off", log_config=None, access_log=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(bare.run())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    print(f"port {listener.getsockname()[1]}", flush=True)
    await serving
    running.cancel()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
