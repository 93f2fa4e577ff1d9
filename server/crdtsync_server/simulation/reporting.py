"""A simulation in the terminal and as JSON: progress, sums, and what failed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from crdtsync.cli.screen import safe, table, to_read, to_tell
from crdtsync_server.simulation.counting import Totals, grouped
from crdtsync_server.simulation.failing import Failed
from crdtsync_server.simulation.shrinking import Shrinking
from crdtsync_server.simulation.words import tell

SCHEMA: Final = "crdtsync-simulate/1"
"""Fields are added, never changed."""

PLAIN_EVERY_S: Final = 10.0
"""How often a line is written where there is no terminal."""

SHOWN_LINES: Final = 40
SHOWN_FAILURES: Final = 5


class Watcher:
    """Tells on standard error how far it is: a bar in a terminal, else a line now and then."""

    def __init__(self, seeds: int, lang: str) -> None:
        self._seeds = seeds
        self._lang = lang
        self._last_s = 0.0
        self._out = to_tell()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                BarColumn(20), TaskProgressColumn(), TextColumn("{task.description}"),
                console=self._out, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("", total=seeds)
            self._bar.start()

    def seed_done(self, totals: Totals) -> None:
        """One more seed has ended."""
        if self._bar is not None:
            words = self._words(totals)
            self._bar.update(self._task, completed=totals.seeds, description=words)
        elif totals.elapsed_s - self._last_s >= PLAIN_EVERY_S:
            self._last_s = totals.elapsed_s
            self._out.print(self._words(totals), soft_wrap=True)

    def shrinks(self, shrinking: Shrinking, of_steps: int) -> None:
        """One more plan was tried."""
        if self._bar is None and shrinking.runs % 100:
            return
        words = tell(
            "shrinking",
            self._lang,
            seed=shrinking.best.seed,
            runs=shrinking.runs,
            steps=len(shrinking.best.steps),
            of=of_steps,
        )
        if self._bar is not None:
            self._bar.update(self._task, description=words)
        else:
            self._out.print(words, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _words(self, totals: Totals) -> str:
        return tell(
            "progress",
            self._lang,
            done=totals.seeds,
            seeds=self._seeds,
            per_s=totals.per_s,
            per_job=totals.per_job_s,
            hours=totals.virtual_hours,
            ops=totals.ops,
            frames=totals.frames,
            failed=totals.failed,
        )


def print_sums(totals: Totals, lang: str) -> None:
    """What was counted, on standard output."""
    out = to_read()
    counts = grouped(totals.counts)
    what, times = tell("column_what", lang), tell("column_times", lang)
    faults = table(tell("column_of", lang), what, title=tell("heading_faults", lang))
    faults.add_column(times, justify="right")
    for group, kinds in counts.faults.items():
        for n, (kind, count) in enumerate(kinds.items()):
            faults.add_row("" if n else group, kind, f"{count:,}")
        faults.add_section()
    out.print(faults)
    for heading, kinds in (("heading_people", counts.people), ("heading_other", counts.other)):
        if kinds:
            rows = table(what, title=tell(heading, lang))
            rows.add_column(times, justify="right")
            for kind, count in kinds.items():
                rows.add_row(kind, f"{count:,}")
            out.print(rows)


def print_verdict(totals: Totals, failures: Sequence[Failed], lang: str) -> None:
    """Whether all held, what failed, and how fast it went, on standard output."""
    out = to_read()
    for one in failures[:SHOWN_FAILURES]:
        _print_failure(one, lang)
    if more := failures[SHOWN_FAILURES:]:
        listed = ", ".join(str(one.seed) for one in more)
        out.print(tell("more_failures", lang, n=len(more), seeds=listed), soft_wrap=True)
    if failures:
        words = tell("some_failed", lang, failed=totals.failed, seeds=totals.seeds)
    else:
        words = tell(
            "all_held",
            lang,
            seeds=totals.seeds,
            hours=totals.virtual_hours,
            faults=grouped(totals.counts).fault_count,
        )
    out.print(Text(words, style="bold red" if failures else "bold green"), soft_wrap=True)
    print_speed(totals, lang)


def print_speed(totals: Totals, lang: str) -> None:
    """How fast it went."""
    words = tell(
        "speed",
        lang,
        per_s=totals.per_s,
        jobs=totals.jobs,
        per_core=totals.per_core_s,
        elapsed=totals.elapsed_s,
        ops=totals.ops,
        frames=totals.frames,
    )
    to_read().print(words, soft_wrap=True)


def _print_failure(failed: Failed, lang: str) -> None:
    out = to_read()
    words = tell("failed_seed", lang, seed=failed.seed, invariant=failed.result.invariant)
    out.print(Text(words, style="bold red"), soft_wrap=True)
    out.print(f"  {safe(failed.result.failure)}", soft_wrap=True)
    if failed.again is not None and not failed.is_repeatable:
        out.print(f"  {tell('not_again', lang)}", soft_wrap=True)
    out.print(f"  {tell('replay', lang, command=failed.replay)}", soft_wrap=True)
    shrinking, shortest = failed.shrinking, failed.shortest
    if shrinking is not None and shortest is not None:
        words = tell(
            "shortest",
            lang,
            steps=len(shrinking.best.steps),
            of_steps=len(failed.plan.steps),
            devices=shrinking.best.devices,
            of_devices=failed.plan.devices,
            runs=shrinking.runs,
        )
        out.print(f"  {words}", soft_wrap=True)
        if not shrinking.is_finished:
            out.print(f"  {tell('not_finished', lang)}", soft_wrap=True)
        out.print(f"  {tell('replay', lang, command=failed.replay_shortest)}", soft_wrap=True)
    shown = shortest or failed.again
    file = failed.shortest_file or failed.timeline_file
    if shown is not None and file is not None:
        out.print(f"  {tell('end_of_timeline', lang, file=file)}", soft_wrap=True)
        for line in shown.lines[-SHOWN_LINES:]:
            out.print(f"    {safe(line)}", soft_wrap=True)


def as_json(
    *,
    ended: str,
    first: int | None,
    wanted: int,
    steps: int,
    totals: Totals,
    failures: Sequence[Failed],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """One JSON document. ``ended`` is held, failed or interrupted."""
    counts = grouped(totals.counts)
    return {
        "schema": SCHEMA,
        "ended": ended,
        "versions": dict(versions),
        "first": first,
        "seeds_wanted": wanted,
        "seeds": totals.seeds,
        "steps": steps,
        "jobs": totals.jobs,
        "virtual_hours": totals.virtual_hours,
        "ops": totals.ops,
        "frames": totals.frames,
        "seconds": totals.elapsed_s,
        "seeds_per_s": totals.per_s,
        "seeds_per_s_per_job": totals.per_job_s,
        "seeds_per_cpu_s": totals.per_core_s,
        "faults": {group: dict(kinds) for group, kinds in counts.faults.items()},
        "people": dict(counts.people),
        "other": dict(counts.other),
        "failures": [_failure(one) for one in failures],
    }


def _failure(one: Failed) -> dict[str, Any]:
    shrinking, shortest = one.shrinking, one.shortest
    return {
        "seed": one.seed,
        "invariant": one.result.invariant,
        "failure": one.result.failure,
        "details": one.result.details,
        "repeatable": None if one.again is None else one.is_repeatable,
        "replay": one.replay,
        "plan": None if one.plan_file is None else str(one.plan_file),
        "timeline": None if one.timeline_file is None else str(one.timeline_file),
        "shortest": None
        if shrinking is None or shortest is None
        else {
            "steps": len(shrinking.best.steps),
            "of_steps": len(one.plan.steps),
            "devices": shrinking.best.devices,
            "of_devices": one.plan.devices,
            "runs": shrinking.runs,
            "finished": shrinking.is_finished,
            "failure": shortest.failure,
            "replay": one.replay_shortest,
            "plan": str(one.shortest_plan_file),
            "timeline": str(one.shortest_file),
        },
    }
