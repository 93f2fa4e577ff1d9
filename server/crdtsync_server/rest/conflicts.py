"""Conflicts of a space: what waits for a person, and how it was settled."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from crdtsync.catalogue import Lang
from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import Entry, RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import ConflictsQuery
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.cursors import read_cursor, write_cursor
from crdtsync_server.rest.history import shown_value
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.rendering import candidates, label_of, shown_entries
from crdtsync_server.rest.shapes import Conflict, ConflictEvent, ConflictPage

SCAN = 1_000
"""Rows that one request looks at: those that the reader may not see, or did not ask for, too."""

MAX_EVENTS = 50
"""The newest steps of a conflict that are told."""

_NAMES = msgspec.msgpack.Decoder(tuple[EntryId, ...])
_DISTANT_US = -1
_Place = Annotated[int, Meta(ge=0, le=2**62)]


async def list_conflicts(call: Call) -> Response:
    """``GET /v1/conflicts``."""
    query = call.query
    assert isinstance(query, ConflictsQuery)
    if query.collection is not None:
        call.collection(query.collection)
    elif query.record is not None:
        raise Problem(400, "bad_query", "record needs collection beside it")
    return json_response(await call.look(lambda look: _page(look, query, call.lang)))


def _page(look: Look, query: ConflictsQuery, lang: Lang) -> ConflictPage:
    name = "open_conflicts" if query.status == "open" else "all_conflicts"
    narrowed: tuple[str, ...] = ()
    if query.collection is not None and query.record is not None:
        name, narrowed = "conflicts_of_record", (query.collection, query.record)
    after = (
        (_DISTANT_US, 0) if query.after is None else read_cursor(query.after, tuple[_Place, _Place])
    )
    found: list[Conflict] = []
    last: tuple[int, int] | None = None
    rows = 0
    for row in look.iterate(name, look.space_id, *after, SCAN, *narrowed):
        rows += 1
        row_id, collection, record, root, status, opened_us, *rest = row
        last = (opened_us, row_id)
        if query.status not in ("all", status) or query.collection not in (None, collection):
            continue
        rules = look.policy.collections.get(collection)
        field = None if rules is None else rules.by_root.get(root)
        if rules is None or field is None or not look.sight.seen.may_read(collection, root):
            continue
        state = look.state(rules, record)
        if state is None:
            continue
        found.append(_conflict(look, rules, field, state, (row_id, status, opened_us, *rest), lang))
        if len(found) >= query.limit:
            return ConflictPage(conflicts=found, next=write_cursor(*last))
    more = rows == SCAN and last is not None
    return ConflictPage(conflicts=found, next=write_cursor(*last) if more and last else None)


def _conflict(
    look: Look,
    rules: CollectionPolicy,
    field: FieldPolicy,
    state: RecordState,
    row: tuple[Any, ...],
    lang: Lang,
) -> Conflict:
    row_id, status, opened_us, changed_us, reopened, names = row
    entries: list[Entry]
    if status == "open":
        entries = list(state.visible(field.root))
    else:
        entries = shown_entries(look, field.root, _NAMES.decode(names), state)
    return Conflict(
        id=row_id,
        collection=rules.name,
        collection_label=rules.label_in(lang),
        record=state.record,
        record_label=label_of(look, rules, state),
        field=field.name,
        label=field.label_in(lang),
        status=status,
        opened_us=opened_us,
        changed_us=changed_us,
        reopened=reopened,
        candidates=candidates(look, field, entries),
        events=_events(look, field, row_id),
    )


def _events(look: Look, field: FieldPolicy, conflict: int) -> list[ConflictEvent]:
    """The newest steps, the oldest of them first."""
    found = []
    for seq, kind, at_us, user, op_id, names in look.all("conflict_events", conflict, MAX_EVENTS):
        entry = look.entry_at(seq)
        value: Any | UnsetType = UNSET
        if entry is not None and entry.writes.get(field.root):
            value = shown_value(field, entry.writes[field.root][0])
        found.append(
            ConflictEvent(
                seq=seq,
                kind=kind,
                at_us=at_us,
                user=user,
                op_id=op_id,
                value=value,
                candidates=[(name.op_id, name.n) for name in _NAMES.decode(names)],
            )
        )
    return found[::-1]
