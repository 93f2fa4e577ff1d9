"""pycrdt-websocket with its SQLite store, on uvicorn and uvloop: ``python serve.py FOLDER``."""

import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from pycrdt.store import SQLiteYStore
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom


class Store(SQLiteYStore):
    """One file for all rooms, as the library means it."""

    db_path = str(Path(sys.argv[1]) / "ystore.db")


class StoringServer(WebsocketServer):
    """Gives every room a store."""

    async def get_room(self, name: str) -> YRoom:
        if name not in self.rooms:
            self.rooms[name] = YRoom(ystore=Store(name), log=self.log)
        await self.start_room(self.rooms[name])
        return self.rooms[name]


async def main() -> None:
    # Several rooms that open at once would each take the other's half-made file for one of
    # an older version and move it away.
    async with Store("made before the first room") as store:
        await store.db_initialized.wait()
    rooms = StoringServer()
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        ASGIServer(rooms),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    async with rooms:
        print(f"port {listener.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


uvloop.run(main())
