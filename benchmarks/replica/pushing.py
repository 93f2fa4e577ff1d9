"""What a server takes from one client that sends a hundred ops a frame, one frame at a time.

The next frame leaves when the answer to the last one is there, and an answer leaves the
server when its ops are on disk (invariant 2). Frames are made before the clock runs, on
both sides of the comparison.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.harness.disk import copy_of
from benchmarks.harness.percentiles import latencies
from benchmarks.patients import (
    POLICY,
    SPACE,
    USER,
    op_on,
    patient,
    phone,
    record_id,
    spread_over,
)
from benchmarks.replica.devices import SYNC_TIMEOUT_S, device, filled_server, work_folder
from benchmarks.replica.syncing import logged
from benchmarks.serving import ServerProcess
from crdtsync.documents.ops import Op
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


async def new_records(params: Mapping[str, int]) -> dict[str, float]:
    """Begin ``frames`` × ``ops`` patients of ten fields on an empty server."""
    numbers = range(params["frames"] * params["ops"])
    with work_folder() as folder:
        ops = [op_on(number, 0, patient(number), now_us()) for number in numbers]
        figures = await _pushed(folder, ops, params["ops"], {})
        assert logged(folder / "server") == len(ops)
    return figures


async def edits(params: Mapping[str, int]) -> dict[str, float]:
    """Write one field of ``frames`` × ``ops`` patients of a server that has no more."""
    many = params["frames"] * params["ops"]
    phones = {number: phone(number, 1) for number in spread_over(many, many)}
    with work_folder() as folder:
        copy_of(filled_server(many), folder / "server")
        ops = [op_on(number, 1, {"phone": new}, now_us()) for number, new in phones.items()]
        figures = await _pushed(folder, ops, params["ops"], phones)
        assert logged(folder / "server") == 2 * many
    return figures


async def _pushed(
    folder: Path, ops: Sequence[Op], at_once: int, phones: Mapping[int, str]
) -> dict[str, float]:
    frames = [frame_of(ops[first : first + at_once]) for first in range(0, len(ops), at_once)]
    with ServerProcess(folder / "server") as server:
        socket = await greeted(server.url)
        taken_s, server_s, began_s = [], server.cpu_s(), time.perf_counter()
        for frame in frames:
            before_s = time.perf_counter()
            await socket.send(frame)
            answers = (await next_of(socket, Answers)).answers
            taken_s.append(time.perf_counter() - before_s)
            check(answers, at_once)
        took_s, server_s = time.perf_counter() - began_s, server.cpu_s() - server_s
        await socket.close()
        await _check(server, folder / "replica.db", phones, len(ops))
    return latencies(taken_s) | {
        "per_s": len(ops) / took_s,
        "server_cpu_us": server_s * 1e6 / len(ops),
    }


async def _check(
    server: ServerProcess, path: Path, phones: Mapping[int, str], records: int
) -> None:
    """Somebody else finds all of it on the server."""
    async with device(path) as replica:
        await replica.sync_once(server.url, timeout=SYNC_TIMEOUT_S)
        patients = replica.collection("patient")
        assert len(patients) == records
        for number in range(0, records, max(records // 50, 1)):
            expected = patient(number)
            if number in phones:
                expected["phone"] = phones[number]
            assert dict(patients[record_id(number)]) == expected


def frame_of(ops: Sequence[Op]) -> bytes:
    """The push of these ops, as it travels."""
    pushed = tuple(PushedOp(op, None, op.time_us, 1) for op in ops)
    return encode(Push(str(uuid.uuid4()), pushed))


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000


async def greeted(url: str) -> ClientConnection:
    """A connection that has said hello, and paged to the end of what there is."""
    socket = await connect(
        url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=None,
        ping_interval=None,
    )  # fmt: skip
    hello = Hello(
        1, SPACE, USER, None, str(uuid.uuid4()), str(uuid.uuid4()), (), "bench",
        POLICY.version, POLICY.hash, Landmark(0, b""), (), now_us(),
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
