"""The record that every contender writes: ten short texts, and who edits which of them.

The Python peers use this too, so nothing here may import crdtsync; the Node peers say the
same in ``peers/node-merge/shape.mjs``.
"""

from __future__ import annotations

NAMES = tuple(f"f{n}" for n in range(10))

LEFT_EDITS = ("f1", "f2", "f3")
RIGHT_EDITS = ("f3", "f4", "f5")
"""What the two diverged replicas wrote: both of them f3."""

CONFLICT_FIELD = "f0"
"""The field of which no value may be lost."""


def first_values(record: int) -> dict[str, str]:
    """What a record holds when it is created."""
    return {name: f"value {n} of {record}" for n, name in enumerate(NAMES)}


def edited(number: int) -> str:
    """The value of the edit of that number."""
    return f"edit number {number}"


def values_after(record: int, edits: int) -> dict[str, str]:
    """What a record holds after so many edits, each of the next field in turn."""
    values = first_values(record)
    for number in range(edits):
        values[NAMES[number % len(NAMES)]] = edited(number)
    return values


def merged_values(record: int) -> dict[str, set[str]]:
    """What each field may show once the two replicas are merged: of f3, either value."""
    shown = {name: {value} for name, value in first_values(record).items()}
    for name in {*LEFT_EDITS, *RIGHT_EDITS}:
        shown[name] = {
            f"{side} wrote {name}"
            for side, names in (("left", LEFT_EDITS), ("right", RIGHT_EDITS))
            if name in names
        }
    return shown


def is_conflicting(record: int, one_in: int) -> bool:
    """Whether two people wrote different values into the conflict field of this record."""
    return record % one_in == one_in - 1
