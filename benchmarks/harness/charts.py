"""Pictures of a figure over the cases, where a picture says more than a table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.judging import spread
from benchmarks.harness.results import ScenarioResult
from benchmarks.harness.scenario import Scenario

SIZE_INCHES = (7.0, 4.2)
DOTS_PER_INCH = 110


class NoCharts(Exception):
    """matplotlib is not installed; says how it comes."""


def draw(scenario: Scenario, result: ScenarioResult, folder: Path) -> Path | None:
    """Draw the scenario's chart as a PNG; None where there is nothing to draw. Raises NoCharts."""
    chart = scenario.chart
    if chart is None:
        return None
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError as error:
        raise NoCharts('charts need matplotlib: pip install "crdtsync[bench]"') from error
    places = {case.name: case.x for case in (*scenario.cases, *scenario.quick)}
    figure, axes = pyplot.subplots(figsize=SIZE_INCHES)
    drawn = False
    for contender in scenario.contenders:
        points = []
        for case in result.cases:
            found, x = spread(case.of(contender.name, chart.figure)), places.get(case.case)
            if found is not None and x is not None:
                points.append((x, found))
        if points:
            drawn = True
            xs, middles = [x for x, _ in points], [found.median for _, found in points]
            below = [found.median - found.low for _, found in points]
            above = [found.high - found.median for _, found in points]
            axes.errorbar(
                xs, middles, yerr=(below, above), marker="o", capsize=3, label=contender.name
            )
    if not drawn:
        pyplot.close(figure)
        return None
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(scenario.figure(chart.figure).label)
    axes.set_title(scenario.name)
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scenario.name}.png"
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    return path
