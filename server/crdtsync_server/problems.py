"""Errors over HTTP: raised anywhere under a route, answered as ``application/problem+json``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from crdtsync.database import StorageError
from crdtsync.errors import CrdtsyncError

logger = logging.getLogger("crdtsync.server.http")

CONTENT_TYPE = "application/problem+json"

DISK_RETRY_S = 10
"""How long a client waits for a disk that cannot be read or written: it needs a person."""


class Problem(CrdtsyncError):
    """An answer other than the one that was asked for (RFC 9457).

    ``code`` is for programs and never changes its meaning; ``detail`` is for
    people and says what, where, and the cure. ``extra`` is added to the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


def problem_response(problem: Problem, request_id: str) -> Response:
    """The answer that tells of ``problem``."""
    body = {
        "type": f"urn:crdtsync:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        **problem.extra,
    }
    return Response(
        msgspec.json.encode(body),
        status_code=problem.status,
        headers=problem.headers,
        media_type=CONTENT_TYPE,
    )


async def answer_problem(request: Request, error: Exception) -> Response:
    """Exception handler of the application."""
    request_id = getattr(request.state, "request_id", "")
    if isinstance(error, Problem):
        return problem_response(error, request_id)
    if isinstance(error, HTTPException):
        headers = dict(error.headers or {})
        words = {
            404: f"there is nothing at {request.url.path}; see /openapi.json for what there is",
            405: f"{request.method} cannot be done here; allowed: {headers.get('Allow', '')}",
        }.get(error.status_code, error.detail)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        return problem_response(
            Problem(error.status_code, code, words, headers=headers), request_id
        )
    if isinstance(error, StorageError):
        logger.error("a request met a disk that fails request_id=%s: %s", request_id, error)
        retry = {"Retry-After": str(DISK_RETRY_S)}
        return problem_response(
            Problem(503, "disk_fault", f"the server cannot do it now: {error}", headers=retry),
            request_id,
        )
    logger.error(
        "a request failed request_id=%s path=%s", request_id, request.url.path, exc_info=error
    )
    return problem_response(
        Problem(500, "server_error", "a fault of the server; its log has this request_id"),
        request_id,
    )
