"""The replicas of a space, as they last reported of themselves."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from crdtsync.catalogue import Lang
from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.rest.bodies import DevicesQuery
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.cursors import read_cursor, write_cursor
from crdtsync_server.rest.looking import HTTP_REPLICA, Look
from crdtsync_server.rest.shapes import Device, DevicePage, RefusedOp
from crdtsync_server.rest.words import words_of
from crdtsync_server.storage.keys import uuid_text

MAX_REFUSED = 20
"""Refused ops of one replica that are listed, the newest ones."""

_OUTBOX = msgspec.msgpack.Decoder(OutboxSummary)
_Place = Annotated[int, Meta(ge=0, le=2**62)]


async def list_devices(call: Call) -> Response:
    """``GET /v1/devices``."""
    query = call.query
    assert isinstance(query, DevicesQuery)
    user = call.identity.user if query.mine else None
    connected = call.service.hub.connected(call.space)
    return json_response(
        await call.look(lambda look: _page(look, query, user, connected, call.lang))
    )


def _page(
    look: Look, query: DevicesQuery, user: str | None, connected: frozenset[str], lang: Lang
) -> DevicePage:
    after: tuple[int | None, int] = (None, 0)
    if query.after is not None:
        after = read_cursor(query.after, tuple[_Place, _Place])
    rows = look.all("devices", look.space_id, HTTP_REPLICA, user, *after, query.limit + 1)
    page = rows[: query.limit]
    found = [_device(look, row, connected, lang) for row in page]
    more = len(rows) > len(page)
    return DevicePage(devices=found, next=write_cursor(page[-1][6], page[-1][0]) if more else None)


def _device(look: Look, row: tuple[Any, ...], connected: frozenset[str], lang: Lang) -> Device:
    row_id, replica_id, device, user, software, cursor_seq, last_seen_us, data = row
    outbox = OutboxSummary() if data is None else _OUTBOX.decode(data)
    skew = look.one("last_skew", row_id)
    return Device(
        replica_id=replica_id,
        device=device,
        user=user,
        software=software,
        cursor_seq=cursor_seq,
        head_seq=look.head_seq,
        last_seen_us=last_seen_us,
        connected=replica_id in connected,
        pending=outbox.pending,
        failed=outbox.failed,
        signed_out=outbox.signed_out,
        oldest_age_ms=outbox.oldest_age_ms,
        reasons=outbox.reasons,
        skew_us=None if skew is None else skew[0],
        refused=_refused(look, row_id, lang),
    )


def _refused(look: Look, replica: int, lang: Lang) -> list[RefusedOp]:
    """What of a replica was refused and not accepted later, as far as the reader may know:
    of what others tried to write into a hidden field, nothing. People share devices, so the
    one who pushed counts, and not the one who is signed in there now."""
    found: dict[bytes, RefusedOp] = {}
    for op_key, collection, record, field, code, at_us, request_id, pushed_by in look.all(
        "refused_of_replica", replica, MAX_REFUSED
    ):
        is_mine = pushed_by == look.sight.user
        if op_key in found or not (is_mine or _may_know(look, collection, field)):
            continue
        found[op_key] = RefusedOp(
            op_id=uuid_text(op_key),
            collection=collection,
            record=record,
            field=field,
            code=code or "",
            words=words_of(code or "", lang),
            at_us=at_us,
            request_id=uuid_text(request_id),
        )
    return list(found.values())


def _may_know(look: Look, collection: str, field: str | None) -> bool:
    """Whether this person may know what another tried to write there. An op that was refused
    as a whole may have written hidden fields."""
    seen = look.sight.seen
    if field is None:
        return collection not in seen.hiding
    return seen.may_read_field(collection, field)
