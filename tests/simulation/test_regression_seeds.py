"""Runs that had found something, again: what was found stays fixed.

A seed draws another plan as soon as the generator (plan.py) changes, and may
then find nothing any more. So plans are kept whole in ``plans/*.json``, with
what they had found; ``REGRESSIONS`` is for seeds of the present generator.
``crdtsync simulate --plan FILE`` shows one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync_server.simulation.jobs import Job, read_plan
from crdtsync_server.simulation.running import Pool

PLANS = Path(__file__).with_name("plans")

REGRESSIONS: dict[int, str] = {
    872953877: "StorageError (a false alarm of the simulator): a device that had crashed in a job "
    "was asked for its queue before it was buried",
    373288750: "NotAlive (a false alarm of the simulator): the server was started with the policy "
    "of before while a new one was being signed",
}
"""Seeds of the present generator, and what each had found."""


def test_what_was_found_once_stays_fixed() -> None:
    kept = {file: read_plan(file) for file in sorted(PLANS.glob("*.json"))}
    found = {one.plan.seed: f"{file.name}: {one.failure}" for file, one in kept.items()}
    jobs = [Job(one.plan.seed, len(one.plan.steps), one.plan) for one in kept.values()]
    with Pool(1) as pool:
        results = [*pool.run([*jobs, *(Job(seed) for seed in REGRESSIONS)])]
    assert len(results) == len(kept) + len(REGRESSIONS)
    broken = [
        f"seed {one.seed} broke {one.invariant} again: {one.failure}\n"
        f"it had found: {found.get(one.seed) or REGRESSIONS.get(one.seed)}"
        for one in results
        if one.invariant
    ]
    if broken:
        pytest.fail("\n\n".join(broken), pytrace=False)


def test_each_plan_that_is_kept_says_what_it_had_found() -> None:
    for file in PLANS.glob("*.json"):
        assert read_plan(file).failure, f"{file.name} does not say what it had found"
    assert all(REGRESSIONS.values())
