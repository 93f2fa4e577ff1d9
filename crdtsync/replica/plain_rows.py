"""Rows of records in which nothing is to be decided, straight from their snapshots.

Nearly every record of a first sync has one entry in each of its fields and nothing
that waits on top. Its row is made here in one walk over its values, which are checked
on the way; a record with more to it takes the long way (shown.py), and both give the
same row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.folding import FOLD_ABOVE, add_deltas, sum_of_deltas
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark
from crdtsync.documents.state import StoredRecord, StoredValue
from crdtsync.policy import FieldPolicy, MergeKind, Policy
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import SnapshotRow
from crdtsync.replica.shown import comparable, is_own_key, named_fields

_STORED = msgspec.msgpack.Encoder()

VALUES_REMEMBERED = 1_000
"""Values of a field whose form in a view is kept at hand: codes, small numbers and dates come
again and again."""

LONGEST_REMEMBERED = 100
"""Characters of a value that is worth keeping."""


class _Rule:
    """What the row of a record needs to know of one field."""

    __slots__ = ("field", "is_text", "known", "opening", "several")

    def __init__(self, field: FieldPolicy, named: str) -> None:
        self.field = field
        self.opening = f"{named}:["
        """How the field's part of a view begins."""
        self.is_text = field.merge.shape == "r" and field.type.kind == "string"
        self.several = field.merge in (MergeKind.SET, MergeKind.COUNTER)
        """Whether many entries are nothing to decide about: elements of a set, deltas to add."""
        self.known: dict[str, str] = {}

    def shown(self, value: str) -> str:
        """A single value as a view has it; raises ProtocolError where it does not fit."""
        if is_own_key(self.field, value):
            return value
        text = self.known.get(value)
        if text is None:
            text = self.shown_of([value])
            if len(self.known) >= VALUES_REMEMBERED:
                self.known.clear()
            if len(value) <= LONGEST_REMEMBERED:
                self.known[value] = text
        return text

    def shown_of(self, values: list[str]) -> str:
        """Several values, likewise."""
        check_fits(self.field, self.field.root, values)
        if self.field.merge is MergeKind.COUNTER:
            return comparable(self.field, add_deltas(values))
        if len(values) == 1:
            return comparable(self.field, values[0])
        return ",".join(sorted({comparable(self.field, value) for value in values}))


@dataclass(frozen=True, slots=True)
class PageRows:
    """Snapshots with their rows, as far as those need nothing of the file."""

    policy: Policy
    """What the rows were made under."""
    snapshots: Sequence[SnapshotRow]
    plain: Sequence[Sequence[Any] | None]
    """The values of ``put_record`` for each; None for a record that takes the long way."""
    latest_us: int
    """The latest effective time among the entries of plain rows (0 for none)."""


class PlainRows:
    """Makes rows of the pages of snapshots that come under one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._latest_us = 0
        self._rules = {
            name: {field.root: _Rule(field, named) for field, named in named_fields(rules)}
            for name, rules in policy.collections.items()
        }

    def page(self, snapshots: Iterable[SnapshotRow]) -> PageRows:
        """The rows of a page; raises ProtocolError for a value that its field cannot hold."""
        snapshots = tuple(snapshots)
        self._latest_us = 0
        made = [self._row(snapshot) for snapshot in snapshots]
        return PageRows(self.policy, snapshots, made, self._latest_us)

    def _row(self, snapshot: SnapshotRow) -> Sequence[Any] | None:
        stored = snapshot.stored
        rules = self._rules.get(snapshot.collection)
        if not rules or not stored.values:
            return None
        parts = []
        for root, values in stored.values.items():
            rule = rules.get(root)
            if rule is None:
                return None
            if len(values) == 1:
                value = values[0].value
                if not (rule.is_text and value[:1] == '"' and value.isascii()):
                    value = rule.shown(value)
            elif rule.several and 1 < len(values) <= FOLD_ABOVE and _are_distinct(stored, values):
                value = rule.shown_of([one.value for one in values])
            else:
                return None
            parts.append(f"{rule.opening}{value}]")
        for op in stored.ops:
            self._latest_us = max(self._latest_us, op.effective_us)
        view = f"{{{','.join(parts)}}}"
        return snapshot.collection, snapshot.record, _STORED.encode(stored), view, 0, 0, 0


def _are_distinct(stored: StoredRecord, values: Sequence[StoredValue]) -> bool:
    return len({(stored.ops[one.op].op_id, one.n) for one in values}) == len(values)


def check_fits(field: FieldPolicy | None, root: str, values: Iterable[str]) -> None:
    """Refuse values that no policy allows in this field: once stored they could not be read.

    Raises ProtocolError: a server checks values before they enter its log. Fields
    of a newer policy (None) are carried along unchecked.
    """
    try:
        for value in values:
            if root == DELETION_ROOT:
                DeleteMark.parse(value)
            elif root.startswith("c/"):
                sum_of_deltas([value])
            elif field is not None and not (field.type.kind == "string" and value[:1] == '"'):
                # That it is JSON was checked when it came in: a text is a text.
                field.decode(value)
    except (ValueError, ArithmeticError, InvalidOp) as error:
        raise ProtocolError(f"the server sent a value that {root} cannot hold: {error}") from error
