"""Kept results as Markdown: the README's tables, and the page with every figure.

Both are made from a file of results and checked against it by a test, so that neither can
claim what was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.harness.judging import spread
from benchmarks.harness.results import CaseResult, Results
from benchmarks.harness.scenario import Scenario
from benchmarks.harness.telling import (
    cell,
    marks_rows,
    notes,
    rows,
    shown_figures,
    title,
    two_places,
)

OURS = "crdtsync"


def table(headings: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    for row in cells:
        padded = [*row, *[""] * (len(headings) - len(row))]
        lines.append("| " + " | ".join(padded) + " |")
    return "\n".join(lines)


def for_readme(scenarios: Iterable[Scenario], results: Results) -> str:
    """The marks, and how many times better crdtsync is than each other contender."""
    known = list(scenarios)
    pairs = [(scenario, mark) for scenario in known for mark in scenario.marks]
    return "\n\n".join(
        (
            table(("what", "mark", "measured", ""), marks_rows(pairs, results)),
            table(("benchmark", "crdtsync", "times better than"), _glance(known, results)),
        )
    )


def every_figure(scenarios: Iterable[Scenario], results: Results) -> str:
    """All tables of all cases, with what they ran on."""
    machine, versions = results.machine, results.versions
    memory_gib = machine.memory_bytes / 2**30
    parts = [
        "# Results",
        f"Made by `{results.command}` and kept in this folder as JSON. {machine.cores} cores of "
        f"{machine.cpu}, {memory_gib:.0f} GiB, {machine.system}, Python {machine.python}, "
        f"SQLite {machine.sqlite}, Node {machine.node}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "Ratios are medians over the rounds of one run, with the rounds that lie furthest apart in "
        "brackets; other figures are medians. Only ratios travel to another machine.",
    ]
    for scenario in scenarios:
        result = results.scenario(scenario.name)
        if result is None:
            continue
        parts.append(f"## {scenario.name}")
        by = f", by `{result.command}`" if result.command else ""
        parts.append(f"{scenario.what} ({result.started}, commit {result.commit}{by})")
        for case in result.cases:
            figures = shown_figures(scenario, case)
            headings = (title(case), f"ratio of {scenario.figures[0].label}")
            labels = [figure.label for figure in figures]
            parts.append(table((*headings, *labels), rows(scenario, case)))
        told = [f"- {words}" for words in notes(scenario, result)]
        if told:
            parts.append("\n".join(told))
        if scenario.chart is not None:
            parts.append(f"![{scenario.name}]({scenario.name}.png)")
    return "\n\n".join(parts) + "\n"


def _glance(scenarios: Iterable[Scenario], results: Results) -> list[list[str]]:
    found = []
    for scenario in scenarios:
        result = results.scenario(scenario.name)
        for case in () if result is None else result.cases:
            ours = spread(case.of(OURS, scenario.figures[0].name))
            if ours is not None:
                figure = scenario.figures[0]
                found.append(
                    [
                        f"{scenario.name}, {title(case)}",
                        f"{cell(ours, figure)} {figure.label}",
                        " · ".join(_advantages(scenario, case)),
                    ]
                )
    return found


def _advantages(scenario: Scenario, case: CaseResult) -> list[str]:
    figure = scenario.figures[0]
    found = []
    for other in scenario.contenders:
        if other.name == OURS:
            continue
        pair = (OURS, other.name) if figure.better == "higher" else (other.name, OURS)
        better = spread(case.ratios(*pair, figure.name))
        if better is not None:
            found.append(f"{other.name} {two_places(better.median)}")
    return found
