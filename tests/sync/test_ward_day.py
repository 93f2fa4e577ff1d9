"""A day on a ward with the 1,000 patients of Synthea, as the script that README shows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ward_day import ward_day
from benchmarks.ward_model import FUTURE_BOUND_US, LoggedWrite, Model, Write
from benchmarks.ward_report import Report
from crdtsync.documents import clock
from crdtsync_server.acceptance.processes import Process
from tests.sync.ward import ROOT

SYNTHEA = Path(os.environ.get("CRDTSYNC_SYNTHEA", ROOT.parent / "shared" / "data" / "synthea"))

needs_synthea = pytest.mark.skipif(
    not (SYNTHEA / "patients.csv").is_file(),
    reason=f"no Synthea data in {SYNTHEA}; put patients.csv and allergies.csv there, "
    "or name their folder in CRDTSYNC_SYNTHEA",
)


@needs_synthea
async def test_a_day_with_all_patients_loses_nothing_and_settles_as_the_policy_says(
    tmp_path: Path,
) -> None:
    report = await ward_day(tmp_path, SYNTHEA)
    assert report.mistakes == []
    assert (report.patients, report.allergic) == (1_000, 132)
    assert report.written == report.in_log > 3_000
    assert (report.lost, report.doubled) == (0, 0)
    # Exactly the allergy sets that differ were in conflict, each with both values.
    assert report.conflicts + report.agreed == 132
    assert report.conflicts > 50
    assert report.agreed > 10
    assert report.candidates == 2 * report.conflicts
    # 200 names, addresses and cities each, and 100 counters, were written by several.
    assert dict(report.settled) == {"server-latest": 400, "user-latest": 200, "counter": 100}
    assert report.restarts >= 18
    assert len(report.cut_at) == 4
    assert all(report.cut_at), "nothing was restarted in the middle of pushing"
    assert report.resent > 0


@needs_synthea
async def test_the_script_says_what_happened_and_ends_well() -> None:
    command = [sys.executable, "-m", "benchmarks.ward_day", "--patients", "80", "--seed", "7"]
    async with Process(*command, "--data", str(SYNTHEA), cwd=ROOT) as script:
        said = ""
        while line := await script.line():
            said += line
        assert await script.wait() == 0, said + await script.errors()
    assert "lost" in said
    assert "doubled" in said
    assert "conflict" in said


async def test_without_the_data_the_script_says_what_to_pass(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.ward_day", "--data", str(tmp_path)]
    async with Process(*command, cwd=ROOT) as script:
        said = await script.line()
        while line := await script.line():
            said += line
        assert await script.wait() == 2
    assert "--data" in said


# ── the model itself ────────────────────────────────────────────────────────

SECOND = 1_000_000


def model_of(*writes: Write) -> Model:
    """All of them in one phase: nobody knew of another device's."""
    model = Model()
    model.next_phase()
    for write in writes:
        model.wrote(write)
    return model


def test_the_model_gives_server_latest_to_the_op_received_last() -> None:
    model = model_of(
        Write("a", "tablet", "p1", {"name": "A"}), Write("b", "phone", "p1", {"name": "B"})
    )
    log = [LoggedWrite("b", 1, 9, 10), LoggedWrite("a", 2, 5, 11)]
    found = model.expected(log)["p1", "name"]
    assert (found.value, found.concurrent) == ("A", True)


def test_the_model_gives_user_latest_to_the_later_time_within_the_bound() -> None:
    assert FUTURE_BOUND_US == clock.FUTURE_BOUND_US
    model = model_of(
        Write("a", "tablet", "p1", {"address": "A"}), Write("b", "phone", "p1", {"address": "B"})
    )
    log = [LoggedWrite("a", 1, 20, 30), LoggedWrite("b", 2, 10, 31)]
    assert model.expected(log)["p1", "address"].value == "A"
    # A clock that is a day ahead counts for no more than the bound.
    day = 86_400 * SECOND
    log = [LoggedWrite("a", 1, day, 0), LoggedWrite("b", 2, 70 * SECOND, 80 * SECOND)]
    assert model.expected(log)["p1", "address"].value == "B"


def test_the_model_keeps_every_differing_allergy_set_and_nobodys_older_one() -> None:
    model = model_of(
        Write("a", "tablet", "p1", {"allergies": "one"}),
        Write("b", "phone", "p1", {"allergies": "two"}),
        Write("c", "phone", "p1", {"allergies": "three"}),
    )
    log = [LoggedWrite(one, n, n, n) for n, one in enumerate("abc", start=1)]
    found = model.expected(log)["p1", "allergies"]
    assert found.candidates == {("one", "tablet"), ("three", "phone")}
    model.next_phase()
    model.wrote(Write("d", "reception", "p1", {"allergies": "all"}))
    log.append(LoggedWrite("d", 4, 4, 4))
    found = model.expected(log)["p1", "allergies"]
    assert found.candidates == {("all", "reception")}
    assert not found.concurrent


@pytest.mark.parametrize("fault", [{"lost": 1}, {"doubled": 1}, {"mistakes": ["a field"]}])
def test_a_day_with_a_fault_is_not_a_good_one(fault: dict[str, Any]) -> None:
    assert Report(written=5, in_log=5).good
    assert not Report(written=5, in_log=5, **fault).good
