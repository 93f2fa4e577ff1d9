"""A simulator that finds nothing proves nothing: it must find every planted bug.

``python -m tests.simulation.measure_mutants`` counts anew how many seeds each needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources

import pytest

from crdtsync_server.simulation.plan import draw_plan
from crdtsync_server.simulation.world import Outcome, run_plan
from tests.simulation.mutants import MUTANTS, Mutant, impatient


def found(mutant: Mutant) -> tuple[int, Outcome] | None:
    """The first run that notices the mutant: its seed, and what broke."""
    with mutant.planted():
        for seed in mutant.seeds:
            outcome = run_plan(draw_plan(seed, kinds_of_faults=mutant.faults))
            if outcome.failure is not None:
                return seed, outcome
    return None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_simulator_finds_a_planted_bug(
    mutant: Mutant, record_property: Callable[[str, object], None]
) -> None:
    result = found(mutant)
    assert result is not None, f"seeds {mutant.seeds} did not notice it"
    seed, outcome = result
    record_property("seed", seed)
    record_property("broke", outcome.invariant)
    print(f"{mutant.name}: seed {seed}, {outcome.failure}")
    assert outcome.invariant in mutant.breaks, outcome.failure
    with impatient():
        unharmed = run_plan(outcome.plan)
    assert unharmed.failure is None, f"it fails without the planted bug: {unharmed.failure}"


def test_the_table_of_planted_bugs_is_the_one_in_the_documentation() -> None:
    text = (
        resources.files("crdtsync_server.simulation").joinpath("SIMULATION.md").read_text("utf-8")
    )
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (.+?) \| (.*?) \|$", text, re.M)
    told = {name: (int(needs), breaks, real != "") for name, needs, breaks, real in rows}
    assert told == {
        mutant.name: (mutant.needs, ", ".join(sorted(mutant.breaks)), mutant.was_real)
        for mutant in MUTANTS
    }
