"""Conflicts of a space: what waits for a person, and how it was settled."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
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

MAX_STATES = 4
"""Records that a page keeps in memory while it fills: some MB, where they are large."""

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
    page = _Page(query, call.lang)
    if query.after is not None:
        page.at = read_cursor(query.after, tuple[_Place, _Place])
    while not page.is_done:
        await call.look(page.step)
    return json_response(
        ConflictPage(conflicts=page.found, next=write_cursor(*page.at) if page.has_next else None)
    )


@dataclass(slots=True)
class _Page:
    """A page while it fills, one step of a reading job after the other."""

    query: ConflictsQuery
    lang: Lang
    at: tuple[int, int] = (_DISTANT_US, 0)
    """The last row that was looked at."""
    found: list[Conflict] = attribute(default_factory=list)
    rows: int = 0
    states: _States = attribute(default_factory=lambda: _States())
    is_done: bool = False
    has_next: bool = False

    def step(self, look: Look) -> None:
        """Look at the next rows, one at least."""
        query = self.query
        name = "open_conflicts" if query.status == "open" else "all_conflicts"
        narrowed: tuple[str, ...] = ()
        if query.collection is not None and query.record is not None:
            name, narrowed = "conflicts_of_record", (query.collection, query.record)
        bounds = (*self.at, SCAN - self.rows)
        for row in look.iterate(name, look.space_id, *bounds, *narrowed):
            self.rows += 1
            self.at = (row[5], row[0])
            one = self._shown(look, row)
            if one is not None:
                self.found.append(one)
            if len(self.found) >= query.limit or self.rows >= SCAN:
                self.is_done = self.has_next = True
                return
            if not look.has_time:
                return
        self.is_done = True

    def _shown(self, look: Look, row: tuple[Any, ...]) -> Conflict | None:
        """The conflict of a row; None where it was not asked for, or may not be known."""
        row_id, collection, record, root, status, *rest = row
        query = self.query
        if query.status not in ("all", status) or query.collection not in (None, collection):
            return None
        rules = look.policy.collections.get(collection)
        field = None if rules is None else rules.by_root.get(root)
        if rules is None or field is None or not look.sight.seen.may_read(collection, root):
            return None
        state = self.states.state(look, rules, record)
        if state is None:
            return None
        return _conflict(look, rules, field, state, (row_id, status, *rest), self.lang)


class _States:
    """The records that a page read last, as its reader may see them: conflicts of one record
    often stand beside each other, and a record may hold thousands of values."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, RecordState | None]] = {}

    def state(self, look: Look, rules: CollectionPolicy, record: str) -> RecordState | None:
        """As ``Look.state``; read again only where it was changed since."""
        key = (rules.name, record)
        seq = look.true_seq(*key)
        kept = self._kept.pop(key, None)
        if kept is None or kept[0] != seq:
            kept = (seq, look.state(rules, record))
        self._kept[key] = kept
        if len(self._kept) > MAX_STATES:
            del self._kept[next(iter(self._kept))]
        return kept[1]


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
