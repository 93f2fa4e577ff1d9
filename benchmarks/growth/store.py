"""A server's own groups over stores of different sizes, without the network."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.filling import check_accepted, push_of
from benchmarks.harness.disk import copy_of, prepared
from benchmarks.patients import POLICY, SPACE, USER
from benchmarks.served import UNLIMITED
from crdtsync.documents.ops import Op
from crdtsync.protocol.messages import Answer
from crdtsync_server.service import RunningServer
from crdtsync_server.work import Origin, PushWork


def brief_server(records: int) -> Path:
    """A server's folder with so many records of two fields. Not to be written to."""
    return prepared(f"brief-{records}", "benchmarks.filling:fill", records=records, brief=True)


@contextmanager
def copy_of_server(folder: Path) -> Iterator[Path]:
    """A copy that may be written to."""
    with tempfile.TemporaryDirectory() as place:
        yield copy_of(folder, Path(place) / "server")


class Store:
    """A server whose ingest is handed pushes directly, one after the other is answered."""

    def __init__(self, server: RunningServer) -> None:
        self._ingest = server.service.ingest
        self._origin = Origin(SPACE, str(uuid.uuid4()), USER, frozenset())

    async def push(self, ops: Sequence[Op]) -> None:
        """Until all of them are committed: a group of their own."""
        answered: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        size_bytes = 200 * len(ops)
        self._ingest.submit(PushWork(self._origin, push_of(ops), size_bytes, answered.set_result))
        check_accepted(await answered)

    async def timed(
        self, ops: Sequence[Op], *, at_once: int, warm: int
    ) -> tuple[float, float, int]:
        """(seconds, processor seconds, how many ops were timed); the first ``warm`` were not."""
        await self._in_groups(ops[:warm], at_once)
        gc.collect()
        gc.freeze()  # what was prepared is not looked through again and again
        began_s, cpu_s = time.perf_counter(), time.process_time()
        await self._in_groups(ops[warm:], at_once)
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        gc.unfreeze()
        return took_s, cpu_s, len(ops) - warm

    async def _in_groups(self, ops: Sequence[Op], at_once: int) -> None:
        for first in range(0, len(ops), at_once):
            await self.push(ops[first : first + at_once])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Store]:
    """Everything of a server, trace and metrics included."""
    async with RunningServer(policy=POLICY, data=folder, dev=True, access=UNLIMITED) as server:
        yield Store(server)
