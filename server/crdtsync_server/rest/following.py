"""Following the log: a page, a page that is waited for, or a stream of events.

Nothing is buffered for a reader: each reads the log from its own place, and one
that takes nothing is cut (access/middleware.py). A reader that waits holds a
seat, as a connected replica does, so that their number is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crdtsync.database import StorageError
from crdtsync.protocol.messages import Landmark
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import ChangesQuery
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.changes import read_changes
from crdtsync_server.rest.shapes import ChangePage

EVENT_STREAM = "text/event-stream"
LAST_EVENT_ID = "last-event-id"

HEARTBEAT_S = 15.0
"""Of silence, after which a stream says that it is there: proxies cut at 30 s and up. So
long may a sign-in that was taken back still read, too."""

RECONNECT_MS = 2_000
"""When a browser comes back by itself after a stream has ended."""

EVENT_ID = r"([0-9]{1,16})(?:-([0-9a-f]{32}))?"
"""A place in the log: a seq and the digest there, by which a restored server is noticed. A seq
alone will do, for who keeps no more."""

Why = Literal["more", "time", "gone", "stopping", "signed_out"]


async def get_changes(call: Call) -> Response:
    """``GET /v1/changes``: pages, long poll, and server-sent events."""
    query = call.query
    assert isinstance(query, ChangesQuery)
    if EVENT_STREAM in call.request.headers.get("accept", ""):
        return await _stream(call, query)
    page = await _read(call, query.since, query.limit, query.digest)
    if not query.wait_s or page.next > query.since:
        return json_response(page)
    with _Follower(call) as follower:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + query.wait_s
        await follower.join()
        while True:
            # Behind what the reader may not see the place moves on, as in a stream.
            page = await _read(call, page.next, query.limit, page.digest)
            if page.changes:
                return json_response(page)
            left_s = deadline_s - loop.time()
            if left_s > 0 and page.next < page.head and follower.is_over() is None:
                continue
            if left_s <= 0 or await follower.wait(left_s) != "more":
                return json_response(page)


async def _read(call: Call, since: int, limit: int, digest: str | None) -> ChangePage:
    return await call.look(lambda look: read_changes(look, since, limit, digest))


# ── waiting ─────────────────────────────────────────────────────────────────


class _Follower:
    """Somebody who waits for the log to grow: a reader of the hub, and a seat."""

    replica_id = ""
    """None: a follower is no replica."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._woken = asyncio.Event()
        self._gone: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """The log has grown, or the server is about to stop."""
        self._woken.set()

    def fence(self) -> None:
        """Never asked for: no hello names it."""

    def __enter__(self) -> _Follower:
        service, call = self._call.service, self._call
        too_many = service.access.quotas.seats.take(call.identity.user, call.space)
        if too_many is not None:
            raise Problem(
                429,
                "too_many_connections",
                too_many.words,
                headers={"Retry-After": str(-(-too_many.retry_after_ms // 1_000))},
            )
        self._gone = asyncio.create_task(_until_gone(call.request), name="crdtsync follower")
        return self

    def __exit__(self, *_: object) -> None:
        service, call = self._call.service, self._call
        service.hub.leave(call.space, self)
        service.access.quotas.seats.leave(call.identity.user, call.space)
        if self._gone is not None:
            self._gone.cancel()

    async def join(self) -> None:
        """Be told from now on; what came before is read after this."""
        head = await self._call.look(lambda look: Landmark(look.head_seq, look.digest))
        self._call.service.hub.join(self._call.space, self, head)

    async def wait(self, timeout_s: float) -> Why:
        """Until there may be more, until time is up, or until it makes no sense any more."""
        assert self._gone is not None
        over = self.is_over()
        if over is not None:
            return over
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait(
                {woken, self._gone},
                timeout=max(timeout_s, 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            woken.cancel()
        if self._woken.is_set():
            self._woken.clear()
            return self.is_over() or "more"
        return self.is_over() or "time"

    def is_over(self) -> Why | None:
        """Why there is no point in waiting."""
        if self._gone is not None and self._gone.done():
            return "gone"
        if self._call.service.draining:
            return "stopping"
        if self._call.service.access.why_ended(self._call.identity) is not None:
            return "signed_out"
        return None

    def seconds_left(self) -> float:
        """Until the sign-in ends."""
        expires_us = self._call.identity.expires_us
        if expires_us is None:
            return HEARTBEAT_S
        return (expires_us - self._call.service.now_us()) / 1_000_000


async def _until_gone(request: Request) -> None:
    with suppress(Problem):  # of a body that nobody asked for
        while (await request.receive())["type"] != "http.disconnect":
            pass


# ── server-sent events ──────────────────────────────────────────────────────


async def _stream(call: Call, query: ChangesQuery) -> Response:
    since, digest = query.since, query.digest
    last = call.request.headers.get(LAST_EVENT_ID, "").strip()
    if last:
        found = re.fullmatch(EVENT_ID, last)
        if found is None:
            raise Problem(400, "bad_query", "Last-Event-ID has to be the id of an event")
        since, digest = int(found[1]), found[2]
    # What is wrong with the place is told as a problem, before the stream begins.
    await _read(call, since, 1, digest)
    return _Events(call, since, digest, query.limit)


class _Events(Response):
    """The log above ``since`` as events, for as long as somebody listens."""

    media_type = EVENT_STREAM

    def __init__(self, call: Call, since: int, digest: str | None, limit: int) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._call = call
        self._at = since
        self._digest = digest
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the reader is gone, the sign-in ends or the server stops."""
        with _Follower(self._call) as follower:
            await follower.join()
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await _put(send, f"retry: {RECONNECT_MS}\n: crdtsync\n\n".encode())
            if scope["method"] != "HEAD":
                await self._follow(follower, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, follower: _Follower, send: Send) -> None:
        while True:
            try:
                page = await _read(self._call, self._at, self._limit, self._digest)
            except (Problem, StorageError) as error:
                code = error.code if isinstance(error, Problem) else "disk_fault"
                await _put(send, _end(code))
                return
            for part in _parts(page, self._at):
                await _put(send, part)
            self._at, self._digest = page.next, page.digest
            why = follower.is_over()
            if why is None and page.next >= page.head:
                why = await follower.wait(min(HEARTBEAT_S, follower.seconds_left()))
            if why == "gone":
                return
            if why in ("stopping", "signed_out"):
                await _put(send, _end(ENDS[why]))
                return
            if why == "time":
                await _put(send, b": still here\n\n")


ENDS = {"stopping": "restarting", "signed_out": "unauthorized"}


def _parts(page: ChangePage, since: int) -> Iterator[bytes]:
    """Events, each of them whole."""
    for change in page.changes:
        since = change.seq
        event_id = _event_id(since, change.digest)
        yield b"id: %s\nevent: change\ndata: %s\n\n" % (event_id, msgspec.json.encode(change))
    if since < page.next:
        # Entries that this reader may not see: a reconnection goes on behind them.
        yield b"id: %s\n\n" % _event_id(page.next, page.digest)


def _event_id(seq: int, digest: str) -> bytes:
    return f"{seq}-{digest}".encode()


def _end(code: str) -> bytes:
    return b"event: end\ndata: %s\n\n" % msgspec.json.encode({"code": code})


async def _put(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
