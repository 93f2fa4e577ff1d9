"""Reading records: one, or a page of a collection."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from starlette.responses import Response

from crdtsync.cli.typed_text import value_of
from crdtsync.documents.errors import UsageError
from crdtsync.documents.folding import add_deltas
from crdtsync.documents.reading import in_conflict, is_deleted, is_open, shown_entry
from crdtsync.documents.state import RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy, InvalidValue, MergeKind
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import RecordsQuery
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.cursors import read_cursor, write_cursor
from crdtsync_server.rest.looking import WALKED_PER_JOB, Look
from crdtsync_server.rest.parsing import known_versions
from crdtsync_server.rest.refusals import value_problem
from crdtsync_server.rest.rendering import readable, record_of
from crdtsync_server.rest.shapes import Record, RecordPage
from crdtsync_server.rest.versions import entity_tag

STEP_ROWS = 250
"""Records that one reading job looks at: about 10 ms of the one reading connection."""

STEP_BYTES = 2 * 1_048_576
STEPS = 8
"""Jobs of one request. A filter that few records pass ends with a page that is not full, and
so do records of which much is hidden."""

PAGE_BYTES = 2 * 1_048_576
"""Of records at rest, after which a page ends; one record at least is on it."""

Wanted = Callable[[RecordState], bool]


def found_record(look: Look, rules: CollectionPolicy, record: str) -> RecordState:
    """The record as this person may see it. Raises Problem 404."""
    state = look.state(rules, record)
    if state is None:
        raise Problem(404, "unknown_record", f"there is no {rules.name}/{record}")
    return state


async def get_record(call: Call) -> Response:
    """``GET …/{id}``."""
    rules, record = call.rules, call.record
    known = known_versions(call.request)
    found = await call.look(lambda look: record_of(look, rules, found_record(look, rules, record)))
    tag = {"ETag": entity_tag(found.version)}
    if "*" in known or found.version in known:
        return Response(status_code=304, headers=tag)
    return json_response(found, tag)


async def list_records(call: Call) -> Response:
    """``GET /v1/spaces/{space}/{collection}``."""
    rules, query = call.rules, call.query
    assert isinstance(query, RecordsQuery)
    wanted = [_filter(call, rules, name, text) for name, text in call.filters.items()]
    page = _Page(rules, query, wanted, query.after)
    for _ in range(STEPS):
        await call.look(page.step)
        if page.is_done:
            break
    return json_response(RecordPage(records=page.records, next=page.next))


@dataclass(slots=True)
class _Page:
    """A page while it fills, one step of a reading job after the other."""

    rules: CollectionPolicy
    query: RecordsQuery
    wanted: list[Wanted]
    next: str | None
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0
    is_done: bool = False

    def step(self, look: Look) -> None:
        """Look at the next records."""
        after = "" if self.next is None else self._position(look, self.next)
        rows = size_bytes = 0
        for row_id, record, data in look.iterate(
            "records_of_collection", look.space_id, self.rules.name, after, STEP_ROWS
        ):
            rows += 1
            size_bytes += len(data)
            state = RecordState.decode(self.rules.name, record, data)
            if look.show(state):
                self.next = write_cursor("r", record)
                if self._is_wanted(look, state):
                    self.records.append(record_of(look, self.rules, state))
                    self.size_bytes += len(data)
            else:
                # The id of a record that may not be known stays out of the cursor, too.
                self.next = write_cursor("p", row_id)
            if len(self.records) >= self.query.limit or self.size_bytes >= PAGE_BYTES:
                self.is_done = True
                return
            if size_bytes >= STEP_BYTES or look.walked >= WALKED_PER_JOB:
                return
        if rows < STEP_ROWS:
            self.is_done = True
            self.next = None

    def _position(self, look: Look, cursor: str) -> str:
        kind, value = read_cursor(cursor, tuple[str, str | int])
        if kind == "r" and isinstance(value, str):
            return value
        if kind == "p" and isinstance(value, int) and 0 <= value < 1 << 62:
            row = look.one("record_by_row", value, look.space_id, self.rules.name)
            if row is not None:
                return str(row[0])
        raise Problem(
            400, "bad_cursor", "`after` is not the `next` of a page here; leave it out to begin"
        )

    def _is_wanted(self, look: Look, state: RecordState) -> bool:
        if is_deleted(state, self.rules) != self.query.deleted:
            return False
        if self.query.conflicts and not any(
            in_conflict(state, one) for one in readable(look, self.rules)
        ):
            return False
        return all(matches(state) for matches in self.wanted)


def _filter(call: Call, rules: CollectionPolicy, name: str, text: str) -> Wanted:
    """Whether a record's field has this value; in conflict, whether one candidate is it."""
    rule = call.field(rules, name)
    try:
        key = _wanted_key(rule, text)
    except InvalidValue as error:
        raise value_problem(error, call.lang) from error
    except UsageError as error:
        raise Problem(422, "bad_value", str(error), field=name) from error
    return lambda state: key in _keys(rule, state)


def _wanted_key(rule: FieldPolicy, text: str) -> Hashable:
    value = value_of(rule, text) if rule.merge is not MergeKind.SET else _element(rule, text)
    if rule.merge is MergeKind.SET:
        return rule.key(rule.encode_element(value))
    if rule.merge is MergeKind.COUNTER:
        return rule.key(rule.encode_delta(value))
    return rule.key(rule.encode(value))


def _element(rule: FieldPolicy, text: str) -> object:
    # A set matches when it holds the element, which is one value and no list of them.
    found = value_of(rule, text)
    if not isinstance(found, list) or len(found) != 1:
        raise UsageError(f"{rule.name} is a set; filter by one of its elements")
    return found[0]


def _keys(rule: FieldPolicy, state: RecordState) -> set[Hashable]:
    entries = list(state.visible(rule.root))
    if rule.merge is MergeKind.COUNTER:
        return {rule.key(add_deltas([entry.value for entry in entries]) if entries else "0")}
    if not entries:
        return set()
    if rule.merge is not MergeKind.SET and not is_open(rule, entries):
        entries = [shown_entry(state, entries)]
    return {rule.key(entry.value) for entry in entries if entry.value != "null"}
