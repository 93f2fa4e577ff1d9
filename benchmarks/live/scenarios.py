"""The scenarios of this group."""

from __future__ import annotations

from benchmarks.harness.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = ()
