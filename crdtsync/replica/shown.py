"""What a replica shows: confirmed entries with the outbox on top.

``records.state`` holds confirmed entries and nothing else; what is shown is
computed from it and the outbox, and only its JSON ``view`` is kept, for queries.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crdtsync.documents.folding import add_deltas, fold_counters
from crdtsync.documents.ops import Op
from crdtsync.documents.reading import candidates, conflicts, exists, in_conflict, shown_entry
from crdtsync.documents.state import RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.replica.file import ReplicaFile

OPS = msgspec.msgpack.Decoder(Op)

CONFLICT_KEY = "~"
"""In the view a field in conflict is ``{"~": [value, …]}``: never one of the values."""


def confirmed(file: ReplicaFile, collection: str, record: str) -> RecordState:
    """The record as the log left it."""
    row = file.one("record_state", collection, record)
    if row is None or row[0] is None:
        return RecordState(collection, record)
    return RecordState.decode(collection, record, row[0])


def shown(file: ReplicaFile, collection: str, record: str) -> RecordState:
    """The record with its pending ops on top."""
    state = confirmed(file, collection, record)
    for (data,) in file.all("overlay", collection, record):
        state.overlay(OPS.decode(data))
    return state


def refresh(file: ReplicaFile, collection: str, record: str) -> None:
    """Bring the row of a record up to date with its entries and the outbox."""
    state = shown(file, collection, record)
    row = file.one("record_state", collection, record)
    if state.is_empty and (row is None or row[0] is None):
        file.run("drop_record", collection, record)
        return
    file.run("put_shown", collection, record, *_columns(file, state))


def store_confirmed(file: ReplicaFile, state: RecordState) -> None:
    """Write the confirmed entries of a record, and refresh what is shown of it."""
    fold_counters(state)
    data = state.encode()
    overlay = file.all("overlay", state.collection, state.record)
    for (op,) in overlay:
        state.overlay(OPS.decode(op))
    view, deleted, conflicting, pending = _columns(file, state)
    file.run(
        "put_record", state.collection, state.record, data, view, deleted, conflicting, pending
    )


def rebuild_views(file: ReplicaFile) -> None:
    """Compute every view anew, after the policy changed."""
    for collection, record, _ in file.all("all_records"):
        refresh(file, collection, record)


def _columns(file: ReplicaFile, state: RecordState) -> tuple[str, int, int, int]:
    policy = file.policy.collections.get(state.collection)
    if policy is None:
        # A collection of a newer policy: carried along, shown once it is known.
        return "", 0, 0, len(state.pending)
    deleted = not exists(state, policy)
    return (
        view(state, policy),
        int(deleted),
        0 if deleted else len(conflicts(state, policy)),
        len(state.pending),
    )


def view(state: RecordState, policy: CollectionPolicy) -> str:
    """The shown values as one JSON object; unset fields are left out."""
    parts = []
    for field in policy.fields.values():
        text = _field_text(state, field)
        if text is not None:
            parts.append(f"{_quoted(field.name)}:{text}")
    return "{" + ",".join(parts) + "}"


def _field_text(state: RecordState, field: FieldPolicy) -> str | None:
    entries = list(state.visible(field.root))
    if not entries:
        return None
    if field.merge is MergeKind.COUNTER:
        return add_deltas([entry.value for entry in entries])
    if field.merge is MergeKind.SET:
        return _array(sorted({field.key(e.value): e.value for e in entries}.values()))
    if field.merge is MergeKind.MANUAL and in_conflict(state, field):
        texts = [field.encode(c.value) for c in candidates(field, entries)]
        return "{" + f"{_quoted(CONFLICT_KEY)}:{_array(texts)}" + "}"
    return shown_entry(state, entries).value


def _array(texts: Iterable[str]) -> str:
    return "[" + ",".join(texts) + "]"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
