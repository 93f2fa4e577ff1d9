"""Figures that were kept outlive a run that is stopped or fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.harness import documents, results, running, telling
from benchmarks.harness.judging import judge
from benchmarks.harness.measuring import Failed
from benchmarks.harness.peers import Peers
from benchmarks.harness.results import CaseResult, Results, Round, ScenarioResult
from benchmarks.harness.running import Runner
from benchmarks.harness.scenario import Case, Contender, Figure, Mark, Scenario

SCENARIO = Scenario(
    name="racing",
    group="test",
    what="Who is faster.",
    figures=(Figure(name="per_s", label="steps/s", better="higher"),),
    cases=(Case(name="few", params={}), Case(name="many", params={})),
    quick=(),
    contenders=(Contender(name="crdtsync", target=""), Contender(name="other", target="")),
    baseline="other",
    marks=(
        Mark(what="half", figure="per_s", of="crdtsync", case="few", against="other", at_least=0.5),
    ),
)


def kept() -> Results:
    """A file with two rounds of everybody in both cases."""
    found = results.begin("an earlier run", quick=False, peers={})
    everybody = [Round(name, {"per_s": 7.0}) for name in ("crdtsync", "other") * 2]
    found.put(ScenarioResult("racing", [CaseResult(name, everybody) for name in ("few", "many")]))
    return found


@pytest.fixture
def fails_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Let the measurement of that number, from 1, raise."""

    def arrange(turn: int, error: BaseException) -> None:
        turns = iter(range(1, 1_000))

        def measure(*_: object) -> dict[str, float]:
            if next(turns) == turn:
                raise error
            return {"per_s": 1.0}

        monkeypatch.setattr(running, "measure", measure)

    return arrange


def runner(found: Results, rounds: int = 2) -> Runner:
    return Runner(found, Peers(install=False), rounds=rounds)


@pytest.mark.parametrize("turn", [1, 4, 8])
def test_a_stop_leaves_the_earlier_result_whole(
    turn: int, fails_at: Callable[[int, BaseException], None]
) -> None:
    fails_at(turn, KeyboardInterrupt())
    found = kept()
    running_now = runner(found)
    with pytest.raises(KeyboardInterrupt):
        running_now.run(SCENARIO, SCENARIO.cases)
    assert found.scenarios == kept().scenarios
    assert "stopped" in running_now.stays["racing"]


def test_a_stop_keeps_what_was_measured_where_nothing_was_kept_before(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(4, KeyboardInterrupt())
    found = results.begin("new", quick=False, peers={})
    running_now = runner(found)
    with pytest.raises(KeyboardInterrupt):
        running_now.run(SCENARIO, SCENARIO.cases)
    assert len(found.scenarios[0].cases[0].rounds) == 3
    assert not found.scenarios[0].finished
    assert running_now.stays == {}
    assert any(
        "stopped before its end" in one for one in telling.notes(SCENARIO, found.scenarios[0])
    )


def test_a_stop_before_the_first_figure_puts_nothing_into_the_file(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(1, KeyboardInterrupt())
    found = results.begin("new", quick=False, peers={})
    with pytest.raises(KeyboardInterrupt):
        runner(found).run(SCENARIO, SCENARIO.cases)
    assert found.scenarios == []


def test_a_failure_leaves_the_earlier_result_whole(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(2, Failed("it crashed"))
    found = kept()
    running_now = runner(found)
    measured = running_now.run(SCENARIO, SCENARIO.cases)
    assert measured.cases[0].missing == {"other": "it crashed"}
    assert found.scenarios == kept().scenarios
    assert "other at few" in running_now.stays["racing"]


def test_a_complete_result_takes_the_place_of_the_earlier_one(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(0, Failed("never"))
    found = kept()
    running_now = runner(found)
    measured = running_now.run(SCENARIO, SCENARIO.cases)
    assert found.scenarios == [measured]
    assert found.scenarios[0].cases[0].of("other", "per_s") == [1.0, 1.0]
    assert running_now.stays == {}


def test_who_fails_in_a_later_round_is_missing_everywhere(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(4, Failed("it crashed"))
    found = results.begin("new", quick=False, peers={})
    scenario = replace(SCENARIO, cases=SCENARIO.cases[:1])
    result = runner(found, rounds=3).run(scenario, scenario.cases)
    case = result.cases[0]
    assert [one.contender for one in case.rounds] == ["crdtsync", "other", "crdtsync", "crdtsync"]
    assert telling.rows(scenario, case)[1] == ["other", "missing"]
    assert judge(scenario.marks[0], result).reached is None
    assert "other" not in documents.for_readme([scenario], found)
    notes = telling.notes(scenario, result)
    assert "other is missing: in round 2 of 3, 1 had run: it crashed" in notes


def test_a_reason_that_several_contenders_share_is_told_once() -> None:
    case = CaseResult("few", [], {"crdtsync": "no network", "other": "no network"})
    notes = telling.notes(SCENARIO, ScenarioResult("racing", [case]))
    assert notes == ["crdtsync, other are missing: no network"]


def test_each_scenario_keeps_the_command_and_rounds_that_it_was_measured_by(
    fails_at: Callable[[int, BaseException], None],
) -> None:
    fails_at(0, Failed("never"))
    found = kept()
    Runner(found, Peers(install=False), rounds=3, command="run racing --into x").run(
        SCENARIO, SCENARIO.cases
    )
    (result,) = found.scenarios
    assert found.command == "an earlier run"
    assert (result.command, result.rounds_asked) == ("run racing --into x", 3)
    assert "by `run racing --into x`" in documents.every_figure([SCENARIO], found)
    assert "by `" not in documents.every_figure([SCENARIO], kept()).partition("## racing")[2]


def test_a_single_round_is_told_as_such_and_has_no_spread() -> None:
    absolute = Mark(
        what="speed", figure="per_s", of="crdtsync", case="few", at_most=9, unit="steps/s"
    )
    scenario = replace(SCENARIO, marks=(*SCENARIO.marks, absolute))
    for rounds, measured in (
        (1, ["1.00 × (n = 1)", "7 steps/s (n = 1)"]),
        (2, ["1.00 ×", "7 steps/s (7 steps/s to 7 steps/s)"]),
    ):
        found = kept()
        for case in found.scenarios[0].cases:
            case.rounds = case.rounds[: 2 * rounds]
        rows = telling.marks_rows([(scenario, mark) for mark in scenario.marks], found)
        assert [row[2] for row in rows] == measured
        title = telling.title(found.scenarios[0].cases[0])
        assert title == ("few (n = 1)" if rounds == 1 else "few")
