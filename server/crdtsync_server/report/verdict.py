"""The four weekly questions with their evidence, and the verdict with its reasons."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crdtsync_server.report.failing import Failing, messages_shown
from crdtsync_server.report.judging import Recovery
from crdtsync_server.report.measures import (
    AcceptanceRun,
    Answer,
    Devices,
    Measure,
    Mood,
    Overview,
    Question,
    Reason,
    Reconciliation,
)
from crdtsync_server.report.scope import Scope
from crdtsync_server.report.travel import Travel
from crdtsync_server.report.words import age_words, duration_words, say

SHOWN_MESSAGES = 10


LOSSES = frozenset({"missing", "fewer", "different", "gap", "receipt", "unreadable"})
"""Findings after which nobody may say that everything is there. A change without a receipt
(``receipt`` too) would be applied anew when its device sends it again."""


# ── the weekly questions ────────────────────────────────────────────────────


def questions_of(
    scope: Scope,
    travel: Travel,
    failing: Failing,
    recovery: Recovery,
    measures: tuple[Measure, ...],
    devices: Devices,
    reconciliation: Reconciliation,
) -> tuple[Question, ...]:
    """Each with its evidence."""
    return (
        _recovered(scope, travel, recovery, measures[1], devices, reconciliation),
        _messages(scope, travel, failing),
        _duplicates(scope, travel, failing, reconciliation),
        _under_target(scope, measures[0]),
    )


def _recovered(
    scope: Scope,
    travel: Travel,
    recovery: Recovery,
    measure: Measure,
    devices: Devices,
    reconciliation: Reconciliation,
) -> Question:
    lang = scope.lang
    evidence = []
    if measure.value is not None:
        evidence.append(
            say(
                "evidence_recovered",
                lang,
                part=recovery.in_time + recovery.late,
                whole=recovery.all,
                in_time=recovery.in_time,
                time=duration_words(scope.policy.targets.recovery_time_s, lang),
            )
        )
    evidence += [measure.note] if measure.note else []
    if devices.waiting_ops and devices.oldest_age_s is not None:
        evidence.append(
            say(
                "evidence_waiting",
                lang,
                n=devices.waiting_ops,
                device=devices.oldest_device,
                age=age_words(devices.oldest_age_s, lang),
            )
        )
    evidence.append(reconciliation.words)
    lost = any(one.kind in LOSSES for one in reconciliation.findings)
    answer: Answer = "yes"
    words = ""
    if recovery.waiting or lost:
        answer = "no"
    elif recovery.unheard or recovery.fresh:
        answer, words = "unknown", say("answer_not_yet", lang)
    elif not travel.recorded or not recovery.all:
        answer = "unknown"
    return _question(scope, "recovered", answer, evidence, words)


def _messages(scope: Scope, travel: Travel, failing: Failing) -> Question:
    lang = scope.lang
    if not travel.recorded:
        return _question(scope, "messages", "unknown", [say("not_recorded", lang)])
    shown = messages_shown(scope, failing)
    evidence = [
        say("evidence_message", lang, message=text, n=count)
        for text, count in shown.most_common(SHOWN_MESSAGES)
    ]
    if not evidence:
        key = "evidence_no_failure" if failing.attempts else "no_attempts"
        answer: Answer = "yes" if failing.attempts else "unknown"
        return _question(scope, "messages", answer, [say(key, lang)], say("nothing_failed", lang))
    return _question(scope, "messages", "yes", evidence, say("answer_messages", lang, n=len(shown)))


def _duplicates(
    scope: Scope, travel: Travel, failing: Failing, reconciliation: Reconciliation
) -> Question:
    lang = scope.lang
    doubled = sum(one.kind == "doubled" for one in reconciliation.findings)
    check = next(one for one in reconciliation.checks if one.key == "doubled")
    evidence = [f"{check.name}: {check.words}"]
    if travel.recorded:
        evidence.insert(0, say("evidence_repeats", lang, n=failing.repeats))
    else:
        evidence.insert(0, say("not_recorded", lang))
    answer: Answer = "no" if doubled else "yes" if check.mood == "good" else "unknown"
    return _question(scope, "duplicates", answer, evidence)


def _under_target(scope: Scope, measure: Measure) -> Question:
    answer: Answer = "unknown" if measure.met is None else "yes" if measure.met else "no"
    evidence = measure.note
    if measure.value is not None:
        evidence = say(
            "evidence_rate",
            scope.lang,
            value=measure.value_words,
            fraction=measure.fraction_words,
            target=measure.target_words,
        )
        if answer == "unknown":
            evidence = f"{evidence} {measure.note}"
    return _question(scope, "failure_rate", answer, [evidence])


def _question(
    scope: Scope, key: str, answer: Answer, evidence: list[str], words: str = ""
) -> Question:
    return Question(
        key=key,
        question=say(f"question_{key}", scope.lang),
        answer=answer,
        answer_words=words or say(f"answer_{answer}", scope.lang),
        evidence=tuple(evidence),
    )


# ── the verdict ─────────────────────────────────────────────────────────────

DEVICES = "devices"
"""The reason that tells of changes on devices."""

ESSENTIAL = ("reconciliation", "failure_rate", "recovery_success_rate", "acceptance")
"""What has to be shown before anybody may say Go. Besides them nothing may be bad."""


def reasons_of(
    scope: Scope,
    measures: tuple[Measure, ...],
    devices: Devices,
    reconciliation: Reconciliation,
    acceptance: AcceptanceRun,
    recovery: Recovery,
) -> tuple[Reason, ...]:
    """Everything that speaks for or against, the weightiest first."""
    lang = scope.lang
    found = [
        Reason(code="reconciliation", mood=reconciliation.mood, words=reconciliation.words),
        *(_reason_of(scope, one) for one in measures),
        _acceptance_reason(acceptance, lang),
    ]
    stuck = [one for one in devices.listed if one.state in ("needs_person", "waiting")]
    if recovery.waiting or recovery.unheard or recovery.fresh:
        words = say("reason_waiting", lang, n=devices.waiting_ops, devices=len(stuck))
        mood: Mood = "bad" if recovery.waiting else "unknown"
        found.append(Reason(code=DEVICES, mood=mood, words=words))
    return _ordered(found)


def _reason_of(scope: Scope, measure: Measure) -> Reason:
    mood: Mood = "unknown" if measure.met is None else "good" if measure.met else "bad"
    partly = mood == "unknown" and measure.value is not None
    words = say(
        "reason_measure_partly" if partly else f"reason_measure_{mood}",
        scope.lang,
        name=measure.name,
        value=measure.value_words,
        target=measure.target_words,
        note=measure.note,
    )
    return Reason(code=measure.key, mood=mood, words=words.strip())


def _acceptance_reason(run: AcceptanceRun, lang: str) -> Reason:
    words = run.words
    if run.scenarios:
        words = say("reason_acceptance", lang, words=words)
    return Reason(code="acceptance", mood=run.mood, words=words)


def may_go(reasons: Iterable[Reason]) -> bool:
    """Go: nothing is bad, and everything essential was shown."""
    return all(
        one.mood != "bad" and (one.mood == "good" or one.code not in ESSENTIAL) for one in reasons
    )


def is_healthy(reasons: Iterable[Reason]) -> bool:
    """Whether all is well now; what was not shown yet is no illness."""
    return all(one.mood != "bad" for one in reasons if one.code != "acceptance")


def sentence_of(lang: str, reasons: tuple[Reason, ...], healthy: bool, go: bool) -> str:
    """Is it healthy, and may we go."""
    bad = [one for one in reasons if one.mood == "bad"]
    known = any(one.mood == "good" for one in reasons if one.code in ESSENTIAL)
    health = say("healthy" if known else "quiet", lang)
    if not healthy:
        ill = next(one for one in bad if one.code != "acceptance")
        health = say("unhealthy", lang, why=ill.words)
    if go:
        # Changes that devices still hold forbid nothing, where devices are offline by nature;
        # but nobody is to read that all is well beside them.
        held = next((one for one in reasons if one.code == DEVICES and one.mood == "unknown"), None)
        if held is not None:
            return say("may_go_but", lang, why=held.words)
        return f"{health} {say('may_go', lang)}"
    missing = [one for one in reasons if one.mood == "unknown" and one.code in ESSENTIAL]
    if healthy and known and (bad or missing):
        # "All is well" beside a No-Go would contradict it.
        key = "well_but_not_accepted" if bad else "well_but_not_shown"
        return say(key, lang, why=(bad or missing)[0].words)
    if not bad and missing:
        return f"{health} {say('not_shown', lang, why=missing[0].words)}"
    return f"{health} {say('may_not_go', lang)}"


def with_acceptance(found: Overview, run: AcceptanceRun) -> Overview:
    """The same measurements, judged with another acceptance run."""
    reasons = [one for one in found.reasons if one.code != "acceptance"]
    reasons.append(_acceptance_reason(run, found.lang))
    ordered = _ordered(reasons)
    go = may_go(ordered)
    return msgspec.structs.replace(
        found,
        acceptance=run,
        reasons=ordered,
        go=go,
        verdict=say("verdict_go" if go else "verdict_no_go", found.lang),
        sentence=sentence_of(found.lang, ordered, found.healthy, go),
    )


def _ordered(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    order: tuple[Mood, ...] = ("bad", "unknown", "good")
    return tuple(sorted(reasons, key=lambda one: order.index(one.mood)))
