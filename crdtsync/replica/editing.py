"""Editing a queued op: the same place in the queue, a new op_id, other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import DELETION_ROOT, FieldWrite, Op, check_op
from crdtsync.documents.settling import check_against_policy
from crdtsync.documents.writing import field_named
from crdtsync.policy import CollectionPolicy, MergeKind
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import Row
from crdtsync.replica.taking_back import edited


class Editor(Protocol):
    """Who edits, and when."""

    user: str

    def now_us(self) -> int:
        """The wall clock."""
        ...

    def new_id(self) -> str:
        """A new UUID v4."""
        ...


def edited_op(
    file: ReplicaFile,
    row: Row,
    fields: Mapping[str, object],
    leave_out: Sequence[str],
    editor: Editor,
) -> Op:
    """The op that takes the place of ``row``; raises InvalidValue or UsageError."""
    if row.user != editor.user:
        raise UsageError(f"{row.op_id} was written by {row.user}; only its author edits it")
    if DELETION_ROOT in row.op.writes:
        raise UsageError("a delete or restore has nothing to edit; discard it instead")
    policy = file.collection(row.collection)
    dropped = {_root(policy, row.op, name) for name in leave_out}
    writes = {root: write for root, write in row.op.writes.items() if root not in dropped}
    for name, value in fields.items():
        root = _root(policy, row.op, name)
        if root in writes:
            writes[root] = FieldWrite(_values(policy, name, value), ())
    if not writes:
        raise UsageError("nothing would be left of this change; discard it instead")
    stamp_us = file.clock.stamp(editor.now_us())
    op = Op(editor.new_id(), row.user, row.collection, row.record, stamp_us, writes, row.op_id)
    op = edited(row, op)
    check_op(op)
    check_against_policy(op, policy, file.roles_of(row.user))
    return op


def _root(policy: CollectionPolicy, op: Op, name: str) -> str:
    # A field that the policy no longer knows can still be left out.
    for root in op.writes:
        if root.partition("/")[2] == name:
            return root
    field_named(policy, name)
    raise UsageError(f"this change does not write {name!r}; make a new change for it")


def _values(policy: CollectionPolicy, name: str, value: object) -> tuple[str, ...]:
    field = field_named(policy, name)
    if field.merge is MergeKind.COUNTER:
        return (field.encode_delta(value),)
    if field.merge is MergeKind.SET:
        # What the change had replaced belongs to its elements one by one.
        raise UsageError(f"{name} is a set; discard this change and make a new one")
    return (field.encode(value),)
