"""Counts how many seeds each planted bug needs, and prints the table for SIMULATION.md."""

from __future__ import annotations

import sys

from crdtsync_server.simulation.plan import draw_plan
from crdtsync_server.simulation.world import run_plan
from tests.simulation.mutants import MUTANTS

AT_MOST = 400
TIMES = 3


def main(names: list[str]) -> None:
    """Print each mutant with the seeds at which it was found, one after the other."""
    for mutant in MUTANTS:
        if names and not any(name in mutant.name for name in names):
            continue
        found: list[str] = []
        with mutant.planted():
            for seed in range(AT_MOST):
                outcome = run_plan(draw_plan(seed, kinds_of_faults=mutant.faults))
                if outcome.failure is not None:
                    found.append(f"{seed} {outcome.invariant}")
                    print(f"    {mutant.name}: {seed}: {outcome.failure}"[:200], file=sys.stderr)
                if len(found) == TIMES:
                    break
        print(f"{mutant.name} | {'; '.join(found) or f'not in {AT_MOST}'}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
