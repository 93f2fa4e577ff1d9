"""Two files of results beside each other: what differs, and what could not be compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.harness import comparing, results
from benchmarks.harness.measuring import ROOT
from benchmarks.harness.results import CaseResult, Results, Round, ScenarioResult
from benchmarks.harness.scenario import Case, Contender, Figure, Mark, Scenario

FIGURES = (Figure(name="us", label="µs", better="lower"),)
FEW, MANY = Case(name="few", params={}), Case(name="many", params={})
ALONE = Scenario(
    name="alone", group="test", what="", figures=FIGURES, cases=(FEW, MANY), quick=(FEW,),
    contenders=(Contender(name="server", target=""),), baseline="server",
    marks=(
        Mark(what="growth", figure="us", of="server", case="many", at_case="few", at_most=1.5),
        Mark(what="time", figure="us", of="server", case="few", at_most=9, unit="µs"),
    ),
)  # fmt: skip
PAIR = Scenario(
    name="pair", group="test", what="", figures=FIGURES, cases=(FEW,), quick=(FEW,),
    contenders=(Contender(name="ours", target=""), Contender(name="peer", target="")),
    baseline="peer",
)  # fmt: skip
SCENARIOS = (ALONE, PAIR)


def kept(**scenarios: dict[str, dict[str, float]]) -> Results:
    found = results.begin("a test", quick=False, peers={})
    for name, cases in scenarios.items():
        made = [
            CaseResult(case, [Round(who, {"us": value}) for who, value in measured.items()] * 2)
            for case, measured in cases.items()
        ]
        found.put(ScenarioResult(name, made))
    return found


BEFORE = kept(
    alone={"few": {"server": 4.0}, "many": {"server": 5.0}},
    pair={"few": {"ours": 2.0, "peer": 1.0}},
)
AFTER = kept(
    alone={"few": {"server": 2.0}, "many": {"server": 5.0}},
    pair={"few": {"ours": 3.0, "peer": 1.0}},
)


def test_a_baseline_without_others_is_compared_by_its_own_figure() -> None:
    assert comparing.rows(SCENARIOS, BEFORE, AFTER) == [
        ["alone: few", "server, µs", "4", "2", "0.50 ×"],
        ["alone: many", "server, µs", "5", "5", "1.00 ×"],
        ["pair: few", "ours / peer", "2.00 ×", "3.00 ×", "1.50 ×"],
    ]
    assert comparing.unpaired(SCENARIOS, BEFORE, AFTER) == []


def test_absolute_marks_and_marks_between_cases_are_compared() -> None:
    assert comparing.marks_rows(SCENARIOS, BEFORE, AFTER) == [
        ["growth", "at most 1.5 × few", "1.25 ×, reached", "2.50 ×, missed", "2.00 ×"],
        ["time", "at most 9 µs", "4 µs (4 µs to 4 µs), reached", "2 µs (2 µs to 2 µs), reached",
         "0.50 ×"],
    ]  # fmt: skip


def test_what_only_one_of_the_files_has_is_named() -> None:
    other = kept(
        alone={"few": {"server": 2.0}, "other": {"server": 1.0}}, pair={"few": {"ours": 3.0}}
    )
    assert comparing.unpaired(SCENARIOS, BEFORE, other) == [
        "alone: many is only before",
        "alone: other is only after",
        "pair: few: peer only before",
    ]
    nothing = kept()
    assert comparing.unpaired(SCENARIOS, BEFORE, nothing) == [
        "alone is only before", "pair is only before",
    ]  # fmt: skip


def test_files_without_a_case_in_common_are_told_as_such(tmp_path: Path) -> None:
    name, before, after = "growth-memory", tmp_path / "before.json", tmp_path / "after.json"
    results.save(kept(**{name: {"500 records": {"a record that nobody uses": 1.0}}}), before)
    results.save(kept(**{name: {"5 records": {"a record that nobody uses": 1.0}}}), after)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "compare", str(before), str(after)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "not compared: growth-memory: 500 records is only before" in done.stdout
    assert "nothing can be compared" in done.stderr
