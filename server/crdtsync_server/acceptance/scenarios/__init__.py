"""The scenarios in the order in which they run. Their names are stable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from crdtsync_server.acceptance.scenarios import (
    crashes,
    network,
    offline,
    people,
    sign_in,
    together,
)
from crdtsync_server.acceptance.stage import Stage


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that testers try."""

    name: str
    play: Callable[[Stage], Awaitable[None]]
    own_server: bool = False
    """Whether it kills, restarts or fills the server."""
    in_quick: bool = True
    """Whether it can be made short."""


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("offline-then-synced", offline.offline_then_synced),
    Scenario("cut-during-push", network.cut_during_push),
    Scenario("reconnects-by-itself", offline.reconnects_by_itself),
    Scenario("airplane-mode", offline.airplane_mode),
    Scenario("weak-network", network.weak_network),
    Scenario("rapid-edits", together.rapid_edits),
    Scenario("three-devices-one-item", together.three_devices_one_item),
    Scenario("week-offline", offline.week_offline),
    Scenario("duplicate-requests", network.duplicate_requests),
    Scenario("half-open-connection", network.half_open_connection, in_quick=False),
    Scenario("server-killed", crashes.server_killed, own_server=True),
    Scenario("server-restarted", crashes.server_restarted, own_server=True),
    Scenario("device-killed", crashes.device_killed),
    Scenario("old-copy-restored", crashes.old_copy_restored),
    Scenario("full-disk", crashes.full_disk, own_server=True),
    Scenario("conflict-chosen-while-edited", people.conflict_chosen_while_edited),
    Scenario("refused-and-way-out", people.refused_and_way_out, own_server=True),
    Scenario("clock-a-day-wrong", people.clock_a_day_wrong),
    Scenario("token-renewed", sign_in.token_renewed),
)

NAMES: Final = tuple(scenario.name for scenario in SCENARIOS)
