"""Seeds that nobody has run before hold every invariant.

The base is drawn once for a test run (tests/conftest.py) and told with every
failure. ``CRDTSYNC_SEED=N`` runs the same ones again.
"""

from __future__ import annotations

import os

import pytest

from crdtsync_server.simulation.failing import replay_command
from crdtsync_server.simulation.jobs import DEFAULT_STEPS, Job, Result
from crdtsync_server.simulation.running import Pool, once, seeds

CHUNKS = 12
SEEDS_PER_CHUNK = 25
"""300 in all; chunks, so that the workers of xdist share them."""

SHOWN_LINES = 40


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_fresh_seeds_hold_every_invariant(chunk: int) -> None:
    base = int(os.environ["CRDTSYNC_SEED"])
    with Pool(1) as pool:
        results = [*pool.run(seeds(base + chunk * SEEDS_PER_CHUNK, SEEDS_PER_CHUNK))]
    assert len(results) == SEEDS_PER_CHUNK
    assert sum(result.ops for result in results) > 100
    failed = [result for result in results if result.invariant]
    if failed:
        pytest.fail("\n\n".join([*map(words_of, failed), how_it_went(failed[0])]), pytrace=False)


def words_of(result: Result) -> str:
    """What broke, and how to see it again."""
    replay = replay_command(result.seed, DEFAULT_STEPS)
    return (
        f"seed {result.seed} broke {result.invariant}: {result.failure}\n"
        f"replay it: {replay}\n"
        f"the shortest way there: {replay} --shrink"
    )


def how_it_went(result: Result) -> str:
    """The end of the timeline."""
    again = once(Job(result.seed, trace=True))
    return "\n".join([*again.lines[-SHOWN_LINES:], again.details or result.details])


def test_a_failure_names_the_seed_the_invariant_and_the_command() -> None:
    words = words_of(Result(123, "invariant 4", "invariant 4: lost"))
    for part in ("seed 123", "invariant 4: lost", "crdtsync simulate --seed 123"):
        assert part in words
