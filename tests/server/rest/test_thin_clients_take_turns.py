"""Everybody reads through one connection: no request keeps it for long, and none reads a
large record more often than it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.state import RecordState
from crdtsync_server.rest import looking, records
from crdtsync_server.rest.calls import Call
from crdtsync_server.rest.looking import Look
from tests.server.rest.test_thin_clients_batch import one, results_of
from tests.server.rest.test_thin_clients_read import PATIENTS, ids_of
from tests.server.rest.thin import (
    NURSE,
    Thin,
    in_conflict,
    problem,
    seen_of,
    thin_ward,
)
from tests.server.serving import SPACE, new_id

CONFLICTS = f"/v1/conflicts?space={SPACE}"


@pytest.fixture
def records_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of records in the order in which they are decoded for thin clients."""
    found: list[str] = []
    whole_state = Look.whole_state

    def noted(look: Look, collection: str, record: str) -> RecordState:
        found.append(record)
        return whole_state(look, collection, record)

    monkeypatch.setattr(Look, "whole_state", noted)
    return found


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Look]:
    """Every reading job of a thin client."""
    found: list[Look] = []
    look = Look.__init__

    def noted(self: Look, *values: Any) -> None:
        found.append(self)
        look(self, *values)

    monkeypatch.setattr(Look, "__init__", noted)
    return found


def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job is over after its first part."""
    monkeypatch.setattr(looking, "JOB_S", 0.0)


# ── batches ─────────────────────────────────────────────────────────────────


async def test_a_batch_reads_each_of_its_records_once(
    tmp_path: Path, records_read: list[str]
) -> None:
    async with thin_ward(tmp_path) as thin:
        ops = [one(f"p{n % 2}", {"name": str(n)}) for n in range(20)]
        results = await results_of(thin, ops)
    assert [result["status"] for result in results] == ["accepted"] * 20
    assert sorted(records_read) == ["p0", "p1"]


async def test_a_batch_that_takes_many_jobs_is_answered_as_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Look]
) -> None:
    told: list[Any] = []
    counts: list[int] = []
    for name in ("one", "many"):
        async with thin_ward(tmp_path / name) as thin:
            foreign = (await thin.put("p9", {"dose": "1"}))["record"]["version"]
            ops = [
                one("p1", {"allergies": ["nuts"], "tags": ["a"]}),
                one("p2", {"name": "x"}),
                one("p1", {"allergies": ["milk"], "tags": ["b"]}),
                one("p2", {"stage": 99}),
                one("p1", remove={"tags": ["b"]}),
                one("p2", {"name": "held"}),
                one("p9", {"dose": "2"}, if_match=foreign),
                one("p9", {"dose": "3"}),
                one("p8", {"nothing": 1}),
            ]
            jobs.clear()
            results = await results_of(thin, ops)
            counts.append(len(jobs))
            told.append(
                (
                    [(result["status"], result["id"]) for result in results],
                    [(await thin.record(record))["fields"] for record in ("p1", "p2", "p9")],
                    [bool(result["version"]) for result in results],
                )
            )
            by_record = {result["id"]: result["version"] for result in results}
            assert by_record["p1"] == (await thin.record("p1"))["version"]
            seqs = [result["receipt"]["seq"] for result in results if result["receipt"]]
            assert seqs == sorted(seqs)
        no_time(monkeypatch)
    assert told[0] == told[1]
    assert [status for status, _ in told[0][0]] == [
        "accepted", "accepted", "accepted", "refused", "accepted", "held", "accepted",
        "accepted", "refused",
    ]  # fmt: skip
    # One job for each op that is made, and one for the version of each record.
    assert counts[1] >= 9 + 4


async def test_a_version_in_a_batch_is_that_of_what_its_reader_may_know(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        await thin.put("p1", {"diagnosis": "x"})
        nurse = Thin(thin.server, NURSE)
        version = (await nurse.record("p1"))["version"]
        (refused,) = await results_of(nurse, [one("p1", {"stage": 99})])
        (known,) = await results_of(thin, [one("p1", {"stage": 99})])
        (nothing,) = await results_of(nurse, [one("p7", {"stage": 99})])
    assert refused["version"] == version
    assert known["version"] > version
    assert nothing["version"] == "0-00000000"


async def test_a_name_that_is_not_known_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records_read: list[str]
) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        records_read.clear()
        results = await results_of(thin, [one("p1", {"nope": n}) for n in range(5)])
        assert {result["problem"]["code"] for result in results} == {"unknown_field"}
        assert records_read == []

        async def no_look(*_: object) -> None:
            raise AssertionError("nothing has to be read for that")

        monkeypatch.setattr(Call, "look", no_look)
        problem(await thin.patch("p1", {"fields": {"nope": 1}}), 422, "unknown_field")
        answer = await thin.resolve("p1", "nope", 1, [[new_id(), 0]])
        problem(answer, 422, "unknown_field")


# ── conflicts ───────────────────────────────────────────────────────────────


async def two_in_conflict(thin: Thin, record: str) -> None:
    """A record with two fields that wait for a person, and one of them that waited before."""
    candidates = await in_conflict(thin, record)
    await thin.resolve(record, "allergies", ["none"], seen_of(candidates))
    read = (await thin.put(record, {"dose": "1"}))["record"]["version"]
    await thin.put(record, {"dose": "2", "allergies": ["a"]})
    await thin.put(record, {"dose": "3", "allergies": ["b"]}, if_match=read)


async def test_conflicts_of_one_record_read_it_once(
    tmp_path: Path, records_read: list[str]
) -> None:
    async with thin_ward(tmp_path) as thin:
        await two_in_conflict(thin, "p1")
        records_read.clear()
        found = (await thin.read(f"{CONFLICTS}&status=all"))["conflicts"]
    assert {one["field"] for one in found} == {"allergies", "dose"}
    assert len(found) >= 2
    assert records_read == ["p1"]


async def test_a_page_of_conflicts_that_takes_many_jobs_is_the_same_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Look]
) -> None:
    async with thin_ward(tmp_path) as thin:
        for n in range(6):
            await two_in_conflict(thin, f"p{n}")
        paths = [
            f"{CONFLICTS}{more}"
            for more in ("", "&limit=5", "&status=all", "&status=resolved", "&collection=task")
        ]
        at_once = [await thin.read(path) for path in paths]
        jobs.clear()
        no_time(monkeypatch)
        in_steps = [await thin.read(path) for path in paths]
    assert in_steps == at_once
    assert len(at_once[0]["conflicts"]) == 12
    assert (len(at_once[1]["conflicts"]), bool(at_once[1]["next"])) == (5, True)
    assert len(jobs) > 12 + 5


# ── what is hidden ──────────────────────────────────────────────────────────


async def test_a_walk_over_much_that_is_hidden_ends_the_page_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "STEPS", 1)
    monkeypatch.setattr(records, "WALKED_PER_JOB", 4)
    async with thin_ward(tmp_path) as thin:
        names = [f"p{n}" for n in range(5)]
        for name in names:
            await thin.put(name, {"name": name})
            for n in range(3):
                await thin.put(name, {"diagnosis": str(n)})
        nurse = Thin(thin.server, NURSE)
        page = await nurse.read(PATIENTS)
        assert ([record["id"] for record in page["records"]], bool(page["next"])) == (["p0"], True)
        assert await ids_of(nurse) == names
        whole = await thin.read(PATIENTS)
        assert ([record["id"] for record in whole["records"]], whole["next"]) == (names, None)
