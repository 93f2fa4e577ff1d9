"""Merge kinds: what happens to the entries of a field when several are visible."""

from __future__ import annotations

from enum import StrEnum


class MergeKind(StrEnum):
    """How concurrent writes of one field become one reading (DESIGN.md, Merge kinds)."""

    SERVER_LATEST = "server-latest"  # the op that the server received last wins
    USER_LATEST = "user-latest"  # the largest effective time wins
    MANUAL = "manual"  # every value is kept until a person chooses
    COUNTER = "counter"  # the sum of all deltas
    SET = "set"  # the union of all added elements

    @property
    def shape(self) -> str:
        """What the entries are: "r" registers, "c" deltas, "s" elements.

        Kinds of one shape can change into each other without touching data.
        """
        return _SHAPES.get(self, "r")


_SHAPES = {MergeKind.COUNTER: "c", MergeKind.SET: "s"}

LATER_KINDS = ("text", "list")
"""Merge kinds that the design foresees and this version does not have."""
