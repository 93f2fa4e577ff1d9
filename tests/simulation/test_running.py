"""Seeds are run in processes of their own; what befalls one is told and harms no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from crdtsync_server.simulation.jobs import Job, Result
from crdtsync_server.simulation.running import Pool, WorkerCannotStart, once, seeds
from tests.simulation.planted_worker import THAT_SEED
from tests.simulation.planting import planted

AROUND = range(THAT_SEED - 3, THAT_SEED + 3)
PATIENCE_S = 4.0


def results(jobs: Sequence[Job], trouble: str, workers: int = 1) -> dict[int, Result]:
    """What a planted worker makes of them, by seed."""
    with Pool(workers, planted(trouble), hang_s=PATIENCE_S) as pool:
        return {result.seed: result for result in pool.run(jobs)}


def around_that_seed(trouble: str) -> dict[int, Result]:
    """Some seeds, with one that has the trouble among them."""
    found = results([Job(seed) for seed in AROUND], trouble)
    assert set(found) == set(AROUND)
    assert all(not one.invariant for seed, one in found.items() if seed != THAT_SEED)
    return found


def traced(order: Sequence[int], workers: int) -> dict[int, Result]:
    """The real runs of these seeds with their timelines."""
    with Pool(workers) as pool:
        return {one.seed: one for one in pool.run(Job(seed, 40, trace=True) for seed in order)}


def test_a_seed_gives_the_same_run_to_the_letter_whatever_ran_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = list(range(2_000, 2_004))
    first = traced(order, 1)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    second = traced(order[::-1], 2)
    for seed in order:
        assert first[seed].lines == second[seed].lines
        assert first[seed].fingerprint == second[seed].fingerprint
        assert len(first[seed].lines) > 40
    assert first[2_000].lines != first[2_001].lines


def test_a_run_is_the_same_with_and_without_its_timeline() -> None:
    without, kept = (once(Job(2_010, 40, trace=trace)) for trace in (False, True))
    assert without.fingerprint == kept.fingerprint
    assert (len(without.lines), len(kept.lines) > 40) == (0, True)


def test_a_planted_failure_is_told_with_its_plan() -> None:
    found = around_that_seed("break")[THAT_SEED]
    assert (found.invariant, found.failure) == ("invariant 4", "invariant 4: a resolve was lost")
    assert found.plan is not None
    assert found.plan.seed == THAT_SEED
    again = once(Job(THAT_SEED, plan=found.plan), planted("break"))
    assert again.fingerprint == found.fingerprint


def test_a_run_that_hangs_is_a_failure_that_says_where_it_hangs() -> None:
    found = around_that_seed("hang")[THAT_SEED]
    assert found.invariant == "hung"
    assert "in meet" in found.details


@pytest.mark.parametrize(
    ("trouble", "words"), [("die", "killed by SIGKILL"), ("exit", "exit code 7")]
)
def test_a_worker_that_dies_is_a_failure_of_its_seed(trouble: str, words: str) -> None:
    found = around_that_seed(trouble)[THAT_SEED]
    assert found.invariant == "died"
    assert words in found.failure
    assert found.details == ("these are my last words" if trouble == "die" else "")


def test_what_a_run_prints_does_not_spoil_the_answers() -> None:
    assert around_that_seed("print")[THAT_SEED].invariant == ""


def test_a_worker_that_cannot_start_says_why_and_is_no_failure_of_a_seed() -> None:
    with pytest.raises(WorkerCannotStart, match="some package is broken"):
        results([Job(1)], "no start")


def test_no_process_outlives_the_pool_though_seeds_are_left() -> None:
    with Pool(2, planted("")) as pool:
        (first, *_) = zip(pool.run(seeds(1, None)), range(5), strict=False)
        pids = [worker.pid for worker in pool.workers]
    assert not first[0].invariant
    assert any(pids)
    for pid in filter(None, pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_refuses_to_run_where_sets_have_another_order_each_time() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crdtsync_server.simulation.worker"],
        env={**os.environ, "PYTHONHASHSEED": "random"},
        input=b"",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"PYTHONHASHSEED=0" in done.stderr
