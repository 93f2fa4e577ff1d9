"""Ops that came before what they supersede, in a document without a log.

A deletion of an entry that a document has never seen would be lost when the
document is stored (HAZARDS.md), so such an op waits for what it names.
"""

from __future__ import annotations

from crdtsync.documents.errors import DocumentError
from crdtsync.documents.items import Identity
from crdtsync.documents.ops import Op

MAX_WAITING = 1_000
"""Ops that may wait in one document. Whoever is further behind lacks a whole
document, not single ops, and merges one instead."""


class Waiting:
    """The waiting ops, each under one entry that it still misses."""

    __slots__ = ("_missed_by", "ops")

    def __init__(self) -> None:
        self.ops: dict[str, Op] = {}
        self._missed_by: dict[Identity, list[str]] = {}

    def copy(self) -> Waiting:
        """An independent list of the same ops."""
        other = Waiting()
        other.ops = dict(self.ops)
        other._missed_by = {missing: list(ids) for missing, ids in self._missed_by.items()}
        return other

    def park(self, op: Op, missing: Identity) -> None:
        """Keep ``op`` until ``missing`` is there; an op that waits already stays as it is."""
        if op.op_id not in self.ops:
            self.ops[op.op_id] = op
            self._missed_by.setdefault(missing, []).append(op.op_id)

    def release(self, arrived: Identity) -> list[Op]:
        """The ops that waited for this entry; they may miss others still."""
        return [self.ops.pop(op_id) for op_id in self._missed_by.pop(arrived, ())]

    def check_bound(self) -> None:
        """Raises DocumentError when more ops wait than may (invariant 9)."""
        if len(self.ops) > MAX_WAITING:
            raise DocumentError(
                f"more than {MAX_WAITING} ops wait for entries that never came; "
                "merge a whole document, or apply the ops in the order in which they were made"
            )
