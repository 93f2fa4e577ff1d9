"""The suite in the terminal: how far it is, and the table at the end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from crdtsync.cli.screen import safe, table, to_read, to_tell
from crdtsync_server.acceptance.outcome import Counts, RunResult, Said, ScenarioResult
from crdtsync_server.acceptance.words import tell

MARKS = {"passed": "✓", "failed": "✗", "not run": "–"}
NUMBER_CHARS = 10
"""Of a column of numbers: its heading wraps, so that the table fits into a terminal."""

COLUMNS = ("written", "acknowledged", "lost", "doubled", "conflicts", "recovery", "seconds")
NARROW_COLUMNS = ("written", "lost", "doubled")

WIDE_CHARS = 120
"""Of a terminal into which the whole table fits."""

STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}


def status_words(result: ScenarioResult, lang: str) -> str:
    """Passed, FAILED or Not run, with a mark."""
    words = tell(f"status_{result.status.replace(' ', '_')}", lang)
    return f"{MARKS[result.status]} {words}"


def seconds_words(seconds: float | None) -> str:
    """A duration for a table."""
    return "–" if seconds is None else f"{seconds:.1f}"


def count_words(count: int) -> str:
    """A number for a table: 5,028."""
    return f"{count:,}"


class Progress:
    """Tells on standard error which scenario runs and what it does."""

    def __init__(self, lang: str) -> None:
        self._lang = lang
        self._out: Console = to_tell()

    def scenario(self, number: int, of: int, name: str) -> None:
        """A scenario begins."""
        title = tell(f"title_{name.replace('-', '_')}", self._lang)
        words = tell("progress", self._lang, number=number, of=of, title=title)
        self._out.print(Text(words, style="bold"), soft_wrap=True)

    def step(self, said: Said) -> None:
        """It does something."""
        self._out.print(f"    {said.words(self._lang)}", soft_wrap=True)

    def ended(self, result: ScenarioResult) -> None:
        """It is over."""
        words = status_words(result, self._lang)
        if result.why_not is not None:
            words += f": {result.why_not.words(self._lang)}"
        else:
            took = seconds_words(result.seconds)
            words = tell("progress_ended", self._lang, status=words, seconds=took)
        self._out.print(Text(f"    {words}", style=STYLES[result.status]), soft_wrap=True)
        for check in result.checks:
            if not check.ok:
                expected, saw = check.expected.words(self._lang), check.saw.words(self._lang)
                self._out.print(f"      ✗ {safe(expected)} {safe(saw)}", soft_wrap=True)


def print_result(result: RunResult, lang: str) -> None:
    """The verdict, why, and the table, on standard output."""
    out = to_read()
    out.print(overview(result, lang, wide=out.width >= WIDE_CHARS))
    for one in result.with_status("failed"):
        out.print(failure(one, lang))
    style = "bold green" if result.go else "bold red"
    out.print(Text(result.verdict.words(lang), style=style), soft_wrap=True)
    for reason in result.reasons:
        out.print(f"  · {safe(reason.words(lang))}", soft_wrap=True)
    if result.spaces:
        out.print(tell("spaces_note", lang), soft_wrap=True)


def overview(result: RunResult, lang: str, *, wide: bool) -> Table:
    """One row per scenario, with its counts; the most important ones where it is narrow."""
    rows = table(tell("column_scenario", lang), tell("column_result", lang))
    # Names are there to be copied, so they are not folded.
    rows.columns[0].min_width = max(len(one.name) for one in result.scenarios)
    names = COLUMNS if wide else NARROW_COLUMNS
    for name in names:
        heading = tell(f"column_{name}", lang)
        rows.add_column(heading, justify="right", max_width=NUMBER_CHARS)
    if not wide:
        rows.box = box.SIMPLE
    for one in result.scenarios:
        title = f"{one.title.words(lang)}\n[dim]{escape(one.name)}[/dim]"
        numbers = number_words(one.counts, one.seconds)
        rows.add_row(
            Text.from_markup(title),
            Text(status_words(one, lang), style=STYLES[one.status]),
            *("–" if one.status == "not run" else numbers[name] for name in names),
        )
    rows.add_section()
    totals = number_words(result.totals, result.seconds)
    rows.add_row(tell("total", lang), "", *(totals[name] for name in names))
    return rows


def number_words(counts: Counts, took_s: float) -> dict[str, str]:
    """The numbers of one scenario or of all, by their column."""
    return {
        "written": count_words(counts.written),
        "acknowledged": count_words(counts.acknowledged),
        "lost": count_words(counts.lost),
        "doubled": count_words(counts.doubled),
        "conflicts": count_words(counts.conflicts),
        "recovery": seconds_words(counts.recovery_s),
        "seconds": seconds_words(took_s),
    }


def failure(one: ScenarioResult, lang: str) -> Table:
    """What a failed scenario did, expected and saw."""
    rows = table(
        tell("expected", lang), tell("saw", lang), tell("held", lang), title=one.title.words(lang)
    )
    for check in one.checks:
        rows.add_row(
            safe(check.expected.words(lang)),
            safe(check.saw.words(lang)),
            tell("yes" if check.ok else "no", lang),
        )
    return rows
