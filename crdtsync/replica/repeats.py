"""Whether an op of before is the write that a caller asks for again under its op_id.

An op is what became of a wish: a set field that is assigned becomes the
difference to what was there. So a repeat is recognised by what the wish fixes,
never by making the op anew from a record that has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, Op
from crdtsync.policy import CollectionPolicy, MergeKind

Same = Callable[[Op], bool]
"""May raise InvalidValue where the caller's values do not fit."""


def same_update(policy: CollectionPolicy, fields: Mapping[str, object]) -> Same:
    """The same values in the same registers, and nothing else."""

    def same(op: Op) -> bool:
        registers: dict[str, tuple[str, ...]] = {}
        sets: dict[str, frozenset[str]] = {}
        for name, value in fields.items():
            field = policy.fields.get(name)
            if field is None or field.merge is MergeKind.COUNTER:
                return False
            if field.merge is MergeKind.SET:
                given = value if isinstance(value, Iterable) and not isinstance(value, str) else ()
                sets[field.root] = frozenset(map(field.encode_element, given))
            else:
                registers[field.root] = (field.encode(value),)
        return (
            registers.keys() <= op.writes.keys() <= registers.keys() | sets.keys()
            and all(op.writes[root].values == values for root, values in registers.items())
            and all(
                sets[root].issuperset(op.writes[root].values) for root in sets.keys() & op.writes
            )
        )

    return same


def same_increment(policy: CollectionPolicy, name: str, by: int | Decimal) -> Same:
    """The same delta to the same counter."""

    def same(op: Op) -> bool:
        field = policy.fields.get(name)
        return (
            field is not None
            and field.merge is MergeKind.COUNTER
            and _values(op) == {field.root: (field.encode_delta(by),)}
        )

    return same


def same_set_change(policy: CollectionPolicy, name: str, added: Iterable[object]) -> Same:
    """The same elements added to the same set (for a removal: none)."""

    def same(op: Op) -> bool:
        field = policy.fields.get(name)
        if field is None or field.merge is not MergeKind.SET:
            return False
        texts = {field.key(text): text for text in map(field.encode_element, added)}
        return _values(op) == {field.root: tuple(texts.values())}

    return same


def _values(op: Op) -> dict[str, tuple[str, ...]]:
    return {root: write.values for root, write in op.writes.items()}


def same_deletion(op: Op) -> bool:
    """A delete again."""
    return op.is_delete


def same_restoring(op: Op) -> bool:
    """A restore again."""
    write = op.writes.get(DELETION_ROOT)
    return write is not None and not DeleteMark.parse(write.values[0]).deleted
