"""``python -m benchmarks [list|run NAME…|compare A.json B.json|show A.json] [--quick]``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from benchmarks import registry
from benchmarks.harness import comparing, documents, results, telling
from benchmarks.harness.charts import NoCharts, draw
from benchmarks.harness.disk import NoDisk, prepared_for_a_run
from benchmarks.harness.output import Complaints, Output, write_any_encoding
from benchmarks.harness.peers import Peers, pins
from benchmarks.harness.running import Runner, measurements
from benchmarks.harness.scenario import Case, Mark, Scenario
from benchmarks.harness.stopping import stop_as_ctrl_c_does

ROUNDS = 5
STOPPED = 130
USAGE = 2

app = typer.Typer(
    name="benchmarks",
    no_args_is_help=True,
    add_completion=False,
    help="How fast, how large, how it grows, and what one would get elsewhere. Contenders take "
    "turns within one run; only ratios travel to another machine.",
)
console = Output()
complaints = Complaints(stderr=True)


@app.command("list")
def list_scenarios() -> None:
    """Name every scenario with its contenders."""
    table = Table(show_lines=False)
    for heading in ("name", "what it measures", "contenders"):
        table.add_column(heading, overflow="fold")
    for scenario in registry.SCENARIOS:
        names = ", ".join(one.name for one in scenario.contenders)
        table.add_row(scenario.name, scenario.what, names)
    console.print(table)
    for name, what in registry.SCRIPTS.items():
        console.print(f"python -m {name}: {what}")


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Scenarios or groups; all if none is named.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small, once, without peers: shows that it runs.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=99, help="How often everybody runs.")] = ROUNDS,
    peers: Annotated[bool, typer.Option(help="Install and measure the peers, too.")] = True,
    peers_folder: Annotated[
        Path | None, typer.Option(help="Where their environments lie; a cache folder if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file of results; charts are drawn beside it.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="A file of results to go on with: what is run replaces what it has."),
    ] = None,
) -> None:
    """Measure, print tables, and keep the results as JSON."""
    if into is not None and out is not None:
        raise _usage("--into and --out each name the file of results: give one of them")
    scenarios = _chosen(names or [])
    if quick or not peers:
        scenarios = [_without_peers(scenario) for scenario in scenarios]
    used = sorted({c.needs for s in scenarios for c in s.contenders if c.needs is not None})
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    found = results.begin(
        command,
        quick=quick,
        peers={name: pins(name) for name in used},
    )
    if into is not None and into.exists():
        found = _continued(into, found)
    replaces = out is not None and out.exists()
    path = _place(into or out, found)
    cases = {scenario.name: _cases(scenario, quick=quick) for scenario in scenarios}
    rounds = 1 if quick else rounds
    many = sum(measurements(scenario, cases[scenario.name], rounds) for scenario in scenarios)
    measured: list[results.ScenarioResult] = []
    stop_as_ctrl_c_does()
    with _prepared(), _progress() as progress:
        bar = progress.add_task("", total=many)
        runner = Runner(
            found,
            Peers(peers_folder, install=True),
            rounds=rounds,
            command=command,
            say=lambda words: progress.update(bar, description=words),
            done=lambda: progress.advance(bar),
        )
        try:
            for scenario in scenarios:
                measured.append(runner.run(scenario, cases[scenario.name]))
                # Saved before it is told: whoever reads what is told may have gone.
                _save(found, path)
                _tell(scenario, measured[-1])
            stopped = False
        except KeyboardInterrupt:
            stopped = True
    saved = _save_at_the_end(found, path, replaces=replaces)
    if out is None and into is None and not found.scenarios:
        path.unlink(missing_ok=True)
    _tell_marks(scenarios, found)
    _draw(scenarios, found, path.parent)
    console.print(f"Results: {path}" if saved else "Results: none are kept")
    for name, why in runner.stays.items():
        complaints.print(f"{name}: the earlier result stays in {path}, since {why}", markup=False)
    if stopped:
        complaints.print(f"Stopped. {_kept_after_a_stop(found, runner, saved)}")
        raise typer.Exit(STOPPED)
    if not saved:
        raise typer.Exit(USAGE)
    failed = _failures(measured)
    if failed:
        complaints.print(f"Not measured: {', '.join(failed)} (reasons above)", style="bold")
        raise typer.Exit(1)


@app.command()
def compare(before: Path, after: Path) -> None:
    """Two runs beside each other: ratios to the baselines, which travel between runs."""
    one, other = _load(before), _load(after)
    for words in comparing.differences(one, other):
        console.print(f"not alike: {words}", markup=False)
    for words in comparing.unpaired(registry.SCENARIOS, one, other):
        console.print(f"not compared: {words}", markup=False)
    ratios = comparing.rows(registry.SCENARIOS, one, other)
    marks = [] if one.quick or other.quick else comparing.marks_rows(registry.SCENARIOS, one, other)
    title = f"{one.started} → {other.started}"
    for headings, rows in ((("scenario", "ratio of"), ratios), (("what", "mark"), marks)):
        if rows:
            table = Table(*headings, "before", "after", "change", title=title)
            for row in rows:
                table.add_row(*row)
            console.print(table)
    if not ratios and not marks:
        raise _usage("nothing can be compared: no case was measured in both files")


@app.command()
def show(
    path: Path,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Every figure, as benchmarks/results/README.md has it."),
    ] = False,
    readme: Annotated[bool, typer.Option("--readme", help="The tables of the README.")] = False,
    charts: Annotated[bool, typer.Option("--charts", help="Draw the charts again.")] = False,
) -> None:
    """Print kept results."""
    found = _load(path)
    if charts:
        _draw(list(registry.SCENARIOS), found, path.parent)
        return
    if markdown or readme:
        made = documents.for_readme if readme else documents.every_figure
        text = made(registry.SCENARIOS, found)
        console.out(text, end="" if markdown else "\n", highlight=False)
        return
    for scenario in registry.SCENARIOS:
        result = found.scenario(scenario.name)
        if result is not None:
            _tell(scenario, result)
    _tell_marks(list(registry.SCENARIOS), found)


def _usage(words: str) -> typer.Exit:
    """What ends the program where it cannot do what it was asked for; says why."""
    complaints.print(words, markup=False, soft_wrap=True)
    return typer.Exit(USAGE)


def _place(wanted: Path | None, found: results.Results) -> Path:
    """The file of results, which can be written to: tried before anything is measured."""
    try:
        if wanted is None:
            name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
            return results.save_new(found, Path("benchmark-results") / name)
        results.check_writable(found, wanted)
    except results.NotSaved as error:
        raise _usage(str(error)) from error
    return wanted


def _save(found: results.Results, path: Path) -> bool:
    """Whether it could be saved; a disk that is full now may have room after the next scenario."""
    try:
        results.save(found, path)
    except results.NotSaved as error:
        complaints.print(str(error), markup=False, soft_wrap=True)
        return False
    return True


def _save_at_the_end(found: results.Results, path: Path, *, replaces: bool) -> bool:
    """Whether the file holds what was measured. One that was there before, and that the run does
    not go on with, is not given up for a scenario that was stopped in its middle."""
    if not found.scenarios or (replaces and not any(one.finished for one in found.scenarios)):
        return False
    return _save(found, path)


def _kept_after_a_stop(found: results.Results, runner: Runner, saved: bool) -> str:
    if not saved:
        return "Nothing that was measured is kept."
    unfinished = [one.name for one in found.scenarios if not one.finished]
    if unfinished:
        return f"What was measured until then is kept; {', '.join(unfinished)} lacks rounds."
    if runner.stays:
        return "Scenarios that were complete are kept; of the last one the earlier result stays."
    return "Scenarios that were complete are kept."


@contextlib.contextmanager
def _prepared() -> Iterator[None]:
    try:
        with prepared_for_a_run():
            yield
    except NoDisk as error:
        raise _usage(str(error)) from error


def _chosen(names: list[str]) -> list[Scenario]:
    try:
        return registry.chosen(names)
    except registry.UnknownScenario as error:
        complaints.print(str(error))
        raise typer.Exit(USAGE) from error


def _without_peers(scenario: Scenario) -> Scenario:
    """Even where peers are installed: a quick run is the same on every machine."""
    ours = tuple(one for one in scenario.contenders if one.needs is None)
    return replace(scenario, contenders=ours)


def _cases(scenario: Scenario, *, quick: bool) -> tuple[Case, ...]:
    return scenario.quick if quick else scenario.cases


def _continued(path: Path, fresh: results.Results) -> results.Results:
    try:
        return results.go_on(_load(path), fresh)
    except results.BadResults as error:
        complaints.print(f"{path}: {error}")
        raise typer.Exit(USAGE) from error


def _load(path: Path) -> results.Results:
    try:
        return results.load(path)
    except results.BadResults as error:
        complaints.print(str(error))
        raise typer.Exit(USAGE) from error


def _tell(scenario: Scenario, result: results.ScenarioResult) -> None:
    console.print(f"\n[bold]{scenario.name}[/bold]: {scenario.what}")
    for table in telling.tables(scenario, result):
        console.print(table)
    for words in telling.notes(scenario, result):
        console.print(f"  {words}", markup=False)


def _tell_marks(scenarios: list[Scenario], found: results.Results) -> None:
    pairs: list[tuple[Scenario, Mark]] = [(one, mark) for one in scenarios for mark in one.marks]
    if found.quick or not telling.marks_rows(pairs, found):
        return
    console.print(telling.marks_table(pairs, found))


def _draw(scenarios: list[Scenario], found: results.Results, folder: Path) -> None:
    if found.quick:
        return
    try:
        for scenario in scenarios:
            result = found.scenario(scenario.name)
            drawn = None if result is None else draw(scenario, result, folder)
            if drawn is not None:
                console.print(f"Chart: {drawn}")
    except NoCharts as error:
        complaints.print(str(error), markup=False)
    except OSError as error:
        complaints.print(f"charts cannot be drawn in {folder}: {error}", markup=False)


def _failures(measured: list[results.ScenarioResult]) -> list[str]:
    """Contenders of this environment that gave no figures: peers may be missing, ours may not."""
    ours = {
        (scenario.name, contender.name)
        for scenario in registry.SCENARIOS
        for contender in scenario.contenders
        if contender.needs is None
    }
    return sorted(
        {
            f"{scenario.name}: {name}"
            for scenario in measured
            for case in scenario.cases
            for name in case.missing
            if (scenario.name, name) in ours
        }
    )


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=complaints,
        transient=True,
    )


if __name__ == "__main__":
    write_any_encoding()
    app()
