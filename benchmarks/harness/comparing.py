"""Two runs beside each other: ratios against the baseline travel between runs, times do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from benchmarks.harness.judging import Spread, judge, spread
from benchmarks.harness.results import CaseResult, Results, ScenarioResult
from benchmarks.harness.scenario import Figure, Scenario
from benchmarks.harness.telling import bound, measured_for, number, ratio


def differences(one: Results, other: Results) -> list[str]:
    """In what the two runs are not alike, so that only their ratios can be compared."""
    found = []
    for name in ("cpu", "cores", "python", "sqlite", "node"):
        before, after = getattr(one.machine, name), getattr(other.machine, name)
        if before != after:
            found.append(f"{name}: {before} → {after}")
    for name in sorted(one.versions.keys() | other.versions.keys()):
        before, after = one.versions.get(name, "none"), other.versions.get(name, "none")
        if before != after:
            found.append(f"{name}: {before} → {after}")
    for peer in sorted(one.peers.keys() | other.peers.keys()):
        if one.peers.get(peer) != other.peers.get(peer):
            found.append(f"pins of {peer}: {one.peers.get(peer)} → {other.peers.get(peer)}")
    if one.quick != other.quick:
        found.append("one of them is --quick: its sizes are others")
    return found


def unpaired(scenarios: Iterable[Scenario], one: Results, other: Results) -> list[str]:
    """Scenarios, cases and contenders that only one of the two has figures of."""
    found = []
    for scenario in scenarios:
        before, after = one.scenario(scenario.name), other.scenario(scenario.name)
        had, has = _measured(before), _measured(after)
        for there, elsewhere, where in ((had, has, "before"), (has, had, "after")):
            if there and not elsewhere:
                found.append(f"{scenario.name} is only {where}")
                continue
            for case, names in there.items():
                if case not in elsewhere:
                    found.append(f"{scenario.name}: {case} is only {where}")
                elif only := [name for name in names if name not in elsewhere[case]]:
                    found.append(f"{scenario.name}: {case}: {', '.join(only)} only {where}")
    return found


def _measured(result: ScenarioResult | None) -> dict[str, list[str]]:
    """The contenders with figures of each case that has any."""
    cases = () if result is None else result.cases
    names = {case.case: [*dict.fromkeys(one.contender for one in case.counted())] for case in cases}
    return {case: who for case, who in names.items() if who}


def rows(scenarios: Iterable[Scenario], one: Results, other: Results) -> list[list[str]]:
    """(scenario and case, what is compared, before, after, change).

    A contender is compared by its ratio to the baseline. Where nobody but the baseline was
    measured, its own figure is compared, which says something on one machine only.
    """
    found = []
    for scenario in scenarios:
        before, after = one.scenario(scenario.name), other.scenario(scenario.name)
        if before is None or after is None:
            continue
        for case in before.cases:
            later = after.case(case.case)
            if later is not None:
                place = f"{scenario.name}: {case.case}"
                found += [[place, *cells] for cells in _of_case(scenario, case, later)]
    return found


def _of_case(scenario: Scenario, case: CaseResult, later: CaseResult) -> Iterable[list[str]]:
    figure, base = scenario.figures[0], scenario.baseline
    measured = {one.contender for one in (*case.counted(), *later.counted())}
    for name in (one.name for one in scenario.contenders if one.name in measured):
        if measured == {name}:
            first, second = spread(case.of(name, figure.name)), spread(later.of(name, figure.name))
            what = f"{name}, {figure.label}"
            yield from _pair(what, first, second, partial(_median, figure))
        elif name != base:
            first, second = (
                spread(which.ratios(name, base, figure.name)) for which in (case, later)
            )
            yield from _pair(f"{name} / {base}", first, second, ratio)


def marks_rows(scenarios: Iterable[Scenario], one: Results, other: Results) -> list[list[str]]:
    """(what, mark, before, after, change) of each mark that both measured: the absolute ones and
    those between two cases are in no other table."""
    found = []
    for scenario in scenarios:
        for mark in scenario.marks:
            before = judge(mark, one.scenario(scenario.name))
            after = judge(mark, other.scenario(scenario.name))
            first, second = before.found, after.found
            for cells in _pair(mark.what, first, second, partial(measured_for, mark)):
                what, was, now, change = cells
                told = (
                    f"{was}, {'reached' if before.reached else 'missed'}",
                    f"{now}, {'reached' if after.reached else 'missed'}",
                )
                found.append([what, bound(mark), *told, change])
    return found


def _pair(
    what: str, first: Spread | None, second: Spread | None, shown: Callable[[Spread], str]
) -> Iterable[list[str]]:
    """One row where both were measured."""
    if first is not None and second is not None:
        change = f"{second.median / first.median:.2f} ×" if first.median else "–"
        yield [what, shown(first), shown(second), change]


def _median(figure: Figure, found: Spread) -> str:
    return number(found.median, figure.digits)
