"""The ASGI application: the sync endpoint and two pages for whoever watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from crdtsync.protocol.messages import SUBPROTOCOL
from crdtsync_server.connection import Connection
from crdtsync_server.websocket import ABORT

if TYPE_CHECKING:
    from crdtsync_server.service import Service

UPGRADE_WORDS = f"this is a crdtsync server; connect with WebSocket, subprotocol {SUBPROTOCOL}\n"


def make_app(service: Service) -> Starlette:
    """The application of a service that runs, or is about to."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if service.draining:
            return PlainTextResponse("stopping\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def root(request: Request) -> Response:
        return PlainTextResponse(UPGRADE_WORDS, status_code=426, headers={"Upgrade": "websocket"})

    return Starlette(
        routes=[
            WebSocketRoute("/", SyncEndpoint(service)),
            Route("/", root),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )


class SyncEndpoint:
    """Accepts WebSockets that speak crdtsync.v1."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()  # websocket.connect
        if self._service.draining:
            await _deny(send, 503, "the server restarts; come back soon\n")
        elif SUBPROTOCOL not in scope["subprotocols"]:
            await _deny(send, 400, UPGRADE_WORDS)
        else:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            connection = Connection(self._service, receive, send, scope["extensions"][ABORT])
            await self._service.serve_connection(connection)


async def _deny(send: Send, status: int, words: str) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": words.encode()})
