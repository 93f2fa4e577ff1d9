"""The merge scenarios: equal work for all, and nobody wins who does nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from benchmarks.harness.scenario import Case, Contender
from benchmarks.merge.scenarios import SCENARIOS
from benchmarks.merge.shape import first_values, is_conflicting, merged_values, values_after
from benchmarks.merge.timing import Figures, WrongResult, batches, expect, in_batches

OF_THIS_ENVIRONMENT = [
    (case, contender)
    for scenario in SCENARIOS
    for case in scenario.quick
    for contender in scenario.contenders
    if contender.peer is None
]


def function(contender: Contender) -> Callable[[object], Figures]:
    module, _, name = contender.target.partition(":")
    found: Callable[[object], Figures] = getattr(importlib.import_module(module), name)
    return found


@pytest.mark.parametrize(("case", "contender"), OF_THIS_ENVIRONMENT)
def test_every_contender_checks_its_results_and_gives_the_figures(
    case: Case, contender: Contender
) -> None:
    scenario = next(one for one in SCENARIOS if case in one.quick and contender in one.contenders)
    figures = function(contender)({**case.params, "batch": 10})
    assert {figure.name for figure in scenario.figures} <= figures.keys()
    assert all(value > 0 for value in figures.values())


def test_work_that_is_not_done_is_no_result() -> None:
    params = {"records": 4, "batch": 2, "at_most_s": 9.0}

    def check(record: int, before: int, after: int) -> None:
        expect(after, before * 2)

    watch = in_batches(params, int, lambda numbers: [n * 2 for n in numbers], check)
    assert watch.done == 4
    with pytest.raises(WrongResult, match="1 instead of 2"):
        in_batches(params, int, lambda numbers: numbers, check)
    with pytest.raises(WrongResult, match="0 of 2 records"):
        in_batches(params, int, lambda numbers: [], check)


def test_a_slow_contender_stops_after_the_batch_in_which_its_time_ends() -> None:
    params = {"records": 100, "batch": 10, "at_most_s": -1.0}
    watch = in_batches(params, int, list, lambda *_: None, each=3)
    assert watch.done == 30
    assert [len(numbers) for numbers in batches(25, 10)] == [10, 10, 5]


def test_the_record_that_all_write_is_known_to_its_last_value() -> None:
    assert len(first_values(7)) == 10
    assert values_after(7, 12)["f1"] == "edit number 11"
    assert values_after(7, 12)["f5"] == "edit number 5"
    merged = merged_values(7)
    assert merged["f0"] == {"value 0 of 7"}
    assert merged["f1"] == {"left wrote f1"}
    assert merged["f3"] == {"left wrote f3", "right wrote f3"}
    assert sum(is_conflicting(record, 100) for record in range(1_000)) == 10


def test_every_peer_is_asked_for_a_task_that_the_case_names() -> None:
    for scenario in SCENARIOS:
        for case in (*scenario.cases, *scenario.quick):
            ours = next(one for one in scenario.contenders if one.peer is None)
            assert ours.target.endswith(f":{case.params['task']}")
