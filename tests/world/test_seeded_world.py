"""Real replicas and a real server on a lossy network, in virtual time, from seeds.

Invariants 3 (once), 4 (nothing vanishes), 5 (convergence) and 6 (no silent
choice) are checked against a plain model after each run (tests/world/world.py).
Replay one by hand: ``python -m tests.world.world SEED``.
"""

from __future__ import annotations

from typing import Any

import pytest

from crdtsync.documents.state import Stub
from crdtsync.replica import applying, outbox, taking_back
from crdtsync.replica.file import ReplicaFile
from tests.world.world import run_and_check

# Runs that failed while the world was written, and why.
FOUND_BUGS = {
    5: "an edit was dropped when the log brought its op back before the receipt",
    30: "the same, on another device",
    108: "an edit that came too late was queued but nobody was told to send it",
    179: "the same, after a cut",
    181: "the same, on a device with a wrong clock",
}


@pytest.mark.parametrize("seed", [*FOUND_BUGS, *range(1_000, 1_040)])
def test_nothing_is_lost_or_doubled_and_everyone_agrees(seed: int) -> None:
    world = run_and_check(seed)
    assert len(world.written) > 20
    assert world.network.counts["cut"] + world.counts["device killed"] > 0


# The first ones failed while receipts of earlier connections were trusted, the last two
# while an interrupted recovery from an empty server was never brought to its end.
@pytest.mark.parametrize("seed", [*range(3_000, 3_018), 3_096, 3_097])
def test_a_server_that_is_restored_from_backups_gets_everything_back(seed: int) -> None:
    world = run_and_check(seed, from_backups=True)
    assert len(world.written) > 20


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = run_and_check(7), run_and_check(7)
    assert list(first.written) == list(second.written)
    assert first.counts == second.counts
    assert first.network.counts == second.network.counts


def _forget_what_was_being_sent(file: ReplicaFile) -> None:
    """A cut leaves ops as "sending" for ever."""


def _no_inheritance(op: Any, *args: Any, **kwargs: Any) -> Any:
    return op


def _drop_at_receipt(file: ReplicaFile, row: outbox.Row, receipt: Any) -> None:
    """The receipt, not the log entry, empties the queue: what is shown steps back."""
    file.run("drop_op", row.op_id)


def _skip_an_entry(file: ReplicaFile, entries: Any, now_us: int) -> Any:
    """Every seventh entry moves the cursor without being applied."""
    kept = [entry if entry.seq % 7 else Stub(entry.seq, entry.digest) for entry in entries]
    return _apply(file, kept, now_us)


_apply = applying.apply_entries


def _ask_nothing(file: ReplicaFile, *, paging: bool) -> list[str]:
    """The receipt of a server that was restored since still counts."""
    return []


@pytest.mark.parametrize(
    ("where", "name", "mutant", "first_seed", "from_backups"),
    [
        (outbox, "connection_lost", _forget_what_was_being_sent, 0, False),
        # Few runs discard an op that another one had replaced, and show it at the end.
        (taking_back, "inherit", _no_inheritance, 1_110, False),
        (outbox, "accept", _drop_at_receipt, 0, False),
        (applying, "apply_entries", _skip_an_entry, 0, False),
        (outbox, "to_ask", _ask_nothing, 3_000, True),
    ],
    ids=[
        "stuck sending",
        "no inheritance",
        "dropped at the receipt",
        "skipped entries",
        "trusted receipts",
    ],
)
def test_the_world_notices_a_planted_bug(
    where: Any,
    name: str,
    mutant: Any,
    first_seed: int,
    from_backups: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(where, name, mutant)
    for seed in range(first_seed, first_seed + 60):
        try:
            run_and_check(seed, from_backups=from_backups)
        except Exception:
            return
    pytest.fail("60 seeds did not notice it")
