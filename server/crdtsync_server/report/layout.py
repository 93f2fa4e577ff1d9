"""What stands on the report, in order, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from crdtsync_server.report.measures import Check, Mood, Overview
from crdtsync_server.report.words import age_words, duration_words, number_words, say

SHOWN_DEVICES = 25
SHOWN_SPACES = 12


@dataclass(frozen=True, slots=True)
class Marked:
    """A short text that is good, bad or unknown: said in words, a mark and a colour."""

    mood: Mood
    text: str
    spoken: str = ""
    """For who does not see the mark, where the text alone does not tell."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Numbers to copy into a search."""

    values: tuple[str, ...]


Piece = str | Marked | Codes


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or two."""

    text: str
    small: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Items under each other."""

    items: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer and the evidence for it."""

    question: str
    answer: Marked
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; columns whose heading begins with ``#`` hold numbers."""

    columns: tuple[str, ...]
    numbers: frozenset[int]
    rows: tuple[tuple[Piece, ...], ...]


Block = Paragraph | Listing | Answered | Grid


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    key: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole page."""

    lang: str
    title: str
    subtitle: str
    verdict: Marked
    sentence: str
    sections: tuple[Section, ...]


def layout_of(overview: Overview) -> Layout:
    """The page of an overview, in its language."""
    return _Making(overview).whole()


def moment(at_us: int) -> str:
    """A moment in UTC, to the minute."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


_ANSWER_MOODS: dict[str, Mood] = {"yes": "good", "no": "bad", "unknown": "unknown"}


class _Making:
    def __init__(self, overview: Overview) -> None:
        self._o = overview
        self._lang = overview.lang

    def whole(self) -> Layout:
        o = self._o
        when = self._say("measured_when", window=o.window.words, time=moment(o.window.to_us))
        return Layout(
            lang=self._lang,
            title=self._say("heading_report"),
            subtitle=when if o.space is None else f"{o.space} · {when}",
            verdict=Marked("good" if o.go else "bad", o.verdict),
            sentence=o.sentence,
            sections=tuple(self._sections()),
        )

    def _say(self, key: str, **params: object) -> str:
        return say(key, self._lang, **params)

    def _sections(self) -> Iterator[Section]:
        o = self._o
        yield self._section("why", self._why())
        yield self._section("questions", self._questions())
        yield self._section("measures", [*self._recorded(), self._measures()])
        yield self._section("latency", [self._latency()])
        yield self._section("devices", self._devices())
        yield self._section("reconciliation", self._reconciliation())
        yield self._section("conflicts", self._conflicts())
        yield self._section("failures", self._failures())
        if o.failures.refusals:
            yield self._section("refusals", [self._refusals()])
        yield self._section("clocks", self._clocks())
        yield self._section("acceptance", self._acceptance())
        yield self._section("about", [self._about()])

    def _section(self, key: str, blocks: Sequence[Block]) -> Section:
        return Section(key, self._say(f"heading_{key}"), tuple(blocks))

    def _grid(self, columns: str, rows: Sequence[tuple[Piece, ...]], numbers: str = "") -> Grid:
        names = columns.split()
        right = frozenset(names.index(name) for name in numbers.split())
        return Grid(tuple(self._say(f"column_{name}") for name in names), right, tuple(rows))

    def _recorded(self) -> list[Block]:
        return [] if self._o.recorded else [Paragraph(self._o.recorded_words)]

    # ── the verdict ─────────────────────────────────────────────────────────

    def _why(self) -> list[Block]:
        return [
            Listing(
                tuple(
                    Marked(one.mood, one.words, self._say(f"reason_mood_{one.mood}"))
                    for one in self._o.reasons
                )
            )
        ]

    def _questions(self) -> list[Block]:
        return [
            Answered(
                one.question,
                Marked(_ANSWER_MOODS[one.answer], one.answer_words),
                one.evidence,
            )
            for one in self._o.questions
        ]

    # ── measures ────────────────────────────────────────────────────────────

    def _measures(self) -> Grid:
        rows: list[tuple[Piece, ...]] = []
        for one in self._o.measures:
            value = f"{one.value_words} ({one.fraction_words})"
            mood: Mood = "unknown" if one.met is None else "good" if one.met else "bad"
            met = {"good": "yes", "bad": "no", "unknown": "unknown"}[mood]
            rows.append(
                (
                    one.name,
                    value if one.fraction_words else one.value_words,
                    one.target_words,
                    Marked(mood, self._say(f"met_{met}")),
                    f"{one.formula} {one.note}".strip(),
                )
            )
        return self._grid("measure value target met formula", rows)

    def _latency(self) -> Grid:
        rows: list[tuple[Piece, ...]] = []
        for one in self._o.latency:
            values = [
                self._say("no_data") if value is None else duration_words(value, self._lang)
                for value in (one.p50_s, one.p95_s, one.p99_s)
            ]
            how = f"{one.formula} {one.note}".strip()
            rows.append((one.name, *values, number_words(one.count), how))
        return self._grid("way p50 p95 p99 count formula", rows, "p50 p95 p99 count")

    # ── devices ─────────────────────────────────────────────────────────────

    def _devices(self) -> list[Block]:
        devices = self._o.devices
        blocks: list[Block] = [Paragraph(devices.words)]
        troubled = [one for one in devices.listed if one.state in ("needs_person", "waiting")]
        rows: list[tuple[Piece, ...]] = [
            (
                one.device or one.replica_id[:8],
                one.user,
                one.space,
                number_words(one.pending + one.failed),
                "–" if one.oldest_age_s is None else age_words(one.oldest_age_s, self._lang),
                "; ".join((one.words, *one.reason_words)),
            )
            for one in troubled[:SHOWN_DEVICES]
        ]
        if rows:
            blocks.append(self._grid("device person space waits oldest state", rows, "waits"))
        if len(troubled) > SHOWN_DEVICES:
            more = len(troubled) - SHOWN_DEVICES
            blocks.append(Paragraph(self._say("more_devices", n=more), small=True))
        return blocks

    def _clocks(self) -> list[Block]:
        rows: list[tuple[Piece, ...]] = [
            (one.device or one.replica_id[:8], one.user, one.space, one.words)
            for one in self._o.skew
            if abs(one.skew_s) >= 60
        ]
        if not rows:
            return [Paragraph(self._say("clocks_fine"))]
        return [self._grid("device person space off", rows)]

    # ── losses and duplicates ───────────────────────────────────────────────

    def _reconciliation(self) -> list[Block]:
        found = self._o.reconciliation
        blocks: list[Block] = [Paragraph(found.words), self._checks(found.checks, "check")]
        for one in found.findings:
            blocks.append(Listing((Marked("bad", one.words, self._say("mood_bad")),)))
            if one.op_ids:
                blocks.append(Paragraph(self._say("open_ops"), small=True))
                blocks.append(Listing((Codes(one.op_ids),)))
        return blocks

    def _checks(self, checks: Sequence[Check], first: str) -> Grid:
        rows: list[tuple[Piece, ...]] = [
            (one.name, Marked(one.mood, self._say(f"mood_{one.mood}")), one.words) for one in checks
        ]
        return self._grid(f"{first} result found", rows)

    # ── conflicts and failures ──────────────────────────────────────────────

    def _conflicts(self) -> list[Block]:
        conflicts = self._o.conflicts
        rows: list[tuple[Piece, ...]] = [
            (
                one.field_label,
                f"{one.collection} / {one.record}",
                one.space,
                age_words((self._o.server_us - one.opened_us) / 1e6, self._lang),
                number_words(one.candidates),
            )
            for one in conflicts.oldest
        ]
        blocks: list[Block] = [Paragraph(conflicts.words)]
        if rows:
            blocks.append(self._grid("field record space age values", rows, "values"))
        return blocks

    def _failures(self) -> list[Block]:
        failures = self._o.failures
        if not failures.reasons:
            return [Paragraph(failures.note or self._say("all_fine"))]
        rows: list[tuple[Piece, ...]] = [
            (
                one.words,
                one.message,
                number_words(one.count),
                Codes(tuple(example.request_id for example in one.examples)),
            )
            for one in failures.reasons
        ]
        return [self._grid("reason shown times examples", rows, "times")]

    def _refusals(self) -> Grid:
        rows: list[tuple[Piece, ...]] = [
            (
                one.words,
                " / ".join(filter(None, (one.collection_label, one.field_label))),
                number_words(one.count),
                Codes(tuple(example.request_id for example in one.examples)),
            )
            for one in self._o.failures.refusals
        ]
        return self._grid("reason field times examples", rows, "times")

    # ── the rest ────────────────────────────────────────────────────────────

    def _acceptance(self) -> list[Block]:
        run = self._o.acceptance
        blocks: list[Block] = [Paragraph(run.words)]
        rows: list[tuple[Piece, ...]] = [
            (one.name, Marked(one.mood, one.words)) for one in run.scenarios
        ]
        if rows:
            ran = f"{run.at[:16].replace('T', ' ')} (UTC)" if run.at.endswith("+00:00") else run.at
            blocks.append(Paragraph(self._say("acceptance_ran", at=ran), small=True))
            blocks.append(self._grid("scenario result", rows))
        return blocks

    def _about(self) -> Listing:
        o = self._o
        names = ", ".join(o.spaces[:SHOWN_SPACES]) or "–"
        if len(o.spaces) > SHOWN_SPACES:
            more = len(o.spaces) - SHOWN_SPACES
            names = self._say("more_spaces", names=names, n=more)
        span = f"{moment(o.window.from_us)} – {moment(o.window.to_us)} UTC"
        facts = {
            "window": f"{o.window.words}: {span}",
            "spaces": names,
            "policy": self._say("policy_version", n=o.policy_version),
            "version": f"crdtsync {o.version}",
            "storage": o.storage.words,
        }
        return Listing(tuple(f"{self._say(f'about_{key}')}: {text}" for key, text in facts.items()))
