"""The proxy's weather: late, jerky, thin, deaf in one direction, saying things twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from crdtsync_server.acceptance.proxy import Proxy


def message(name: str, size: int = 0) -> bytes:
    """A frame of the protocol as far as the proxy reads it."""
    return msgspec.msgpack.encode([name, "x" * size])


def name_of(frame: bytes | str) -> str:
    """The tag of a frame."""
    tag: str = msgspec.msgpack.decode(frame if isinstance(frame, bytes) else frame.encode())[0]
    return tag


class Echo:
    """A server that notes what arrives and says it back."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.peer: ServerConnection | None = None

    async def __call__(self, peer: ServerConnection) -> None:
        """Serve one connection."""
        self.peer = peer
        async for frame in peer:
            self.heard.put_nowait(name_of(frame))
            await peer.send(frame)
        self.ended.set()


@asynccontextmanager
async def through_proxy() -> AsyncIterator[tuple[Echo, Proxy, ClientConnection]]:
    """A client that speaks to the echo through a proxy."""
    echo = Echo()
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with (
            Proxy(port) as proxy,
            connect(proxy.url, compression=None, ping_interval=None, close_timeout=1) as client,
        ):
            yield echo, proxy, client


async def test_messages_arrive_whole_and_in_order_in_any_weather() -> None:
    async with through_proxy() as (echo, proxy, client):
        proxy.delay_s, proxy.jitter_s = 0.01, 0.02
        proxy.stall_rate, proxy.stall_s = 0.2, 0.01
        proxy.bytes_per_s = 500_000
        names = [f"m{n}" for n in range(40)]
        for name in names:
            await client.send(message(name, 300))
        assert [name_of(await client.recv()) for _ in names] == names
        proxy.delay_s = proxy.jitter_s = proxy.stall_rate = 0.0
        proxy.bytes_per_s = None
        await client.send(message("calm again"))
        assert name_of(await client.recv()) == "calm again"
        assert echo.heard.qsize() == len(names) + 1
    assert proxy.stalls > 0


@pytest.mark.parametrize("deaf", ["server", "replica"])
async def test_half_open_one_direction_is_dead_and_nobody_is_told(deaf: str) -> None:
    async with through_proxy() as (echo, proxy, client):
        await client.send(message("before"))
        assert name_of(await client.recv()) == "before"
        assert await echo.heard.get() == "before"
        assert proxy.hush("replica" if deaf == "server" else "server") == 1
        assert echo.peer is not None
        await client.send(message("up"))
        if deaf == "replica":
            assert await echo.heard.get() == "up"
            await proxy.until(lambda: proxy.messages["replica", "up"] == 1)
        else:
            await echo.peer.send(message("down"))
            assert name_of(await client.recv()) == "down"
            assert echo.heard.empty()
        # A new connection is a good one.
        async with connect(proxy.url, compression=None) as fresh:
            await fresh.send(message("fresh"))
            assert name_of(await fresh.recv()) == "fresh"
        await proxy.cut()
        await echo.ended.wait()


async def test_a_message_that_the_network_repeats_arrives_twice() -> None:
    async with through_proxy() as (echo, proxy, client):
        fault = proxy.fault("replica", "push", arrives="whole", cut=False, copies=2)
        await client.send(message("push"))
        await client.send(message("next"))
        assert [await echo.heard.get() for _ in range(3)] == ["push", "push", "next"]
        assert fault.happened.is_set()
