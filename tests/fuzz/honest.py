"""A real replica beside the hostile connections: its writes must go on being accepted."""

from __future__ import annotations

import asyncio
import uuid
from random import Random
from typing import Any

from crdtsync import Replica, UsageError
from crdtsync.database import InlineExecutor, connect_durable
from crdtsync.replica import outbox
from crdtsync.replica.transport import ConnectionLost, Transport
from crdtsync_server.connection import Connection
from crdtsync_server.service import Service
from tests.fuzz.rules import EPOCH_US, POLICY, RECORDS
from tests.fuzz.target import Found

USER = "nurse-kim"
PRIVATE = "honest"
"""A record that no hostile op names, so nothing but a fault can refuse a write to it."""

PATIENCE_S = 3_600
"""Virtual seconds: the longest backoff, several times."""

EXPECTED_REFUSALS = {"id_collision", "too_many_candidates", "too_large"}
"""What others may rightly bring about, in records that they write to as well."""


class Around:
    """Seeded randomness and virtual time."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw

    def now_us(self) -> int:
        """Virtual time."""
        return EPOCH_US + round(asyncio.get_running_loop().time() * 1_000_000)

    def draw(self) -> float:
        """A random number in [0, 1)."""
        return self._draw.random()

    def new_id(self) -> str:
        """A seeded UUID v4."""
        return str(uuid.UUID(int=self._draw.getrandbits(128), version=4))


class _End(Transport):
    """The replica's end of a connection in memory."""

    def __init__(self) -> None:
        self.up: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.down: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        self.up.put_nowait({"type": "websocket.receive", "bytes": frame})

    async def receive(self) -> bytes | str:
        """See ``Transport``."""
        frame = await self.down.get()
        if frame is None:
            raise ConnectionLost("closed")
        return frame

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        self.cut()

    def cut(self) -> None:
        """The connection ends for both."""
        self.up.put_nowait({"type": "websocket.disconnect"})
        self.down.put_nowait(None)


def dial_to(service: Service, tasks: set[asyncio.Task[None]]) -> Any:
    """The ``dial`` of a replica whose server is in this process."""

    async def dial(url: str) -> Transport:
        end = _End()

        async def send(message: dict[str, Any]) -> None:
            end.down.put_nowait(message.get("bytes"))
            if message["type"] == "websocket.close":
                end.up.put_nowait({"type": "websocket.disconnect"})

        connection = Connection(service, end.up.get, send, end.cut)
        tasks.add(asyncio.create_task(service.serve_connection(connection)))
        return end

    return dial


class HonestReplica:
    """Writes now and then, and says so when a write is not accepted in time."""

    def __init__(self, service: Service, draw: Random, *, narrow: bool) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.written = 0
        self._draw = draw
        self._narrow = narrow
        self._connection = connect_durable(":memory:")
        self.replica = Replica.open(
            ":memory:",
            space="w",
            policy=POLICY,
            user=USER,
            device="honest",
            dial=dial_to(service, self.tasks),
            surroundings=Around(draw),
            executor=InlineExecutor(self._connection),
        )

    async def start(self) -> None:
        """Open and connect."""
        await self.replica.start()
        self.replica.connect("ws://server")

    async def write(self) -> None:
        """One write, accepted within the time that any backoff takes."""
        items = self.replica.collection("item")
        draw = self._draw
        record = PRIVATE if self._narrow or draw.random() < 0.7 else draw.choice(RECORDS)
        try:
            match draw.randrange(4):
                case 0:
                    await items.update(record, {"name": f"n{self.written}"})
                case 1:
                    await items.increment(record, "visits", 1)
                case 2:
                    await items.add(record, "tags", f"t{draw.randrange(5)}")
                case _:
                    await items.update(record, {"phone": f"{self.written}"})
        except UsageError:
            # Somebody deleted the record: a person would restore it or leave it.
            return
        self.written += 1
        await self.accepted()

    async def accepted(self) -> None:
        """Wait until nothing of the queue waits any more."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    moved = self.replica._moved
                    waiting = [row for row in self._rows() if not row.needs_person]
                    if not waiting:
                        break
                    await moved.wait()
        except TimeoutError:
            raise Found(f"an honest write was not accepted: {self.replica.status}") from None
        for row in self._rows():
            expected = row.code in EXPECTED_REFUSALS and (self._narrow or row.record != PRIVATE)
            if not expected:
                raise Found(f"an honest write was refused: {row.code} {row.words} {row.op}")
            await self.replica.discard(row.op_id)

    def _rows(self) -> list[outbox.Row]:
        return outbox.rows(self.replica._open_view())

    async def close(self) -> None:
        """Read everything once more, and end."""
        for name in POLICY.collections:
            for record in self.replica.collection(name).values():
                record.to_json()
        self.replica.conflicts()
        await self.replica.close()
        self._connection.close()
        for task in self.tasks:
            await task
