"""Taking queued ops back: edit, discard, and what later ops inherit from those that go.

An op that may have reached the server is not taken back at once: it waits,
visibly, until a fresh connection has said whether the server has it. All
functions run inside a transaction of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import msgspec

from crdtsync.documents.folding import add_deltas
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, FieldWrite, Op
from crdtsync.documents.writing import inherit
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import ENCODER, Row, ends, insert, rows_of_record
from crdtsync.replica.shown import confirmed, refresh


class Cancelling(msgspec.Struct, frozen=True):
    """What becomes of an op once the server has said that it does not have it."""

    replacement: Op | None
    """The edited op that takes its place; None to discard it."""


def replace(file: ReplicaFile, row: Row, replacement: Op | None, now_us: int) -> bool:
    """Edit (``replacement``) or discard (None) an op.

    Returns False where the server may have it already: then it waits, visibly,
    until the server has said on a fresh connection whether it does.
    """
    if row.unanswered:
        file.run("set_cancelling", ENCODER.encode(Cancelling(replacement)), row.op_id)
        refresh(file, row.collection, row.record)
        return False
    take_out(file, row, replacement, now_us)
    return True


def finish_cancelling(file: ReplicaFile, row: Row, now_us: int) -> None:
    """The server does not have the op: do what was asked for.

    What the op has inherited since the person edited it, the edit inherits too.
    """
    wish = _wish(row)
    if wish is not None:
        writes = {
            root: FieldWrite(write.values, _joined(write, row.op.writes.get(root)))
            for root, write in wish.writes.items()
        }
        wish = msgspec.structs.replace(wish, writes=writes)
    take_out(file, row, wish, now_us)


def too_late(file: ReplicaFile, row: Row, now_us: int) -> None:
    """The server has the op: an edit of it becomes an op of its own, right behind it.

    A discard is not possible any more, and that is told.
    """
    if row.cancelling is None:
        return
    wish = _wish(row)
    if wish is None:
        told = {"op_id": row.op_id, "collection": row.collection, "record": row.record}
        file.run("put_notice", now_us, "too_late_to_discard", json.dumps(told))
        return
    writes = {
        root: change
        for root, write in wish.writes.items()
        if (change := _change_to(row.op, root, write)) is not None
    }
    if writes:
        op = msgspec.structs.replace(wish, writes=writes)
        insert(file, op, _place_behind(file, row), row.created_us, ever_sent=False)


def take_out(file: ReplicaFile, row: Row, replacement: Op | None, now_us: int) -> None:
    """Remove an op that the server does not have; ``replacement`` takes its place."""
    if replacement is not None:
        _name_successor(file, row, replacement)
    bequeath(file, row, keep_name=row.ever_sent)
    file.run("drop_op", row.op_id)
    if replacement is not None:
        insert(file, replacement, row.position, now_us, ever_sent=False)
    refresh(file, row.collection, row.record)


def bequeath(file: ReplicaFile, row: Row, *, keep_name: bool) -> None:
    """Later ops that replaced this one now replace what it had replaced."""
    queue = rows_of_record(file, row.collection, row.record)
    heirs = [later for later in queue if _is_later(later, row) and _names(later.op, row.op_id)]
    if not heirs:
        return
    known = {
        (root, EntryId(other.op_id, n)): value
        for other in queue
        for root, write in other.op.writes.items()
        for n, value in enumerate(write.values)
    }
    state = confirmed(file, row.collection, row.record)
    known.update({(root, entry.id): entry.value for root, entry in state.entries()})
    policy = file.policy.collections.get(row.collection)
    for later in heirs:
        changed = inherit(
            later.op,
            row.op,
            policy,
            lambda root, entry_id: known.get((root, entry_id)),
            keep_name=keep_name,
        )
        file.run("set_op", ENCODER.encode(changed), later.op_id)


def edited(row: Row, op: Op) -> Op:
    """``op`` as the successor of ``row``: it replaces what that one replaced.

    Where the first one was ever sent it is named too, so that it is already
    superseded should it reach the server after all.
    """
    writes = {}
    for root, write in op.writes.items():
        theirs = row.op.writes.get(root)
        inherited = [] if theirs is None else list(theirs.supersedes)
        if row.ever_sent and not root.startswith("c/"):  # deltas replace nothing
            inherited.extend(_entries_of(row.op, root))
        writes[root] = FieldWrite(write.values, tuple(dict.fromkeys(inherited)))
    return msgspec.structs.replace(op, writes=writes, replaces=row.op_id)


def written_anew(row: Row, new_id: Callable[[], str]) -> Op:
    """The same op under another op_id, where the first one cannot be had (``id_collision``)."""
    return edited(row, msgspec.structs.replace(row.op, op_id=new_id()))


# ── inside ──────────────────────────────────────────────────────────────────


def _wish(row: Row) -> Op | None:
    assert row.cancelling is not None
    return msgspec.msgpack.decode(row.cancelling, type=Cancelling).replacement


def _change_to(accepted: Op, root: str, write: FieldWrite) -> FieldWrite | None:
    """What is left to write of an edited field, now that the first op is in the log."""
    before = accepted.writes.get(root)
    if before is None:
        return write
    if write.values == before.values:
        return None
    if root.startswith("c/"):
        return _difference(write.values[0], before.values[0])
    return FieldWrite(
        write.values, tuple(dict.fromkeys([*write.supersedes, *_entries_of(accepted, root)]))
    )


def _difference(wanted: str, written: str) -> FieldWrite:
    if written.startswith('"'):
        negated = f'"{Decimal(written[1:-1]).copy_negate():f}"'
    else:
        negated = str(-int(written))
    return FieldWrite((add_deltas([wanted, negated]),))


def _place_behind(file: ReplicaFile, row: Row) -> int:
    """A free position between ``row`` and the later ops of its record, which move up."""
    later = [
        r for r in rows_of_record(file, row.collection, row.record) if r.position > row.position
    ]
    free = ends(file)[1] + 1
    for moved in reversed(later):
        file.run("set_position", free, moved.op_id)
        free = moved.position
    return free


def _name_successor(file: ReplicaFile, row: Row, successor: Op) -> None:
    """Later ops that had seen a value which the edit left as it was have seen it still.

    Else it would come back beside what replaced it, under its new op_id. A value
    that the edit changed was seen by nobody: it stands until somebody replaces it.
    """
    for later in rows_of_record(file, row.collection, row.record):
        if not _is_later(later, row):
            continue
        writes = {
            root: _naming(write, root, row.op, successor) for root, write in later.op.writes.items()
        }
        if writes != later.op.writes:
            changed = msgspec.structs.replace(later.op, writes=writes)
            file.run("set_op", ENCODER.encode(changed), later.op_id)


def _naming(write: FieldWrite, root: str, gone: Op, successor: Op) -> FieldWrite:
    if root == DELETION_ROOT:
        return _having_seen(write, gone, successor)
    theirs, ours = gone.writes.get(root), successor.writes.get(root)
    if theirs is None or ours is None or theirs.values != ours.values:
        return write
    named = [seen.n for seen in write.supersedes if seen.op_id == gone.op_id]
    more = [EntryId(successor.op_id, n) for n in named if n < len(ours.values)]
    return FieldWrite(write.values, tuple(dict.fromkeys([*write.supersedes, *more])))


def _having_seen(write: FieldWrite, gone: Op, successor: Op) -> FieldWrite:
    mark = DeleteMark.parse(write.values[0])
    unchanged = all(
        root in gone.writes and gone.writes[root].values == ours.values
        for root, ours in successor.writes.items()
    )
    if not unchanged or gone.op_id not in mark.ops:
        return write
    seen = msgspec.structs.replace(mark, ops=(*mark.ops, successor.op_id))
    return FieldWrite((seen.text(),), write.supersedes)


def _is_later(later: Row, row: Row) -> bool:
    return later.position > row.position and later.state != "acknowledged"


def _names(op: Op, op_id: str) -> bool:
    return any(seen.op_id == op_id for write in op.writes.values() for seen in write.supersedes)


def _joined(write: FieldWrite, other: FieldWrite | None) -> tuple[EntryId, ...]:
    more = () if other is None else other.supersedes
    return tuple(dict.fromkeys([*write.supersedes, *more]))


def _entries_of(op: Op, root: str) -> list[EntryId]:
    write = op.writes.get(root)
    return [] if write is None else [EntryId(op.op_id, n) for n in range(len(write.values))]
