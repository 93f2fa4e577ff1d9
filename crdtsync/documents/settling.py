"""The server's decision on one op: what it removes, who wins, what people must choose.

``decide`` is one pure function from (record, op, policy, receive time) to a
``Decision``; it changes nothing. The same decision is what history explains
later, so every removal carries its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from crdtsync.documents.clock import effective_time
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.identity import client_id, holds_id
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, FieldWrite, Op
from crdtsync.documents.reading import is_open
from crdtsync.documents.state import Entry, LogEntry, Outcome, RecordState, Removal
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind

MAX_CANDIDATES = 16
"""Distinct values that may stand side by side in one ``manual`` field. More than
a person can compare is no choice any more; a further one needs a person first."""

MAX_ALIKE = 1_000
"""Entries of one ``manual`` field, equal values included: writes of the same value that had
not seen each other count as one for people, but each is kept. Fewer than one op may
replace (``MAX_SUPERSEDES``), so that a field which is full can always be chosen for."""

MAX_DELETE_MARKS = 64
"""Deletes and restores of one record that stand side by side. Beyond it the oldest leaves:
what only that one had seen brings the record back then, so nothing is lost by it."""

MAX_SET_ELEMENTS = 10_000
"""Visible entries of one ``set`` field, so that a record stays bounded."""

_NOTHING: dict[EntryId, Entry] = {}

OpsSince = Callable[[int], Iterable[tuple[int, str, bool]]]
"""(seq, op_id, is_delete) of the record's log entries above a seq."""


class ConflictChange(msgspec.Struct, frozen=True):
    """A ``manual`` field changed the number of its distinct candidates."""

    root: str
    before: tuple[EntryId, ...]
    after: tuple[EntryId, ...]
    kind: str
    """``opened``, ``changed`` (candidates joined or left), ``resolved`` or ``agreed``."""


class ItemIds(NamedTuple):
    """The packed ids of items, for deciding on a record of which not every field is at hand."""

    own: tuple[bytes, ...]
    """Of the op's entries (``item_ids_of``)."""
    visible: bytes
    """Of all visible entries of the record; of others that left it as well, perhaps."""


class Decision(msgspec.Struct, frozen=True):
    """What accepting an op means. Nothing is decided anywhere else."""

    effective_us: int
    removed: tuple[Removal, ...]
    outcomes: dict[str, Outcome]
    revived: bool
    unseen: tuple[tuple[str, EntryId], ...]
    """Superseded entries that the record does not show: gone before, or never
    received (then they become graves)."""
    conflicts: tuple[ConflictChange, ...]


def check_against_policy(
    op: Op, policy: CollectionPolicy, roles: frozenset[str] | set[str] | None
) -> None:
    """Refuse fields, shapes, values and roles that the policy does not allow.

    Raises InvalidOp or ``crdtsync.policy.InvalidValue``. ``roles`` None means
    that they are not known yet, and refuses nothing for a role.
    """
    for root, write in op.writes.items():
        field = check_permitted(root, policy, roles)
        if field is not None:
            for value in write.values:
                field.check(value)


def check_permitted(
    root: str, policy: CollectionPolicy, roles: frozenset[str] | set[str] | None
) -> FieldPolicy | None:
    """Refuse fields that the policy does not have, and those that these roles may not write.

    Returns the field; None for the register of deletion. Raises InvalidOp.
    """
    if root == DELETION_ROOT:
        if not policy.may_delete(roles):
            raise InvalidOp("not_permitted", "your role may not delete or restore these")
        return None
    field = policy.by_root.get(root)
    if field is None:
        raise _no_such_field(root, policy)
    if not field.may_write(roles):
        raise InvalidOp("not_permitted", f"your role may not write {field.name}", field=field.name)
    return field


def _no_such_field(root: str, policy: CollectionPolicy) -> InvalidOp:
    name = root.partition("/")[2]
    known = policy.fields.get(name)
    if known is not None:
        return InvalidOp(
            "wrong_shape",
            f"{name} has the shape {known.root!r} in this policy, not {root!r}",
            field=name,
        )
    return InvalidOp(
        "unknown_field",
        f"{policy.name} has no field {name!r}; known: {', '.join(policy.fields)}",
        field=name,
    )


def decide(
    state: RecordState,
    op: Op,
    policy: CollectionPolicy,
    *,
    received_us: int,
    graves: frozenset[tuple[str, EntryId]] | set[tuple[str, EntryId]] = frozenset(),
    ops_since: OpsSince = lambda seq: (),
    ids: ItemIds | None = None,
) -> Decision:
    """Decide an op that passed ``check_op`` and ``check_against_policy``.

    ``graves`` are the op's own entries that a later op, received earlier, had
    already superseded. With ``ids``, ``state`` need not hold more fields than those
    that the op writes, and the register of deletion. Raises InvalidOp
    (``id_collision``, ``too_many_candidates``, ``too_large``).
    """
    if ids is None:
        _check_collisions(state, op)
    else:
        _check_ids(ids)
    superseded_us = 0
    removed: list[Removal] = []
    unseen: list[tuple[str, EntryId]] = []
    for root, write in op.writes.items():
        entries = state.fields.get(root, _NOTHING)
        for seen in write.supersedes:
            entry = entries.get(seen)
            if entry is None:
                unseen.append((root, seen))
            else:
                superseded_us = max(superseded_us, entry.effective_us)
                removed.append(Removal(root, seen.op_id, seen.n, "superseded"))
    effective_us = effective_time(op.time_us, received_us, superseded_us)
    outcomes: dict[str, Outcome] = {}
    conflicts: list[ConflictChange] = []
    for root, write in op.writes.items():
        field = policy.by_root.get(root)
        if field is not None and not graves:
            usual = _settle_usual(state.fields.get(root, _NOTHING), root, write, field)
            if usual is not None:
                removed.extend(usual)
                outcomes[root] = "applied"
                continue
        losers, outcome, change = _settle_field(state, op, root, write, field, effective_us, graves)
        removed.extend(losers)
        outcomes[root] = outcome
        if change is not None:
            conflicts.append(change)
    revived = _revivals(state, op, policy, ops_since, removed)
    if revived and DELETION_ROOT in op.writes:
        outcomes[DELETION_ROOT] = "superseded"
    return Decision(
        effective_us, tuple(removed), outcomes, revived, tuple(unseen), tuple(conflicts)
    )


def log_entry(
    op: Op, decision: Decision, *, seq: int, digest: bytes, received_us: int, prev_seq: int
) -> LogEntry:
    """The entry that puts a decision into the log."""
    return LogEntry(
        seq,
        digest,
        op.op_id,
        op.user,
        op.collection,
        op.record,
        op.time_us,
        received_us,
        decision.effective_us,
        {root: write.values for root, write in op.writes.items()},
        decision.removed,
        decision.outcomes,
        prev_seq,
        decision.revived,
    )


def _check_collisions(state: RecordState, op: Op) -> None:
    """Two entries of one document must not share an item id (53 bits of a hash)."""
    own: set[int] = set()
    count = 0
    for root, write in op.writes.items():
        for n in range(len(write.values)):
            own.add(client_id(root, EntryId(op.op_id, n)))
            count += 1
    if len(own) < count:
        raise InvalidOp("id_collision", "two entries of this op hash alike")
    for root, entries in state.fields.items():
        for entry_id in entries:
            if client_id(root, entry_id) in own and entry_id.op_id != op.op_id:
                raise InvalidOp("id_collision", "an entry of another op hashes alike")


def _check_ids(ids: ItemIds) -> None:
    """The same as ``_check_collisions``."""
    own, visible = ids
    if len(own) > 1 and len(set(own)) < len(own):
        raise InvalidOp("id_collision", "two entries of this op hash alike")
    for one in own if visible else ():
        if one in visible and holds_id(visible, one):
            raise InvalidOp("id_collision", "an entry of another op hashes alike")


def _settle_field(
    state: RecordState,
    op: Op,
    root: str,
    write: FieldWrite,
    field: FieldPolicy | None,
    effective_us: int,
    graves: frozenset[tuple[str, EntryId]] | set[tuple[str, EntryId]],
) -> tuple[list[Removal], Outcome, ConflictChange | None]:
    new = [
        Entry(op.op_id, n, value, op.time_us, op.user, effective_us, 0)
        for n, value in enumerate(write.values)
        if not graves or (root, EntryId(op.op_id, n)) not in graves
    ]
    late = [
        Removal(root, op.op_id, n, "late")
        for n in (range(len(write.values)) if graves else ())
        if (root, EntryId(op.op_id, n)) in graves
    ]
    superseded = frozenset(write.supersedes)
    visible = state.fields.get(root, _NOTHING)
    before = list(visible.values())
    remaining = [entry for key, entry in visible.items() if key not in superseded]
    if field is None:
        # The deletion register: concurrent deletes agree, so nothing is settled.
        oldest = remaining[: max(len(remaining) + len(new) - MAX_DELETE_MARKS, 0)]
        late += [Removal(root, e.op_id, e.n, "superseded") for e in oldest]
        return late, "applied" if new else "superseded", None
    if is_open(field, before):
        # Also where the field settles by now: whoever made it so chose no value.
        return _keep_for_a_person(root, op, field, before, remaining, new, late)
    if field.merge is MergeKind.SERVER_LATEST:
        if not new:
            return late, "superseded", None
        losers = [Removal(root, e.op_id, e.n, "lost_received") for e in remaining]
        return losers, "applied", None
    if field.merge is MergeKind.USER_LATEST:
        return _settle_by_user_time(root, op, remaining, new, late)
    if field.merge is MergeKind.MANUAL:
        return _keep_for_a_person(root, op, field, before, remaining, new, late)
    if len(remaining) + len(new) > MAX_SET_ELEMENTS and field.merge is MergeKind.SET:
        raise InvalidOp(
            "too_large", f"{field.name} holds {MAX_SET_ELEMENTS} elements", field=field.name
        )
    return late, "superseded" if late and not new else "applied", None


def _settle_usual(
    visible: Mapping[EntryId, Entry], root: str, write: FieldWrite, field: FieldPolicy
) -> Sequence[Removal] | None:
    """What most writes that apply remove besides what they supersede: nothing where all count
    or where the one new entry stands alone, and the entry that stands where the last one wins.
    None: the whole rule has to be asked."""
    if field.merge is MergeKind.COUNTER:
        return ()
    if len(write.values) != 1 or len(visible) > 1:
        return None  # several may be a conflict, also from when the field was ``manual``
    for key, entry in visible.items():
        if key not in write.supersedes:
            if field.merge is not MergeKind.SERVER_LATEST:
                return None
            return (Removal(root, entry.op_id, entry.n, "lost_received"),)
    return ()


def _settle_by_user_time(
    root: str, op: Op, remaining: list[Entry], new: list[Entry], late: list[Removal]
) -> tuple[list[Removal], Outcome, ConflictChange | None]:
    rivals = [*remaining, *new]
    if not rivals:
        return late, "superseded", None
    winner = max(rivals, key=lambda entry: (entry.effective_us, entry.op_id))
    losers = [
        Removal(root, entry.op_id, entry.n, "lost_user_time")
        for entry in rivals
        if entry is not winner
    ]
    return [*late, *losers], "applied" if winner.op_id == op.op_id else "superseded", None


def _keep_for_a_person(
    root: str,
    op: Op,
    field: FieldPolicy,
    before: list[Entry],
    remaining: list[Entry],
    new: list[Entry],
    late: list[Removal],
) -> tuple[list[Removal], Outcome, ConflictChange | None]:
    change = _candidates(root, op, field, before, remaining, new)
    conflict = len({field.key(e.value) for e in (*remaining, *new)}) > 1
    outcome: Outcome = "superseded" if not new else "conflict" if conflict else "applied"
    return late, outcome, change


def _candidates(
    root: str,
    op: Op,
    field: FieldPolicy,
    before: list[Entry],
    remaining: list[Entry],
    new: list[Entry],
) -> ConflictChange | None:
    after = [*remaining, *new]
    distinct_before = len({field.key(entry.value) for entry in before})
    distinct_after = len({field.key(entry.value) for entry in after})
    if distinct_after > MAX_CANDIDATES and distinct_after > distinct_before:
        raise InvalidOp(
            "too_many_candidates",
            f"{field.name} already has {distinct_before} different values; choose first",
            field=field.name,
        )
    if len(after) > MAX_ALIKE and len(after) > len(before):
        raise InvalidOp(
            "too_many_candidates",
            f"{field.name} was written {MAX_ALIKE} times without having been read in between; "
            "read it and choose first",
            field=field.name,
        )
    if distinct_before <= 1 and distinct_after <= 1:
        return None
    if distinct_before <= 1:
        kind = "opened"
    elif distinct_after > 1:
        kind = "changed"
    else:
        # Whoever replaced several different values at once chose between them.
        replaced = {field.key(e.value) for e in before} - {field.key(e.value) for e in remaining}
        kind = "resolved" if len(replaced) > 1 else "agreed"
    return ConflictChange(
        root, tuple(entry.id for entry in before), tuple(entry.id for entry in after), kind
    )


def _revivals(
    state: RecordState,
    op: Op,
    policy: CollectionPolicy,
    ops_since: OpsSince,
    removed: list[Removal],
) -> bool:
    """Under ``keep``, an edit outside the base of a delete takes the delete back."""
    if policy.on_delete_conflict != "keep":
        return False
    write = op.writes.get(DELETION_ROOT)
    if write is not None and DeleteMark.parse(write.values[0]).deleted:
        mark = DeleteMark.parse(write.values[0])
        covers = mark.covering()
        outside = any(
            not is_delete and not covers(seq, op_id)
            for seq, op_id, is_delete in ops_since(mark.seq)
        )
        if outside:
            removed.append(Removal(DELETION_ROOT, op.op_id, 0, "revived"))
        return outside
    if DELETION_ROOT not in state.fields:
        return False
    leaving = {(gone.op_id, gone.n) for gone in removed if gone.root == DELETION_ROOT}
    revived = False
    for entry in state.visible(DELETION_ROOT):
        mark = DeleteMark.parse(entry.value)
        if mark.deleted and (entry.op_id, entry.n) not in leaving and op.op_id not in mark.ops:
            removed.append(Removal(DELETION_ROOT, entry.op_id, entry.n, "revived"))
            revived = True
    return revived
