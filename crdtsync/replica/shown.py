"""What a replica shows: confirmed entries with the outbox on top.

``records.state`` holds confirmed entries and nothing else; what is shown is
computed from it and the outbox, and only its JSON ``view`` is kept, for queries:
an array of comparable values for each field that was ever written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple
from unicodedata import is_normalized

import msgspec

from crdtsync.documents.folding import add_deltas, fold_counters
from crdtsync.documents.ops import Op
from crdtsync.documents.reading import conflicts, exists, is_open, shown_entry
from crdtsync.documents.state import Entry, RecordState
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.replica.file import ReplicaFile

_OPS = msgspec.msgpack.Decoder(Op)
OPS_REMEMBERED = 4_096
"""Decoded ops that are kept: rapid edits of one record read the same ones again and again."""

VIEW_FORMAT = 2
"""Raised when ``view`` changes: views of another format are built anew at opening."""


@lru_cache(maxsize=OPS_REMEMBERED)
def read_op(data: bytes) -> Op:
    """An op as it lies in the queue. Ops are immutable, so one is shared."""
    return _OPS.decode(data)


def confirmed(file: ReplicaFile, collection: str, record: str) -> RecordState:
    """The record as the log left it."""
    row = file.one("record_state", collection, record)
    if row is None or row[0] is None:
        return RecordState(collection, record)
    return RecordState.decode(collection, record, row[0])


class Waiting(NamedTuple):
    """An op of a record that is in the queue, as far as others need to know of it."""

    state: str
    user: str


class Shown(NamedTuple):
    """A record with its pending ops on top, and all of its ops that are in the queue."""

    state: RecordState
    queue: list[Waiting]

    @property
    def sync_state(self) -> str:
        """``pending``, ``sending``, ``failed`` or ``synced``: for an icon beside a record."""
        return sync_state([op.state for op in self.queue])


def sync_state(states: Collection[str]) -> str:
    """The one word for ops in these states."""
    if not states:
        return "synced"
    if "failed" in states:
        return "failed"
    return "pending" if all(state == "pending" for state in states) else "sending"


def shown(file: ReplicaFile, collection: str, record: str) -> Shown:
    """The record as people see it: its confirmed entries with its pending ops on top."""
    state, queue = RecordState(collection, record), []
    for part, _, content, op_state, retry_at_us, user in file.all("shown", collection, record):
        if part == 0:
            if content is not None:
                state = RecordState.decode(collection, record, content)
            continue
        queue.append(Waiting(op_state, user))
        if op_state != "failed" or retry_at_us is not None:
            state.overlay(read_op(content))
    return Shown(state, queue)


def refresh(file: ReplicaFile, collection: str, record: str) -> None:
    """Bring the row of a record up to date with its entries and the outbox."""
    state = shown(file, collection, record).state
    row = file.one("record_state", collection, record)
    if state.is_empty and (row is None or row[0] is None):
        file.run("drop_record", collection, record)
        return
    store_shown(file, state)


def store_shown(file: ReplicaFile, state: RecordState) -> None:
    """Write the row of a record whose pending ops are on top already."""
    file.run("put_shown", state.collection, state.record, *_columns(file, state))


def store_confirmed(file: ReplicaFile, states: Iterable[RecordState]) -> None:
    """Write the confirmed entries of records, and refresh what is shown of them.

    The states are used up: pending ops are laid on top of them.
    """
    is_queue_empty = file.one("any_queued") is None
    file.put_rows("put_record", (confirmed_row(file, state, is_queue_empty) for state in states))


def confirmed_row(file: ReplicaFile, state: RecordState, is_alone: bool) -> tuple[Any, ...]:
    """The values of ``put_record``; the state is used up. ``is_alone``: no op of it waits."""
    fold_counters(state)
    data = state.encode()
    if not is_alone:
        for (op,) in file.all("overlay", state.collection, state.record):
            state.overlay(read_op(op))
    return (state.collection, state.record, data, *_columns(file, state))


def rebuild_views(file: ReplicaFile) -> None:
    """Compute every view anew where they were made under another policy or format."""
    made_for = f"{VIEW_FORMAT} {file.policy.hash}"
    if file.text("views_for") != made_for:
        for collection, record in file.all("all_records"):
            refresh(file, collection, record)
        file.put("views_for", made_for)


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
    """What may be asked for, as one JSON object of arrays; unset fields are left out.

    A field that settles has one value, a set its elements, and a field in
    conflict all of its candidates: none is left out until somebody chose.
    """
    parts = []
    fields = state.fields
    for field, name, root, is_string in _viewed(policy):
        entries = fields.get(root)
        if not entries:
            continue
        if len(entries) == 1:
            (entry,) = entries.values()
            value = entry.value
            # The plainest texts are known without a call.
            plain = is_string and value[:1] == '"' and value.isascii()
            if plain or is_own_key(field, value):
                parts.append(f"{name}:[{value}]")
                continue
        parts.append(f"{name}:[{','.join(_values(state, field, list(entries.values())))}]")
    return "{" + ",".join(parts) + "}"


@lru_cache(maxsize=256)
def _viewed(policy: CollectionPolicy) -> list[tuple[FieldPolicy, str, str, bool]]:
    return [
        (field, name, field.root, field.type.kind == "string")
        for field, name in named_fields(policy)
    ]


@lru_cache(maxsize=256)
def named_fields(policy: CollectionPolicy) -> list[tuple[FieldPolicy, str]]:
    """The fields, each with its name as a view spells it."""
    return [(field, _quoted(field.name)) for field in policy.fields.values()]


def _values(state: RecordState, field: FieldPolicy, entries: list[Entry]) -> Iterable[str]:
    if field.merge is MergeKind.COUNTER:
        return (comparable(field, add_deltas([entry.value for entry in entries])),)
    if len(entries) == 1:
        return (comparable(field, entries[0].value),)
    if field.merge in (MergeKind.SET, MergeKind.MANUAL) or is_open(field, entries):
        return sorted({comparable(field, entry.value) for entry in entries})
    return (comparable(field, shown_entry(state, entries).value),)


def is_own_key(field: FieldPolicy, text: str) -> bool:
    """Whether a text is plainly its own comparable form, as days and nearly all texts are."""
    if text[:1] != '"':
        return False
    kind = field.type.kind
    if kind == "string":
        return text.isascii() or ("\\" not in text and is_normalized("NFC", text))
    return kind == "date" and _is_plain_date(text)


def _is_plain_date(text: str) -> bool:
    day = text[1:-1]
    try:
        # Python reads other spellings of a day, too, but writes only this one.
        return date.fromisoformat(day).isoformat() == day and text[-1] == '"'
    except ValueError:
        return False


def comparable(field: FieldPolicy, text: str) -> str:
    """JSON that is alike for equal values, and that sorts as the values do.

    Equality is the policy's: decimals by value, datetimes by instant, text in NFC.
    """
    if text == "null":
        return text
    key = str(field.key(text))
    kind = field.type if field.merge is not MergeKind.SET else field.type.leaf
    if not kind.is_scalar:
        return _quoted(key)
    # The key of an instant is "@" and its microseconds since 1970.
    return key.removeprefix("@")


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
