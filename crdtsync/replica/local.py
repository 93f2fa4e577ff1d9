"""Local writes: an op is made and queued in one transaction (invariant 1).

The op is made inside the job, from the record as it is shown at that moment, so
two writes that were started together see each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crdtsync.documents.errors import (
    ConflictChanged,
    RecordDeleted,
    RecordExists,
    UsageError,
)
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, Op, is_op_id
from crdtsync.documents.reading import exists, is_deleted
from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis
from crdtsync.documents.writing import Authorship, inherit
from crdtsync.policy import CollectionPolicy, InvalidValue
from crdtsync.replica import outbox
from crdtsync.replica.errors import NoSuchRecord
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.repeats import Same
from crdtsync.replica.seeing import delete_what_is_known
from crdtsync.replica.shown import Shown, Waiting, confirmed, read_op, shown, store_shown

Make = Callable[[RecordState, CollectionPolicy, Authorship], Op | None]


@dataclass(frozen=True, slots=True)
class Write:
    """One write that a caller asked for."""

    collection: str
    record: str
    make: Make
    op_id: str
    user: str
    now_us: int
    needs: str = "live"
    """What the record must be: ``live`` (not deleted), ``new``, ``present`` or ``deleted``."""
    based_on: Basis | None = None
    op_id_is_given: bool = True
    """Whether the caller chose the op_id, so that it may have been used before."""
    record_is_given: bool = True
    same: Same = lambda op: False
    """Whether an op that was written under this op_id before is this very write."""


@dataclass(frozen=True, slots=True)
class Written:
    """The record as it is shown after a write."""

    state: RecordState
    sync_state: str
    log_generation: int


def write(file: ReplicaFile, wanted: Write) -> Written:
    """Make the op and queue it, unless there is nothing to change.

    The same op_id again changes nothing and gives the record of the first time.
    """
    if wanted.op_id_is_given and (earlier := written_before(file, wanted.op_id)) is not None:
        earlier = _same_again(earlier, wanted)
        return _written(file, shown(file, earlier.collection, earlier.record))
    policy = file.collection(wanted.collection)
    before = shown(file, wanted.collection, wanted.record)
    state = before.state
    stamp_us = file.clock.stamp(wanted.now_us)
    _check_presence(state, policy, wanted)
    author = Authorship(wanted.op_id, wanted.user, stamp_us, file.roles_of(wanted.user))
    op = wanted.make(state, policy, author)
    if op is not None:
        if any(one.user != op.user and one.state != "acknowledged" for one in before.queue):
            op = _name_what_waits(file, op, policy)
        op = delete_what_is_known(file, op)
        outbox.append(file, op, wanted.now_us)
        state.overlay(op)
        store_shown(file, state)
        before.queue.append(Waiting("pending", op.user))
    return _written(file, before)


def _written(file: ReplicaFile, found: Shown) -> Written:
    return Written(found.state, found.sync_state, file.number("log_generation"))


def written_before(file: ReplicaFile, op_id: str) -> Op | None:
    """The op that this replica already wrote under ``op_id``."""
    if not is_op_id(op_id):
        raise UsageError(f"{op_id!r} is not a UUID v4; leave op_id out to have one made")
    row = outbox.row_of(file, op_id)
    if row is not None:
        return row.op
    accepted = file.one("accepted_op", op_id)
    return None if accepted is None else read_op(accepted[0])


def check_unchanged(state: RecordState, root: str, seen: tuple[EntryId, ...], name: str) -> None:
    """Refuse a choice when another candidate arrived since it was shown."""
    unseen = [entry for entry in state.visible(root) if entry.id not in seen]
    if unseen:
        raise ConflictChanged(
            f"{state.collection}/{state.record}: another value for {name!r} by "
            f"{unseen[0].user} arrived since; read the record again and choose"
        )


def check_required(policy: CollectionPolicy, names: set[str]) -> None:
    """A new record must bring its required fields."""
    for rule in policy.fields.values():
        if rule.required and rule.name not in names:
            raise InvalidValue(rule.name, "required")


def _same_again(earlier: Op, wanted: Write) -> Op:
    other = (
        earlier.collection != wanted.collection
        or earlier.user != wanted.user
        or (wanted.record_is_given and earlier.record != wanted.record)
        or not wanted.same(earlier)
    )
    if other:
        raise UsageError(
            f"the op_id {wanted.op_id} already belongs to another write, of "
            f"{earlier.collection}/{earlier.record}; make a new one for each write"
        )
    return earlier


def _check_presence(state: RecordState, policy: CollectionPolicy, wanted: Write) -> None:
    where = f"{wanted.collection}/{wanted.record}"
    there = exists(state, policy)
    gone = is_deleted(state, policy)
    if wanted.needs == "new" and there:
        raise RecordExists(f"{where} already exists; use update, or create without an id")
    # A form that was open before the delete still saves, and brings it back.
    saw_delete = wanted.based_on is None or _saw_delete(wanted.based_on, state)
    if wanted.needs in ("new", "live") and gone and saw_delete:
        raise RecordDeleted(f"{where} is deleted; restore it first")
    if wanted.needs == "present" and not there:
        raise NoSuchRecord(f"there is no {where} on this device")
    if wanted.needs == "deleted" and not gone:
        raise UsageError(f"{where} is not deleted; there is nothing to restore")


def _saw_delete(basis: Basis, state: RecordState) -> bool:
    seen = {entry.id for entry in basis.seen(state, DELETION_ROOT)}
    return any(
        entry.id in seen and DeleteMark.parse(entry.value).deleted
        for entry in state.visible(DELETION_ROOT)
    )


def _name_what_waits(file: ReplicaFile, op: Op, policy: CollectionPolicy) -> Op:
    """An op of another author may reach the server later than this one.

    It does not hold this one back, so this one also names what that op had
    superseded.
    """
    rows = outbox.rows_of_record(file, op.collection, op.record)
    others = [row for row in rows if row.user != op.user and row.state != "acknowledged"]
    state = confirmed(file, op.collection, op.record)
    values = {(root, entry.id): entry.value for root, entry in state.entries()}
    for row in rows:
        for root, written in row.op.writes.items():
            for n, value in enumerate(written.values):
                values[root, EntryId(row.op_id, n)] = value
    for row in reversed(others):
        op = inherit(op, row.op, policy, lambda root, seen: values.get((root, seen)))
    return op
