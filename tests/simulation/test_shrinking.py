"""The shortest plan that fails alike is found, and never one that fails in another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from crdtsync_server.simulation.jobs import NotAPlan, PlanFile, read_plan, write_plan
from crdtsync_server.simulation.network import Weather
from crdtsync_server.simulation.plan import Plan, draw_plan
from crdtsync_server.simulation.shrinking import Shrinking

WILD = replace(
    draw_plan(3),
    devices=6,
    weather=Weather(3.0, 0.05, 0.02, 0.02, 0.03, 0.5),
    disk_latency_s=0.05,
    checkpoint_pages=4,
    skewed_clocks=True,
    small_limits=True,
    small_window=True,
)


def shrunk(fails: Callable[[Plan], str], plan: Plan = WILD, max_runs: int = 5_000) -> Shrinking:
    """Shrink with a clock that stands still; what comes out fails as it did."""
    alone = Shrinking(plan, fails(plan), each(fails), lambda: 0.0, max_runs=max_runs)
    shrinking = Shrinking(plan, fails(plan), each(fails), lambda: 0.0, max_runs=9_999, width=3)
    assert shrinking.invariant
    assert fails(shrinking.run()) == fails(alone.run()) == shrinking.invariant
    if alone.is_finished:
        assert alone.best == shrinking.best
    shrinking = alone
    assert shrinking.runs <= max_runs
    return shrinking


def each(fails: Callable[[Plan], str]) -> Callable[[Sequence[Plan]], list[str]]:
    """The same for many plans."""
    return lambda plans: [fails(plan) for plan in plans]


def numbers(plan: Plan) -> list[int]:
    """The steps that are left."""
    return [step.n for step in plan.steps]


def needs(*steps: int) -> Callable[[Plan], str]:
    """Fails where all of these steps are there, in this order."""
    return lambda plan: "invariant 4" if {*steps} <= {*numbers(plan)} else ""


@pytest.mark.parametrize("steps", [(0,), (79,), (12, 40, 77), (3, 4, 5, 6), (1, 20, 39, 58, 77)])
def test_only_the_steps_that_matter_are_left(steps: tuple[int, ...]) -> None:
    shrinking = shrunk(needs(*steps))
    assert numbers(shrinking.best) == [*steps]
    assert shrinking.is_finished


def test_what_makes_a_run_hard_to_read_goes_if_it_does_not_matter() -> None:
    best = shrunk(needs(5)).best
    assert best.devices == 1
    assert best.weather == Weather(0.0)
    assert (best.disk_latency_s, best.checkpoint_pages) == (0.0, 1_000)
    assert (best.skewed_clocks, best.small_limits, best.small_window) == (False,) * 3
    assert [step.pause_s for step in best.steps] == [0.0]


def test_what_matters_of_it_stays() -> None:
    def fails(plan: Plan) -> str:
        bad = plan.weather.lose and plan.skewed_clocks and plan.devices >= 3
        return needs(5)(plan) if bad else ""

    best = shrunk(fails).best
    assert (best.devices, best.weather, best.skewed_clocks) == (3, Weather(0, lose=0.02), True)


def test_a_shorter_plan_that_fails_in_another_way_is_not_taken() -> None:
    def fails(plan: Plan) -> str:
        if not needs(30)(plan):
            return ""
        return "invariant 4" if len(plan.steps) >= 7 else "invariant 5"

    assert len(shrunk(fails).best.steps) == 7


def test_time_that_has_to_pass_stays_when_the_steps_before_it_go() -> None:
    late = replace(WILD, steps=tuple(replace(step, pause_s=1.0) for step in WILD.steps))

    def fails(plan: Plan) -> str:
        return "NotAlive" if sum(step.pause_s for step in plan.steps) >= 20 else ""

    best = shrunk(fails, late).best
    assert len(best.steps) == 1
    assert best.steps[0].pause_s >= 20


def test_a_plan_that_fails_without_any_step_has_none_left() -> None:
    assert shrunk(lambda plan: "Fault").best.steps == ()


def test_it_ends_after_so_many_runs_and_after_so_many_seconds_with_the_best_so_far() -> None:
    some = shrunk(needs(12, 40, 77), max_runs=12)
    assert not some.is_finished
    assert some.runs == 12
    assert len(some.best.steps) < len(WILD.steps)
    now_s = iter(range(100))
    slow = Shrinking(WILD, "invariant 4", each(needs(12, 40)), lambda: float(next(now_s)), max_s=20)
    slow.run()
    assert (slow.is_finished, slow.runs) == (False, 19)


def test_the_same_plan_is_not_tried_twice_and_progress_is_told() -> None:
    tried: list[Plan] = []
    told: list[int] = []

    def fails(plan: Plan) -> str:
        tried.append(plan)
        return needs(12, 40)(plan)

    shrinking = Shrinking(
        WILD, "invariant 4", each(fails), lambda: 0.0, lambda so_far: told.append(so_far.runs)
    )
    shrinking.run()
    assert len(set(tried)) == len(tried) == shrinking.runs
    assert told == [*range(1, len(tried) + 1)]


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_that_is_kept_is_the_same_when_it_is_read(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "plan.json"
    kept = PlanFile(draw_plan(seed), "invariant 4", "lost", {"python": "3.11"})
    write_plan(file, kept)
    assert read_plan(file) == kept
    assert read_plan(file).plan.steps[3].random(seed).random() == (
        draw_plan(seed).steps[3].random(seed).random()
    )


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"pause_s": ', '"pause_s": -'),
        ('"devices": 6', '"devices": 0'),
        ('"devices": 6', '"devices": "six"'),
        ("crdtsync-simulate-plan/1", "something-else/1"),
        ("{", "\udcff{"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_its_name(
    tmp_path: Path, was: str, becomes: str
) -> None:
    file = tmp_path / "plan.json"
    write_plan(file, PlanFile(WILD))
    text = file.read_text(encoding="utf-8")
    assert was in text
    file.write_text(text.replace(was, becomes), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(NotAPlan, match=r"plan\.json"):
        read_plan(file)
