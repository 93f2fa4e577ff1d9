"""Lost or doubled? What people wrote against what the server's log holds.

Nothing here asks the product for its opinion: the journal is the runner's, the
log is read from the server's file or its history, and the expected values come
from a model of a few lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crdtsync_server.acceptance.evidence import LogCopy
from crdtsync_server.acceptance.journal import Journal

Shown = Mapping[str, Mapping[str, Any]]
"""Records of a device: id, field, plain JSON value."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The account of one scenario. Every op_id that does not add up is named."""

    written: int
    acknowledged: int
    """Of the written ones, those that are in the log."""
    lost: tuple[str, ...]
    """Saved on a device, and neither in the log nor waiting visibly."""
    doubled: tuple[str, ...]
    """In the log more than once."""
    invented: tuple[str, ...]
    """In the log, and nobody wrote them (or took them back before they were sent)."""
    waiting: tuple[str, ...]
    """Not in the log, but visibly waiting on a device."""
    conflicts: int
    """Fields that came into conflict at some time."""

    @property
    def holds(self) -> bool:
        """0 lost, 0 doubled, nothing invented."""
        return not (self.lost or self.doubled or self.invented)


def reconcile(journal: Journal, log: LogCopy, waiting: Iterable[str]) -> Reconciliation:
    """Account for every change."""
    rows, visible = Counter(log.op_ids), set(waiting)
    written = journal.written
    missing = [op_id for op_id in written if op_id not in rows]
    known = set(written) | journal.unsure
    in_conflict = {
        (entry.record, root)
        for entry in log.entries
        for root, outcome in entry.outcomes.items()
        if outcome == "conflict"
    }
    return Reconciliation(
        written=len(written),
        acknowledged=len(written) - len(missing),
        lost=tuple(op_id for op_id in missing if op_id not in visible),
        doubled=tuple(op_id for op_id, count in rows.items() if count > 1),
        invented=tuple(op_id for op_id in rows if op_id not in known),
        waiting=tuple(op_id for op_id in missing if op_id in visible),
        conflicts=len(in_conflict),
    )


def expected_values(journal: Journal, log: LogCopy) -> dict[str, dict[str, Any]]:
    """What everyone must read, as far as the order of arrival alone decides it.

    name: the last to arrive stands. visits: all add up. tags: all are there.
    Who wrote what comes from the journal, only the order from the log.
    """
    expected: dict[str, dict[str, Any]] = {}
    for op_id in dict.fromkeys(log.op_ids):
        noted = journal.notes.get(op_id)
        if noted is None:
            continue
        write = noted.write
        record = expected.setdefault(write["record"], {})
        match write["kind"]:
            case "update" if "name" in write["fields"]:
                record["name"] = write["fields"]["name"]
            case "increment":
                record["visits"] = record.get("visits", 0) + write.get("by", 1)
            case "tag":
                record["tags"] = sorted({*record.get("tags", []), *write["tags"]})
    return expected


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not what it must be."""

    device: str
    record: str
    field: str
    expected: Any
    shown: Any


def wrong_values(
    device: str, shown: Shown, expected: Shown, candidates: Mapping[tuple[str, str], list[Any]]
) -> list[Difference]:
    """Where a device does not show what the model says.

    ``candidates`` are the conflicts that must be open, each with exactly these
    values; any other conflict is wrong.
    """
    wrong = [
        Difference(device, record, name, value, shown.get(record, {}).get(name))
        for record, fields in expected.items()
        for name, value in fields.items()
        if shown.get(record, {}).get(name) != value
    ]
    for (record, name), values in candidates.items():
        found = candidates_in(shown.get(record, {}).get(name))
        if found is None or sorted(map(str, found)) != sorted(map(str, values)):
            wrong.append(Difference(device, record, name, values, found))
    wrong += [
        Difference(device, record, name, None, value)
        for record, fields in shown.items()
        for name, value in fields.items()
        if candidates_in(value) is not None and (record, name) not in candidates
    ]
    return wrong


def candidates_in(value: Any) -> list[Any] | None:
    """The values of a field in conflict; None where it is in none."""
    if isinstance(value, dict) and "conflict" in value:
        return [one["value"] for one in value["conflict"]]
    return None
