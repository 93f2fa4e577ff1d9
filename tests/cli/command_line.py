"""Running the command line: inside of the test, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from crdtsync import Policy, Replica
from crdtsync.cli import make_app
from crdtsync_server.service import RunningServer

POLICY = """
version = 1
[patient]
[patient.fields]
name      = { type = "string", label = { en = "Name", ko = "이름" } }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
dose      = { type = "decimal", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
born      = { type = "date" }
seen      = { type = "datetime" }
smoker    = { type = "boolean" }
notes     = { type = "list<string>" }
extra     = { type = "json" }
"""
PROGRAM = "from crdtsync.cli import main; main()"
COMMAND = (sys.executable, "-W", "error", "-c", PROGRAM)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which must be exactly one JSON document."""
        return json.loads(self.stdout)


def crdtsync(*args: object, given: str | None = None) -> Done:
    """Run a command inside of this process."""
    done = CliRunner().invoke(make_app(), [str(arg) for arg in args], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def environment(**more: str) -> dict[str, str]:
    """The environment of a command's process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CRDTSYNC_")}
    return {**kept, "COLUMNS": "100", **more}


def process(*args: object, given: bytes | None = None, **more: str) -> Done:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        input=given,
        capture_output=True,
        env=environment(**more),
        check=False,
        timeout=60,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(frozen=True)
class Device:
    """A replica file and the person who uses it."""

    file: Path
    user: str

    def run(self, *args: object, given: str | None = None) -> Done:
        """A command on this device."""
        command, *rest = args
        options = ["--replica", self.file, "--user", self.user]
        return crdtsync(command, *rest, *options, given=given)

    def count(self) -> int:
        """Changes in the queue."""
        return len(self.run("outbox", "--json").json)


def write_policy(folder: Path, text: str = POLICY, name: str = "policy.toml") -> Path:
    """A policy file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def new_device(folder: Path, name: str = "tablet", user: str = "nurse-kim") -> Device:
    """A device with an empty replica file."""
    device = Device(folder / f"{name}.db", user)

    async def make() -> None:
        async with Replica.open(
            device.file, space="ward-3", policy=Policy.parse(POLICY), user=user
        ):
            pass

    finish(make())
    return device


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run some preparation to its end."""
    asyncio.run(work)


def conflicted_device(folder: Path) -> Device:
    """A device whose patient p1 has two allergy lists, by two people, confirmed by a server."""
    policy = Policy.parse(POLICY)
    device = Device(folder / "tablet.db", "nurse-kim")

    async def make() -> None:
        async with (
            RunningServer(policy=policy, data=folder / "server", dev=True) as server,
            Replica.open(
                device.file, space="ward-3", policy=policy, user="nurse-kim", device="tablet"
            ) as tablet,
            Replica.open(
                folder / "phone.db", space="ward-3", policy=policy, user="dr-lee", device="phone"
            ) as phone,
        ):
            await tablet.collection("patient").update(
                "p1", name="Kim Minji", allergies={"peanut", "latex"}
            )
            await phone.collection("patient").update("p1", allergies={"peanut", "penicillin"})
            for replica in (tablet, phone):
                replica.connect(server.url)
                await replica.synced(timeout=20)
            await tablet.synced(timeout=20)

    finish(make())
    return device
