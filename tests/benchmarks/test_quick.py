"""``python -m benchmarks run --quick`` runs every scenario without peers, and judges no times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.harness import results
from benchmarks.harness.measuring import ROOT

GROUPS = list(dict.fromkeys(scenario.group for scenario in registry.SCENARIOS))


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_a_quick_run_measures_every_scenario_of_the_group(group: str, tmp_path: Path) -> None:
    path = tmp_path / "quick.json"
    done = benchmarks("run", group, "--quick", "--out", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = results.load(path)
    wanted = [scenario for scenario in registry.SCENARIOS if scenario.group == group]
    assert wanted
    assert [one.name for one in found.scenarios] == [one.name for one in wanted]
    for scenario in wanted:
        result = found.scenario(scenario.name)
        assert result is not None
        for case, measured in zip(scenario.quick, result.cases, strict=True):
            for contender in scenario.contenders:
                if contender.needs is None and contender.takes_part_in(case):
                    assert measured.of(contender.name, scenario.figures[0].name), contender.name


def test_the_list_names_every_scenario() -> None:
    done = benchmarks("list")
    assert done.returncode == 0
    assert all(scenario.name in done.stdout for scenario in registry.SCENARIOS)


def test_a_name_that_is_none_is_told_with_those_that_are() -> None:
    done = benchmarks("run", "no-such-thing")
    assert done.returncode == 2
    assert "no benchmark is called no-such-thing" in done.stderr


def test_marks_and_baselines_name_contenders_and_cases_that_exist() -> None:
    for scenario in registry.SCENARIOS:
        names = {one.name for one in scenario.contenders}
        cases = {case.name for case in scenario.cases}
        assert scenario.baseline in names
        for mark in scenario.marks:
            assert mark.case in cases
            assert {mark.of, mark.against or mark.of} <= names
            assert mark.at_case is None or mark.at_case in cases
            assert scenario.figure(mark.figure)
