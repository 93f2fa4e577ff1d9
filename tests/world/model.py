"""What a log of ops means, told plainly: no code of the server's or a replica's decides here.

It knows the ops in the log's order, with what each had superseded when it was
accepted. Graves need no book: whatever is ever superseded is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, Op
from crdtsync.policy import CollectionPolicy, MergeKind

MINUTE_US = 60_000_000


class Accepted(NamedTuple):
    """An op in the log."""

    op: Op
    seq: int
    received_us: int


class Expected(NamedTuple):
    """How a record reads: the comparable values of each field, or a counter's sum."""

    deleted: bool
    values: dict[str, Any]


def expected(policy: CollectionPolicy, log: Iterable[Accepted]) -> dict[str, Expected]:
    """Every record that a log tells of."""
    by_record: dict[str, list[Accepted]] = defaultdict(list)
    for one in log:
        by_record[one.op.record].append(one)
    return {
        record: Expected(_is_deleted(policy, ops), _values(policy, ops))
        for record, ops in by_record.items()
    }


def _values(policy: CollectionPolicy, ops: list[Accepted]) -> dict[str, Any]:
    visible: dict[str, dict[tuple[str, int], tuple[str, int]]] = defaultdict(dict)
    gone: set[tuple[str, str, int]] = set()
    for op, _, received_us in ops:
        replaced = [(r, *seen) for r, write in op.writes.items() for seen in write.supersedes]
        newest = [visible[r].pop((o, n), ("", -1))[1] for r, o, n in replaced]
        gone.update(replaced)
        effective_us = max(min(op.time_us, received_us + MINUTE_US), max(newest, default=-1) + 1)
        for root, write in op.writes.items():
            new = {
                (op.op_id, n): (value, effective_us)
                for n, value in enumerate(write.values)
                if (root, op.op_id, n) not in gone
            }
            kind = policy.by_root[root].merge if root in policy.by_root else None
            if kind is MergeKind.SERVER_LATEST and new:
                visible[root].clear()
            visible[root].update(new)
            if kind is MergeKind.USER_LATEST:
                in_order = sorted(visible[root], key=lambda key: (visible[root][key][1], key))
                for loser in in_order[:-1]:
                    del visible[root][loser]
    values: dict[str, Any] = {}
    for name, field in policy.fields.items():
        texts = [value for value, _ in visible[field.root].values()]
        if field.merge is MergeKind.COUNTER:
            values[name] = sum(Decimal(text.strip('"')) for text in texts)
        else:
            values[name] = {field.key(text) for text in texts}
    return values


def _is_deleted(policy: CollectionPolicy, ops: list[Accepted]) -> bool:
    undone = {
        seen.op_id
        for op, _, _ in ops
        if DELETION_ROOT in op.writes
        for seen in op.writes[DELETION_ROOT].supersedes
    }
    for gone, at, _ in ops:
        if not gone.is_delete or gone.op_id in undone:
            continue
        mark = DeleteMark.parse(gone.writes[DELETION_ROOT].values[0])
        if policy.on_delete_conflict == "delete" or all(
            op.is_delete or (seq < at and seq <= mark.seq) or op.op_id in mark.ops
            for op, seq, _ in ops
        ):
            return True
    return False
