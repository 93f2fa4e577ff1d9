"""Reading a record: what each field shows, given its visible entries and its rule.

Reading never depends on the order of delivery (invariant 5): own pending
values are shown first, then the largest (effective time, op_id).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from crdtsync.documents.conflict import Candidate, Conflict, Resolver, moment
from crdtsync.documents.folding import sum_of_deltas
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark
from crdtsync.documents.state import Entry, RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind


def shown_entry(state: RecordState, entries: list[Entry]) -> Entry:
    """The entry that a last-writer-wins field shows among several visible ones."""
    if len(entries) == 1:
        return entries[0]
    place = {op_id: n for n, op_id in enumerate(state.pending)}
    return max(entries, key=lambda e: (place.get(e.op_id, -1), e.effective_us, e.op_id, e.n))


def candidates(field: FieldPolicy, entries: list[Entry]) -> list[Candidate]:
    """The distinct values of a field in a fixed order (by author's time, then op_id)."""
    groups: dict[object, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: (e.time_us, e.op_id, e.n)):
        groups.setdefault(field.key(entry.value), []).append(entry)
    return [
        Candidate(
            value=field.decode(group[0].value),
            user=group[0].user,
            at=moment(group[0].time_us),
            op_id=group[0].op_id,
            pending=all(entry.seq == 0 for entry in group),
            entries=tuple(entry.id for entry in group),
        )
        for group in groups.values()
    ]


def is_open(field: FieldPolicy, entries: Collection[Entry]) -> bool:
    """Whether these entries of a field are values between which only a person chooses.

    A conflict that was open when its field stopped being ``manual`` stays one
    (invariant 6). It is told by its confirmed entries: where the log settles, it
    leaves a single one.
    """
    if field.merge in (MergeKind.SERVER_LATEST, MergeKind.USER_LATEST):
        entries = [entry for entry in entries if entry.seq]
    elif field.merge is not MergeKind.MANUAL:
        return False
    return len(entries) > 1 and len({field.key(entry.value) for entry in entries}) > 1


def read_field(state: RecordState, field: FieldPolicy, resolver: Resolver | None = None) -> Any:
    """The value of a field: its Python value, a ``Conflict``, or the empty value.

    A register that was never written, or was cleared, reads None; a counter 0;
    a set is empty.
    """
    entries = list(state.visible(field.root))
    if field.merge is MergeKind.COUNTER:
        return sum_of_deltas([entry.value for entry in entries])
    if field.merge is MergeKind.SET:
        return frozenset(field.decode(entry.value) for entry in entries)
    if not entries:
        return None
    if is_open(field, entries):
        found = candidates(field, entries)
        return Conflict(state.collection, state.record, field.name, found, resolver)
    if field.merge is MergeKind.MANUAL and len(entries) > 1:
        return candidates(field, entries)[0].value
    return field.decode(shown_entry(state, entries).value)


def in_conflict(state: RecordState, field: FieldPolicy) -> bool:
    """Whether a person has to choose."""
    entries = state.fields.get(field.root)
    return entries is not None and len(entries) > 1 and is_open(field, entries.values())


def conflicts(state: RecordState, policy: CollectionPolicy) -> list[FieldPolicy]:
    """The fields of a record that wait for a person."""
    # Nearly every field has one entry or none, which this finds without a call for each.
    several = {root for root, entries in state.fields.items() if len(entries) > 1}
    if not several:
        return []
    return [
        field
        for field in policy.fields.values()
        if field.root in several and in_conflict(state, field)
    ]


def is_deleted(state: RecordState, policy: CollectionPolicy) -> bool:
    """Whether the record is deleted.

    Under ``keep`` a visible write outside the base of a delete outweighs it: the
    server says so in the log, and before it has spoken the same rule is used.
    Of what is confirmed the log has decided already: a delete that stands there
    was outweighed by nothing that stands beside it.
    """
    if DELETION_ROOT not in state.fields:
        return False
    marks = [
        (entry, mark.covering())
        for entry in state.visible(DELETION_ROOT)
        if (mark := DeleteMark.parse(entry.value)).deleted
    ]
    if not marks:
        return False
    if policy.on_delete_conflict == "delete":
        return True
    deleters = {entry.op_id for entry, _ in marks}
    others = [entry for _, entry in state.entries() if entry.op_id not in deleters]
    return any(
        all((gone.seq and entry.seq) or covers(entry.seq, entry.op_id) for entry in others)
        for gone, covers in marks
    )


def exists(state: RecordState, policy: CollectionPolicy) -> bool:
    """Whether there is a record to show: written once, and not deleted."""
    written = state.seq > 0 or bool(state.pending) or not state.is_empty
    return written and not is_deleted(state, policy)
