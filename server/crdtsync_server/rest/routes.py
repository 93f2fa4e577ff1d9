"""The routes of this package: one per path, each for all of its methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crdtsync_server.rest.calls import JSON, Operation, serve
from crdtsync_server.rest.openapi import openapi_json
from crdtsync_server.rest.operations import OPERATIONS

if TYPE_CHECKING:
    from crdtsync_server.service import Service

SPACES = "/v1/spaces/{rest:path}"
"""Below it paths are taken apart here: an id may hold a slash, which comes as %2F."""

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def routes(service: Service) -> list[BaseRoute]:
    """What ``app.py`` serves of this package."""
    document = openapi_json()

    async def openapi(request: Request) -> Response:
        return Response(document, media_type=JSON)

    plain = dict.fromkeys(one.path for one in OPERATIONS if "{" not in one.path)
    return [
        Route("/openapi.json", openapi),
        *(Route(path, _dispatch, methods=METHODS) for path in plain),
        Route(SPACES, _dispatch, methods=METHODS),
    ]


async def _dispatch(request: Request) -> Response:
    segments = _segments(request)
    found: dict[str, Operation] = {}
    params: Mapping[str, str] = {}
    for operation in OPERATIONS:
        matched = _match(operation.path, segments)
        if matched is not None:
            found[operation.method] = operation
            params = matched
    if not found:
        raise HTTPException(404)
    # HEAD is GET without the body, which the server does not send then.
    wanted = found.get("GET" if request.method == "HEAD" else request.method)
    if wanted is None:
        allowed = [*found, *(["HEAD"] if "GET" in found else [])]
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    return await serve(wanted, request, params)


def _segments(request: Request) -> list[str]:
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    try:
        return [
            unquote(part, errors="strict")
            for part in raw.partition(b"?")[0].decode("ascii").split("/")[1:]
        ]
    except UnicodeDecodeError:
        raise HTTPException(404) from None


def _match(pattern: str, segments: list[str]) -> dict[str, str] | None:
    parts = pattern.split("/")[1:]
    if len(parts) != len(segments):
        return None
    params: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            if not segment:
                return None
            params[part[1:-1]] = segment
        elif part != segment:
            return None
    return params
