"""Looking back and around over HTTP: history, conflicts, people, spaces, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtsync.policy import Policy
from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.rest import people
from tests.server.rest.test_thin_clients_read import secretive
from tests.server.rest.thin import (
    NURSE,
    POLICY,
    VISITOR,
    Thin,
    in_conflict,
    path_of,
    problem,
    seen_of,
    thin_ward,
    trim,
    ward,
)
from tests.server.serving import SPACE, START_US, device, new_id, serving
from tests.server.serving import write as op

# ── history, conflicts ──────────────────────────────────────────────────────


async def test_history_says_of_every_value_what_became_of_it(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        first = await thin.put("p1", {"name": "Ann", "tags": ["a", "b"]})
        await thin.patch("p1", {"increment": {"visits": 2}, "remove": {"tags": ["a"]}})
        second = await Thin(thin.server, NURSE).put("p1", {"name": "Eve"})
        await thin.delete("p1")
        await thin.restore("p1")
        found = await thin.read(f"{path_of('p1')}/history?lang=ko")
    assert (found["complete"], found["next"]) == (True, None)
    restored, deleted, renamed, counted, begun = found["entries"]
    assert (restored["deleted"], deleted["deleted"], renamed["deleted"]) == (False, True, None)
    assert renamed["op_id"] == second["receipt"]["op_id"]
    assert renamed["fields"][0]["fate"] == "stands"
    name, tags = begun["fields"]
    assert (name["label"], name["value"], name["fate"]) == ("이름", "Ann", "superseded")
    assert (name["replaced_by"], name["replaced_by_user"]) == (renamed["op_id"], "lee")
    assert "lee" in name["fate_words"]
    assert (tags["values"], tags["fate"]) == (["a", "b"], "partly")
    visits = next(field for field in counted["fields"] if field["name"] == "visits")
    assert (visits["value"], visits["fate"]) == (2, "stands")
    assert next(field for field in counted["fields"] if field["name"] == "tags")["removed"] == 1
    assert begun["op_id"] == first["receipt"]["op_id"]
    assert begun["request_id"]


async def test_history_comes_in_pages_and_older_pages_know_what_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync_server.storage.reading.HISTORY_PAGE_ENTRIES", 2)
    async with thin_ward(tmp_path) as thin:
        for n in range(5):
            await thin.put("p1", {"name": str(n)})
        found: list[Any] = []
        path = f"{path_of('p1')}/history"
        page = await thin.read(path)
        while page["next"] is not None:
            found += page["entries"]
            page = await thin.read(f"{path}?before={page['next']}")
        found += page["entries"]
    values = [(entry["fields"][0]["value"], entry["fields"][0]["fate"]) for entry in found]
    assert values == [
        ("4", "stands"),
        *((str(n), "superseded") for n in (3, 2, 1, 0)),
    ]
    assert [entry["fields"][0]["replaced_by"] for entry in found[1:]] == [
        entry["op_id"] for entry in found[:-1]
    ]


async def test_history_beyond_retention_says_that_it_is_not_complete(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for n in range(3):
            await thin.patch("p1", {"fields": {"name": str(n)}, "add": {"tags": [str(n)]}})
        await trim(thin)
        await thin.put("p1", {"name": "new"})
        found = await thin.read(f"{path_of('p1')}/history")
    assert not found["complete"]
    newest = found["entries"][0]["fields"][0]
    assert (newest["value"], newest["fate"]) == ("new", "stands")


async def test_a_conflict_has_a_life(tmp_path: Path) -> None:
    path = f"/v1/conflicts?space={SPACE}&lang=ko"
    async with thin_ward(tmp_path) as thin:
        async with device(thin.server, "lee", policy_hash=POLICY.hash, device="tablet") as wire:
            await thin.put("p1", {"name": "Ann"})
            await thin.put("p1", {"allergies": ["nuts"]})
            await wire.accept(op({"r/allergies": '["wasps"]'}, user="lee"))
            (open_one,) = (await thin.read(path))["conflicts"]
            assert (open_one["label"], open_one["collection_label"]) == ("allergies", "환자")
            assert (open_one["record_label"], open_one["status"]) == ("Ann", "open")
            mine, theirs = sorted(open_one["candidates"], key=lambda one: one["value"])
            assert (mine["user"], mine["device"]) == ("kim", "")
            assert (theirs["user"], theirs["device"]) == ("lee", "tablet")
            assert theirs["received_us"] > theirs["time_us"]
            (event,) = open_one["events"]
            assert (event["kind"], event["value"], event["user"]) == ("opened", ["wasps"], "lee")
            seen = seen_of(open_one["candidates"])
            await thin.resolve("p1", "allergies", ["nuts"], seen)
            assert (await thin.read(path))["conflicts"] == []
            await wire.accept(op({"r/allergies": '["milk"]'}, user="lee"))
        (again,) = (await thin.read(path))["conflicts"]
        assert (again["id"], again["reopened"]) == (open_one["id"], 1)
        kinds = [event["kind"] for event in again["events"]]
        assert kinds == ["opened", "resolved", "reopened"]
        await thin.resolve("p1", "allergies", None, seen_of(again["candidates"]))
        assert (await thin.read(f"{path}&status=open"))["conflicts"] == []
        (closed,) = (await thin.read(f"{path}&status=resolved"))["conflicts"]
        assert [one["value"] for one in closed["candidates"]] == [None]
        assert (await thin.read(f"{path}&status=agreed"))["conflicts"] == []
        assert len((await thin.read(f"{path}&status=all"))["conflicts"]) == 1
        assert (await thin.read(f"{path}&status=all&collection=task"))["conflicts"] == []


async def test_conflicts_come_in_pages_the_oldest_first(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for name in ("c", "a", "b"):
            await in_conflict(thin, name)
        found: list[str] = []
        after = ""
        for _ in range(5):
            page = await thin.read(f"/v1/conflicts?space={SPACE}&limit=1{after}")
            found += [one["record"] for one in page["conflicts"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert found == ["c", "a", "b"]
        problem(await thin.get(f"/v1/conflicts?space={SPACE}&after=x"), 400, "bad_cursor")
        one = f"/v1/conflicts?space={SPACE}&record=a"
        (of_a,) = (await thin.read(f"{one}&collection=patient"))["conflicts"]
        assert of_a["record"] == "a"
        problem(await thin.get(one), 400, "bad_query")


async def test_conflicts_can_be_asked_for_of_one_record(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.write("PATCH", path_of("a", "task"), {"fields": {"title": "same id"}})
        for name in ("b", "a", "c"):
            await in_conflict(thin, name)
        settled = (await thin.record("a"))["conflicts"]["allergies"]
        await thin.resolve("a", "allergies", ["x"], seen_of(settled))
        read = (await thin.put("a", {"dose": "1"}))["record"]["version"]
        await thin.put("a", {"dose": "2", "diagnosis": "x"})
        await thin.put("a", {"dose": "3", "diagnosis": "y"}, if_match=read)
        nurse = Thin(thin.server, NURSE)

        async def fields(record: str, more: str = "", by: Thin = thin) -> list[str]:
            path = f"/v1/conflicts?space={SPACE}&record={record}&collection=patient"
            found: list[str] = []
            after = ""
            while True:
                page = await by.read(f"{path}&limit=1{more}{after}")
                assert {one["record"] for one in page["conflicts"]} <= {record}
                found += [one["field"] for one in page["conflicts"]]
                if page["next"] is None:
                    return found
                after = f"&after={page['next']}"

        assert sorted(await fields("a")) == ["diagnosis", "dose"]
        assert await fields("a", by=nurse) == ["dose"]
        assert await fields("a", "&status=resolved") == ["allergies"]
        assert sorted(await fields("a", "&status=all")) == ["allergies", "diagnosis", "dose"]
        assert (await fields("b"), await fields("nobody")) == (["allergies"], [])
        of_a = f"/v1/conflicts?space={SPACE}&record=a"
        assert (await thin.read(f"{of_a}&collection=task"))["conflicts"] == []
        problem(await thin.get(of_a), 400, "bad_query")
        problem(await nurse.get(f"{of_a}&collection=diary"), 404, "unknown_collection")


# ── people, devices ─────────────────────────────────────────────────────────


async def test_everybody_learns_who_they_are_and_what_the_policy_lets_them(tmp_path: Path) -> None:
    async with thin_ward(tmp_path, NURSE) as nurse:
        me = await nurse.read("/v1/me")
        policy = await nurse.read("/v1/policy?lang=ko")
        problem(await nurse.ask("GET", "/v1/me", Authorization="Basic x"), 401, "unauthorized")
    assert (me["user"], me["roles"], me["spaces"], me["dev"]) == ("lee", ["nurse"], None, True)
    assert (me["policy_version"], policy["version"]) == (3, 3)
    patient, diary, _ = policy["collections"]
    fields = {field["name"]: field for field in patient["fields"]}
    assert fields["name"]["label"] == "이름"
    assert (fields["diagnosis"]["readable"], fields["diagnosis"]["writable"]) == (False, False)
    assert (fields["allergies"]["writable"], fields["allergies"]["write"]) == (
        True,
        ["clinician", "nurse"],
    )
    assert (diary["readable"], diary["deletable"]) == (False, False)
    assert policy["signed_table"]["collections"][0]["rows"][0]["label"] == "이름"
    assert policy["text"] == POLICY.text


async def test_the_limits_of_a_field_are_told_in_numbers_as_well(tmp_path: Path) -> None:
    rules = """
version = 1
[visit.fields]
note = { type = "string", max_length = 80 }
stage = { type = "integer", min = 1, max = 4 }
dose = { type = "decimal", min = "0.5" }
day = { type = "date", max = "2030-12-31" }
free = { type = "string" }
"""
    async with serving(tmp_path, policy=Policy.parse(rules)) as server:
        policy = await Thin(server).read("/v1/policy")
    (visit,) = policy["collections"]
    limits = {
        field["name"]: (field["max_length"], field["min"], field["max"])
        for field in visit["fields"]
    }
    assert limits == {
        "note": (80, None, None),
        "stage": (None, 1, 4),
        "dose": (None, "0.5", None),
        "day": (None, None, "2030-12-31"),
        "free": (None, None, None),
    }
    assert "80" in visit["fields"][0]["limits"]


async def test_spaces_are_counted_as_far_as_they_may_be_known(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await secretive(thin)
        await thin.write("PATCH", path_of("p1", space="home"), {"fields": {"name": "x"}})
        async with device(thin.server, policy_hash=POLICY.hash):
            page = await thin.read("/v1/spaces?limit=1")
            rest = await thin.read(f"/v1/spaces?limit=1&after={page['next']}")
        assert [space["name"] for space in page["spaces"]] == ["home"]
        assert rest["next"] is None
        assert rest["spaces"] == [
            {"name": SPACE, "head": 5, "records": 3, "open_conflicts": 1, "devices": 1}
        ]


async def test_the_number_of_records_tells_nothing_of_those_that_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MAX_COUNTED", 3)
    rules = """
version = 1
[open.fields]
name = { type = "string" }
[closed]
delete = ["clinician"]
[closed.fields]
text = { type = "string", read = ["clinician"], write = ["clinician"] }
"""

    async def count(thin: Thin) -> Any:
        (space,) = (await thin.read("/v1/spaces"))["spaces"]
        return space["records"]

    async with serving(tmp_path / "apart", policy=Policy.parse(rules)) as server:
        kim, nurse = Thin(server), Thin(server, NURSE)
        await kim.put("a", {"name": "x"}, collection="open")
        await kim.put("b", {"text": "x"}, collection="closed")
        assert (await count(kim), await count(nurse)) == (2, 1)
        for record in ("c", "d", "e"):
            await kim.put(record, {"text": "x"}, collection="closed")
        assert (await count(kim), await count(nurse)) == (3, 1)
    async with thin_ward(tmp_path / "mixed") as thin:
        await thin.put("p1", {"diagnosis": "x"})
        assert (await count(thin), await count(Thin(thin.server, NURSE))) == (1, None)


async def test_devices_say_what_they_reported_and_what_was_refused(tmp_path: Path) -> None:
    outbox = OutboxSummary(3, 2, 5_000, 1, {"not_permitted": 2})
    path = f"/v1/devices?space={SPACE}"
    async with (
        thin_ward(tmp_path) as thin,
        device(
            thin.server,
            "lee",
            token="lee:nurse",
            policy_hash=POLICY.hash,
            device="tablet",
            outbox=outbox,
            client_us=START_US,
        ) as wire,
    ):
        hidden = op({"r/diagnosis": '"x"'}, user="lee")
        bad = op({"r/stage": "9"}, user="lee")
        await wire.push(hidden, bad)
        await wire.push(bad)
        (found,) = (await thin.read(path))["devices"]
        (mine,) = (await Thin(thin.server, NURSE).read(f"{path}&mine=true&lang=ko"))["devices"]
        (visited,) = (await Thin(thin.server, VISITOR).read(path))["devices"]
        assert found["connected"]
        assert (await thin.read(f"{path}&mine=true"))["devices"] == []
    assert (found["device"], found["user"], found["pending"], found["failed"]) == (
        "tablet",
        "lee",
        3,
        2,
    )
    assert found["reasons"] == {"not_permitted": 2}
    assert found["skew_us"] < 0
    assert [one["code"] for one in found["refused"]] == ["out_of_range", "not_permitted"]
    assert {one["op_id"] for one in mine["refused"]} == {hidden.op_id, bad.op_id}
    assert [one["field"] for one in visited["refused"]] == ["stage"]
    assert mine["refused"][0]["words"] != found["refused"][0]["words"]


async def test_on_a_shared_device_each_person_sees_only_their_own_hidden_attempts(
    tmp_path: Path,
) -> None:
    path = f"/v1/devices?space={SPACE}"
    replica, first_run = new_id(), new_id()
    hello: dict[str, Any] = {"policy_hash": POLICY.hash, "replica_id": replica}

    async def refused(thin: Thin) -> set[tuple[str, str | None]]:
        (found,) = (await thin.read(path))["devices"]
        return {(one["record"], one["field"]) for one in found["refused"]}

    async with ward(tmp_path) as server:
        kim, lee = Thin(server), Thin(server, NURSE)
        async with device(server, "kim", token=kim.token, run=first_run, **hello) as wire:
            await wire.push(
                op({"r/diagnosis": "12"}, record="k1"),
                op({"r/text": "12"}, record="k2", collection="diary"),
                op({"r/stage": "9"}, record="k3"),
                op({}, record="k4"),
                op({}, record="k5", collection="task"),
            )
        shown = {("k3", "stage"), ("k5", None)}
        hidden = {("k1", "diagnosis"), ("k2", "text"), ("k4", None)}
        assert (await refused(lee), await refused(kim)) == (shown, shown | hidden)
        async with device(
            server, "lee", token=lee.token, run=new_id(), previous_runs=(first_run,), **hello
        ) as wire:
            await wire.push(
                op({"r/diagnosis": '"x"'}, user="lee", record="l1"), op({}, user="lee", record="l2")
            )
        own = {("l1", "diagnosis"), ("l2", None)}
        assert await refused(lee) == shown | own
        assert await refused(kim) == shown | hidden | own
        assert await refused(Thin(server, VISITOR)) == shown
