"""Two runs beside each other: ratios against the baseline travel between runs, times do not."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.harness.judging import spread
from benchmarks.harness.results import Results
from benchmarks.harness.scenario import Scenario
from benchmarks.harness.telling import ratio


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


def rows(scenarios: Iterable[Scenario], one: Results, other: Results) -> list[list[str]]:
    """(scenario and case, contender, ratio to the baseline before, after, change)."""
    found = []
    for scenario in scenarios:
        before, after = one.scenario(scenario.name), other.scenario(scenario.name)
        if before is None or after is None:
            continue
        figure = scenario.figures[0].name
        for case in before.cases:
            later = after.case(case.case)
            if later is None:
                continue
            for contender in scenario.contenders:
                if contender.name == scenario.baseline:
                    continue
                first = spread(case.ratios(contender.name, scenario.baseline, figure))
                second = spread(later.ratios(contender.name, scenario.baseline, figure))
                if first is not None and second is not None and first.median:
                    change = f"{second.median / first.median:.2f} ×"
                    found.append(
                        [
                            f"{scenario.name}: {case.case}",
                            f"{contender.name} / {scenario.baseline}",
                            ratio(first),
                            ratio(second),
                            change,
                        ]
                    )
    return found
