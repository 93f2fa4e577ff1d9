"""Simulated worlds with crashes, copies, restores, discards and re-offers: no false alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from crdtsync.policy import Visibility
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.overview import Asked, measure
from crdtsync_server.report.scope import THOROUGH
from crdtsync_server.simulation import world as simulated
from crdtsync_server.simulation.healing import heal
from crdtsync_server.simulation.plan import draw_plan
from crdtsync_server.simulation.rules import POLICIES
from crdtsync_server.simulation.world import World

SEEDS = range(100, 108)
STORED_S = 200
"""Virtual seconds: a device reports at least every minute, and reports are stored in two."""


def account(world: World) -> Overview:
    """What the report says of the world's server."""
    policy = POLICIES[world.server.policy]
    seen = Visibility(policy.collections, frozenset(), frozenset())
    now_us = world.server.clock.now_us() + 1_000_000
    asked = Asked(policy=policy, seen=seen, now_us=now_us, window="52w", bounds=THOROUGH)
    assert world.server.executor is not None
    return measure(world.server.executor.connection, asked)


def play(seed: int, then: Callable[[World], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A world to its end; ``then`` looks at it when everybody is in step and has reported."""

    async def heal_and_look(world: World) -> None:
        await heal(world)
        for device in world.devices:
            assert device.replica is not None
            await device.replica.disconnect()
            device.sign_in()
            device.connect()
        await asyncio.sleep(STORED_S)
        then(world)

    monkeypatch.setattr(simulated, "heal", heal_and_look)
    outcome = simulated.run_plan(draw_plan(seed), trace=False)
    if outcome.failure is not None:
        raise outcome.failure


@pytest.mark.parametrize("seed", SEEDS)
def test_what_honest_devices_saw_acknowledged_is_always_found(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Overview] = []
    play(seed, lambda world: seen.append(account(world)), monkeypatch)
    (found,) = seen
    assert found.reconciliation.findings == ()
    assert found.reconciliation.ops > 0
    assert found.reconciliation.mood == "good"


def test_an_op_that_a_worlds_server_loses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[bool] = []

    def lose_one(world: World) -> None:
        ((place, key),) = world.server.rows(
            "SELECT position, op_id FROM receipts ORDER BY position DESC LIMIT 1"
        )
        for statement in ("log WHERE position", "receipts WHERE position"):
            world.server.rows(f"DELETE FROM {statement} = ?", place)
        found = account(world).reconciliation
        losses = [one for one in found.findings if one.kind == "missing"]
        named.append(any(key.hex() == op.replace("-", "") for one in losses for op in one.op_ids))

    play(SEEDS[0], lose_one, monkeypatch)
    assert named == [True]
