"""What every request passes before it reaches a route, and every answer on its way out."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crdtsync_server.access.quotas import client_name
from crdtsync_server.authentication import is_loopback
from crdtsync_server.problems import Problem, problem_response

if TYPE_CHECKING:
    from crdtsync_server.service import Service

logger = logging.getLogger("crdtsync.server.access")

BODY_S = 60.0
"""For the whole body of a request: 1 MiB on a network of 20 kB/s."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer; a route that has set one of them keeps its own."""

HSTS = "max-age=31536000"
"""A year, for this host. Only where the request came over TLS."""

CORS_METHODS = "GET, POST, PATCH, DELETE"
CORS_HEADERS = "authorization, content-type, idempotency-key, if-match, last-event-id"
CORS_EXPOSED = "etag, retry-after, x-request-id"
CORS_MAX_AGE_S = "600"


def protect(app: ASGIApp, service: Service) -> ASGIApp:
    """``app`` behind the checks of this server."""
    return Protected(app, service)


class Protected:
    """Origin, host, allowance and size of requests; headers of answers."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        settings = service.settings
        self._settings = settings.access
        self._origins = set(settings.access.origins)
        if settings.proxy.public_url is not None:
            url = urlsplit(settings.proxy.public_url)
            self._origins.add(f"{url.scheme}://{url.netloc}".lower())
        self._dev = settings.dev
        self._told_of_proxy = bool(settings.proxy.trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    # ── HTTP ────────────────────────────────────────────────────────────────

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        shared_with = self._listed_origin(headers)
        outgoing = _Outgoing(scope, send, shared_with)
        try:
            self._check(scope, headers)
            if scope["method"] == "OPTIONS" and shared_with is not None:
                await _preflight(outgoing)
                return
            limited = _Body(receive, headers, self._settings.request_bytes)
        except Problem as problem:
            response = problem_response(problem, str(uuid.uuid4()))
            await response(scope, receive, outgoing)
            return
        await self._app(scope, limited, outgoing)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise Problem where the request goes no further."""
        self._tell_of_proxy(headers)
        wait_ms = self._service.access.quotas.request(_client(scope), self._service.now_us())
        if wait_ms:
            raise too_many_requests(wait_ms)
        self._check_host(headers)
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            self._check_origin(scope, headers)

    def _check_host(self, headers: Headers) -> None:
        """A page elsewhere can point its own name at this machine (DNS rebinding); with
        --dev, where every name is trusted, that would open everything to it."""
        if self._dev and not is_loopback(_name_of(headers.get("host", ""))):
            raise Problem(
                421,
                "wrong_host",
                "this server runs with --dev and answers to names of this machine only, "
                "such as localhost",
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Browsers say which page asks; programs say nothing, and have a token to show."""
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                raise _foreign("a page elsewhere")
            return
        own = f"{_http_scheme(scope)}://{headers.get('host', '')}".lower()
        if origin != own and origin not in self._origins:
            raise _foreign(f"the page's origin {origin[:200]!r} is not {own!r}")

    def _listed_origin(self, headers: Headers) -> str | None:
        origin = headers.get("origin")
        return origin if origin in self._settings.origins else None

    def _tell_of_proxy(self, headers: Headers) -> None:
        if not self._told_of_proxy and "x-forwarded-for" in headers:
            self._told_of_proxy = True
            logger.warning(
                "requests come through a proxy that is not trusted, so all of them count as one "
                "client and as unencrypted; name its address as trusted proxy if it is yours"
            )

    # ── WebSocket ───────────────────────────────────────────────────────────

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope, Headers(scope=scope))
        except Problem as problem:
            await receive()  # websocket.connect
            await deny(send, problem)
            return
        await self._app(scope, receive, send)


def too_many_requests(wait_ms: int) -> Problem:
    """Come back later. For routes too, whose users have an allowance of their own."""
    seconds = math.ceil(wait_ms / 1_000)
    return Problem(
        429,
        "rate_limited",
        f"too many requests; come back in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )


async def deny(send: Send, problem: Problem) -> None:
    """Answer a WebSocket's opening with plain HTTP. After its ``websocket.connect`` was read."""
    response = problem_response(problem, str(uuid.uuid4()))
    await send(
        {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


def _foreign(what: str) -> Problem:
    return Problem(
        403,
        "foreign_origin",
        f"a browser asks for another site: {what}. If that site is yours, list it in origins "
        "(or set public_url and the trusted proxy)",
    )


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client_name(client[0] if client else None)


def _http_scheme(scope: Scope) -> str:
    return "https" if scope["scheme"] in ("https", "wss") else "http"


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


class _Body:
    """``receive`` of a request whose body must not be too large, nor take for ever."""

    def __init__(self, receive: Receive, headers: Headers, limit_bytes: int) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._deadline_s: float | None = None
        self._complete = False
        announced = headers.get("content-length", "0")
        # uvicorn has refused what is no number.
        if announced.isdecimal() and int(announced) > limit_bytes:
            raise self._too_large()

    async def __call__(self) -> Message:
        """The next part of the body, then the end of the connection. Raises Problem."""
        if self._complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._deadline_s is None:
            self._deadline_s = loop.time() + BODY_S
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                408,
                "too_slow",
                f"the body did not come within {BODY_S:.0f} s",
                headers={"Connection": "close"},
            ) from None
        self._size_bytes += len(message.get("body", b""))
        if self._size_bytes > self._limit_bytes:
            raise self._too_large()
        self._complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> Problem:
        return Problem(
            413,
            "too_large",
            f"the body is larger than {self._limit_bytes} bytes; split it",
            headers={"Connection": "close"},
        )


class _Outgoing:
    """``send`` of a response: adds headers."""

    def __init__(self, scope: Scope, send: Send, shared_with: str | None) -> None:
        self._send = send
        self._is_tls = _http_scheme(scope) == "https"
        self._is_data = scope["path"].startswith("/v1/")
        self._shared_with = shared_with

    async def __call__(self, message: Message) -> None:
        """Pass on one message of the response."""
        if message["type"] == "http.response.start":
            self._add_headers(MutableHeaders(scope=message))
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self._is_tls:
            headers.setdefault("strict-transport-security", HSTS)
        if self._is_data:
            headers.setdefault("cache-control", "no-store")
        headers.add_vary_header("Origin")
        if self._shared_with is not None:
            headers["access-control-allow-origin"] = self._shared_with
            headers["access-control-expose-headers"] = CORS_EXPOSED


async def _preflight(send: _Outgoing) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 204,
            "headers": [
                (b"access-control-allow-methods", CORS_METHODS.encode()),
                (b"access-control-allow-headers", CORS_HEADERS.encode()),
                (b"access-control-max-age", CORS_MAX_AGE_S.encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})
