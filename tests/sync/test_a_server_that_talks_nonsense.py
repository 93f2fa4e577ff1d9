"""Whatever a server says, the app goes on, the status says what is wrong, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import websockets
from websockets.asyncio.server import ServerConnection
from websockets.typing import Subprotocol

from crdtsync import Replica
from crdtsync.documents.state import LogEntry, Removal
from crdtsync.protocol.codec import decode_client, encode
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    Answer,
    Answers,
    Changes,
    Goodbye,
    Head,
    Hello,
    Landmark,
    Limits,
    Message,
    Paging,
    Pong,
    Push,
    Receipt,
    Receipts,
    Refused,
    SnapshotPage,
    Transient,
    Welcome,
)
from tests.sync.ward import (
    assert_once,
    device,
    op_id,
    op_ids_of,
    server,
    server_now_us,
    until_status,
)

Talk = Callable[[ServerConnection, Hello], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A server that takes a hello and then says what the test says; gives its address."""

    async def serve(connection: ServerConnection) -> None:
        try:
            hello = decode_client(await connection.recv())
            assert isinstance(hello, Hello)
            await talk(connection, hello)
            await connection.wait_closed()
        except websockets.ConnectionClosed:
            pass

    async with websockets.serve(
        serve, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None
    ) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


def welcome(hello: Hello, **other: object) -> Welcome:
    """A sensible welcome, but for ``other``."""
    said = Welcome(
        protocol=PROTOCOL_VERSION,
        user=hello.user,
        roles=(),
        head=Landmark(0, b""),
        server_us=server_now_us(),
        policy_version=hello.policy_version,
        policy_hash=hello.policy_hash,
        policy=None,
        limits=Limits(),
        paging=None,
        diverged=None,
    )
    return msgspec.structs.replace(said, **other)


def entry(**other: object) -> LogEntry:
    """A sensible first log entry, but for ``other``."""
    now_us = server_now_us()
    said = LogEntry(
        1, b"d" * 16, op_id(), "x", "patient", "p9", now_us, now_us, now_us,
        {"r/name": ('"Kim"',)}, (), {"r/name": "applied"}, 0,
    )  # fmt: skip
    return msgspec.structs.replace(said, **other)


async def assert_unharmed(
    folder: Path, replica: Replica, url: str, written: Sequence[str], told: str = ""
) -> None:
    """It notices, stays usable, keeps everything, and goes on with a true server."""
    replica.connect(url)
    status = await until_status(replica, lambda status: status.problem is not None)
    assert told in (status.problem or "")
    after = op_id()
    await replica.collection("patient").increment("p1", "visits", op_id=after)
    assert op_ids_of(replica) == [*written, after]
    assert replica.collection("patient")["p1"]["visits"] == len(written) + 1
    async with server(folder) as ward:
        replica.connect(ward.url)
        await replica.synced(timeout=20)
        assert_once(folder, [*written, after])
        async with device(folder, "fresh") as fresh:
            await fresh.sync_once(ward.url)
            assert fresh.collection("patient")["p1"]["visits"] == len(written) + 1


FRAMES: dict[str, bytes | str] = {
    "nothing": b"",
    "a text": "hello",
    "not msgpack": b"\xc1\xff\xff",
    "bad UTF-8": b"\x93\xa7welcome\xa2\xff\xfe\xc0",
    "another message": b"\x92\xa7unknown\x01",
    "deep": b"\x91" * 5_000,
    "a hello": b"\x92\xa5hello\x01",
    "too long a claim": b"\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("welcomed", [False, True], ids=["at once", "after a welcome"])
async def test_a_frame_that_is_no_message_is_survived(
    tmp_path: Path, frame: bytes | str, welcomed: bool
) -> None:
    async def talk(connection: ServerConnection, hello: Hello) -> None:
        if welcomed:
            await connection.send(encode(welcome(hello)))
        await connection.send(frame)

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, url, written)


WRONG_WELCOMES: dict[str, dict[str, object]] = {
    "a protocol from the future": {"protocol": 99},
    "a broken policy": {"policy": "version = [", "policy_version": 2},
    "a policy of binary": {"policy": "\x00\x01", "policy_version": 2},
    "limits of nothing": {"limits": Limits(0, 0, 0, 0, 0)},
    "limits below nothing": {"limits": Limits(-1, -1, -1, -1, -1)},
    "limits of everything": {"limits": Limits(2**62, 2**62, 2**62, 2**62, 2**62)},
    "a time beyond time": {"server_us": 2**62},
}


@pytest.mark.parametrize("wrong", WRONG_WELCOMES.values(), ids=WRONG_WELCOMES.keys())
async def test_a_welcome_that_makes_no_sense_is_survived(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    async def talk(connection: ServerConnection, hello: Hello) -> None:
        await connection.send(encode(welcome(hello, **wrong)))
        await connection.send(encode(Goodbye(4011, "that was all", 0)))

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, url, written)


OUT_OF_ORDER: dict[str, Message] = {
    "a gap": Changes((entry(seq=7),)),
    "a seq below nothing": Changes((entry(seq=-3), entry(seq=1), entry(seq=3))),
    "answers to nothing": Answers(op_id(), ()),
    "a head": Head(77, Landmark(5, b"")),
    "receipts": Receipts(77, (Receipt(op_id(), 1, 1, {}),)),
    "a page": SnapshotPage(77, (), None, Landmark(5, b"x"), 0),
    "a pong": Pong(2**60, -5),
    "refused after all": Refused("odd", "words", True, 0),
}
"""Messages that nobody asked for, or that contradict each other."""


@pytest.mark.parametrize("message", OUT_OF_ORDER.values(), ids=OUT_OF_ORDER.keys())
async def test_messages_at_the_wrong_time_are_survived(tmp_path: Path, message: Message) -> None:
    async def talk(connection: ServerConnection, hello: Hello) -> None:
        await connection.send(encode(welcome(hello)))
        await connection.send(encode(message))
        await connection.send(encode(welcome(hello)))

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, url, written)


@pytest.mark.parametrize("kind", ["another op", "none", "twice", "another push", "ops for later"])
async def test_answers_that_do_not_fit_their_push_lose_nothing(tmp_path: Path, kind: str) -> None:
    async def talk(connection: ServerConnection, hello: Hello) -> None:
        await connection.send(encode(welcome(hello)))
        while not isinstance(push := decode_client(await connection.recv()), Push):
            pass
        first = push.ops[0].op.op_id
        receipt = Receipt(first, 1, server_now_us(), {})
        answers: tuple[Answer, ...] = {
            "another op": (Receipt(op_id(), 1, 1, {}),),
            "none": (),
            "twice": (receipt, receipt),
            "another push": (receipt,),
            "ops for later": (Transient(first, "later", 0),),
        }[kind]  # type: ignore[assignment]
        request_id = op_id() if kind == "another push" else push.request_id
        await connection.send(encode(Answers(request_id, answers)))
        await connection.send(encode(Goodbye(4011, "that was all", 0)))

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, url, written)


BAD_ENTRIES: dict[str, dict[str, object]] = {
    "a value that is no JSON": {"writes": {"r/name": ("{",)}},
    "a value of another type": {"writes": {"r/name": ("5",), "c/visits": ('"x"',)}},
    "a delta that is no number": {"writes": {"c/visits": ("nonsense",)}},
    "a root that is none": {"writes": {"/": ("1",), "": ("2",)}},
    "a delete mark that is none": {"writes": {"d/": ("7",)}},
    "an unknown collection": {"collection": "no such thing"},
    "a removal of nothing": {"removed": (Removal("r/none", "x", -1, "late"),)},
    "times beyond time": {"time_us": 2**62, "received_us": 2**62, "effective_us": 2**62},
    "times before time": {"time_us": -(2**62), "received_us": -(2**62), "effective_us": -1},
}


@pytest.mark.parametrize("bad", BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
async def test_log_entries_that_make_no_sense_never_stop_the_app(
    tmp_path: Path, bad: dict[str, object]
) -> None:
    """A server is trusted for the data; what it must not do is to break the device."""

    async def talk(connection: ServerConnection, hello: Hello) -> None:
        await connection.send(encode(welcome(hello)))
        await connection.send(encode(Changes((entry(**bad),))))
        await connection.send(encode(Goodbye(4011, "that was all", 0)))

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        patients = tablet.collection("patient")
        await patients.increment("p1", "visits", op_id=written[0])
        tablet.connect(url)
        await until_status(tablet, lambda status: status.problem is not None)
        await tablet.disconnect()
        written.append(op_id())
        await patients.increment("p1", "visits", op_id=written[1])
        assert patients["p1"]["visits"] == 2
        assert op_ids_of(tablet) == written
        assert "p1" in {record.id for record in await patients.where()}
        assert tablet.conflicts() == []
        assert tablet.status.waiting == 2
        for record in patients.values():
            record.to_json()


async def test_snapshots_that_make_no_sense_never_stop_the_app(tmp_path: Path) -> None:
    async def talk(connection: ServerConnection, hello: Hello) -> None:
        paging = Paging(5, 6, 0)
        await connection.send(encode(welcome(hello, paging=paging, head=Landmark(5, b"x"))))
        page = SnapshotPage(2, (), Paging(-1, -1, -1), Landmark(-4, b""), -9)
        await connection.send(encode(page))
        await connection.send(encode(page))
        await connection.send(encode(Goodbye(4011, "that was all", 0)))

    written = [op_id()]
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, url, written)


@pytest.mark.parametrize("seed", range(3))
async def test_random_bytes_and_broken_copies_of_good_frames_are_survived(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    connections = 0

    async def talk(connection: ServerConnection, hello: Hello) -> None:
        nonlocal connections
        connections += 1
        good = [
            encode(welcome(hello)),
            encode(Changes((entry(), entry(seq=2)))),
            encode(Answers(op_id(), (Receipt(op_id(), 3, 4, {}),))),
            encode(Goodbye(1012, "bye", 5)),
        ]
        if draw.random() < 0.5:
            await connection.send(good[0])
        frame = bytearray(draw.choice(good))
        for _ in range(draw.randrange(1, 4)):
            frame[draw.randrange(len(frame))] = draw.randrange(256)
        await connection.send(bytes(frame))
        await connection.send(draw.randbytes(draw.randrange(40)))
        await connection.close()

    written = op_id()
    async with talking(talk) as url, device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", op_id=written)
        tablet.connect(url)
        async with tablet.watch_status() as statuses:
            async for _ in statuses:
                if connections >= 25:
                    break
                tablet.connect(url)  # do not wait for the backoff
        await tablet.disconnect()
        assert tablet.collection("patient")["p1"]["visits"] == 1
        assert op_ids_of(tablet) == [written]


async def test_what_is_no_websocket_server_at_all_is_survived(tmp_path: Path) -> None:
    answers = [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read(100)
        writer.write(answers[asked % len(answers)])
        writer.close()

    written = [op_id()]
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as listening,
        device(tmp_path, "tablet") as tablet,
    ):
        port = listening.sockets[0].getsockname()[1]
        await tablet.collection("patient").increment("p1", "visits", op_id=written[0])
        await assert_unharmed(tmp_path, tablet, f"ws://127.0.0.1:{port}", written)
