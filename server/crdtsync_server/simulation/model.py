"""What a log of ops means, told plainly: no code of the server's or a replica's decides here.

It takes the ops in the log's order, with what each superseded when it was
accepted. Graves need no book: whatever is ever superseded is gone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, Op
from crdtsync.policy import CollectionPolicy, MergeKind

CLOCK_BOUND_US = 60_000_000
"""How far ahead of the server's clock a user's time may count (DESIGN.md, merge kinds)."""

REGISTERS = (MergeKind.SERVER_LATEST, MergeKind.USER_LATEST, MergeKind.MANUAL)


class Accepted(NamedTuple):
    """An op in the log, as the server decided it."""

    op: Op
    seq: int
    received_us: int
    policy: CollectionPolicy


class InConflict(NamedTuple):
    """Values between which a person has to choose."""

    values: frozenset[Any]


class Reading(NamedTuple):
    """How a record reads: whether it is deleted, and the value of each field."""

    deleted: bool
    values: dict[str, Any]


class Moment(NamedTuple):
    """A record as of one of its ops: per root what stands, a counter as its sum."""

    seq: int
    deleted: bool
    standing: dict[str, Any]
    has_entries: frozenset[str]
    """Roots in which anything stands, counters whose sum is 0 too."""


@dataclass
class Meaning:
    """One record: fed with its ops in order, it tells how the record reads."""

    visible: dict[str, dict[tuple[str, int], tuple[str, int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Of each root the entries (op_id, n) that stand: value and effective time."""
    gone: set[tuple[str, str, int]] = field(default_factory=set)
    ops: list[tuple[Op, int]] = field(default_factory=list)
    lost: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """Entries that a machine settled away, with the seq at which that happened."""

    def accept(self, accepted: Accepted) -> set[tuple[str, str, int]]:
        """The next op of the log. Gives the entries (root, op_id, n) that lost against it."""
        op, seq, received_us, policy = accepted
        self.ops.append((op, seq))
        before = {root: {v for v, _ in self.visible[root].values()} for root in op.writes}
        replaced = [(r, *seen) for r, write in op.writes.items() for seen in write.supersedes]
        times = [self.visible[r].pop((o, n), ("", -1))[1] for r, o, n in replaced]
        self.gone.update(replaced)
        newest_us = max(times, default=-1)
        effective_us = max(min(op.time_us, received_us + CLOCK_BOUND_US), newest_us + 1)
        lost = set()
        for root, write in op.writes.items():
            new = {
                (op.op_id, n): (value, effective_us)
                for n, value in enumerate(write.values)
                if (root, op.op_id, n) not in self.gone
            }
            rule = policy.by_root.get(root)
            standing = self.visible[root]
            standing_before = dict(standing)
            kind = None if rule is None else rule.merge
            if rule is not None and kind in REGISTERS and len(_keys(rule, before[root])) > 1:
                kind = MergeKind.MANUAL  # open conflicts stay open until a person chose
            if kind is MergeKind.SERVER_LATEST and new:
                standing.clear()
            standing.update(new)
            if kind is MergeKind.USER_LATEST:
                for loser in sorted(standing, key=lambda key: (standing[key][1], key))[:-1]:
                    del standing[loser]
            for o, n in standing_before.keys() | new.keys():
                if (o, n) not in standing:
                    self.lost[root, o, n] = seq
                    lost.add((root, o, n))
        return lost

    def reading(self, policy: CollectionPolicy) -> Reading:
        """How people read the record under a policy."""
        values: dict[str, Any] = {}
        for name, rule in policy.fields.items():
            texts = sorted(value for value, _ in self.visible[rule.root].values())
            if rule.merge is MergeKind.COUNTER:
                values[name] = sum(Decimal(text.strip('"')) for text in texts)
            elif rule.merge is MergeKind.SET:
                values[name] = frozenset(map(rule.decode, texts))
            elif len(_keys(rule, set(texts))) > 1:
                values[name] = InConflict(frozenset(map(rule.decode, texts)))
            else:
                values[name] = rule.decode(texts[0]) if texts else None
        return Reading(self.is_deleted(policy), values)

    def moment(self, policy: CollectionPolicy) -> Moment:
        """What stands now, to be compared entry by entry."""
        standing: dict[str, Any] = {}
        for root, entries in self.visible.items():
            if root.startswith("c/"):
                standing[root] = sum(Decimal(value.strip('"')) for value, _ in entries.values())
            elif entries and root != DELETION_ROOT:
                standing[root] = dict(entries)
        there = frozenset(root for root, entries in self.visible.items() if entries)
        return Moment(self.ops[-1][1], self.is_deleted(policy), standing, there)

    def conflicts(self, policy: CollectionPolicy) -> list[str]:
        """The roots that wait for a person."""
        return [
            rule.root
            for rule in policy.fields.values()
            if rule.merge in REGISTERS
            and len(_keys(rule, {v for v, _ in self.visible[rule.root].values()})) > 1
        ]

    def is_deleted(self, policy: CollectionPolicy) -> bool:
        """Whether the record is deleted now."""
        if not any(op.is_delete for op, _ in self.ops):
            return False
        undone = {
            seen.op_id
            for op, _ in self.ops
            if DELETION_ROOT in op.writes
            for seen in op.writes[DELETION_ROOT].supersedes
        }
        for gone, at in self.ops:
            if not gone.is_delete or gone.op_id in undone:
                continue
            mark = DeleteMark.parse(gone.writes[DELETION_ROOT].values[0])
            if policy.on_delete_conflict == "delete" or all(
                op.is_delete or (seq < at and seq <= mark.seq) or op.op_id in mark.ops
                for op, seq in self.ops
            ):
                return True
        return False


def _keys(rule: Any, texts: set[str]) -> set[Any]:
    return {rule.key(text) for text in texts}


class LogModel:
    """The whole log: every record's meaning now, and how it read after each of its ops."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.records: dict[str, Meaning] = {}
        self.moments: dict[str, list[Moment]] = {}
        """How each record stood after each of its ops."""
        self.seq_of: dict[str, int] = {}
        """Where each op is."""

    def accept(self, accepted: Accepted) -> set[tuple[str, str, int]]:
        """The next op of the log. Gives the entries (root, op_id, n) that lost against it."""
        self.accepted.append(accepted)
        record = accepted.op.record
        meaning = self.records.setdefault(record, Meaning())
        lost = meaning.accept(accepted)
        self.moments.setdefault(record, []).append(meaning.moment(accepted.policy))
        self.seq_of[accepted.op.op_id] = accepted.seq
        return lost

    def at(self, record: str, seq: int) -> Moment | None:
        """How a record stood when the log ended at ``seq``."""
        found = [moment for moment in self.moments.get(record, ()) if moment.seq <= seq]
        return found[-1] if found else None

    @property
    def head(self) -> int:
        """The seq of the newest op."""
        return len(self.accepted)

    def truncated(self, seq: int) -> LogModel:
        """The model of a log that ends at ``seq``: the server was restored from a backup."""
        shorter = LogModel()
        for accepted in self.accepted[:seq]:
            shorter.accept(accepted)
        return shorter
