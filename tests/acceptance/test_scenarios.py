"""The suite's scenarios, quickly: real processes, and the product passes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync_server.acceptance.outcome import ScenarioResult
from crdtsync_server.acceptance.scenarios import NAMES
from tests.acceptance.playing import played, scenario


def failures(result: ScenarioResult) -> list[str]:
    """What did not hold, in words."""
    return [
        f"{check.expected.words('en')} {check.saw.words('en')}"
        for check in result.checks
        if not check.ok
    ]


@pytest.mark.parametrize(
    ("name", "written", "conflicts"),
    [
        ("cut-during-push", 40, 0),
        ("duplicate-requests", 13, 0),
        ("server-killed", 120, 0),
        ("device-killed", None, 0),
        ("conflict-chosen-while-edited", 12, 2),
        ("refused-and-way-out", 9, 0),
        ("token-renewed", None, 0),
    ],
)
async def test_a_scenario_passes_and_accounts_for_every_change(
    tmp_path: Path, name: str, written: int | None, conflicts: int
) -> None:
    result = await played(tmp_path, scenario(name))
    assert failures(result) == []
    assert result.status == "passed"
    counts = result.counts
    assert counts.written == (written or counts.written) > 0
    assert counts.acknowledged == counts.written
    assert (counts.lost, counts.doubled, counts.conflicts) == (0, 0, conflicts)
    assert counts.recovery_s is not None
    assert result.proof == "file"
    keys = {check.key for check in result.checks}
    assert keys >= {"all_kept", "log_sound", "none_waiting", "alike", "values"}
    # Of a scenario that passed only logs are left.
    assert {path.suffix for path in (tmp_path / "logs").iterdir()} == {".log"}
    assert "command" in (tmp_path / "logs" / "tablet.log").read_text()


@pytest.mark.parametrize(("name", "why"), [("half-open-connection", "minute")])
async def test_what_cannot_be_played_here_is_not_run_and_never_passed(
    tmp_path: Path, name: str, why: str
) -> None:
    result = await played(tmp_path, scenario(name))
    assert result.status == "not run"
    assert result.why_not is not None
    assert why in result.why_not.words("en")
    assert result.checks == ()


def test_the_names_are_stable() -> None:
    assert NAMES == (
        "offline-then-synced",
        "cut-during-push",
        "reconnects-by-itself",
        "airplane-mode",
        "weak-network",
        "rapid-edits",
        "three-devices-one-item",
        "week-offline",
        "duplicate-requests",
        "half-open-connection",
        "server-killed",
        "server-restarted",
        "device-killed",
        "old-copy-restored",
        "full-disk",
        "conflict-chosen-while-edited",
        "refused-and-way-out",
        "clock-a-day-wrong",
        "token-renewed",
    )
