"""What a server takes from one client that sends a hundred ops a frame, one frame at a time.

The next frame leaves when the answer to the last one is there, and an answer leaves the
server when its ops are on disk (invariant 2). Frames are made before the clock runs, on
both sides of the comparison.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.harness.percentiles import latencies
from benchmarks.patients import POLICY, SPACE, USER, op_on, patient
from benchmarks.replica.devices import check_patients, device, work_folder
from benchmarks.replica.syncing import logged
from benchmarks.serving import ServerProcess
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    SUBPROTOCOL,
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

T = TypeVar("T")


async def pushes(params: Mapping[str, int]) -> dict[str, float]:
    """Begin ``frames`` × ``ops`` patients on a server."""
    frames, ops = params["frames"], params["ops"]
    sent = [frame_of(range(number * ops, (number + 1) * ops)) for number in range(frames)]
    with work_folder() as folder:
        with ServerProcess(folder / "server") as server:
            socket = await greeted(server.url)
            taken_s, server_s, began_s = [], server.cpu_s(), time.perf_counter()
            for frame in sent:
                before_s = time.perf_counter()
                await socket.send(frame)
                answers = (await next_of(socket, Answers)).answers
                taken_s.append(time.perf_counter() - before_s)
                check(answers, ops)
            took_s, server_s = time.perf_counter() - began_s, server.cpu_s() - server_s
            await socket.close()
            async with device(folder / "replica.db") as replica:
                await replica.sync_once(server.url)
                check_patients(replica, frames * ops)
        assert logged(folder / "server") == frames * ops
    return latencies(taken_s) | {
        "per_s": frames * ops / took_s,
        "server_cpu_us": server_s * 1e6 / (frames * ops),
    }


def frame_of(numbers: Sequence[int]) -> bytes:
    """The push that begins these patients, as it travels."""
    now_us = time.time_ns() // 1_000
    ops = [op_on(number, 0, patient(number), now_us) for number in numbers]
    pushed = tuple(PushedOp(op, None, op.time_us, 1) for op in ops)
    return encode(Push(str(uuid.uuid4()), pushed))


async def greeted(url: str) -> ClientConnection:
    """A connection that has said hello, and paged to the end of what there is."""
    socket = await connect(
        url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=None,
        ping_interval=None,
    )  # fmt: skip
    hello = Hello(
        1, SPACE, USER, None, str(uuid.uuid4()), str(uuid.uuid4()), (), "bench",
        POLICY.version, POLICY.hash, Landmark(0, b""), (), time.time_ns() // 1_000,
    )  # fmt: skip
    await socket.send(encode(hello))
    paging = (await next_of(socket, Welcome)).paging
    while paging is not None:
        await socket.send(encode(SnapshotRequest(1, paging)))
        paging = (await next_of(socket, SnapshotPage)).paging
    return socket


async def next_of(socket: ClientConnection, kind: type[T]) -> T:
    """The next message of this kind."""
    while not isinstance(message := decode_server(await socket.recv()), kind):
        pass
    return message


def check(answers: Sequence[object], ops: int) -> None:
    """Every op was accepted."""
    assert len(answers) == ops
    assert all(isinstance(answer, Receipt) for answer in answers), answers[:3]
