"""The ASGI application: the sync endpoint, the interface for thin clients, and the pages."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crdtsync.database import StorageError
from crdtsync.protocol.messages import SUBPROTOCOL
from crdtsync_server.access.middleware import protect
from crdtsync_server.connection import Connection
from crdtsync_server.http import bearer_token
from crdtsync_server.observing.logs import request_logged
from crdtsync_server.observing.routes import routes as observing_routes
from crdtsync_server.pages.routes import index
from crdtsync_server.pages.routes import routes as page_routes
from crdtsync_server.problems import Problem, answer_problem
from crdtsync_server.report.routes import routes as report_routes
from crdtsync_server.rest.routes import routes as rest_routes
from crdtsync_server.websocket import WIRE

if TYPE_CHECKING:
    from crdtsync_server.service import Service

logger = logging.getLogger("crdtsync.server.http")

UPGRADE_WORDS = f"this is a crdtsync server; connect with WebSocket, subprotocol {SUBPROTOCOL}\n"


def make_app(service: Service) -> ASGIApp:
    """The application of a service that runs, or is about to."""

    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return await index(request)
        return PlainTextResponse(UPGRADE_WORDS, status_code=426, headers={"Upgrade": "websocket"})

    handler = cast(Any, answer_problem)
    app = Starlette(
        routes=[
            WebSocketRoute("/", SyncEndpoint(service)),
            Route("/", root),
            *observing_routes(service),
            *report_routes(service),
            *rest_routes(service),
            *page_routes(service),
        ],
        exception_handlers={Problem: handler, HTTPException: handler, StorageError: handler},
        middleware=[Middleware(FaultsInWords)],
    )
    app.state.service = service
    return protect(NumberedRequests(app), service)


class NumberedRequests:
    """Gives each HTTP request its request_id, which its answer names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
                answered.status = message["status"]
            await send(message)

        with request_logged(scope, request_id) as answered:
            await self._app(scope, receive, numbered)


class FaultsInWords:
    """Answers requests that meet a fault of ours; its traceback goes to the log, once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                # Half an answer is out: ending the connection is all that can still be said.
                raise
            response = await answer_problem(Request(scope), error)
            await response(scope, receive, send)


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
            wire = scope["extensions"][WIRE]
            connection = Connection(
                self._service,
                receive,
                send,
                wire.abort,
                bearer_token(Headers(scope=scope)),
                wire,
            )
            await self._service.serve_connection(connection)


async def _deny(send: Send, status: int, words: str) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": words.encode()})
