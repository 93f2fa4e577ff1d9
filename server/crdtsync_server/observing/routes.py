"""``/metrics``, ``/healthz``, ``/readyz`` and ``/v1/trace``."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from crdtsync.catalogue import lang_of
from crdtsync_server.authentication import is_loopback
from crdtsync_server.http import entered, service_of, signed_in, visibility
from crdtsync_server.observing.finding import MAX_LIMIT, Question
from crdtsync_server.observing.metrics import CONTENT_TYPE
from crdtsync_server.observing.places import BadQuestion
from crdtsync_server.observing.trace import read_trace
from crdtsync_server.problems import Problem

if TYPE_CHECKING:
    from crdtsync_server.service import Service

DEFAULT_LIMIT = 20

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers of a proxy: whoever asks through one is not on this machine."""


def routes(service: Service) -> list[BaseRoute]:
    """What ``app.py`` serves of this package."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/v1/trace", trace),
    ]


async def healthz(request: Request) -> Response:
    """The process answers. Whether it can do its work is ``/readyz``."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Whether it takes and saves ops now; else 503 with the reason in words."""
    service = service_of(request)
    if service.draining:
        return PlainTextResponse("stopping\n", status_code=503)
    fault = await service.store_watch.fault(service.store)
    if fault is not None:
        return PlainTextResponse(f"not ready: {fault}\n", status_code=503)
    if service.metrics.trace_damaged:
        return PlainTextResponse("ready, without the trace: it is damaged; run crdtsync verify\n")
    return PlainTextResponse("ready\n")


async def metrics(request: Request) -> Response:
    """The figures for Prometheus: for this machine, or with the token of the settings."""
    service = service_of(request)
    if not service.settings.observing.metrics:
        raise Problem(404, "metrics_off", "metrics are switched off (setting metrics)")
    _may_scrape(request, service.settings.access.metrics_token)
    await service.store_watch.refresh(service.store)
    return Response(service.metrics.render(), headers={"content-type": CONTENT_TYPE})


def _may_scrape(request: Request, token: str | None) -> None:
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        if hmac.compare_digest(shown.strip().encode(), token.encode()):
            return
        raise Problem(401, "unauthorized", "this is not the metrics token of the server")
    peer = request.client.host if request.client else ""
    through_proxy = any(name in request.headers for name in FORWARDED)
    if through_proxy or not (is_loopback(peer) and is_loopback(_host_of(request))):
        raise Problem(
            403,
            "metrics_token_needed",
            "metrics are open to the server's own machine only, under a name such as localhost "
            "or 127.0.0.1; from elsewhere, or under another name, they need Authorization: "
            "Bearer with the setting metrics_token",
        )


def _host_of(request: Request) -> str:
    """The name under which the server was asked: a page elsewhere can point a name of its own
    at this machine (DNS rebinding) and let a browser here ask."""
    host = request.headers.get("host", "").lower()
    name, bracket, _ = host.partition("]")
    return name + bracket if bracket else host.partition(":")[0]


async def trace(request: Request) -> Response:
    """``?q=`` an op_id, request_id, user or collection/record; ``space``, ``limit``, ``after``,
    ``lang``. Only what the reader may read, in spaces that they may enter."""
    asked = request.query_params
    space = asked.get("space") or None
    identity = await (signed_in(request) if space is None else entered(request, space))
    service = service_of(request)
    if not service.settings.observing.trace:
        raise Problem(404, "trace_off", "tracing is switched off (setting trace)")
    question = Question(
        query=asked.get("q", ""),
        policy=service.policy,
        seen=visibility(request, identity),
        may_enter=identity.may_enter,
        user=identity.user,
        space=space,
        lang=lang_of(asked.get("lang", "en")),
        limit=_limit(asked.get("limit")),
        after=asked.get("after") or None,
    )
    try:
        answer = await service.store.read(lambda found: read_trace(found, question))
    except BadQuestion as error:
        raise Problem(422, "bad_question", str(error)) from error
    return Response(
        msgspec.json.encode(answer),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (
        text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MAX_LIMIT and len(text) < 4
    ):
        raise Problem(422, "bad_limit", f"limit is a number from 1 to {MAX_LIMIT}")
    return int(text)
