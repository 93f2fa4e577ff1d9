"""What stands before every route: origins, hosts, sizes, patience; and headers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crdtsync_server import app
from crdtsync_server.access import middleware, sockets
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.service import RunningServer
from crdtsync_server.settings import ProxySettings
from tests.server.access.asking import ask, ask_raw, parse
from tests.server.access.signing import secured, signed_hello
from tests.server.serving import Wire, device, serving

FRIEND = "https://app.example.org"


@pytest.fixture(autouse=True)
def small_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes of the test's own, whatever else the server serves."""

    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def large(request: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * 8_000_000)

    async def who(request: Request) -> PlainTextResponse:
        client = request.client
        return PlainTextResponse(f"{request.url.scheme} {client.host if client else ''}")

    every = ["GET", "POST", "PATCH", "DELETE"]
    routes = [
        Route("/v1/test/echo", echo, methods=every),
        Route("/v1/test/large", large),
        Route("/test/who", who),
    ]
    monkeypatch.setattr(app, "rest_routes", lambda service: routes)


async def opening(server: RunningServer, **options: Any) -> int:
    """The status of a WebSocket's opening; 101 where it was taken."""
    try:
        async with await Wire.open(server.url, **options):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def cut(reader: asyncio.StreamReader) -> bool:
    """Wait for the server to end the connection; whether it said nothing."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def sockets_of(server: RunningServer) -> set[Any]:
    """What is connected to the server now."""
    assert server._uvicorn is not None
    return set(server._uvicorn.server_state.connections)


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened (the test's timeout ends it)."""
    while not true():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.001)


async def test_a_page_of_another_site_cannot_open_a_websocket(tmp_path: Path) -> None:
    friends = AccessSettings(origins=(FRIEND,))
    async with serving(tmp_path, access=friends) as server:
        own = f"http://127.0.0.1:{server.port}"
        for origin, status in (
            (None, 101),
            (own, 101),
            (FRIEND, 101),
            ("https://evil.example", 403),
            ("null", 403),
            (own.replace("http:", "https:"), 403),
            (own + "0", 403),
            (FRIEND + ".evil.example", 403),
        ):
            assert await opening(server, origin=origin) == status, origin


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_a_page_of_another_site_cannot_write(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as server:
        own = f"http://127.0.0.1:{server.port}"
        for headers, status in (
            ({}, 200),
            ({"origin": own}, 200),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"sec_fetch_site": "cross-site"}, 403),
            ({"sec_fetch_site": "same-site"}, 403),
            ({"sec_fetch_site": "same-origin"}, 200),
        ):
            answer = await ask(server, "/v1/test/echo", method=method, body=b"abc", **headers)
            assert answer.status == status, headers
        assert (await ask(server, "/v1/test/echo", origin="https://evil.example")).status == 200
        refused = await ask(server, "/v1/test/echo", method=method, origin="null")
        assert refused.json["code"] == "foreign_origin"
        assert refused.json["request_id"]


async def test_a_listed_origin_may_use_the_interface_and_read_the_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, access=AccessSettings(origins=(FRIEND,))) as server:
        asked = await ask(
            server,
            "/v1/test/echo",
            method="OPTIONS",
            origin=FRIEND,
            access_control_request_method="PATCH",
        )
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == FRIEND
        assert "PATCH" in asked.headers["access-control-allow-methods"]
        assert "idempotency-key" in asked.headers["access-control-allow-headers"]
        answer = await ask(server, "/v1/test/echo", method="POST", body=b"a", origin=FRIEND)
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "etag" in answer.headers["access-control-expose-headers"]
        stranger = await ask(server, "/v1/test/echo", origin="https://evil.example")
        assert "access-control-allow-origin" not in stranger.headers
        assert "access-control-allow-credentials" not in answer.headers


async def test_behind_a_proxy_the_public_address_is_the_servers_own(tmp_path: Path) -> None:
    proxy = ProxySettings(("127.0.0.1",), "https://sync.example.org")
    async with secured(tmp_path, other={"proxy": proxy}) as server:
        assert await opening(server, origin="https://sync.example.org") == 101
        assert await opening(server, origin="https://evil.example") == 403
        headers: dict[str, Any] = {"X-Forwarded-Proto": "https", "Host": "sync.example.org"}
        # What the proxy says of scheme and host is enough as well.
        answer = await ask(server, "/test/who", **headers)
        assert answer.body == b"https 127.0.0.1"


async def test_a_name_that_someone_pointed_at_this_machine_opens_no_dev_server(
    tmp_path: Path,
) -> None:
    """DNS rebinding: to the browser it is the same origin."""
    async with serving(tmp_path) as server:
        for host, status in (
            (f"localhost:{server.port}", 200),
            (f"127.0.0.1:{server.port}", 200),
            ("[::1]", 200),
            ("evil.example", 421),
            (f"127.0.0.1.evil.example:{server.port}", 421),
        ):
            assert (await ask(server, "/test/who", Host=host)).status == status, host
        headers = {"Host": "evil.example", "Origin": "http://evil.example"}
        assert await opening(server, additional_headers=headers) in (400, 421)


async def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for path in ("/test/who", "/v1/test/echo", "/v1/nothing", "/"):
            headers = (await ask(server, path)).headers
            policy = headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in headers
            assert "server" not in headers
            assert (headers.get("cache-control") == "no-store") is path.startswith("/v1/")


async def test_hsts_is_sent_over_tls_only(tmp_path: Path) -> None:
    proxy = ProxySettings(("127.0.0.1",))
    async with secured(tmp_path, other={"proxy": proxy}) as server:
        over_tls = await ask(server, "/test/who", X_Forwarded_Proto="https")
        assert over_tls.headers["strict-transport-security"].startswith("max-age=")
        plain = await ask(server, "/test/who", X_Forwarded_Proto="http")
        assert "strict-transport-security" not in plain.headers


async def test_headers_of_a_proxy_that_nobody_trusts_are_ignored_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    claims: dict[str, Any] = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
    async with secured(tmp_path) as server:
        for _ in range(2):
            answer = await ask(server, "/test/who", **claims)
            assert answer.body == b"http 127.0.0.1"
    assert caplog.text.count("a proxy that is not trusted") == 1
    caplog.clear()
    async with secured(tmp_path, other={"proxy": ProxySettings(("127.0.0.1",))}) as server:
        answer = await ask(server, "/test/who", **claims)
        assert answer.body == b"https 203.0.113.9"
        # A client cannot put an address of its own in front of what the proxy says.
        spoofed = claims | {"X_Forwarded_For": "10.9.9.9, 203.0.113.9"}
        assert (await ask(server, "/test/who", **spoofed)).body == b"https 203.0.113.9"
    assert "not trusted" not in caplog.text


SMUGGLED = [
    "Content-Length: 3\r\nContent-Length: 5",
    "Content-Length: 3\r\nTransfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Content-Length: -1",
    "Content-Length: +3",
    "Content-Length: 0x3",
    "Content-Length : 3",
    "X: a\r\n b: c\x00d",
]


@pytest.mark.parametrize("headers", SMUGGLED)
async def test_requests_that_two_servers_could_read_differently_are_refused(
    tmp_path: Path, headers: str
) -> None:
    async with secured(tmp_path) as server:
        head = f"POST /v1/test/echo HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{headers}\r\n\r\n"
        answer = await ask_raw(server, head.encode() + b"abc")
        assert answer.status in (400, 501)
        assert answer.headers["connection"] == "close"


async def test_a_body_that_is_too_large_is_refused_announced_or_not(tmp_path: Path) -> None:
    small = AccessSettings(request_bytes=1_000)
    async with serving(tmp_path, access=small) as server:
        assert (await ask(server, "/v1/test/echo", method="POST", body=b"x" * 1_000)).status == 200
        announced = await ask(server, "/v1/test/echo", method="POST", body=b"x" * 1_001)
        assert (announced.status, announced.json["code"]) == (413, "too_large")
        chunked = (
            f"POST /v1/test/echo HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode() + b"190\r\n%b\r\n" % (b"x" * 400) * 4
        answer = await ask_raw(server, chunked)
        assert (answer.status, answer.json["code"]) == (413, "too_large")


async def test_too_many_requests_of_one_client_are_told_when_to_come_back(tmp_path: Path) -> None:
    few = AccessSettings(requests_per_s_per_client=1.0)
    still = 1_700_000_000_000_000
    async with serving(tmp_path, access=few, now_us=lambda: still) as server:
        answers = [await ask(server, "/test/who") for _ in range(13)]
        assert [one.status for one in answers] == [200] * 10 + [429] * 3
        waits = [int(one.headers["retry-after"]) for one in answers[10:]]
        assert waits[0] >= 1
        assert waits[2] > waits[0]
        assert answers[-1].json["code"] == "rate_limited"
        assert await opening(server) == 429


async def test_a_user_over_http_has_an_allowance_of_its_own(tmp_path: Path) -> None:
    few = AccessSettings(requests_per_s_per_client=1.0)
    still = 1_700_000_000_000_000
    async with serving(tmp_path, access=few, now_us=lambda: still) as server:
        quotas = server.service.access.quotas
        waits = [quotas.request("user kim", still) for _ in range(11)]
        assert waits[:10] == [0] * 10
        assert waits[10] > 0


UNHURRIED_S = 60.0


async def test_a_head_that_never_ends_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slowloris: bytes that trickle in do not move the deadline."""
    monkeypatch.setattr(sockets, "HEAD_S", 0.2)
    async with serving(tmp_path) as server:
        quiet = await asyncio.open_connection("127.0.0.1", server.port)
        trickling = await asyncio.open_connection("127.0.0.1", server.port)
        trickling[1].write(b"GET /test/who HTTP/1.1\r\nHost: local")
        for reader, writer in (quiet, trickling):
            assert await cut(reader)
            writer.close()
        # The second request on a socket is watched like the first.
        monkeypatch.setattr(sockets, "HEAD_S", UNHURRIED_S)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = f"GET /test/who HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        writer.write(request)
        assert parse(await reader.readuntil(b"127.0.0.1")).status == 200
        monkeypatch.setattr(sockets, "HEAD_S", 0.2)
        writer.write(request[:20])
        assert await cut(reader)
        writer.close()
        monkeypatch.setattr(sockets, "HEAD_S", UNHURRIED_S)
        assert (await ask(server, "/test/who")).status == 200


async def test_a_body_that_never_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.2)
    async with serving(tmp_path) as server:
        head = (
            f"POST /v1/test/echo HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Content-Length: 10\r\n\r\nabc"
        )
        answer = await ask_raw(server, head.encode())
        assert (answer.status, answer.json["code"]) == (408, "too_slow")


async def test_a_client_that_does_not_read_its_answer_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "UNREAD_S", 0.2)
    async with serving(tmp_path) as server:
        loop = asyncio.get_running_loop()
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.setblocking(False)
        await loop.sock_connect(stuck, ("127.0.0.1", server.port))
        request = f"GET /v1/test/large HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
        await loop.sock_sendall(stuck, request.encode())
        await until(lambda: len(sockets_of(server)) == 1)
        await until(lambda: not sockets_of(server))
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while part := await loop.sock_recv(stuck, 1_000_000):
                got += len(part)
        stuck.close()
        assert got < 8_000_000


UNREAD_S = 1.0
PAUSE_S = 0.05
"""Far below ``UNREAD_S``, so that a busy machine's pause is not taken for the end."""


async def test_a_client_that_reads_slowly_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "UNREAD_S", UNREAD_S)
    async with serving(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=65_536)
        request = (
            f"GET /v1/test/large HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Connection: close\r\n\r\n"
        )
        writer.write(request.encode())
        got, pauses = bytearray(), 0
        while part := await reader.read(400_000):
            got += part
            pauses += 1
            await asyncio.sleep(PAUSE_S)  # slow on purpose; nothing is waited for
        writer.close()
        assert pauses * PAUSE_S > UNREAD_S, "it was read too fast to show anything"
        assert len(parse(bytes(got)).body) == 8_000_000


async def test_more_sockets_than_there_is_room_for_are_cut_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SPARE_SOCKETS", 3)
    async with serving(tmp_path, access=AccessSettings(connections=2)) as server:
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(await Wire.open(server.url))
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert await cut(reader)
            writer.close()
        async with device(server):
            pass


async def test_a_refused_opening_leaves_the_log_calm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(tmp_path) as server:
        assert await opening(server, origin="https://evil.example") == 403
        assert await opening(server, subprotocols=None) == 400
        server.service.draining = True
        assert await opening(server) == 503
        server.service.draining = False
    calm = [one for one in caplog.records if one.levelno < logging.WARNING]
    assert calm
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_a_frame_that_is_too_large_ends_its_connection_only(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        async with await Wire.open(server.url) as wire, await Wire.open(server.url) as pieces:
            await wire.socket.send(b"x" * 2_000_000)
            assert await wire.closed() == 1009

            async def many_small_parts() -> Any:
                for _ in range(30):
                    yield b"x" * 100_000

            with contextlib.suppress(ConnectionClosed):
                await pieces.socket.send(many_small_parts())
            assert await pieces.closed() == 1009
        async with await Wire.open(server.url) as wire:
            await wire.greet(signed_hello())
