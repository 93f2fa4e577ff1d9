"""SIGTERM with everything under way: told first, ended in time, and nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from crdtsync.protocol import close_codes
from crdtsync.protocol.messages import Answers, Goodbye, Receipt
from tests.server.server_process import ServerProcess
from tests.server.serving import SPACE, device, new_id, push_of, rows_of, write

DEV = ("--dev", "--port", "0")


@contextlib.asynccontextmanager
async def asking(
    url: str, path: str, *, method: str = "GET", body: bytes = b"", **headers: str
) -> AsyncIterator[asyncio.StreamReader]:
    """An HTTP request whose answer is read as it comes."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.netloc}", "Authorization: Bearer kim"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    try:
        yield reader
    finally:
        writer.close()


async def status_of(url: str, path: str) -> int:
    async with asking(url, path) as reader:
        return int((await reader.readline()).split()[1])


async def test_a_stopping_server_says_so_before_it_closes_its_door(tmp_path: Path) -> None:
    """A load balancer that asks /readyz sends nobody to a port that refuses."""
    async with ServerProcess(tmp_path, *DEV, "--notice-s", "1.5") as server:
        assert await status_of(server.url, "/readyz") == 200
        async with device(server.url) as wire:
            server.send_signal(signal.SIGTERM)
            while await status_of(server.url, "/readyz") != 503:
                pass
            assert await status_of(server.url, "/healthz") == 200
            # Who is connected already is still served.
            await wire.accept(write({"c/visits": "1"}))
            assert (await wire.goodbye()).code == close_codes.SERVICE_RESTART
        assert await server.wait() == 0


async def test_a_server_stops_in_time_with_streams_polls_and_pushes_open_and_loses_nothing(
    tmp_path: Path,
) -> None:
    ops = [write({"c/visits": "1"}) for _ in range(60)]
    changes = f"/v1/changes?space={SPACE}"
    async with contextlib.AsyncExitStack() as open_now:
        server = await open_now.enter_async_context(ServerProcess(tmp_path, *DEV))
        wire = await open_now.enter_async_context(device(server.url))
        await wire.accept(ops[0])
        streams = [
            await open_now.enter_async_context(
                asking(server.url, f"{changes}&since=0", Accept="text/event-stream")
            )
            for _ in range(3)
        ]
        for stream in streams:
            await stream.readuntil(b"event: change\n")
        polls = [
            await open_now.enter_async_context(
                asking(server.url, "/v1/changes?space=ward-9&since=0&wait_s=30")
            )
            for _ in range(3)
        ]
        written = await open_now.enter_async_context(
            asking(
                server.url,
                f"/v1/spaces/{SPACE}/patient/p7",
                method="PATCH",
                body=json.dumps({"fields": {"name": "Kim"}}).encode(),
                Content_Type="application/json",
                Idempotency_Key=new_id(),
            )
        )
        for op in ops[1:]:
            await wire.send(push_of(op))
        # Connections are taken in their order: when this one is answered, the others are in.
        assert await status_of(server.url, "/healthz") == 200
        server.send_signal(signal.SIGTERM)
        accepted, goodbye = 1, None
        while goodbye is None:
            message = await wire.receive()
            if isinstance(message, Answers):
                accepted += isinstance(message.answers[0], Receipt)
            elif isinstance(message, Goodbye):
                goodbye = message
        ends = [await stream.read() for stream in streams]
        answers = [(await poll.read()).split(b"\r\n")[0] for poll in polls]
        answer = await written.read()
        assert await server.wait() == 0
    assert goodbye.code == close_codes.SERVICE_RESTART
    assert all(b"event: end" in end for end in ends), "a stream is ended, not cut"
    assert answers == [b"HTTP/1.1 200 OK"] * 3, "a poll is answered early"
    # Whatever is in the log was answered, and whatever was answered is in the log.
    accepted += answer.startswith(b"HTTP/1.1 200")
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM log") == [(accepted,)]


async def test_a_second_signal_ends_a_server_at_once_whatever_is_open(tmp_path: Path) -> None:
    async with (
        ServerProcess(tmp_path, *DEV, "--notice-s", "500") as server,
        asking(
            server.url, f"/v1/changes?space={SPACE}&since=0", Accept="text/event-stream"
        ) as stream,
        device(server.url) as wire,
    ):
        receipt = await wire.accept(write({"c/visits": "1"}))
        await stream.readuntil(b"event: change\n")
        server.send_signal(signal.SIGTERM)
        while await status_of(server.url, "/readyz") != 503:
            pass
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 128 + signal.SIGTERM
    assert receipt.seq == 1
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM log") == [(1,)]
