"""What is done about a run that failed: again in a fresh process, shorter, and kept in files."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from crdtsync.cli.screen import safe
from crdtsync_server.simulation.jobs import DEFAULT_STEPS, Job, PlanFile, Result, write_plan
from crdtsync_server.simulation.plan import Plan, draw_plan
from crdtsync_server.simulation.running import WORKER, Worker, once
from crdtsync_server.simulation.shrinking import RUNS, SECONDS, Shrinking

SHRINK_HANG_S: Final = 20.0
"""A shorter plan that takes this long does not end."""


@dataclass
class Failed:
    """A run that failed, and what is known about it."""

    result: Result
    steps: int
    again: Result | None = None
    """The same in a fresh process, with its timeline."""
    shrinking: Shrinking | None = None
    shortest: Result | None = None
    """The shortest that fails alike, with its timeline."""
    timeline_file: Path | None = None
    plan_file: Path | None = None
    shortest_file: Path | None = None
    shortest_plan_file: Path | None = None

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.result.seed

    @property
    def plan(self) -> Plan:
        """The whole plan."""
        return self.result.plan or draw_plan(self.seed, steps=self.steps)

    @property
    def is_repeatable(self) -> bool:
        """Whether the fresh process gave the same."""
        return self.again is not None and self.again.fingerprint == self.result.fingerprint

    @property
    def replay(self) -> str:
        """The command that runs it once more."""
        return replay_command(self.seed, self.steps)

    @property
    def replay_shortest(self) -> str:
        """The command that runs the shortest one."""
        return replay_plan_command(self.shortest_plan_file) if self.shortest_plan_file else ""


def replay_command(seed: int, steps: int) -> str:
    """The command that runs a seed once more."""
    more = "" if steps == DEFAULT_STEPS else f" --steps {steps}"
    return f"crdtsync simulate --seed {seed}{more}"


def replay_plan_command(file: Path) -> str:
    """The command that runs a plan of a file."""
    return f"crdtsync simulate --plan {shlex.quote(str(file))}"


def look_again(
    failed: Failed, folder: Path, versions: Mapping[str, str], worker: Sequence[str] = WORKER
) -> None:
    """Run it in a fresh process, and keep its plan and its timeline."""
    job = Job(failed.seed, failed.steps, failed.result.plan, trace=True)
    failed.again = once(job, worker)
    failed.timeline_file = folder / f"seed-{failed.seed}.timeline.txt"
    _write_timeline(failed.timeline_file, failed.again)
    failed.plan_file = folder / f"seed-{failed.seed}.plan.json"
    kept = PlanFile(failed.plan, failed.result.invariant, failed.result.failure, versions)
    write_plan(failed.plan_file, kept)


def shrink(
    failed: Failed,
    folder: Path,
    versions: Mapping[str, str],
    *,
    worker: Sequence[str] = WORKER,
    jobs: int = 1,
    max_runs: int = RUNS,
    max_s: float = SECONDS,
    progress: Callable[[Shrinking], None] = lambda shrinking: None,
) -> None:
    """Find the shortest plan that fails alike, and keep it with its timeline.

    What was found is kept also when this is interrupted.
    """
    workers = [Worker(worker, hang_s=SHRINK_HANG_S) for _ in range(jobs)]
    threads = ThreadPoolExecutor(jobs)

    def carry_out(process: Worker, plan: Plan) -> str:
        return process.run(Job(plan.seed, len(plan.steps), plan)).invariant

    def fails(plans: Sequence[Plan]) -> list[str]:
        return [*threads.map(carry_out, workers, plans)]

    shrinking = failed.shrinking = Shrinking(
        failed.plan,
        failed.result.invariant,
        fails,
        time.monotonic,
        progress,
        max_runs=max_runs,
        max_s=max_s,
        width=jobs,
    )
    try:
        shrinking.run()
    finally:
        for process in workers:
            process.stop()
        threads.shutdown()
        for process in workers:
            process.close()
        plan = shrinking.best
        shortest = once(Job(plan.seed, len(plan.steps), plan, trace=True), worker)
        failed.shortest = replace(shortest, plan=plan)
        failed.shortest_plan_file = folder / f"seed-{failed.seed}.shortest.json"
        failed.shortest_file = folder / f"seed-{failed.seed}.shortest.txt"
        kept = PlanFile(plan, shortest.invariant, shortest.failure, versions)
        write_plan(failed.shortest_plan_file, kept)
        _write_timeline(failed.shortest_file, shortest)


def _write_timeline(file: Path, result: Result) -> None:
    file.write_text(whole_text(result), encoding="utf-8", errors="backslashreplace")


def whole_text(result: Result) -> str:
    """A run's timeline and how it ended: the same to the letter whenever it is run."""
    lines = [*result.lines, "", verdict_line(result), result.details]
    return "\n".join(safe(line) for text in lines for line in text.split("\n")).rstrip() + "\n"


def verdict_line(result: Result) -> str:
    """How a run ended."""
    ended = f"FAILED: {result.invariant}: {result.failure}" if result.invariant else "held"
    return (
        f"seed {result.seed}: {ended}\n"
        f"{result.virtual_s:.6f} virtual s, {result.ops} ops, {result.frames} frames"
    )
