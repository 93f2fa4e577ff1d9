"""A suite that cannot fail proves nothing: planted faults end in no-go, with the op named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crdtsync_server.acceptance import command
from crdtsync_server.acceptance.ending import Evidence, alike
from crdtsync_server.acceptance.evidence import LogCopy
from crdtsync_server.acceptance.journal import Journal, increment, update
from crdtsync_server.acceptance.outcome import ScenarioResult
from crdtsync_server.acceptance.reconciling import reconcile, wrong_values
from crdtsync_server.acceptance.scenarios import Scenario
from crdtsync_server.acceptance.stage import Stage
from tests.acceptance.playing import (
    drop_a_log_row,
    drop_a_queued_change,
    meet_a_fault,
    played,
    repeat_a_log_row,
    scenario,
    then,
)
from tests.cli.command_line import crdtsync

OFFLINE = scenario("offline-then-synced")


def failed(result: ScenarioResult) -> set[str]:
    """The checks that did not hold."""
    return {check.key for check in result.checks if not check.ok}


async def test_a_device_that_forgets_a_queued_change_is_found_out(tmp_path: Path) -> None:
    result = await played(tmp_path, then(OFFLINE, drop_a_queued_change))
    assert result.status == "failed"
    assert (result.counts.lost, result.counts.doubled) == (1, 0)
    assert "all_kept" in failed(result)
    (lost,) = result.lost_ops
    told = next(check for check in result.checks if check.key == "all_kept")
    assert lost in told.saw.words("en")
    assert lost in told.saw.words("ko")
    trace = json.loads((tmp_path / "logs" / "trace.json").read_text(encoding="utf-8"))
    (op,) = [op for op in trace["ops"] if op["op_id"] == lost]
    assert op["why"] == ["lost"]
    assert op["written"]["device"] == "tablet"
    assert op["in_log"] == []
    assert (tmp_path / "logs" / "tablet.db").exists(), "the data of what failed is kept"


async def test_a_server_that_lost_a_row_of_its_log_is_found_out(tmp_path: Path) -> None:
    result = await played(tmp_path, then(OFFLINE, drop_a_log_row))
    assert result.status == "failed"
    assert len(result.lost_ops) == 1
    assert {"all_kept", "log_sound"} <= failed(result)


async def test_a_server_that_took_a_change_twice_is_found_out(tmp_path: Path) -> None:
    result = await played(tmp_path, then(OFFLINE, repeat_a_log_row))
    assert result.status == "failed"
    assert len(result.doubled_ops) == result.counts.doubled == 1
    assert {"all_kept", "log_sound"} <= failed(result)


async def test_a_program_that_notes_a_fault_in_its_log_has_failed(tmp_path: Path) -> None:
    result = await played(tmp_path, then(OFFLINE, meet_a_fault))
    assert result.status == "failed"
    assert failed(result) == {"no_faults"}
    assert "phone.log" in result.checks[-1].saw.words("ko")


def test_the_command_says_no_go_names_the_change_and_keeps_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled = then(OFFLINE, drop_a_queued_change)
    monkeypatch.setattr(command, "SCENARIOS", (spoiled,))
    page, logs = tmp_path / "out.html", tmp_path / "logs"
    done = crdtsync(
        *("acceptance", "--quick", "--json", "-", "--lang", "ko"),
        *("--report", page, "--logs", logs),
    )
    assert done.exit_code == 1
    result = done.json
    assert result["verdict"] == "no-go"
    (lost,) = result["scenarios"][0]["lost_ops"]
    assert any(lost in reason["ko"] for reason in result["reasons"])
    text = page.read_text(encoding="utf-8")
    assert "중단" in text
    assert lost in text
    assert list(logs.rglob("trace.json"))
    assert str(logs) in done.stderr


async def test_a_scenario_that_breaks_off_has_failed_and_says_why(tmp_path: Path) -> None:
    async def breaks(stage: Stage) -> None:
        (tablet,) = await stage.begin("tablet")
        await tablet.write([increment("item-1")])
        await tablet.choose("item-1", "allergies", ["none"])

    result = await played(tmp_path, Scenario("offline-then-synced", breaks))
    assert result.status == "failed"
    assert failed(result) == {"carried_out"}
    assert (result.counts.written, result.counts.acknowledged) == (1, 1), "still accounted for"


# ── the judgement alone, on doctored evidence ───────────────────────────────


def journal(*op_ids: str) -> Journal:
    """A journal in which one device wrote these."""
    made = Journal()
    for op_id in op_ids:
        made.begun("tablet", op_id, update("item-1", name=op_id))
        made.done(op_id)
    return made


class Row:
    """As much of a log entry as the account needs."""

    def __init__(self, op_id: str) -> None:
        self.op_id, self.record, self.outcomes = op_id, "item-1", dict[str, str]()


def log(*op_ids: str) -> LogCopy:
    """A log of these."""
    return LogCopy(tuple(map(Row, op_ids)), (), "file")  # type: ignore[arg-type]


def test_lost_doubled_invented_and_waiting_are_told_apart() -> None:
    account = reconcile(journal("a", "b", "c", "d"), log("a", "b", "b", "x"), ["d"])
    assert (account.written, account.acknowledged) == (4, 2)
    assert account.lost == ("c",)
    assert account.doubled == ("b",)
    assert account.invented == ("x",)
    assert account.waiting == ("d",)
    assert not account.holds


def test_what_a_person_took_back_must_not_arrive_and_what_died_half_written_may() -> None:
    notes = journal("a", "b")
    notes.taken_back("b")
    notes.begun("tablet", "half", increment("item-1"))
    assert reconcile(notes, log("a"), []).holds
    assert reconcile(notes, log("a", "half"), []).holds
    assert reconcile(notes, log("a", "b"), []).invented == ("b",)


def conflict(*values: Any) -> dict[str, Any]:
    """A field in conflict, as a device shows it."""
    return {"conflict": [{"value": value} for value in values]}


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ({"name": "new", "allergies": conflict(["a"], ["b"])}, []),
        ({"name": "old", "allergies": conflict(["a"], ["b"])}, ["name"]),
        ({"name": "new", "allergies": ["a"]}, ["allergies"]),
        ({"name": "new", "allergies": conflict(["a"], ["c"])}, ["allergies"]),
        ({"name": "new", "allergies": conflict(["a"], ["b"], ["c"])}, ["allergies"]),
        ({"name": conflict("new", "x"), "allergies": conflict(["a"], ["b"])}, ["name", "name"]),
    ],
)
def test_a_wrong_value_or_candidate_is_noticed(shown: dict[str, Any], wrong: list[str]) -> None:
    found = wrong_values(
        "phone",
        {"item-1": shown},
        {"item-1": {"name": "new"}},
        {("item-1", "allergies"): [["a"], ["b"]]},
    )
    assert [one.field for one in found] == wrong


def test_devices_that_show_different_things_or_nothing_are_not_alike() -> None:
    same = {"item-1": {"name": "a"}}
    assert alike(Evidence(log(), {"tablet": same, "phone": same}, {})) == 2
    other = {"item-1": {"name": "b"}}
    assert alike(Evidence(log(), {"tablet": same, "phone": other}, {})) == 1
    assert alike(Evidence(log(), {"tablet": {}, "phone": {}}, {})) == 0
