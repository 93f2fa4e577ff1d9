"""A plain model of a record without a server: sets of ops, and what each had seen.

It shares nothing with the code under test: entries are tuples, a device is a
set of op ids, and what is visible is computed from scratch each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Seen = tuple[str, str, int]
"""(field, op_id, n)"""


@dataclass(frozen=True)
class PlainOp:
    op_id: str
    user: str
    time: int
    adds: dict[Seen, Any]
    replaces: frozenset[Seen]


@dataclass
class PlainDevice:
    """What one device has received, and of that what it can show."""

    received: dict[str, PlainOp] = field(default_factory=dict)
    applied: dict[str, PlainOp] = field(default_factory=dict)

    def receive(self, ops: Iterable[PlainOp]) -> None:
        self.received.update({op.op_id: op for op in ops})
        grown = True
        while grown:
            grown = False
            for op in self.received.values():
                if op.op_id in self.applied:
                    continue
                if all(other in self.applied for _, other, _ in op.replaces):
                    self.applied[op.op_id] = op
                    grown = True

    @property
    def waiting(self) -> set[str]:
        return set(self.received) - set(self.applied)

    def visible(self, name: str) -> dict[Seen, Any]:
        replaced = {seen for op in self.applied.values() for seen in op.replaces}
        return {
            seen: value
            for op in self.applied.values()
            for seen, value in op.adds.items()
            if seen[0] == name and seen not in replaced
        }

    def shown_ops(self) -> set[str]:
        replaced = {seen for op in self.applied.values() for seen in op.replaces}
        return {
            op.op_id
            for op in self.applied.values()
            if any(seen not in replaced for seen in op.adds)
        }

    def _latest(self, name: str) -> Any:
        entries = self.visible(name)
        if not entries:
            return None
        return entries[max(entries, key=lambda seen: (self.applied[seen[1]].time, seen[1]))]

    def deleted(self) -> bool:
        """A delete stands unless a visible op that its author had not seen is beside it."""
        marks = {s: base for s, base in self.visible("deleted").items() if base is not None}
        others = self.shown_ops() - {op for _, op, _ in marks}
        return any(others <= base for base in marks.values())

    def read(self) -> dict[str, Any]:
        candidates = {
            frozenset(v) if v is not None else None for v in self.visible("allergies").values()
        }
        return {
            "name": self._latest("name"),
            "phone": self._latest("phone"),
            "allergies": candidates,
            "visits": sum(self.visible("visits").values()),
            "balance": sum(self.visible("balance").values(), Decimal(0)),
            "tags": frozenset(self.visible("tags").values()),
            "deleted": self.deleted(),
        }

    # ── writing: what the op replaces is what this device shows ──────────────

    def _op(self, author: dict[str, Any], adds: dict[Seen, Any], gone: Iterable[Seen]) -> PlainOp:
        op = PlainOp(author["op_id"], author["user"], author["time_us"], adds, frozenset(gone))
        self.receive([op])
        return op

    def assign(
        self, name: str, value: Any, author: dict[str, Any], seen: set[str] | None
    ) -> PlainOp:
        gone = [s for s in self.visible(name) if seen is None or s[1] in seen]
        return self._op(author, {(name, author["op_id"], 0): value}, gone)

    def count(self, name: str, delta: Any, author: dict[str, Any]) -> PlainOp:
        return self._op(author, {(name, author["op_id"], 0): delta}, ())

    def change_set(
        self, adding: list[str], removing: set[str], author: dict[str, Any], seen: set[str] | None
    ) -> PlainOp | None:
        gone = [
            s
            for s, value in self.visible("tags").items()
            if (value in removing or value in adding) and (seen is None or s[1] in seen)
        ]
        if not adding and not gone:
            return None
        adds = {("tags", author["op_id"], n): value for n, value in enumerate(adding)}
        return self._op(author, adds, gone)

    def delete(self, author: dict[str, Any]) -> PlainOp:
        base = frozenset(self.shown_ops())
        return self._op(author, {("deleted", author["op_id"], 0): base}, self.visible("deleted"))

    def restore(self, author: dict[str, Any]) -> PlainOp:
        return self._op(author, {("deleted", author["op_id"], 0): None}, self.visible("deleted"))
