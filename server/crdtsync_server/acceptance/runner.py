"""Runs scenarios one after another; every child process is gone when it returns."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy
from crdtsync.protocol.messages import PROTOCOL_VERSION
from crdtsync.version import __version__
from crdtsync_server.acceptance.ending import Evidence, clean_up, gather, judge, note_faults
from crdtsync_server.acceptance.outcome import (
    Check,
    Counts,
    NotRun,
    RunResult,
    Said,
    ScenarioResult,
)
from crdtsync_server.acceptance.reaching import Reach
from crdtsync_server.acceptance.reconciling import Reconciliation
from crdtsync_server.acceptance.scenarios import Scenario
from crdtsync_server.acceptance.stage import NotInStep, Stage

SCENARIO_LIMIT_S = 400
"""No scenario takes longer, however slow the machine; one that does has failed."""

CAN_BREAK = (CrdtsyncError, OSError, sqlite3.Error, AssertionError, LookupError, ValueError)
"""What ends a scenario before its time, the suite's own mistakes included."""

NOTHING = Reconciliation(0, 0, (), (), (), (), 0)


class Listener(Protocol):
    """Who is told how far a run is."""

    def scenario(self, number: int, of: int, name: str) -> None:
        """A scenario begins."""

    def step(self, said: Said) -> None:
        """It does something."""

    def ended(self, result: ScenarioResult) -> None:
        """It is over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and how."""

    scenarios: Sequence[Scenario]
    seed: int
    quick: bool
    policy: Policy
    """The rules of the own server, or those of the server that was named."""
    url: str | None
    """A server of one's own; None starts one per scenario."""
    folder: Path
    """Logs of every process, and traces of what failed."""
    keep_data: bool = False
    """Keep the data of scenarios that passed, too."""
    ca: Path | None = None
    """Who vouches for the certificate of a ``wss://`` server; None: the system's authorities."""
    secret_file: Path | None = None
    """The secret of a named server with sign-in."""

    @property
    def reach(self) -> Reach | None:
        """How the named server is reached."""
        return None if self.url is None else Reach(self.url, self.ca, self.secret_file)


async def run(plan: Plan, listener: Listener) -> RunResult:
    """Run everything; the result says how it went."""
    started_at, loop = datetime.now(UTC), asyncio.get_running_loop()
    begun_s = loop.time()
    run_id = f"acceptance-{plan.seed}-{secrets.token_hex(4)}"
    results: list[ScenarioResult] = []
    spaces: list[str] = []
    for number, scenario in enumerate(plan.scenarios, start=1):
        listener.scenario(number, len(plan.scenarios), scenario.name)
        space = f"{run_id}-{scenario.name}"
        folder = plan.folder / f"{number:02}-{scenario.name}"
        folder.mkdir(parents=True)
        result = await play(plan, scenario, space, folder, listener.step)
        if result.status != "not run":
            spaces.append(space)
        results.append(result)
        listener.ended(result)
    return RunResult(
        seed=plan.seed,
        quick=plan.quick,
        server=plan.url,
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=round(loop.time() - begun_s, 1),
        machine=machine(),
        versions=versions(),
        scenarios=tuple(results),
        spaces=tuple(spaces) if plan.url else (),
    )


async def play(
    plan: Plan,
    scenario: Scenario,
    space: str,
    folder: Path,
    on_step: Callable[[Said], None],
) -> ScenarioResult:
    """Play one scenario and judge it."""
    begun_s = asyncio.get_running_loop().time()
    why_not = _why_not(plan, scenario)
    if why_not is not None:
        shutil.rmtree(folder)
        return ScenarioResult(scenario.name, "not run", why_not=why_not)
    stage = Stage(
        folder=folder,
        space=space,
        policy=plan.policy,
        seed=f"{plan.seed}:{scenario.name}",
        quick=plan.quick,
        reach=plan.reach,
        on_step=on_step,
    )
    async with stage:
        why_not = await _perform(stage, scenario)
        evidence, account = (None, NOTHING) if why_not else await _account(stage)
        if why_not is None and plan.url is not None:
            await _clean_up(stage)
    if why_not is not None:
        shutil.rmtree(folder)
        return ScenarioResult(scenario.name, "not run", why_not=why_not)
    note_faults(stage)
    passed = bool(stage.checks) and all(check.ok for check in stage.checks)
    if passed and not plan.keep_data:
        _forget_data(folder)
    return ScenarioResult(
        name=scenario.name,
        status="passed" if passed else "failed",
        seconds=round(asyncio.get_running_loop().time() - begun_s, 1),
        steps=tuple(stage.steps),
        checks=_once(stage.checks),
        counts=Counts(
            written=account.written,
            acknowledged=account.acknowledged,
            lost=len(account.lost),
            doubled=len(account.doubled),
            conflicts=account.conflicts,
            recovery_s=stage.recovery_s,
        ),
        proof=evidence.log.proof if evidence else None,
        lost_ops=account.lost,
        doubled_ops=account.doubled,
        invented_ops=account.invented,
        logs=str(folder),
    )


async def _perform(stage: Stage, scenario: Scenario) -> Said | None:
    """Play it to its end, or as far as it goes; why it cannot be played here at all."""
    try:
        async with asyncio.timeout(SCENARIO_LIMIT_S):
            await scenario.play(stage)
    except NotRun as not_run:
        return not_run.why
    except NotInStep:
        pass  # noted as a check that failed
    except CAN_BREAK as error:
        _broken(stage, error)
    return None


async def _account(stage: Stage) -> tuple[Evidence | None, Reconciliation]:
    """What was saved must be accounted for, even where the scenario broke off."""
    try:
        async with asyncio.timeout(SCENARIO_LIMIT_S):
            evidence = await gather(stage)
            return evidence, judge(stage, evidence)
    except CAN_BREAK as error:
        _broken(stage, error)
        return None, NOTHING


async def _clean_up(stage: Stage) -> None:
    try:
        await clean_up(stage)
    except CAN_BREAK as error:
        stage.check("cleaned_up", False, left=f"{type(error).__name__}: {error}")


def _broken(stage: Stage, error: BaseException) -> None:
    """A scenario that cannot be carried out is never a pass."""
    stage.check("carried_out", False, error=f"{type(error).__name__}: {error}")


def _once(checks: list[Check]) -> tuple[Check, ...]:
    """The same failure is told once, however often it came up."""
    kept: list[Check] = []
    for check in checks:
        if check.ok or check not in kept:
            kept.append(check)
    return tuple(kept)


def _why_not(plan: Plan, scenario: Scenario) -> Said | None:
    if plan.url is not None and scenario.own_server:
        return Said("why_not_named_server")
    if plan.quick and not scenario.in_quick:
        return Said("why_not_quick")
    return None


def _forget_data(folder: Path) -> None:
    """Of a scenario that passed only the logs are kept."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink()


def with_logs(result: RunResult, kept: bool) -> RunResult:
    """The result, naming the folders of logs only if they are still there."""
    if kept:
        return result
    return replace(result, scenarios=tuple(replace(one, logs=None) for one in result.scenarios))


def machine() -> dict[str, Any]:
    """Where it ran."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
    }


def versions() -> dict[str, str]:
    """What ran."""
    return {
        "crdtsync": __version__,
        "protocol": str(PROTOCOL_VERSION),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "pycrdt": version("pycrdt"),
        "websockets": version("websockets"),
    }
