"""What do tracing and metrics cost? The same ops with and without, in turn, in one run.

``python -m benchmarks.observing_cost`` drives servers on real files with 50 writers, each
of which sends its next frame when the last one is answered: one op a frame, and a
hundred. ``ingest`` hands the frames to the server's ingest directly, so that nothing but
its own work stands beside the cost; ``wire`` sends them over WebSockets, as devices do.
Rounds with observing on and off alternate, and only ratios within a round's pair are
told: a machine is never equally fast twice. 1.00 means that observing costs nothing;
processor time is steadier than ops per second.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.harness.disk import disk_folder
from benchmarks.served import UNLIMITED
from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.policy import Policy
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    SUBPROTOCOL,
    Answer,
    Answers,
    Hello,
    Landmark,
    Push,
    PushedOp,
    Receipt,
    SnapshotPage,
    SnapshotRequest,
    Welcome,
)
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.service import RunningServer
from crdtsync_server.work import Origin, PushWork

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
name = { type = "string" }
phone = { type = "string" }
visits = { type = "integer", merge = "counter" }
"""
)
SPACE = "ward-3"
T = TypeVar("T")
WRITERS = 50
RECORDS = 500
ON, OFF = ObservingSettings(), ObservingSettings(metrics=False, trace=False)


@dataclass(frozen=True)
class Measured:
    """One round."""

    observing: bool
    ops_per_s: float
    cpu_us_per_op: float


def op_of(user: str, number: int) -> Op:
    """An ordinary edit of one field."""
    return Op(
        str(uuid.uuid4()),
        user,
        "patient",
        f"p-{number % RECORDS}",
        time.time_ns() // 1_000,
        {"r/phone": FieldWrite((f'"010-{number:08d}"',), ())},
    )


def pushes_of(writer: int, frames: int, ops: int) -> list[Push]:
    """What one writer sends, made before the clock runs."""
    user = f"user-{writer}"
    made = []
    for frame in range(frames):
        first = (writer * frames + frame) * ops
        several = [op_of(user, first + number) for number in range(ops)]
        made.append(
            Push(str(uuid.uuid4()), tuple(PushedOp(op, None, op.time_us, 1) for op in several))
        )
    return made


def check(answers: Sequence[Answer]) -> None:
    """A round that refused something measured something else."""
    assert all(isinstance(answer, Receipt) for answer in answers), answers[:3]


class ByIngest:
    """A writer that hands its frames to ingest."""

    def __init__(self, server: RunningServer, number: int) -> None:
        self._ingest = server.service.ingest
        self._origin = Origin(SPACE, str(uuid.uuid4()), f"user-{number}", frozenset())

    async def send(self, push: Push, frame: bytes) -> None:
        """One push, until it is answered."""
        answered: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        self._ingest.submit(PushWork(self._origin, push, len(frame), answered.set_result))
        check(await answered)

    async def close(self) -> None:
        """Nothing is open."""


class ByWire:
    """A writer over a WebSocket. It reads the changes of all the others, too."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, server: RunningServer, number: int) -> ByWire:
        """Greet, and page to the end."""
        socket = await connect(
            server.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=None,
            ping_interval=None,
        )  # fmt: skip
        writer = cls(socket)
        hello = Hello(
            1, SPACE, f"user-{number}", None, str(uuid.uuid4()), str(uuid.uuid4()), (), "bench",
            POLICY.version, POLICY.hash, Landmark(0, b""), (), time.time_ns() // 1_000,
        )  # fmt: skip
        await socket.send(encode(hello))
        paging = (await writer._a(Welcome)).paging
        while paging is not None:
            await socket.send(encode(SnapshotRequest(1, paging)))
            paging = (await writer._a(SnapshotPage)).paging
        return writer

    async def _a(self, kind: type[T]) -> T:
        while not isinstance(message := decode_server(await self._socket.recv()), kind):
            pass
        return message

    async def send(self, push: Push, frame: bytes) -> None:
        """One push, until it is answered."""
        await self._socket.send(frame)
        check((await self._a(Answers)).answers)

    async def close(self) -> None:
        """Say goodbye."""
        await self._socket.close()


async def round_of(how: str, observing: bool, frames: int, ops: int) -> Measured:
    """One server, all writers, until everything is answered."""
    with tempfile.TemporaryDirectory(dir=disk_folder()) as folder:
        server = RunningServer(
            policy=POLICY, data=Path(folder), dev=True, access=UNLIMITED,
            observing=ON if observing else OFF,
        )  # fmt: skip
        async with server:
            writers = [
                ByIngest(server, n) if how == "ingest" else await ByWire.open(server, n)
                for n in range(WRITERS)
            ]
            work = [pushes_of(n, frames, ops) for n in range(WRITERS)]
            sent = [[(push, encode(push)) for push in pushes] for pushes in work]
            gc.collect()
            gc.freeze()
            began_s, cpu_s = time.perf_counter(), time.process_time()

            async def write(writer: ByIngest | ByWire, pushes: list[tuple[Push, bytes]]) -> None:
                for push, frame in pushes:
                    await writer.send(push, frame)

            await asyncio.gather(*map(write, writers, sent))
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
            gc.unfreeze()
            await asyncio.gather(*(writer.close() for writer in writers))
        many = WRITERS * frames * ops
        return Measured(observing, many / took_s, cpu_s * 1e6 / many)


async def measure(how: str, rounds: int, frames: int, ops: int) -> list[Measured]:
    """Rounds with observing off and on in turn: A B A B …"""
    await round_of(how, True, max(frames // 10, 1), ops)  # code and files are warm from here on
    return [await round_of(how, bool(number % 2), frames, ops) for number in range(2 * rounds)]


def ratios(found: list[Measured]) -> tuple[float, float]:
    """(ops per second with / without, processor time without / with): medians of the pairs."""
    pairs = list(zip(found[::2], found[1::2], strict=True))
    speed = statistics.median(on.ops_per_s / off.ops_per_s for off, on in pairs)
    cpu = statistics.median(off.cpu_us_per_op / on.cpu_us_per_op for off, on in pairs)
    return speed, cpu


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="pairs of rounds (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="how much each round writes")
    parser.add_argument("--only", choices=("ingest", "wire"), help="one way only")
    parser.add_argument("--json", type=Path, help="also write every round to this file")
    asked = parser.parse_args()
    table = Table(title="Tracing and metrics on, against off (1.00 = no cost)")
    for heading in (
        "way",
        "ops a frame",
        "ops/s",
        "CPU",
        "ops/s off → on",
        "CPU µs an op off → on",
    ):
        table.add_column(heading, justify="right")
    told = {}
    for how in ("ingest", "wire") if asked.only is None else (asked.only,):
        for ops, frames in ((1, 200), (100, 8)):
            found = asyncio.run(
                measure(how, asked.rounds, max(round(frames * asked.scale), 1), ops)
            )
            speed, cpu = ratios(found)
            off, on = found[::2], found[1::2]

            def middle(rounds: list[Measured], name: str) -> float:
                return float(statistics.median(getattr(one, name) for one in rounds))

            table.add_row(
                how, str(ops), f"{speed:.2f}", f"{cpu:.2f}",
                f"{middle(off, 'ops_per_s'):,.0f} → {middle(on, 'ops_per_s'):,.0f}",
                f"{middle(off, 'cpu_us_per_op'):.0f} → {middle(on, 'cpu_us_per_op'):.0f}",
            )  # fmt: skip
            told[f"{how}, {ops} ops a frame"] = [asdict(one) for one in found]
    Console().print(table)
    if asked.json is not None:
        asked.json.write_text(json.dumps(told, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
