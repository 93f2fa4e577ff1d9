"""What people wrote on which device, noted by the runner and not by the product."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Write = dict[str, Any]
"""One change as a device is told it: kind, record and what it writes."""


@dataclass(slots=True)
class Noted:
    """One change of one device."""

    op_id: str
    device: str
    write: Write
    done: bool = False
    """Whether the device had said that it is saved."""
    taken_back: bool = False
    """Whether a person discarded it, or put an edited one in its place."""


@dataclass(slots=True)
class Journal:
    """Every change of a scenario, in the order in which the devices began them."""

    notes: dict[str, Noted] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What went wrong inside of a device without an answer to tell it."""

    def begun(self, device: str, op_id: str, write: Write) -> None:
        """A device is about to save a change."""
        self.notes[op_id] = Noted(op_id, device, write)
        if "replaces" in write:
            self.taken_back(write["replaces"])

    def done(self, op_id: str) -> None:
        """The device said that it is saved."""
        self.notes[op_id].done = True

    def taken_back(self, op_id: str) -> None:
        """A person does not want it any more."""
        self.notes[op_id].taken_back = True

    @property
    def written(self) -> list[str]:
        """What was promised to be kept."""
        return [one.op_id for one in self.notes.values() if one.done and not one.taken_back]

    @property
    def unsure(self) -> set[str]:
        """Begun when the device died: there or not, but never twice."""
        return {one.op_id for one in self.notes.values() if not one.done}


def update(record: str, **fields: object) -> Write:
    """Write fields of a record."""
    return {"kind": "update", "record": record, "fields": fields}


def increment(record: str, by: int = 1) -> Write:
    """Count one more visit."""
    return {"kind": "increment", "record": record, "by": by}


def tag(record: str, *tags: str) -> Write:
    """Add to a set."""
    return {"kind": "tag", "record": record, "tags": list(tags)}
