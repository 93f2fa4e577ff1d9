"""Tables for the terminal: medians, spread, ratios, marks."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from benchmarks.harness.judging import Spread, judge, spread
from benchmarks.harness.results import CaseResult, Results, ScenarioResult
from benchmarks.harness.scenario import Figure, Mark, Scenario

ONCE = "n = 1"
SIZES = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def number(value: float, digits: int = 0) -> str:
    """A figure with three or four places that mean something."""
    for size, letter in SIZES:
        if abs(value) >= size:
            scaled = value / (1e3 if letter == "k" else size)
            return f"{scaled:.{1 if scaled < 100 else 0}f} {letter}"
    return f"{value:,.{digits}f}"


def ratio(found: Spread | None) -> str:
    """A ratio with the rounds that lie furthest apart."""
    if found is None:
        return "–"
    middle = two_places(found.median)
    if found.rounds == 1:
        return f"{middle} × ({ONCE})"
    if found.low == found.high:
        return f"{middle} ×"
    return f"{middle} × ({two_places(found.low)} to {two_places(found.high)})"


def two_places(value: float) -> str:
    """A ratio with two or three places that mean something."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def title(case: CaseResult) -> str:
    """The name of a case, and whether its figures are of a single round: those have no spread."""
    counted = case.counted()
    is_once = len(counted) == len({one.contender for one in counted}) > 0
    return f"{case.case} ({ONCE})" if is_once else case.case


def tables(scenario: Scenario, result: ScenarioResult) -> Iterable[Table]:
    """One table a case: contenders, their figures, and the ratio to the baseline."""
    for case in result.cases:
        table = Table(title=f"{scenario.name}: {title(case)}", title_justify="left")
        table.add_column("")
        table.add_column(f"ratio of {scenario.figures[0].label}", justify="right")
        for figure in shown_figures(scenario, case):
            table.add_column(figure.label, justify="right")
        for row in rows(scenario, case):
            table.add_row(*row)
        yield table


def rows(scenario: Scenario, case: CaseResult) -> list[list[str]]:
    """A row a contender: name, ratio to the baseline, medians of its figures."""
    first, found = scenario.figures[0], []
    for contender in scenario.contenders:
        if contender.name in case.missing:
            found.append([contender.name, "missing"])
        elif case.of(contender.name, first.name):
            is_base = contender.name == scenario.baseline
            against = spread(case.ratios(contender.name, scenario.baseline, first.name))
            found.append(
                [
                    contender.name,
                    "1" if is_base else ratio(against),
                    *(
                        cell(spread(case.of(contender.name, figure.name)), figure)
                        for figure in shown_figures(scenario, case)
                    ),
                ]
            )
    return found


def notes(scenario: Scenario, result: ScenarioResult) -> list[str]:
    """What has to be known about the contenders, and who is missing and why."""
    told = [f"{one.name}: {one.note}" for one in scenario.contenders if one.note]
    if not result.finished:
        told.append("stopped before its end: rounds are missing")
    why: dict[str, str] = {}
    for case in result.cases:
        why.update(case.missing)
    who: dict[str, list[str]] = {}
    for name, words in why.items():
        who.setdefault(words, []).append(name)
    for words, names in who.items():
        told.append(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing: {words}")
    return told


def marks_table(pairs: Iterable[tuple[Scenario, Mark]], results: Results) -> Table:
    """Every mark with what was measured."""
    table = Table(title="Marks", title_justify="left")
    for heading in ("what", "mark", "measured", ""):
        table.add_column(heading)
    for cells in marks_rows(pairs, results):
        table.add_row(*cells)
    return table


def marks_rows(pairs: Iterable[tuple[Scenario, Mark]], results: Results) -> list[list[str]]:
    """(what, mark, measured, reached or missed) of each mark that was measured."""
    found = []
    for scenario, mark in pairs:
        judged = judge(mark, results.scenario(scenario.name))
        if judged.reached is not None:
            assert judged.found is not None
            measured = measured_for(mark, judged.found)
            found.append(
                [mark.what, bound(mark), measured, "reached" if judged.reached else "missed"]
            )
    return found


def measured_for(mark: Mark, found: Spread) -> str:
    """What was measured for a mark, in its unit."""
    if mark.unit == "×":
        return ratio(found)
    low, middle, high = (
        _in_unit(value, mark.unit) for value in (found.low, found.median, found.high)
    )
    return f"{middle} ({ONCE})" if found.rounds == 1 else f"{middle} ({low} to {high})"


def bound(mark: Mark) -> str:
    """What a mark asks for, in words."""
    words = []
    if mark.at_least is not None:
        words.append(f"at least {_in_unit(mark.at_least, mark.unit)}")
    if mark.at_most is not None:
        words.append(f"at most {_in_unit(mark.at_most, mark.unit)}")
    against = mark.against if mark.against is not None else mark.at_case
    return " and ".join(words) + (f" {against}" if against else "")


def _in_unit(value: float, unit: str) -> str:
    if unit == "×":
        return f"{value:g} ×"
    return f"{number(value, 2 if abs(value) < 100 and value != int(value) else 0)} {unit}"


def cell(found: Spread | None, figure: Figure) -> str:
    """The median of a figure."""
    return "–" if found is None else number(found.median, figure.digits)


def shown_figures(scenario: Scenario, case: CaseResult) -> list[Figure]:
    """Figures that at least one contender of the case has."""
    measured = {name for one in case.counted() for name in one.figures}
    return [figure for figure in scenario.figures if figure.name in measured]
