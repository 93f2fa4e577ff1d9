"""A worker whose runs are made up: ``python planted_worker.py TROUBLE`` has it with one seed.

``ThatSeed`` fails, hangs, dies and so on, as ``TROUBLE`` says; every other seed holds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter

from crdtsync_server.simulation.book import Broken
from crdtsync_server.simulation.plan import Plan
from crdtsync_server.simulation.timeline import Timeline
from crdtsync_server.simulation.worker import serve
from crdtsync_server.simulation.world import Outcome

THAT_SEED = 1_003
WORDS = "a resolve was lost"


def run(plan: Plan, trace: bool) -> Outcome:
    """A write after a resolve breaks invariant 4, if this is what is planted."""
    trouble = sys.argv[1] if plan.seed == THAT_SEED else ""
    timeline = Timeline(keep=trace)
    failure: BaseException | None = None
    at_s, is_resolved = 0.0, False
    for step in plan.steps:
        at_s += step.pause_s
        timeline.add(at_s, f"device-{step.device}", step.what)
        is_resolved = is_resolved or step.what == "resolve"
        if trouble == "break" and is_resolved and step.what == "write":
            failure = Broken(4, WORDS)
            break
    meet(trouble)
    counts = Counter({"write": 2, "frame lost": 1, "disk: fsync failed": 1, "healed": 1})
    return Outcome(plan, at_s, counts, 10, 3, timeline, failure)


def meet(trouble: str) -> None:
    """What befalls the process."""
    match trouble:
        case "hang":
            time.sleep(10_000)
        case "die":
            print("these are my last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "print":
            print("nobody asked for this", flush=True)
        case "interrupt":
            # As if a person pressed Ctrl-C now. The command has to end this process, too.
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(10_000)


if __name__ == "__main__":
    if sys.argv[1] == "no start":
        raise SystemExit("some package is broken")
    serve(run)
