"""What ``crdtsync simulate`` does with its options."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from crdtsync.cli.failures import BAD_INPUT, INTERRUPTED, NEEDS_PERSON, OK, Failure
from crdtsync.cli.screen import print_json, to_tell, write_utf8
from crdtsync_server.simulation import running
from crdtsync_server.simulation.counting import Totals
from crdtsync_server.simulation.failing import Failed, look_again, shrink, whole_text
from crdtsync_server.simulation.jobs import DEFAULT_STEPS, Job, read_plan
from crdtsync_server.simulation.reporting import (
    Watcher,
    as_json,
    print_speed,
    print_sums,
    print_verdict,
)
from crdtsync_server.simulation.running import HANG_S, Pool, seeds
from crdtsync_server.simulation.words import tell

STDOUT: Final = "-"
LAST_FIRST: Final = 1_000_000_000
"""A first seed that is drawn by lot is below it: short enough to be typed again."""

SHRUNK: Final = 3
"""Failures that are shortened when all seeds are run; the rest are likely the same ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line."""

    seeds: int
    first: int | None
    jobs: int
    seed: int | None
    plan: Path | None
    steps: int
    json_file: str | None
    shrink: bool | None
    shrink_s: float
    keep_going: bool
    folder: Path | None
    lang: str
    worker: Sequence[str] = field(default_factory=lambda: running.WORKER)
    hang_s: float = HANG_S


@dataclass
class Run:
    """What became of it so far."""

    totals: Totals
    of: int
    steps: int
    first: int | None = None
    failures: list[Failed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def run_command(wanted: Wanted) -> int:
    """Run what is wanted, tell it, and give the exit code."""
    _check_folder(wanted)
    if wanted.seed is not None or wanted.plan is not None:
        return _replay(wanted)
    return _many(wanted)


def _many(wanted: Wanted) -> int:
    first = SystemRandom().randrange(LAST_FIRST) if wanted.first is None else wanted.first
    again = f"crdtsync simulate --seeds {wanted.seeds} --first {first}"
    if wanted.steps != DEFAULT_STEPS:
        again += f" --steps {wanted.steps}"
    last = first + wanted.seeds - 1
    words = tell("begins", wanted.lang, first=first, last=last, jobs=wanted.jobs, command=again)
    to_tell().print(words, soft_wrap=True)
    run = Run(Totals(wanted.jobs), wanted.seeds, wanted.steps, first)
    watcher = Watcher(wanted.seeds, wanted.lang)
    interrupted = False
    try:
        _run_seeds(wanted, run, first, watcher)
        for failed in run.failures[:SHRUNK]:
            _look_into(wanted, run, failed, watcher, shortens=wanted.shrink is not False)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        watcher.close()
    _write_json(wanted, run, interrupted)
    if wanted.json_file != STDOUT:
        print_sums(run.totals, wanted.lang)
        if interrupted and not run.failures:
            print_speed(run.totals, wanted.lang)
        else:
            print_verdict(run.totals, run.failures, wanted.lang)
    if interrupted:
        words = tell("interrupted", wanted.lang, seeds=run.totals.seeds, of=wanted.seeds)
        to_tell().print(words, soft_wrap=True)
    return _exit_code(run, interrupted)


def _run_seeds(wanted: Wanted, run: Run, first: int, watcher: Watcher) -> None:
    began_s = time.monotonic()
    with Pool(wanted.jobs, wanted.worker, hang_s=wanted.hang_s) as pool:
        try:
            for result in pool.run(seeds(first, wanted.seeds, wanted.steps)):
                run.totals.add(result, time.monotonic() - began_s)
                if result.invariant:
                    run.failures.append(Failed(result, wanted.steps))
                watcher.seed_done(run.totals)
                if result.invariant and not wanted.keep_going:
                    break
        finally:
            run.versions.update(pool.versions)
            run.totals.elapsed_s = time.monotonic() - began_s


def _replay(wanted: Wanted) -> int:
    """One run with its timeline on standard output, the same to the letter every time."""
    kept = None if wanted.plan is None else read_plan(wanted.plan)
    if kept is not None:
        job = Job(kept.plan.seed, len(kept.plan.steps), kept.plan, trace=True)
    else:
        assert wanted.seed is not None
        job = Job(wanted.seed, wanted.steps, trace=True)
    run = Run(Totals(1), 1, job.steps, job.seed)
    began_s = time.monotonic()
    interrupted = False
    watcher = Watcher(1, wanted.lang)
    try:
        with Pool(1, wanted.worker, hang_s=wanted.hang_s) as pool:
            (result,) = pool.run([job])
            run.versions.update(pool.versions)
        run.totals.add(result, time.monotonic() - began_s)
        watcher.close()
        if wanted.json_file != STDOUT:
            write_utf8(whole_text(result))
        if result.invariant:
            failed = Failed(result, job.steps, again=result)
            run.failures.append(failed)
            if wanted.shrink:
                watcher = Watcher(1, wanted.lang)
                _look_into(wanted, run, failed, watcher, shortens=True)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        watcher.close()
    _write_json(wanted, run, interrupted)
    if run.failures and run.failures[0].shrinking is not None and wanted.json_file != STDOUT:
        print_verdict(run.totals, run.failures, wanted.lang)
    return _exit_code(run, interrupted)


def _look_into(
    wanted: Wanted, run: Run, failed: Failed, watcher: Watcher, *, shortens: bool
) -> None:
    folder = _folder(wanted, run)
    look_again(failed, folder, run.versions, wanted.worker)
    if shortens:
        of_steps = len(failed.plan.steps)
        shrink(
            failed,
            folder,
            run.versions,
            worker=wanted.worker,
            jobs=wanted.jobs,
            max_s=wanted.shrink_s,
            progress=lambda shrinking: watcher.shrinks(shrinking, of_steps),
        )


def _exit_code(run: Run, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    return NEEDS_PERSON if run.failures else OK


def _check_folder(wanted: Wanted) -> None:
    folder = wanted.folder
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(tell("folder_not_empty", wanted.lang, folder=folder), BAD_INPUT)
    if wanted.json_file not in (None, STDOUT):
        # Found out now, and not after an hour of work.
        path = Path(wanted.json_file or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _folder(wanted: Wanted, run: Run) -> Path:
    """The folder for what failed, made when it is needed."""
    for failed in run.failures:
        if failed.timeline_file is not None:
            return failed.timeline_file.parent
    if wanted.folder is None:
        folder = Path(tempfile.mkdtemp(prefix="crdtsync-simulate-"))
    else:
        folder = wanted.folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
    to_tell().print(tell("files_in", wanted.lang, folder=folder), soft_wrap=True)
    return folder


def _write_json(wanted: Wanted, run: Run, interrupted: bool) -> None:
    if wanted.json_file is None:
        return
    document: dict[str, Any] = as_json(
        ended="interrupted" if interrupted else "failed" if run.failures else "held",
        first=run.first,
        wanted=run.of,
        steps=run.steps,
        totals=run.totals,
        failures=run.failures,
        versions=run.versions,
    )
    if wanted.json_file == STDOUT:
        print_json(document)
    else:
        text = json.dumps(document, ensure_ascii=False, indent=2)
        Path(wanted.json_file).write_text(text + "\n", encoding="utf-8")
