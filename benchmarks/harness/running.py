"""Rounds in turn: every contender once, then all again, so that a slow minute meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.harness.measuring import Failed, measure
from benchmarks.harness.peers import Missing, Peers
from benchmarks.harness.results import (
    CaseResult,
    Results,
    Round,
    ScenarioResult,
    begin_scenario,
)
from benchmarks.harness.scenario import Case, Contender, Scenario

Say = Callable[[str], None]

TRIES_OF_A_PEER = 2
"""Some crash now and then (V8 does); that is no reason to tell nothing of them. Ours has one."""


class Runner:
    """Measures scenarios one after the other into ``results``."""

    def __init__(
        self,
        results: Results,
        peers: Peers,
        *,
        rounds: int,
        command: str | None = None,
        say: Say = lambda words: None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """``command`` is the one that measures now, where it is not the one that began the
        results; ``say`` is told what is measured; ``done`` is called after every measurement."""
        self._results = results
        self._peers = peers
        self._rounds = rounds
        self._command = results.command if command is None else command
        self._say = say
        self._done = done
        self.stays: dict[str, str] = {}
        """Scenarios whose earlier result was not replaced by what was measured now, and why."""

    def run(self, scenario: Scenario, cases: Sequence[Case]) -> ScenarioResult:
        """All cases of one scenario: what was measured now.

        It takes the place of an earlier result only when it is complete, so that neither a
        stop nor a failure costs figures that were kept. Where there is no earlier one, what was
        measured before a KeyboardInterrupt is kept as unfinished.
        """
        found = begin_scenario(scenario.name, self._command, self._rounds)
        earlier = self._results.scenario(scenario.name)
        try:
            for case in cases:
                result = CaseResult(case.name)
                found.cases.append(result)
                self._run_case(scenario, case, result)
        except KeyboardInterrupt:
            found.finished = False
            if earlier is not None and _has_figures(earlier):
                self.stays[scenario.name] = "the run was stopped before its end"
            elif _has_figures(found):
                self._results.put(found)
            raise
        lost = [] if earlier is None else _lost(earlier, found)
        if lost:
            self.stays[scenario.name] = f"it has figures that are missing now ({', '.join(lost)})"
        else:
            self._results.put(found)
        return found

    def _run_case(self, scenario: Scenario, case: Case, result: CaseResult) -> None:
        contenders = [one for one in scenario.contenders if one.takes_part_in(case)]
        there = [one for one in contenders if self._is_there(one, result)]
        rounds = min(self._rounds, case.rounds or self._rounds)
        for number in range(rounds):
            for contender in there:
                if contender.name in result.missing:
                    continue
                turn = f"round {number + 1} of {rounds}"
                self._say(f"{scenario.name}, {case.name}: {contender.name}, {turn}")
                began_s = time.perf_counter()
                try:
                    figures = self._measured(contender, case, scenario.timeout_s)
                except Failed as failed:
                    before = f"in round {number + 1} of {rounds}, {number} had run: "
                    result.missing[contender.name] = f"{before if number else ''}{failed}"
                else:
                    took_s = time.perf_counter() - began_s
                    result.rounds.append(Round(contender.name, figures, round(took_s, 3)))
                self._done()

    def _measured(self, contender: Contender, case: Case, timeout_s: float) -> dict[str, float]:
        for _ in range(TRIES_OF_A_PEER - 1 if contender.needs is not None else 0):
            try:
                return measure(contender, case, self._peers, timeout_s)
            except Failed as failed:
                self._say(f"once more: {str(failed).splitlines()[0]}")
        return measure(contender, case, self._peers, timeout_s)

    def _is_there(self, contender: Contender, result: CaseResult) -> bool:
        if contender.needs is None:
            return True
        try:
            self._peers.path(contender.needs, self._say)
        except Missing as missing:
            result.missing[contender.name] = str(missing)
            return False
        return True


def _has_figures(result: ScenarioResult) -> bool:
    return any(case.rounds for case in result.cases)


def _lost(earlier: ScenarioResult, found: ScenarioResult) -> list[str]:
    """Whom the earlier result has figures of, and who failed or was not there this time."""
    lost = []
    for case in found.cases:
        before = earlier.case(case.case)
        had = set() if before is None else {one.contender for one in before.counted()}
        lost += [f"{name} at {case.case}" for name in case.missing if name in had]
    return lost


def measurements(scenario: Scenario, cases: Sequence[Case], rounds: int) -> int:
    """How many measurements a run of it takes, for a progress bar."""
    return sum(
        min(rounds, case.rounds or rounds)
        for case in cases
        for contender in scenario.contenders
        if contender.takes_part_in(case)
    )
