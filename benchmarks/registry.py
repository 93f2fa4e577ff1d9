"""Every scenario, in the order in which they are listed and run."""

from __future__ import annotations

from benchmarks.growth.scenarios import SCENARIOS as GROWTH
from benchmarks.harness.scenario import Scenario
from benchmarks.live.scenarios import SCENARIOS as LIVE
from benchmarks.merge.scenarios import SCENARIOS as MERGE
from benchmarks.replica.scenarios import SCENARIOS as REPLICA

SCENARIOS: tuple[Scenario, ...] = (*MERGE, *LIVE, *REPLICA, *GROWTH)

SCRIPTS = {
    "benchmarks.ward_day": "a day on a ward with 1,000 patients: nothing lost, nothing doubled",
    "benchmarks.record_growth": "one record edited up to 1,000,000 times stays small",
    "benchmarks.observing_cost": "what tracing and metrics cost the server",
}
"""Programs of their own, with arguments of their own: ``python -m NAME --help``."""


class UnknownScenario(Exception):
    """No scenario or group has this name; says which there are."""


def chosen(names: list[str]) -> list[Scenario]:
    """The scenarios of these names or groups; all where none is named. Raises UnknownScenario."""
    known = {scenario.name for scenario in SCENARIOS} | {scenario.group for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownScenario(
            f"no benchmark is called {', '.join(unknown)}; there are: "
            + ", ".join(scenario.name for scenario in SCENARIOS)
            + "; groups: "
            + ", ".join(dict.fromkeys(scenario.group for scenario in SCENARIOS))
        )
    wanted = set(names)
    return [one for one in SCENARIOS if not names or {one.name, one.group} & wanted]
