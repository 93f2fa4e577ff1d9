"""The shortest plan that still fails in the same way.

Delta debugging over the steps of a plan (after Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002, but going on after a
part that could be left out instead of starting again), and before it whatever
else makes a run easier to read: fewer devices, a calm network, a fast disk,
right clocks. All of it again until nothing changes any more. Pure: whether
plans fail is asked of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from crdtsync_server.simulation.plan import Plan, Step

RUNS: Final = 1_000
"""Plans that are tried at most."""

SECONDS: Final = 90.0

Fails = Callable[[Sequence[Plan]], Sequence[str]]
"""What each of some plans breaks; "" if everything holds. They may be run side by side."""

Edit = Callable[[Plan], Plan]


class _Enough(Exception):
    """The runs or the seconds are used up."""


@dataclass
class Shrinking:
    """The way from a plan that fails to the shortest that fails alike.

    ``best`` is good at any time, also when ``run`` is interrupted. It does not
    depend on how many plans are run side by side, as long as there is time.
    """

    best: Plan
    invariant: str
    fails: Fails
    now_s: Callable[[], float]
    progress: Callable[[Shrinking], None] = lambda shrinking: None
    max_runs: int = RUNS
    max_s: float = SECONDS
    width: int = 1
    """Plans that are run side by side."""
    runs: int = 0
    is_finished: bool = False
    """Whether no single step can be left out any more; else the runs or seconds were over."""

    def run(self) -> Plan:
        """Try until nothing gets shorter, or enough was tried."""
        self._until_s = self.now_s() + self.max_s
        self._in_vain: set[Plan] = set()
        try:
            self._cut_off_the_end()
            before = None
            while before != self.best:
                before = self.best
                self._each(_easier(self.best))
                self._leave_out_steps()
                self._leave_out_single_steps()
                self._shorten_pauses()
            self.is_finished = True
        except _Enough:
            pass
        return self.best

    def _first(self, plans: Sequence[Plan]) -> int | None:
        """Which is the first to fail in the same way; it is the best from now on."""
        for start in range(0, len(plans), self.width):
            batch = plans[start : start + self.width]
            new = [one for one in batch if one != self.best and one not in self._in_vain]
            if not new:
                continue
            if self.runs + len(new) > self.max_runs or self.now_s() >= self._until_s:
                raise _Enough
            self.runs += len(new)
            said = dict(zip(new, self.fails(new), strict=True))
            same = [one for one in new if said[one] == self.invariant]
            self._in_vain |= {one for one in new if one not in same}
            if same:
                self.best = same[0]
            self.progress(self)
            if same:
                return start + batch.index(same[0])
        return None

    def _each(self, edits: Sequence[Edit]) -> None:
        """Make every edit that leaves the failure as it is."""
        done = 0
        while done < len(edits):
            found = self._first([edit(self.best) for edit in edits[done:]])
            if found is None:
                return
            done += found + 1

    def _cut_off_the_end(self) -> None:
        """What comes after the failure does not matter: the shortest beginning that fails."""
        steps = self.best.steps
        holds, fails = -1, len(steps)
        while fails - holds > 1:
            middle = (holds + fails) // 2
            if self._first([replace(self.best, steps=steps[:middle])]) is None:
                holds = middle
            else:
                fails = middle

    def _leave_out_steps(self) -> None:
        """Ever smaller parts, each left out if the rest still fails."""
        parts = 2
        while parts < len(self.best.steps):
            self._each([_leaving_out(chunk) for chunk in _parts(self.best.steps, parts)])
            parts *= 2

    def _leave_out_single_steps(self) -> None:
        """One by one from the end, with and without the time that it took."""
        for step in reversed(self.best.steps):
            left_out = {step.n}
            self._first([_without(self.best, left_out), self.best.without(left_out)])

    def _shorten_pauses(self) -> None:
        shorter = []
        for pause_s in (0.0, 0.1, 1.0):
            steps = tuple(replace(s, pause_s=min(s.pause_s, pause_s)) for s in self.best.steps)
            shorter.append(replace(self.best, steps=steps))
        self._first(shorter)


def _without(plan: Plan, left_out: set[int]) -> Plan:
    """Without some steps, the others at the time that they had: so they disturb the rest less."""
    steps = []
    owed_s = 0.0
    for step in plan.steps:
        if step.n in left_out:
            owed_s += step.pause_s
        else:
            steps.append(replace(step, pause_s=step.pause_s + owed_s) if owed_s else step)
            owed_s = 0.0
    return replace(plan, steps=tuple(steps))


def _leaving_out(left_out: set[int]) -> Edit:
    return lambda plan: _without(plan, left_out)


def _parts(steps: tuple[Step, ...], count: int) -> list[set[int]]:
    """The numbers of the steps in as many parts, the last ones first."""
    bounds = [len(steps) * n // count for n in range(count + 1)]
    return [{step.n for step in steps[bounds[n] : bounds[n + 1]]} for n in reversed(range(count))]


def _easier(plan: Plan) -> list[Edit]:
    """Everything that makes a run easier to follow, one at a time."""

    def calm(name: str) -> Edit:
        return lambda plan: replace(plan, weather=replace(plan.weather, **{name: 0.0}))

    def off(name: str) -> Edit:
        change: dict[str, Any] = {name: False}
        return lambda plan: replace(plan, **change)

    def with_devices(count: int) -> Edit:
        return lambda plan: replace(plan, devices=min(plan.devices, count))

    weather = [member.name for member in fields(plan.weather)]
    switches = [member.name for member in fields(plan) if getattr(plan, member.name) is True]
    return [
        *(with_devices(count) for count in range(1, plan.devices)),
        *(calm(name) for name in weather if getattr(plan.weather, name)),
        *(off(name) for name in switches),
        lambda plan: replace(plan, disk_latency_s=0.0),
        lambda plan: replace(plan, checkpoint_pages=max(plan.checkpoint_pages, 1_000)),
    ]
