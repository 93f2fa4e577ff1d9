"""History of a record: every op, what it wrote, and what became of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from crdtsync.catalogue import Lang
from crdtsync.documents.conflict import plain_json
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId
from crdtsync.documents.state import LogEntry, RecordState, Why
from crdtsync.policy import CollectionPolicy, FieldPolicy, InvalidValue, MergeKind
from crdtsync.protocol.messages import HistoryRequest
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.records import found_record
from crdtsync_server.rest.shapes import HistoryPage, PastOp, PastValue
from crdtsync_server.rest.words import words_of
from crdtsync_server.storage.keys import position
from crdtsync_server.storage.reading import read_history

NEWER_STEPS = 2_000
"""Entries above a page that are walked to find what made its values leave. Beyond it a page
far down says of some values only that they left."""

Fate = Literal["stands", "left", "partly"] | Why

_Gone = Mapping[tuple[str, EntryId], tuple[Why, LogEntry]]


async def get_history(call: Call) -> Response:
    """``GET …/{id}/history``."""
    rules, record = call.rules, call.record
    before = call.query.before or 0
    await call.look(lambda look: found_record(look, rules, record))
    store = call.service.store
    asked = HistoryRequest(0, rules.name, record, before)
    page = await store.read(
        lambda connection: read_history(connection, store.sql, call.space, asked, call.sight)
    )
    entries = [entry for entry in page.entries if isinstance(entry, LogEntry)]
    past = await call.look(lambda look: _Past(look, rules, record, entries, call.lang).ops())
    more = page.more and bool(entries)
    return json_response(
        HistoryPage(entries=past, complete=page.complete, next=entries[-1].seq if more else None)
    )


@dataclass(slots=True)
class _Past:
    """A page of a record's log while it is put into words."""

    look: Look
    rules: CollectionPolicy
    record: str
    entries: list[LogEntry]
    lang: Lang

    def ops(self) -> list[PastOp]:
        state = self.look.state(self.rules, self.record)
        if state is None or not self.entries:
            return []
        gone = self._gone(state)
        return [self._op(entry, state, gone) for entry in self.entries]

    def _gone(self, state: RecordState) -> _Gone:
        """What left, and by which entry: told by the page and by everything above it."""
        left: dict[tuple[str, EntryId], tuple[Why, LogEntry]] = {}
        above = []
        row = self.look.one("record_position", self.look.space_id, self.rules.name, self.record)
        seq = row[0] & ((1 << 40) - 1)
        for _ in range(NEWER_STEPS):
            if seq <= self.entries[0].seq or seq < self.look.log_start:
                break
            entry = self.look.entry_at(seq)
            if entry is None:
                break
            above.append(entry)
            seq = entry.prev_seq
        shown = filter(None, map(self.look.seen_entry, above))
        for entry in (*shown, *self.entries):
            for removal in entry.removed:
                name = EntryId(removal.op_id, removal.n)
                left[removal.root, name] = (removal.why, entry)
        return left

    def _op(self, entry: LogEntry, state: RecordState, gone: _Gone) -> PastOp:
        place = position(self.look.space_id, entry.seq)
        delivery = self.look.delivery_of(entry.seq)
        assert delivery is not None, f"the log has no row at {place}"
        fields = [
            self._value(entry, field, values, state, gone)
            for root, values in entry.writes.items()
            if (field := self.rules.by_root.get(root)) is not None
        ]
        return PastOp(
            seq=entry.seq,
            op_id=entry.op_id,
            request_id=delivery.request_id,
            user=entry.user,
            device=delivery.device,
            time_us=entry.time_us,
            received_us=entry.received_us,
            fields=[*fields, *self._forgotten(entry)],
            deleted=deletion_of(entry),
            revived=entry.revived,
        )

    def _forgotten(self, entry: LogEntry) -> list[PastValue]:
        """Fields that a trimmed entry wrote, and whose values are not kept any more."""
        if entry.seq >= self.look.log_start:
            return []
        seen = self.look.sight.seen
        return [
            PastValue(
                name=field.name,
                label=field.label_in(self.lang),
                fate="left",
                fate_words=words_of("left", self.lang),
            )
            for root in entry.outcomes
            if root not in entry.writes
            and (field := self.rules.by_root.get(root)) is not None
            and seen.may_read(self.rules.name, root)
        ]

    def _value(
        self,
        entry: LogEntry,
        field: FieldPolicy,
        texts: tuple[str, ...],
        state: RecordState,
        gone: _Gone,
    ) -> PastValue:
        fate, by = self._fate(entry, field, len(texts), state, gone)
        is_set = field.merge is MergeKind.SET
        value: Any | UnsetType = UNSET
        if texts and not is_set:
            value = shown_value(field, texts[0])
        removed = sum(1 for one in entry.removed if one.root == field.root and is_set)
        return PastValue(
            name=field.name,
            label=field.label_in(self.lang),
            value=value,
            values=[shown_value(field, text) for text in texts] if is_set else UNSET,
            removed=removed,
            fate=fate,
            fate_words=words_of(fate, self.lang, **({"name": by.user} if by else {})),
            replaced_by=by.op_id if by else None,
            replaced_by_user=by.user if by else None,
        )

    def _fate(
        self,
        entry: LogEntry,
        field: FieldPolicy,
        count: int,
        state: RecordState,
        gone: _Gone,
    ) -> tuple[Fate, LogEntry | None]:
        if field.merge is MergeKind.COUNTER:
            return "stands", None  # what was added stays added
        visible = state.fields.get(field.root, {})
        names = [EntryId(entry.op_id, n) for n in range(count)]
        missing = [name for name in names if name not in visible]
        if not missing:
            return "stands", None
        why: Fate = "left"
        by = None
        if (found := gone.get((field.root, missing[0]))) is not None:
            why, by = found
        return ("partly" if len(missing) < len(names) else why), by


def shown_value(field: FieldPolicy, text: str) -> Any:
    """A value of the log as JSON; one of an older type of its field as it lies there."""
    try:
        return plain_json(field.decode(text))
    except InvalidValue:
        return text


def deletion_of(entry: LogEntry) -> bool | None:
    """True for a delete, False for a restore, None for everything else."""
    values = entry.writes.get(DELETION_ROOT)
    return None if not values else DeleteMark.parse(values[0]).deleted
