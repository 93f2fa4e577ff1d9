"""Playing scenarios inside of a test, whole or spoiled on purpose."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from crdtsync_server.acceptance.outcome import ScenarioResult
from crdtsync_server.acceptance.rules import suite_policy
from crdtsync_server.acceptance.runner import Plan, play
from crdtsync_server.acceptance.scenarios import SCENARIOS, Scenario
from crdtsync_server.acceptance.stage import Stage

SPACE = "acceptance-test"


def scenario(name: str) -> Scenario:
    """A scenario of the suite."""
    (found,) = [one for one in SCENARIOS if one.name == name]
    return found


def plan(folder: Path, *scenarios: Scenario, seed: int = 1, url: str | None = None) -> Plan:
    """A quick run."""
    return Plan(scenarios, seed, True, suite_policy(), url, folder)


async def played(folder: Path, one: Scenario, *, seed: int = 1) -> ScenarioResult:
    """Play one scenario quickly."""
    logs = folder / "logs"
    logs.mkdir()
    return await play(plan(folder, seed=seed), one, SPACE, logs, lambda said: None)


def then(one: Scenario, spoil: Callable[[Stage], Awaitable[None]]) -> Scenario:
    """The same scenario, with something spoiled at its end."""

    async def spoiled(stage: Stage) -> None:
        await one.play(stage)
        await spoil(stage)

    return Scenario(one.name, spoiled, one.own_server, one.in_quick)


async def drop_a_queued_change(stage: Stage) -> None:
    """What a defective device would do: forget a change that it had promised to keep."""
    tablet = stage.devices["tablet"]
    await stage.offline(tablet)
    await tablet.write(stage.writes_for(3, 3, "to be forgotten"))
    await tablet.kill()
    with closing(sqlite3.connect(tablet.setup.file)) as file, file:
        (op_id,) = file.execute("SELECT op_id FROM outbox ORDER BY position").fetchone()
        file.execute("DELETE FROM outbox WHERE op_id = ?", (op_id,))
    await tablet.start()
    await stage.online(tablet)


async def drop_a_log_row(stage: Stage) -> None:
    """What a defective server would do: lose a change that it had acknowledged."""
    await stage.in_step(*stage.devices.values())
    with closing(sqlite3.connect(stage.own.data / "crdtsync.db")) as file, file:
        (position,) = file.execute("SELECT max(position) - 3 FROM log").fetchone()
        assert file.execute("DELETE FROM log WHERE position = ?", (position,)).rowcount == 1


async def repeat_a_log_row(stage: Stage) -> None:
    """What a defective server would do: take a change twice."""
    await stage.in_step(*stage.devices.values())
    with closing(sqlite3.connect(stage.own.data / "crdtsync.db")) as file, file:
        row = file.execute("SELECT * FROM log ORDER BY position DESC LIMIT 1").fetchone()
        file.execute(
            f"INSERT INTO log VALUES ({', '.join('?' * len(row))})", (row[0] + 1, *row[1:])
        )


async def meet_a_fault(stage: Stage) -> None:
    """What a program with a mistake would do: go on, and leave a traceback in its log."""
    with (stage.folder / "phone.log").open("a", encoding="utf-8") as file:
        file.write("Traceback (most recent call last):\n")
