"""A worker process: takes jobs as lines of JSON, runs each, and answers with a line.

It is started with PYTHONHASHSEED=0, for the order of a set of strings must not
differ between two runs of one seed. ``python -m crdtsync_server.simulation.worker``
"""

from __future__ import annotations

import faulthandler
import gc
import os
import platform
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping

import msgspec

from crdtsync_server.simulation.jobs import Job, Ready, Result
from crdtsync_server.simulation.plan import Plan, draw_plan
from crdtsync_server.simulation.world import Outcome, run_plan

Run = Callable[[Plan, bool], Outcome]
"""Carries out a plan; the flag says whether the timeline is wanted."""

_BY_CHANCE = re.compile(r"(?<=0x)[0-9a-f]{6,}|(?<=\bTask-)\d+")
"""Addresses and numbers of tasks: they differ from process to process."""

_DETAIL_CHARS = 20_000


def _real(plan: Plan, trace: bool) -> Outcome:
    return run_plan(plan, trace=trace)


def serve(run: Run = _real) -> None:
    """Do what standard input asks for, until it ends.

    Standard output is for answers alone: what anybody prints goes to standard error.
    """
    if sys.flags.hash_randomization:
        raise SystemExit("a worker needs PYTHONHASHSEED=0: without it no seed repeats")
    faulthandler.enable()
    # Ctrl-C is for the command; it ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # What is imported lives for ever: no collection has to walk it again.
    gc.collect()
    gc.freeze()
    with answers:
        _say(answers.write, Ready(versions()))
        for line in sys.stdin.buffer:
            _say(answers.write, carry_out(msgspec.json.decode(line, type=Job), run))


def carry_out(job: Job, run: Run = _real) -> Result:
    """One run from beginning to end."""
    # Every run begins alike, whatever this process ran before.
    gc.collect()
    plan = draw_plan(job.seed, steps=job.steps) if job.plan is None else job.plan
    began_s = time.process_time()
    outcome = run(plan, job.trace)
    cpu_s = time.process_time() - began_s
    failure = outcome.failure
    details = "" if failure is None else "".join(traceback.format_exception(failure))
    return Result(
        plan.seed,
        outcome.invariant,
        "" if failure is None else repeatable(str(failure) or repr(failure)),
        repeatable(details[-_DETAIL_CHARS:]),
        None if failure is None else plan,
        outcome.virtual_s,
        outcome.counts,
        outcome.frames,
        outcome.ops,
        cpu_s,
        tuple(repeatable(line) for line in outcome.timeline.lines()) if job.trace else (),
    )


def repeatable(words: str) -> str:
    """Words without what differs from process to process."""
    return _BY_CHANCE.sub("…", words)


def versions() -> Mapping[str, str]:
    """What a run is made of: a seed repeats where these are the same."""
    from importlib.metadata import version

    import apsw

    from crdtsync.version import __version__

    return {
        "crdtsync": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "apsw": apsw.apsw_version(),
        "pycrdt": version("pycrdt"),
        "msgspec": version("msgspec"),
    }


def _say(write: Callable[[bytes], int | None], message: Ready | Result) -> None:
    left = msgspec.json.encode(message) + b"\n"
    while left:
        left = left[write(left) or 0 :]


if __name__ == "__main__":
    serve()
