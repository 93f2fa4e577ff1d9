"""What a fuzzed replica stands on and speaks to: its disk, the line, and a true server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from crdtsync.database import InlineExecutor, Job, T
from crdtsync.policy import Policy
from crdtsync.protocol.codec import decode_client
from crdtsync.protocol.messages import Limits
from crdtsync.replica.transport import ConnectionLost, Transport
from crdtsync_server.authentication import DevAuthenticator
from crdtsync_server.service import Service
from crdtsync_server.settings import Settings, Timeouts
from crdtsync_server.storage.receipts import ENTRY_DECODER
from crdtsync_server.storage.store import Store
from tests.fuzz.honest import Around, dial_to


class Disk(InlineExecutor):
    """Outlives the replica that closes it."""

    async def close(self) -> None:
        """The disk stays."""

    async def run(self, job: Job[T]) -> T:
        """At once."""
        return job(self.connection)


class Line(Transport):
    """One connection of the replica; the fuzzer is at its other end."""

    def __init__(self) -> None:
        self.down: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self.sent: list[Any] = []
        self.over = False

    async def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        if self.over:
            raise ConnectionLost("cut")
        self.sent.append(decode_client(frame))

    async def receive(self) -> bytes | str:
        """See ``Transport``."""
        frame = await self.down.get()
        if frame is None:
            raise ConnectionLost("cut")
        return frame

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        self.over = True

    def cut(self) -> None:
        """The network ends it."""
        self.over = True
        self.down.put_nowait(None)


class TrueServer:
    """A real server with an empty log, which has nothing to do with what was said before."""

    def __init__(self, policy: Policy, around: Around) -> None:
        self._store = Store.in_memory()
        self._tasks: set[asyncio.Task[None]] = set()
        settings = Settings(Path("."), "127.0.0.1", 0, True, Limits(), Timeouts())
        self._service = Service(policy, settings, DevAuthenticator(policy), now_us=around.now_us)
        self.dial: Any = dial_to(self._service, self._tasks)

    async def start(self) -> None:
        """Open."""
        await self._service.start(self._store)

    def log(self) -> list[str]:
        """The op_ids that it has accepted, in order."""
        executor = self._store._writer
        assert isinstance(executor, InlineExecutor)
        rows = executor.connection.execute("SELECT entry FROM log ORDER BY position")
        return [ENTRY_DECODER.decode(data).op_id for (data,) in rows]

    async def close(self) -> None:
        """Stop and close."""
        await self._service.drain()
        await self._service.close()
        await asyncio.gather(*self._tasks)
