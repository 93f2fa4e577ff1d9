"""What many runs gave together: sums, and every kind of thing under its heading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from crdtsync_server.simulation.jobs import Result

FAULT_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "network": (
        "airplane mode on",
        "partition",
        "one-way partition (up)",
        "one-way partition (down)",
        "connection cut",
        "half-open connection",
        "slow reader",
        "delay spike",
        "frame lost",
        "frame doubled",
        "frame lost in a cut",
        "frame arrived after the cut",
    ),
    "machines": (
        "device killed",
        "device power cut",
        "device crashed in a job",
        "server killed",
        "server power cut",
        "server crashed in a job",
        "program ended by a failed sync",
    ),
    "disks": ("disk full", "disk fails", "could not start"),
    "copies and backups": (
        "device restored from a copy",
        "device copied",
        "server rolled back",
        "log trimmed",
    ),
    "clocks": ("clock jump",),
    "sign-ins and rules": ("token expired", "role withdrawn", "user switched", "policy signed"),
}
"""Every fault by what it happens to. What a disk counts itself is called "disk: …"."""

PEOPLE: Final = (
    "write",
    "resolve",
    "delete",
    "restore",
    "retry",
    "edit",
    "discard",
    "repeat",
    "queue",
    "visibly waited for a person",
    "told on the device that it cannot be",
    "told that it could not be saved",
    "nobody could act",
)

DISK: Final = "disk: "

_OF_MACHINES: Final = {f"{DISK}{what}" for what in ("power cut", "process killed")} | {
    f"{DISK}crash in the middle of a job"
}
"""The disk's side of what is counted under machines already, and of every program's end."""

OTHER: Final = "other"
"""What nobody has put under a heading yet, and what is no fault."""

_GROUP_OF: Final = {kind: group for group, kinds in FAULT_GROUPS.items() for kind in kinds}


@dataclass(frozen=True)
class Grouped:
    """Counts under their headings, the most frequent first."""

    faults: Mapping[str, Mapping[str, int]]
    people: Mapping[str, int]
    other: Mapping[str, int]

    @property
    def fault_count(self) -> int:
        """All faults together."""
        return sum(sum(kinds.values()) for kinds in self.faults.values())


def grouped(counts: Mapping[str, int]) -> Grouped:
    """Put every kind under its heading."""
    faults: dict[str, dict[str, int]] = {group: {} for group in FAULT_GROUPS}
    people: dict[str, int] = {}
    other: dict[str, int] = {}
    for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if kind.startswith(DISK) and kind not in _OF_MACHINES:
            faults["disks"][kind.removeprefix(DISK)] = count
        elif kind in _GROUP_OF:
            faults[_GROUP_OF[kind]][kind] = count
        elif kind in PEOPLE:
            people[kind] = count
        else:
            other[kind] = count
    return Grouped({group: kinds for group, kinds in faults.items() if kinds}, people, other)


@dataclass
class Totals:
    """The sums of the runs so far."""

    jobs: int
    seeds: int = 0
    failed: int = 0
    virtual_s: float = 0.0
    frames: int = 0
    ops: int = 0
    cpu_s: float = 0.0
    elapsed_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result, elapsed_s: float) -> None:
        """One more run has ended."""
        self.seeds += 1
        self.failed += bool(result.invariant)
        self.virtual_s += result.virtual_s
        self.frames += result.frames
        self.ops += result.ops
        self.cpu_s += result.cpu_s
        self.elapsed_s = elapsed_s
        self.counts.update(result.counts)

    @property
    def virtual_hours(self) -> float:
        """Hours that passed in the simulated worlds."""
        return self.virtual_s / 3600

    @property
    def per_s(self) -> float:
        """Seeds in a second of ours."""
        return self.seeds / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def per_job_s(self) -> float:
        """Seeds in a second, of one worker."""
        return self.per_s / self.jobs

    @property
    def per_core_s(self) -> float:
        """Seeds in a second of a processor, whoever else uses the machine."""
        return self.seeds / self.cpu_s if self.cpu_s else 0.0
