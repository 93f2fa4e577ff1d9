"""Making ops: from what a person wants to the entries that a write adds and replaces.

Each function looks at a record as it is shown, at what the writer had seen
(``based_on``, else everything visible now), and gives one op, or None where
there is nothing to change. Nothing is applied here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from crdtsync.documents.errors import InvalidOp, NotPermitted, UnresolvedConflict, UsageError
from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_DELETE_BASE,
    DeleteMark,
    EntryId,
    FieldWrite,
    Op,
    check_op,
)
from crdtsync.documents.reading import in_conflict, is_open
from crdtsync.documents.settling import check_permitted
from crdtsync.documents.state import Entry, RecordState
from crdtsync.documents.versions import Basis, version_of
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind

_NOTHING: Mapping[EntryId, Entry] = MappingProxyType({})


class Authorship(msgspec.Struct, frozen=True, gc=False):
    """Who writes, when, and under which idempotency key."""

    op_id: str
    user: str
    time_us: int
    roles: frozenset[str] | None = None
    """None before the server has said them: then nothing is refused for a role."""


def update(
    state: RecordState,
    policy: CollectionPolicy,
    fields: Mapping[str, object],
    author: Authorship,
    *,
    based_on: Basis | None = None,
    replaces: str | None = None,
) -> Op | None:
    """Write fields: registers get the value, set fields the difference to their base.

    Raises ``UnresolvedConflict`` where the writer saw several values of a
    ``manual`` field, ``InvalidValue`` for a value that does not fit.
    """
    if not fields:
        raise UsageError("nothing to write; name at least one field")
    writes: dict[str, FieldWrite] = {}
    for name, value in fields.items():
        field = policy.fields.get(name) or field_named(policy, name)
        root = field.root
        if root[0] == "r":
            writes[root] = _assign_register(state, field, value, based_on)
        elif root[0] == "c":
            raise UsageError(f"{name} is a counter; use increment({name!r}, by)")
        else:
            write = _assign_set(state, field, value, based_on)
            if write is not None:
                writes[root] = write
    return _op(state, policy, writes, author, replaces) if writes else None


def resolve(
    state: RecordState,
    policy: CollectionPolicy,
    name: str,
    value: object,
    seen: Collection[EntryId],
    author: Authorship,
) -> Op:
    """Choose between candidates: replaces exactly those in ``seen``."""
    field = field_named(policy, name)
    if field.merge is not MergeKind.MANUAL and not in_conflict(state, field):
        raise UsageError(f"{name} settles by itself ({field.merge}); use update")
    write = FieldWrite((field.encode(value),), tuple(dict.fromkeys(seen)))
    return _op(state, policy, {field.root: write}, author, None)


def increment(
    state: RecordState,
    policy: CollectionPolicy,
    deltas: Mapping[str, int | Decimal],
    author: Authorship,
) -> Op:
    """Add to counters."""
    writes: dict[str, FieldWrite] = {}
    for name, delta in deltas.items():
        field = field_named(policy, name)
        if field.merge is not MergeKind.COUNTER:
            raise UsageError(f"{name} is not a counter ({field.merge}); use update")
        writes[field.root] = FieldWrite((field.encode_delta(delta),))
    return _op(state, policy, writes, author, None)


def change_set(
    state: RecordState,
    policy: CollectionPolicy,
    name: str,
    author: Authorship,
    *,
    add: Iterable[object] = (),
    remove: Iterable[object] = (),
    based_on: Basis | None = None,
) -> Op | None:
    """Add elements to a set, or take out those that the writer saw."""
    field = field_named(policy, name)
    if field.merge is not MergeKind.SET:
        raise UsageError(f"{name} is not a set that merges by element ({field.merge}); use update")
    adding = {field.key(text): text for text in map(field.encode_element, add)}
    removing = {field.key(field.encode_element(value)) for value in remove}
    if not adding.keys().isdisjoint(removing):
        raise UsageError(f"{name}: an element is both added and removed")
    seen = _seen(state, field.root, based_on)
    gone = tuple(
        entry.id for entry in seen if (key := field.key(entry.value)) in removing or key in adding
    )
    if not adding and not gone:
        return None
    write = FieldWrite(tuple(adding.values()), gone)
    return _op(state, policy, {field.root: write}, author, None)


def delete(
    state: RecordState,
    policy: CollectionPolicy,
    author: Authorship,
    *,
    based_on: Basis | None = None,
) -> Op:
    """Delete the record; what the writer had not seen brings it back (``keep``)."""
    base = based_on.version if based_on is not None else version_of(state)
    if len(base.ops) > MAX_DELETE_BASE:
        raise UsageError("this record has too many unsent changes; sync before deleting it")
    mark = DeleteMark(True, base.ops, base.seq)
    return _mark(state, policy, mark, author, based_on)


def restore(state: RecordState, policy: CollectionPolicy, author: Authorship) -> Op:
    """Bring a deleted record back, with the values that it has."""
    return _mark(state, policy, DeleteMark(False), author, None)


def inherit(
    op: Op,
    gone: Op,
    policy: CollectionPolicy | None,
    value_of: Callable[[str, EntryId], str | None],
    *,
    keep_name: bool = True,
) -> Op:
    """``op`` after ``gone`` was refused, discarded or replaced before it.

    Where ``op`` named an entry of ``gone`` it now also supersedes what ``gone``
    had superseded there; in a set, only the adds of the same elements
    (``value_of`` tells the value of an entry if it is still known). With
    ``keep_name`` the name of ``gone`` stays, so that it is already superseded
    should it reach the server after all.
    """
    writes = dict(op.writes)
    for root, write in op.writes.items():
        named = {seen for seen in write.supersedes if seen.op_id == gone.op_id}
        if not named or root not in gone.writes:
            continue
        theirs = gone.writes[root]
        inherited: Iterable[EntryId] = theirs.supersedes
        if root.startswith("s/"):
            key = _element_key(policy, root)
            mine = {key(theirs.values[s.n]) for s in named if s.n < len(theirs.values)}
            inherited = [
                seen
                for seen in theirs.supersedes
                if (value := value_of(root, seen)) is not None and key(value) in mine
            ]
        kept = [seen for seen in write.supersedes if keep_name or seen not in named]
        # A removal of what is gone now has nothing else to name.
        kept = kept if kept or write.values else list(write.supersedes)
        merged = dict.fromkeys([*kept, *inherited])
        merged.pop(EntryId(op.op_id, 0), None)
        writes[root] = FieldWrite(write.values, tuple(merged))
    return _with_writes(op, writes)


def field_named(policy: CollectionPolicy, name: str) -> FieldPolicy:
    """The field, or a UsageError that names the known ones."""
    field = policy.fields.get(name)
    if field is None:
        raise UsageError(
            f"{policy.name} has no field {name!r}; the policy knows: {', '.join(policy.fields)}"
        )
    return field


def _seen(state: RecordState, root: str, based_on: Basis | None) -> list[Entry]:
    return list(state.visible(root)) if based_on is None else based_on.seen(state, root)


def _shown(state: RecordState, root: str, based_on: Basis | None) -> list[Entry]:
    return list(state.visible(root)) if based_on is None else based_on.shown(state, root)


def _assign_register(
    state: RecordState, field: FieldPolicy, value: object, based_on: Basis | None
) -> FieldWrite:
    root = field.root
    if based_on is None:
        standing = state.fields.get(root, _NOTHING)
        gone = tuple(standing)
        shown: Collection[Entry] = standing.values()
    else:
        gone = tuple([entry.id for entry in based_on.seen(state, root)])
        shown = based_on.shown(state, root)
    if len(shown) > 1 and is_open(field, shown):
        raise UnresolvedConflict(
            f"{field.collection}/{state.record}: the field {field.name!r} has different "
            "values; read it and choose with `await conflict.resolve(value)`"
        )
    return FieldWrite((field.encode(value),), gone)


def _assign_set(
    state: RecordState, field: FieldPolicy, value: object, based_on: Basis | None
) -> FieldWrite | None:
    if value is None:
        value = ()
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise UsageError(f"{field.name} is a set; pass a set of values, not {value!r}")
    wanted = {field.key(text): text for text in map(field.encode_element, value)}
    seen = _seen(state, field.root, based_on)
    present = {field.key(entry.value) for entry in _shown(state, field.root, based_on)}
    gone = tuple(entry.id for entry in seen if field.key(entry.value) not in wanted)
    added = tuple(text for key, text in wanted.items() if key not in present)
    return FieldWrite(added, gone) if added or gone else None


def _mark(
    state: RecordState,
    policy: CollectionPolicy,
    mark: DeleteMark,
    author: Authorship,
    based_on: Basis | None,
) -> Op:
    seen = tuple(entry.id for entry in _seen(state, DELETION_ROOT, based_on))
    write = FieldWrite((mark.text(),), seen)
    return _op(state, policy, {DELETION_ROOT: write}, author, None)


def _op(
    state: RecordState,
    policy: CollectionPolicy,
    writes: dict[str, FieldWrite],
    author: Authorship,
    replaces: str | None,
) -> Op:
    op = Op(
        author.op_id,
        author.user,
        state.collection,
        state.record,
        author.time_us,
        writes,
        replaces,
    )
    check_op(op)
    try:
        # The fields are the policy's own and their values come from its encode methods, so
        # only the role can be wrong.
        for root in writes:
            check_permitted(root, policy, author.roles)
    except InvalidOp as error:
        raise NotPermitted(f"{policy.name}/{state.record}: {error}") from error
    return op


def _with_writes(op: Op, writes: dict[str, FieldWrite]) -> Op:
    return Op(op.op_id, op.user, op.collection, op.record, op.time_us, writes, op.replaces)


def _element_key(policy: CollectionPolicy | None, root: str) -> Callable[[str], object]:
    field = policy.by_root.get(root) if policy is not None else None
    return field.key if field is not None else str
