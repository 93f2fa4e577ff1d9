"""What the tests of replicas share: a policy with every kind, and replicas under it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crdtsync import Policy, Replica
from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.replica import outbox
from crdtsync.replica.store import MEMORY, ReplicaStore
from crdtsync.replica.transport import ConnectionLost, Transport

POLICY_TEXT = """
version = 1
[patient]
label = { en = "Patient", ko = "환자" }
[patient.fields]
name      = { type = "string", label = { en = "Name", ko = "이름" } }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual", write = ["clinician", "nurse"] }
dose      = { type = "decimal", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
balance   = { type = "decimal", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
id        = { type = "string" }
based_on  = { type = "string" }
born      = { type = "date" }
seen      = { type = "datetime" }
weight    = { type = "decimal" }
factor    = { type = "number" }
age       = { type = "integer" }
active    = { type = "boolean" }
notes     = { type = "list<string>" }
scores    = { type = "map<integer>" }
extra     = { type = "json" }
codes     = { type = "set<string>" }
[visit]
on_delete_conflict = "delete"
[visit.fields]
reason = { type = "string", required = true }
"""
POLICY = Policy.parse(POLICY_TEXT)
PATIENT = POLICY.collection("patient")


class Around:
    """Time and randomness that a test sets; time stands still unless it is moved."""

    def __init__(self, now_us: int = 1_700_000_000_000_000, draw: float = 0.0) -> None:
        self.now = now_us
        self.drawn = draw

    def now_us(self) -> int:
        """The wall clock."""
        return self.now

    def draw(self) -> float:
        """The random number."""
        return self.drawn

    def new_id(self) -> str:
        """A UUID v4."""
        return str(uuid.uuid4())


class WalkingAround(Around):
    """The machine's clock, for tests in which delays must pass; draws are lucky."""

    def now_us(self) -> int:
        """The wall clock."""
        return self.now + round(time.monotonic() * 1_000_000)


def new_id() -> str:
    """A UUID v4."""
    return str(uuid.uuid4())


async def nowhere(url: str) -> Transport:
    """There is no network."""
    raise ConnectionLost("no server is reachable at this address")


def replica(path: str | Path = MEMORY, **more: Any) -> Replica:
    """A replica of the ward; ``more`` replaces what ``Replica.open`` gets."""
    given = {
        "space": "ward-3",
        "policy": POLICY,
        "user": "nurse-kim",
        "device": "tablet",
        "dial": nowhere,
        "surroundings": WalkingAround(),
    }
    return Replica.open(path, **{**given, **more})


async def store(path: str | Path = MEMORY, policy: Policy = POLICY) -> ReplicaStore:
    """A replica's store without the replica around it."""
    return await ReplicaStore.open(
        str(path), space="ward-3", policy=policy, replica_id=new_id(), run=new_id()
    )


def foreign_op(
    record: str, values: dict[str, str], *, user: str = "dr-lee", time_us: int = 0, **more: Any
) -> Op:
    """An op of another device: canonical texts by root, nothing superseded."""
    writes = {root: FieldWrite((text,), ()) for root, text in values.items()}
    return Op(new_id(), user, "patient", record, time_us or 1_700_000_000_000_000, writes, **more)


def names(folder: Path, pattern: str = "*") -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.glob(pattern))


def program(*arguments: str) -> subprocess.Popen[bytes]:
    """A Python process of its own, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def queued(of: Replica) -> list[outbox.Row]:
    """The rows of the queue, with what people are not shown."""
    return outbox.rows(of._open_view())


async def until(of: Replica, holds: Callable[[], bool]) -> None:
    """Wait until something holds, looking whenever the replica moves."""
    async with asyncio.timeout(30):
        while True:
            moved = of._moved
            if holds():
                return
            await moved.wait()
