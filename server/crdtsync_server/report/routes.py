"""``GET /v1/overview`` for the dashboard and ``GET /v1/report`` for the weekly page.

Both measure on a thread of their own, over a connection of their own: neither the event
loop nor the replicas that read the log wait for it. One measurement runs at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crdtsync.catalogue.wording import LANGS, lang_of
from crdtsync_server.http import entered, service_of, signed_in, visibility
from crdtsync_server.problems import Problem
from crdtsync_server.report.accepted_run import FILE_NAME as ACCEPTANCE_FILE
from crdtsync_server.report.markdown import as_markdown
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.overview import Asked, measure, measure_file
from crdtsync_server.report.page import as_html
from crdtsync_server.report.scope import DASHBOARD, THOROUGH, Bounds, Live
from crdtsync_server.report.shares import Shares
from crdtsync_server.report.windows import BadWindow, parse_window
from crdtsync_server.storage.store import FILE_NAME

if TYPE_CHECKING:
    from crdtsync_server.service import Service

FRESH_S = 5.0
"""How long an overview answers everybody who asks the same: dashboards ask every few seconds."""

SHARE_OF_TIME = 0.05
"""Of one core, for a measurement that is asked for again and again: one that took a second
answers for twenty. What they may take all together is in shares.py."""

STALE_S = 900.0
"""How old an answer may be that is given because there is no time to measure again."""

KEPT = 32
"""Overviews that are kept: of different people, spaces and windows."""

WAITING = 8
"""Who may wait for a measurement; more are told to come back."""

RETRY_S = 5

FORMATS: dict[str, tuple[str, Callable[[Overview], str]]] = {
    "html": ("text/html; charset=utf-8", as_html),
    "md": ("text/markdown; charset=utf-8", as_markdown),
}


def routes(service: Service) -> list[BaseRoute]:
    """What ``app.py`` serves of this package."""
    measuring = Measuring(service)

    async def overview(request: Request) -> Response:
        return _json(await measuring.answer(request, DASHBOARD, "24h"))

    async def report(request: Request) -> Response:
        wanted = request.query_params.get("format", "json")
        if wanted != "json" and wanted not in FORMATS:
            raise Problem(422, "bad_format", "format is json, html or md")
        found = await measuring.answer(request, THOROUGH, "7d")
        if wanted == "json":
            return _json(found)
        kind, render = FORMATS[wanted]
        return Response(render(found), media_type=kind)

    return [Route("/v1/overview", overview), Route("/v1/report", report)]


def _json(found: Overview) -> Response:
    return Response(
        msgspec.json.encode(found),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and until when it is good."""

    found: Overview
    fresh_until_s: float
    kept_until_s: float


class Measuring:
    """Measures for whoever asks, one at a time, and keeps the answers for a moment."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._one = asyncio.Lock()
        self._waiting = 0
        self._kept: OrderedDict[tuple[Any, ...], Kept] = OrderedDict()
        self._shares = Shares()

    async def answer(self, request: Request, bounds: Bounds, window: str) -> Overview:
        """What this request may know. Raises Problem."""
        asked = await self._asked(request, bounds, window)
        user = (await signed_in(request)).user
        found = self._without_measuring(asked, user, full=self._waiting >= WAITING)
        if found is not None:
            return found
        self._waiting += 1
        try:
            async with self._one:
                # Somebody who went before may have asked the same, or used up the time.
                return self._without_measuring(asked, user) or await self._in_turn(asked, user)
        finally:
            self._waiting -= 1

    def _without_measuring(self, asked: Asked, user: str, *, full: bool = False) -> Overview | None:
        """The kept answer while it is fresh, or while nothing can be measured (``full``: nobody
        more may wait); None where it may be. Raises Problem where there is neither."""
        now_s = asyncio.get_running_loop().time()
        kept = self._kept.get(_key(asked))
        if kept is not None and now_s < kept.fresh_until_s:
            return kept.found
        now_us, thorough = round(now_s * 1e6), _is_thorough(asked)
        refusal = (
            _queue_is_full()
            if full
            else self._shares.refusal(user, thorough=thorough, now_us=now_us)
        )
        if refusal is None:
            return None
        if kept is not None and now_s < kept.kept_until_s:
            return kept.found
        raise refusal

    async def _in_turn(self, asked: Asked, user: str) -> Overview:
        """Measure, count the time that it took, and keep the answer."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            found = await self._measure(asked)
        finally:
            took_s = loop.time() - began_s
            now_us = round(loop.time() * 1e6)
            self._shares.use(user, took_s, thorough=_is_thorough(asked), now_us=now_us)
        fresh_s = max(FRESH_S, took_s / SHARE_OF_TIME)
        now_s, key = loop.time(), _key(asked)
        self._kept[key] = Kept(found, now_s + fresh_s, now_s + max(fresh_s, STALE_S))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _asked(self, request: Request, bounds: Bounds, window: str) -> Asked:
        service, query = service_of(request), request.query_params
        space = query.get("space") or None
        identity = await (signed_in(request) if space is None else entered(request, space))
        lang = query.get("lang", "en")
        if lang_of(lang) != lang.partition("-")[0].lower():
            raise Problem(422, "bad_lang", f"lang is one of: {', '.join(LANGS)}")
        window = query.get("window") or query.get("since") or window
        try:
            parse_window(window)
        except BadWindow as error:
            raise Problem(422, "bad_window", str(error)) from error
        return Asked(
            policy=service.policy,
            seen=visibility(request, identity),
            space=space,
            may_enter=identity.spaces,
            window=window,
            lang=lang_of(lang),
            now_us=service.now_us(),
            live=live_of(service),
            folder=service.settings.folder,
            acceptance=service.settings.folder / ACCEPTANCE_FILE,
            bounds=bounds,
        )

    async def _measure(self, asked: Asked) -> Overview:
        path = self._service.settings.folder / FILE_NAME
        if not path.is_file():
            # A store in memory has no second connection: simulations and tests.
            asked = replace(asked, folder=None)
            return await self._service.store.read(lambda connection: measure(connection, asked))
        return await asyncio.to_thread(measure_file, path, asked)


def _queue_is_full() -> Problem:
    return Problem(
        503,
        "overloaded",
        "too many reports are being made; try again in a moment",
        headers={"Retry-After": str(RETRY_S)},
    )


def _is_thorough(asked: Asked) -> bool:
    return asked.bounds is THOROUGH


def _key(asked: Asked) -> tuple[Any, ...]:
    """Whoever asks with an equal key gets the same answer."""
    return (
        _is_thorough(asked),
        asked.seen.mark,
        asked.space,
        None if asked.may_enter is None else frozenset(asked.may_enter),
        asked.window,
        asked.lang,
    )


def live_of(service: Service) -> Live:
    """Who is connected now, and whether attempts are recorded."""
    hub = service.hub
    connected = ((space, replica) for space in hub.spaces for replica in hub.connected(space))
    return Live(frozenset(connected), service.settings.observing.trace)
