"""The shortest plan that still fails in the same way.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002) over the steps of a plan; before and after it
whatever else makes a run easier to read is tried: fewer devices, a calm
network, a fast disk, right clocks. Pure: whether a plan fails is asked of a
function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from crdtsync_server.simulation.plan import Plan, Step

RUNS: Final = 600
"""Plans that are tried at most."""

SECONDS: Final = 90.0

Fails = Callable[[Plan], str]
"""What a plan breaks; "" if everything holds."""


class _Enough(Exception):
    """The runs or the seconds are used up."""


@dataclass
class Shrinking:
    """The way from a plan that fails to the shortest that fails alike.

    ``best`` is good at any time, also when ``run`` is interrupted.
    """

    best: Plan
    invariant: str
    fails: Fails
    now_s: Callable[[], float]
    progress: Callable[[Shrinking], None] = lambda shrinking: None
    max_runs: int = RUNS
    max_s: float = SECONDS
    runs: int = 0
    is_finished: bool = False
    """Whether no single step can be left out any more; else the runs or seconds were over."""

    def run(self) -> Plan:
        """Try until nothing gets shorter, or enough was tried."""
        self._until_s = self.now_s() + self.max_s
        self._tried: set[Plan] = {self.best}
        try:
            self._cut_off_the_end()
            before = None
            while before != self.best:
                before = self.best
                self._make_easy()
                self._leave_out_steps()
                self._leave_out_single_steps()
                self._shorten_pauses()
            self.is_finished = True
        except _Enough:
            pass
        return self.best

    def _try(self, plan: Plan) -> bool:
        """Whether a plan fails in the same way; then it is the best from now on."""
        if plan in self._tried:
            return plan == self.best
        if self.runs >= self.max_runs or self.now_s() >= self._until_s:
            raise _Enough
        self._tried.add(plan)
        self.runs += 1
        same = self.fails(plan) == self.invariant
        if same:
            self.best = plan
        self.progress(self)
        return same

    def _cut_off_the_end(self) -> None:
        """What comes after the failure does not matter: the shortest beginning that fails."""
        steps = self.best.steps
        holds, fails = -1, len(steps)
        while fails - holds > 1:
            middle = (holds + fails) // 2
            if self._try(replace(self.best, steps=steps[:middle])):
                fails = middle
            else:
                holds = middle

    def _make_easy(self) -> None:
        for easier in _easier(self.best):
            self._try(easier(self.best))

    def _leave_out_steps(self) -> None:
        """ddmin: ever smaller parts, each left out if the rest still fails."""
        parts = 2
        while len(self.best.steps) >= 2:
            parts = min(parts, len(self.best.steps))
            for chunk in _parts(self.best.steps, parts):
                if self._try(self.best.without(chunk)):
                    parts = max(parts - 1, 2)
                    break
            else:
                if parts >= len(self.best.steps):
                    return
                parts *= 2

    def _leave_out_single_steps(self) -> None:
        """One by one from the end; the others at the time that they had."""
        for step in reversed(self.best.steps):
            if not self._try(self.best.without({step.n})):
                self._try(_with_its_pause(self.best, step))

    def _shorten_pauses(self) -> None:
        for pause in (0.0, 0.1, 1.0):
            steps = tuple(replace(s, pause_s=min(s.pause_s, pause)) for s in self.best.steps)
            if self._try(replace(self.best, steps=steps)):
                return


def _parts(steps: tuple[Step, ...], count: int) -> Iterator[set[int]]:
    """The numbers of the steps in as many parts, the last ones first."""
    bounds = [len(steps) * n // count for n in range(count + 1)]
    for n in reversed(range(count)):
        yield {step.n for step in steps[bounds[n] : bounds[n + 1]]}


def _with_its_pause(plan: Plan, left_out: Step) -> Plan:
    """Without a step, but the next one not any earlier."""
    steps = []
    owed_s = 0.0
    for step in plan.steps:
        if step is left_out:
            owed_s = step.pause_s
        else:
            steps.append(replace(step, pause_s=step.pause_s + owed_s) if owed_s else step)
            owed_s = 0.0
    return replace(plan, steps=tuple(steps))


def _easier(plan: Plan) -> Iterator[Callable[[Plan], Plan]]:
    """Everything that makes a run easier to follow, one at a time."""

    def calm(name: str) -> Callable[[Plan], Plan]:
        return lambda plan: replace(plan, weather=replace(plan.weather, **{name: 0.0}))

    def off(name: str) -> Callable[[Plan], Plan]:
        change: dict[str, Any] = {name: False}
        return lambda plan: replace(plan, **change)

    def with_devices(count: int) -> Callable[[Plan], Plan]:
        return lambda plan: replace(plan, devices=min(plan.devices, count))

    for count in range(1, plan.devices):
        yield with_devices(count)
    for member in fields(plan.weather):
        if getattr(plan.weather, member.name):
            yield calm(member.name)
    for member in fields(plan):
        if getattr(plan, member.name) is True:
            yield off(member.name)
    yield lambda plan: replace(plan, disk_latency_s=0.0)
    yield lambda plan: replace(plan, checkpoint_pages=max(plan.checkpoint_pages, 1_000))
