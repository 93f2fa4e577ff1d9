"""What will happen in a run: drawn from the seed beforehand, so that it can be shortened.

A plan is data. Every step has randomness of its own (from the seed and its
number), so leaving one out changes nothing about what the others try to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from crdtsync_server.simulation.network import Weather
from crdtsync_server.simulation.surroundings import stream

FAULTS: dict[str, float] = {
    # what happens to the network
    "airplane mode": 8,
    "partition": 3,
    "one-way partition": 3,
    "cut": 4,
    "slow reader": 2,
    # to machines
    "device killed": 5,
    "device power cut": 3,
    "device crash in a job": 3,
    "server killed": 3,
    "server power cut": 2,
    "server crash in a job": 3,
    # to disks
    "device disk full": 2,
    "server disk full": 1.5,
    "device disk fails": 2,
    "server disk fails": 1.5,
    "device restored": 1.5,
    "device copied": 1,
    "server backup": 2,
    "server rolled back": 1.5,
    "log trimmed": 3,
    # to clocks, sign-ins and rules
    "device clock jumps": 3,
    "server clock jumps": 1,
    "token expires": 2,
    "role withdrawn": 3,
    "user switched": 1.5,
    "policy signed": 1.5,
}
"""Every fault with its weight. Most runs have few of them, and those often: combinations
that would be rare among all of them occur."""

ACTIONS: dict[str, float] = {"write": 10, "resolve": 3, "delete": 1, "queue": 3, "repeat": 1}

MAX_DEVICES = 8


@dataclass(frozen=True)
class Step:
    """One thing that somebody or something does."""

    n: int
    pause_s: float
    """Virtual time before it."""
    what: str
    device: int

    def random(self, seed: int) -> Random:
        """The step's own randomness."""
        return stream(seed, "step", self.n)


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    devices: int
    steps: tuple[Step, ...]
    weather: Weather
    disk_latency_s: float
    """How long a job takes at most."""
    checkpoint_pages: int
    skewed_clocks: bool
    small_limits: bool
    """Whether the bounds of the code are so small that they are met."""
    small_window: bool
    """Whether few ops may be in flight."""

    def without(self, left_out: set[int]) -> Plan:
        """The same run without some of its steps."""
        return replace(self, steps=tuple(s for s in self.steps if s.n not in left_out))


def draw_plan(seed: int, *, steps: int = 80, kinds_of_faults: Sequence[str] = ()) -> Plan:
    """The plan of a seed. It chooses its kinds of faults itself unless some are given."""
    random = stream(seed, "plan")
    devices = random.choice((3, 3, 3, 3, 3, 4, 4, 5, 8))
    calm = random.random() < 0.1
    kinds = 0 if calm else random.choice((4, 7, 12, len(FAULTS)))
    sample = random.sample(tuple(FAULTS), kinds)
    faults = {what: FAULTS[what] for what in kinds_of_faults or sample}
    share = random.choice((0.1, 0.2, 0.35))
    hurry_s = random.choice((0.3, 1.0, 1.0, 5.0))
    drawn = []
    for n in range(steps):
        chosen = faults if faults and random.random() < share else ACTIONS
        what = random.choices(tuple(chosen), tuple(chosen.values()))[0]
        pause_s = random.random() ** 2 * 2 * hurry_s
        if random.random() < 0.015:
            pause_s += random.choice((30.0, 100.0, 400.0))
        drawn.append(Step(n, pause_s, what, random.randrange(MAX_DEVICES)))
    return Plan(
        seed,
        devices,
        tuple(drawn),
        _weather(random, calm=calm),
        disk_latency_s=random.choice((0.0, 0.002, 0.05)),
        checkpoint_pages=random.choice((4, 30, 1_000)),
        skewed_clocks=not calm and random.random() < 0.7,
        small_limits=seed % 3 == 0,
        small_window=seed % 2 == 1,
    )


def _weather(random: Random, *, calm: bool) -> Weather:
    if calm:
        return Weather()

    def sometimes(*rates: float) -> float:
        return random.choice(rates) if random.random() < 0.5 else 0.0

    return Weather(
        max_delay_s=random.choice((0.05, 0.5, 3.0)),
        spike=sometimes(0.01, 0.05),
        lose=sometimes(0.005, 0.02),
        duplicate=sometimes(0.005, 0.02),
        cut=sometimes(0.005, 0.03),
        half_open=sometimes(0.1, 0.5),
    )
