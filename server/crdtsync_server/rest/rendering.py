"""From a record's entries to the JSON that a thin client gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crdtsync.documents.conflict import plain_json
from crdtsync.documents.ops import DELETION_ROOT, EntryId
from crdtsync.documents.reading import candidates as distinct
from crdtsync.documents.reading import in_conflict, is_deleted, read_field
from crdtsync.documents.state import Entry, Outcome, RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.protocol.messages import Receipt as WireReceipt
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.shapes import Candidate, Receipt, Record
from crdtsync_server.rest.versions import version_at

ITSELF = ""
"""In outcomes: the record itself, where it was deleted or restored."""


def readable(look: Look, rules: CollectionPolicy) -> list[FieldPolicy]:
    """The fields of a collection that the person may read."""
    seen = look.sight.seen
    return [field for field in rules.fields.values() if seen.may_read(rules.name, field.root)]


def record_of(look: Look, rules: CollectionPolicy, state: RecordState) -> Record:
    """A record as this person may see it; ``state`` has passed ``Look.show``."""
    fields: dict[str, Any] = {}
    conflicts: dict[str, list[Candidate]] = {}
    for field in readable(look, rules):
        if in_conflict(state, field):
            conflicts[field.name] = candidates(look, field, list(state.visible(field.root)))
        else:
            fields[field.name] = plain_json(read_field(state, field))
    return Record(
        collection=rules.name,
        id=state.record,
        version=version_at(look, state.seq),
        deleted=is_deleted(state, rules),
        updated_us=state.updated_us,
        updated_by=state.updated_by,
        fields=fields,
        conflicts=conflicts,
    )


def nothing_of(look: Look, rules: CollectionPolicy, record: str) -> Record:
    """A record of which the person may read nothing, as the answer to a write of theirs."""
    return record_of(look, rules, RecordState(rules.name, record))


def candidates(look: Look, field: FieldPolicy, entries: list[Entry]) -> list[Candidate]:
    """The distinct values among ``entries``, with who wrote them and on which device."""
    by_id = {entry.id: entry for entry in entries}
    found = []
    for one in distinct(field, entries):
        entry = by_id[one.entries[0]]
        delivery = look.delivery_of(entry.seq)
        found.append(
            Candidate(
                op_id=entry.op_id,
                n=entry.n,
                value=plain_json(one.value),
                user=entry.user,
                device="" if delivery is None else delivery.device,
                time_us=entry.time_us,
                received_us=entry.time_us if delivery is None else delivery.entry.received_us,
                entries=[(name.op_id, name.n) for name in one.entries],
            )
        )
    return found


def shown_entries(
    look: Look, root: str, names: Iterable[EntryId], state: RecordState
) -> list[Entry]:
    """Entries by name, wherever they still are: in the record, in the log, or kept of it."""
    found = []
    visible: Mapping[EntryId, Entry] = state.fields.get(root, {})
    for name in names:
        entry = visible.get(name) or _past_entry(look, root, name)
        if entry is not None:
            found.append(entry)
    return found


def _past_entry(look: Look, root: str, name: EntryId) -> Entry | None:
    known = look.known_op(name.op_id) if not name.op_id.startswith("fold:") else None
    if known is None or known.space != look.space:
        return None
    entry = known.entry
    values = entry.writes.get(root, ())
    if name.n < len(values):
        value = values[name.n]
    else:
        kept = look.kept_value(entry, root)
        if kept is None:
            return None
        value = kept
    return Entry(
        name.op_id, name.n, value, entry.time_us, entry.user, entry.effective_us, entry.seq
    )


def outcomes_by_name(
    rules: CollectionPolicy | None, outcomes: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """Outcomes by field name; "" stands for the record itself."""
    named: dict[str, Outcome] = {}
    for root, outcome in outcomes.items():
        if root == DELETION_ROOT:
            named[ITSELF] = outcome
        else:
            field = None if rules is None else rules.by_root.get(root)
            named[root.partition("/")[2] if field is None else field.name] = outcome
    return named


def receipt_of(rules: CollectionPolicy | None, receipt: WireReceipt) -> Receipt:
    """A receipt with fields in place of roots."""
    return Receipt(
        op_id=receipt.op_id,
        seq=receipt.seq,
        received_us=receipt.received_us,
        outcomes=outcomes_by_name(rules, receipt.outcomes),
    )


def label_of(look: Look, rules: CollectionPolicy, state: RecordState) -> str:
    """A name of a record for people: its first text field that has one value, else its id."""
    for field in readable(look, rules):
        plain = field.type.kind == "string" and field.merge is not MergeKind.SET
        if plain and not in_conflict(state, field):
            value = read_field(state, field)
            if isinstance(value, str) and value.strip():
                return value
    return state.record
