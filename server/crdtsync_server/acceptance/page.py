"""The result as one HTML page for people: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape as escape_html
from importlib import resources

from crdtsync.cli.screen import safe
from crdtsync_server.acceptance.html_tables import Cell, Column, table
from crdtsync_server.acceptance.outcome import Counts, RunResult, ScenarioResult
from crdtsync_server.acceptance.telling import COLUMNS, number_words, seconds_words, status_words
from crdtsync_server.acceptance.words import tell

MEANINGS = COLUMNS[:-1]


def escape(text: str) -> str:
    """Text as HTML; control characters of values become visible and harmless."""
    return escape_html(safe(text))


def page(result: RunResult, lang: str) -> str:
    """A complete, well-formed document."""
    return _Page(result, lang).whole()


class _Page:
    def __init__(self, result: RunResult, lang: str) -> None:
        self._result = result
        self._lang = lang

    def whole(self) -> str:
        css = resources.files(__package__).joinpath("page.css").read_text("utf-8")
        verdict = self._result.verdict.words(self._lang)
        title = f"{self._say('heading_report')} – {verdict}"
        parts = (
            self._verdict(verdict),
            self._overview(),
            self._section("heading_each", map(self._scenario, self._result.scenarios)),
            self._about(),
            self._meanings(),
        )
        return (
            "<!DOCTYPE html>\n"
            f'<html lang="{self._lang}">\n<head>\n<meta charset="utf-8"/>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
            f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n"
            f"<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
        )

    def _say(self, key: str, **params: object) -> str:
        return escape(tell(key, self._lang, **params))

    def _section(self, heading: str, parts: Iterable[str]) -> str:
        return (
            f'<section aria-labelledby="{heading}">\n'
            f'<h2 id="{heading}">{self._say(heading)}</h2>\n{"".join(parts)}</section>\n'
        )

    def _verdict(self, verdict: str) -> str:
        kind = "go" if self._result.go else "no-go"
        mark = "✓" if self._result.go else "✗"
        reasons = "".join(
            f"<li>{escape(reason.words(self._lang))}</li>\n" for reason in self._result.reasons
        )
        listed = self._section("heading_reasons", [f"<ul>\n{reasons}</ul>\n"]) if reasons else ""
        return (
            f"<h1>{self._say('heading_report')}</h1>\n"
            f'<p class="verdict {kind}"><span aria-hidden="true">{mark} </span>{escape(verdict)}'
            f"</p>\n{listed}"
        )

    # ── the overview ────────────────────────────────────────────────────────

    def _overview(self) -> str:
        columns = [
            Column(self._say("column_scenario")),
            Column(self._say("column_result")),
            *(Column(self._say(f"column_{name}"), "number") for name in COLUMNS),
        ]
        total = [
            Cell(self._say("total")),
            Cell(""),
            *_numbers(self._result.totals, self._result.seconds),
        ]
        rows = map(self._row, self._result.scenarios)
        return self._section(
            "heading_overview", [table("cards", columns, rows, row_headings=True, total=total)]
        )

    def _row(self, one: ScenarioResult) -> list[Cell]:
        title = escape(one.title.words(self._lang))
        numbers = [Cell("–") for _ in COLUMNS]
        if one.status != "not run":
            numbers = _numbers(one.counts, one.seconds)
        return [Cell(f'<a href="#{one.name}">{title}</a>'), Cell(self._status(one)), *numbers]

    def _status(self, one: ScenarioResult) -> str:
        kind = one.status.replace(" ", "-")
        return f'<span class="mark {kind}">{escape(status_words(one, self._lang))}</span>'

    # ── each scenario ───────────────────────────────────────────────────────

    def _scenario(self, one: ScenarioResult) -> str:
        opened = ' open="open"' if one.status == "failed" else ""
        parts: list[str] = []
        if one.why_not is not None:
            parts.append(f"<p>{escape(one.why_not.words(self._lang))}</p>\n")
        if one.steps:
            steps = "".join(f"<li>{escape(step.words(self._lang))}</li>\n" for step in one.steps)
            parts.append(f"<h4>{self._say('did')}</h4>\n<ol>\n{steps}</ol>\n")
        if one.checks:
            parts.append(self._checks(one))
        if one.proof:
            parts.append(f"<p><small>{self._say(f'proof_{one.proof}')}</small></p>\n")
        if ops := (*one.lost_ops, *one.doubled_ops, *one.invented_ops):
            listed = "".join(f"<li><code>{escape(op)}</code></li>\n" for op in ops)
            parts.append(f"<h4>{self._say('concerned')}</h4>\n<ul>\n{listed}</ul>\n")
        if one.logs:
            parts.append(f"<p>{self._say('logs_of')}: <code>{escape(one.logs)}</code></p>\n")
        return (
            f'<details id="{one.name}"{opened}><summary><h3>{escape(one.title.words(self._lang))}'
            f"</h3> <code>{one.name}</code> {self._status(one)}</summary>\n{''.join(parts)}"
            "</details>\n"
        )

    def _checks(self, one: ScenarioResult) -> str:
        columns = [Column(self._say(key)) for key in ("expected", "saw", "held")]
        rows = [
            [
                Cell(escape(check.expected.words(self._lang))),
                Cell(escape(check.saw.words(self._lang))),
                Cell(self._held(check.ok)),
            ]
            for check in one.checks
        ]
        return table("cards checks", columns, rows, row_headings=False)

    def _held(self, ok: bool) -> str:
        mark, kind = ("✓", "passed") if ok else ("✗", "failed")
        word = self._say("yes" if ok else "no")
        return f'<span class="mark {kind}"><span aria-hidden="true">{mark} </span>{word}</span>'

    # ── about ───────────────────────────────────────────────────────────────

    def _about(self) -> str:
        result = self._result
        rows = [
            ("run_seed", str(result.seed)),
            ("run_mode", tell("mode_quick" if result.quick else "mode_full", self._lang)),
            ("run_server", result.server or tell("server_own", self._lang)),
            ("run_started", result.started_at),
            ("run_took", tell("run_seconds", self._lang, n=seconds_words(result.seconds))),
            ("run_machine", ", ".join(f"{k}: {v}" for k, v in result.machine.items())),
            ("run_versions", ", ".join(f"{k} {v}" for k, v in result.versions.items())),
        ]
        if result.spaces:
            rows.append(("run_spaces", ", ".join(result.spaces)))
        listed = "".join(
            f"<dt>{self._say(key)}</dt><dd>{escape(text)}</dd>\n" for key, text in rows
        )
        note = f"<p>{self._say('spaces_note')}</p>\n" if result.spaces else ""
        return self._section("heading_run", [f"<dl>\n{listed}</dl>\n{note}"])

    def _meanings(self) -> str:
        listed = "".join(f"<li>{self._say(f'mean_{name}')}</li>\n" for name in MEANINGS)
        return self._section("heading_words", [f"<ul>\n{listed}</ul>\n"])


def _numbers(counts: Counts, took_s: float) -> list[Cell]:
    words = number_words(counts, took_s)
    bad = {"lost": counts.lost > 0, "doubled": counts.doubled > 0}
    return [Cell(words[name], bad.get(name, False)) for name in COLUMNS]
