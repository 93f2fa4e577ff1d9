"""What goes between the command and its workers, and what is kept of a plan that failed.

Everything is JSON: one line a message. Plans are drawn by the worker from the
seed, or come along whole when they were shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from crdtsync.errors import CrdtsyncError
from crdtsync_server.simulation.plan import Plan

DEFAULT_STEPS: Final = 80
PLAN_SCHEMA: Final = "crdtsync-simulate-plan/1"


class NotAPlan(CrdtsyncError):
    """A file that should hold a plan holds something else."""


@dataclass(frozen=True)
class Job:
    """A run that somebody wants."""

    seed: int
    steps: int = DEFAULT_STEPS
    plan: Plan | None = None
    """Instead of the one that is drawn from the seed."""
    trace: bool = False
    """Whether the timeline is wanted."""


@dataclass(frozen=True)
class Ready:
    """A worker's first line: what it is made of."""

    versions: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    seed: int
    invariant: str = ""
    """What broke, as ``Outcome.invariant`` has it, or "hung", or "died"; "" when all held."""
    failure: str = ""
    """The same in words."""
    details: str = ""
    """The program's stack, or what a worker said last."""
    plan: Plan | None = None
    """The plan of a run that failed."""
    virtual_s: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    frames: int = 0
    ops: int = 0
    cpu_s: float = 0.0
    """What the run cost, as the machine counts it."""
    lines: tuple[str, ...] = ()
    """The timeline, if it was wanted."""

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What two runs of one plan must have in common."""
        return self.invariant, self.virtual_s, dict(self.counts), self.frames, self.ops


@dataclass(frozen=True)
class PlanFile:
    """A plan that is kept, with what it had found."""

    plan: Plan
    invariant: str = ""
    failure: str = ""
    """What it had found, for people. A regression's own words may stand here."""
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: str = PLAN_SCHEMA


def read_plan(path: Path) -> PlanFile:
    """A plan that was kept. Raises NotAPlan and OSError."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=PlanFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAPlan(f"{path} is not a plan of this version: {error}") from error
    if kept.schema != PLAN_SCHEMA:
        raise NotAPlan(f"{path} is a {kept.schema}; this version reads {PLAN_SCHEMA}")
    if not kept.plan.devices or any(not 0 <= s.pause_s < float("inf") for s in kept.plan.steps):
        raise NotAPlan(f"{path}: a plan has a device at least, and its pauses are seconds")
    return kept


def write_plan(path: Path, kept: PlanFile) -> None:
    """Keep a plan: one line for each step, so that people can read and edit it."""
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    path.write_bytes(text + b"\n")
