"""What the README and the page of results claim is what was measured and kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.harness import documents, results
from crdtsync.version import __version__

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def kept() -> results.Results:
    return results.load(RESULTS / "full.json")


def test_the_tables_of_the_readme_are_those_of_the_kept_results(kept: results.Results) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- benchmarks -->\n\n(.*?)\n\n<!-- /benchmarks -->", readme, re.S)
    assert found, "README.md has no part between <!-- benchmarks --> and <!-- /benchmarks -->"
    assert found[1] == documents.for_readme(registry.SCENARIOS, kept)


def test_the_page_of_results_is_made_of_the_kept_results(kept: results.Results) -> None:
    page = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert page == documents.every_figure(registry.SCENARIOS, kept)
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page):
        assert (RESULTS / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_kept_is_of_a_full_run_with_every_contender(kept: results.Results) -> None:
    assert not kept.quick
    assert kept.versions["crdtsync"] == __version__
    assert kept.scenarios
    known = {scenario.name: scenario for scenario in registry.SCENARIOS}
    for result in kept.scenarios:
        scenario = known[result.name]
        assert [case.case for case in result.cases] == [case.name for case in scenario.cases]
        assert not any(case.missing for case in result.cases)
