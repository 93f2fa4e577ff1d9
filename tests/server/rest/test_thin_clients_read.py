"""Reading over HTTP: records, lists, filters, history, conflicts, and what is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crdtsync_server.rest import looking, records
from tests.server.rest.thin import (
    CLINICIAN,
    NURSE,
    VISITOR,
    Thin,
    path_of,
    problem,
    thin_ward,
)
from tests.server.serving import SPACE, new_id

PATIENTS = f"/v1/spaces/{SPACE}/patient"


async def ids_of(thin: Thin, query: str = "") -> list[str]:
    """The ids of every page, one after the other."""
    found: list[str] = []
    after = ""
    for _ in range(100):
        page = await thin.read(f"{PATIENTS}?{query}{after}")
        found += [record["id"] for record in page["records"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"
    raise AssertionError("the pages have no end")


async def test_values_are_those_of_the_library(tmp_path: Path) -> None:
    fields = {
        "name": "Zoë 김",
        "phone": "",
        "dose": "1.50",
        "born": "2000-02-29",
        "seen_at": "2024-01-01T10:00:00+09:00",
        "weight": 70.5,
        "alive": False,
        "notes": ["b", "a"],
        "more": {"a": [1, None, {"b": 1.5}]},
        "tags": ["z", "a"],
        "allergies": [],
    }
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", fields)
        found = (await thin.record("p1"))["fields"]
    assert found == {
        **fields,
        "tags": ["a", "z"],
        "visits": 0,
        "balance": 0,
        "stage": None,
        "diagnosis": None,
    }


async def test_an_id_may_hold_slashes_and_letters_of_any_language(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for name in ("a/b", "김 %2F", "..", "a?b#c", "x" * 256):
            await thin.put(name, {"name": name})
            assert (await thin.record(name))["id"] == name
            assert (await thin.read(f"{path_of(name)}/history"))["entries"]
        assert len(await ids_of(thin)) == 5
        problem(await thin.get(path_of("x" * 257)), 422, "bad_record_id")
        problem(await thin.get(f"{PATIENTS}/%ff"), 404, "not_found")


async def test_an_etag_that_is_at_hand_saves_the_body(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        version = (await thin.put("p1", {"name": "Ann"}))["record"]["version"]
        same = await thin.get(path_of("p1"), If_None_Match=f'W/"x", "{version}"')
        assert (same.status, same.body) == (304, b"")
        await thin.put("p1", {"name": "Anna"})
        assert (await thin.get(path_of("p1"), If_None_Match=f'"{version}"')).status == 200
        head = await thin.ask("HEAD", path_of("p1"))
        assert (head.status, head.body) == (200, b"")
        assert head.headers["etag"]


# ── lists ───────────────────────────────────────────────────────────────────


async def test_an_etag_of_before_a_role_grew_does_not_save_the_body(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"diagnosis": "x"})
        await thin.put("p1", {"name": "Ann"})
        read = (await Thin(thin.server, NURSE).record("p1"))["version"]
        grown = Thin(thin.server, CLINICIAN.replace("kim", "lee"))
        answer = await grown.get(path_of("p1"), If_None_Match=f'"{read}"')
        assert (answer.status, answer.json["fields"]["diagnosis"]) == (200, "x")
        # What they decided on was not this record: they look at it first.
        stale = await grown.patch("p1", {"fields": {"phone": "010"}}, if_match=read)
        problem(stale, 412, "stale_version")


async def test_pages_hold_every_record_once_and_go_on_while_others_write(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        names = [f"p{n:03}" for n in range(23)]
        await thin.batch(
            [
                {"op_id": new_id(), "collection": "patient", "id": name, "fields": {"name": name}}
                for name in names
            ]
        )
        assert await ids_of(thin, "limit=5") == names
        first = await thin.read(f"{PATIENTS}?limit=10")
        await thin.put("p000a", {"name": "before"})
        await thin.put("p0095", {"name": "behind"})
        rest = await thin.read(f"{PATIENTS}?after={first['next']}")
        assert [record["id"] for record in rest["records"]] == ["p0095", *names[10:]]


async def test_a_page_may_be_empty_and_still_have_a_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "STEPS", 1)
    monkeypatch.setattr(records, "STEP_ROWS", 3)
    async with thin_ward(tmp_path) as thin:
        for n in range(10):
            await thin.put(f"p{n}", {"name": "last" if n == 9 else "other"})
        page = await thin.read(f"{PATIENTS}?where.name=last")
        assert (page["records"], bool(page["next"])) == ([], True)
        assert await ids_of(thin, "where.name=last") == ["p9"]


FILTERS = [
    ("where.name=Ann", ["p1", "p2"]),
    ("where.name=Ann&where.visits=2", ["p1"]),
    ("where.visits=0", ["p2", "p3"]),
    ("where.balance=1.5", ["p1"]),
    ("where.tags=x", ["p1", "p3"]),
    ("where.born=1990-01-31", ["p1"]),
    ("where.seen_at=2024-01-01T01:00:00Z", ["p1"]),
    ("where.alive=false", ["p2"]),
    ("where.stage=3", ["p3"]),
    ("where.dose=2.0", ["p3"]),
    ("where.dose=3", ["p3"]),
    ('where.notes=["a"]', ["p2"]),
    ("where.name=nobody", []),
    ("conflicts=true", ["p3"]),
    ("deleted=true", ["p4"]),
    ("deleted=true&where.name=Ann", []),
]


async def test_filters_compare_typed_values(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.patch(
            "p1",
            {
                "fields": {"name": "Ann", "tags": ["x"], "born": "1990-01-31"},
                "increment": {"visits": 2, "balance": "1.50"},
            },
        )
        await thin.put("p1", {"seen_at": "2024-01-01T10:00:00+09:00"})
        await thin.put("p2", {"name": "Ann", "alive": False, "notes": ["a"]})
        read = (await thin.put("p3", {"stage": 3, "tags": ["x", "y"], "dose": "1"}))["record"]
        await thin.put("p3", {"dose": "2"})
        await thin.put("p3", {"dose": "3"}, if_match=read["version"])
        await thin.put("p4", {"name": "gone"})
        await thin.delete("p4")
        for query, expected in FILTERS:
            assert await ids_of(thin, query.replace('"', "%22")) == expected, query


BAD_LISTS = [
    ("limit=0", 400, "bad_query"),
    ("limit=501", 400, "bad_query"),
    ("limit=ten", 400, "bad_query"),
    ("limit=null", 400, "bad_query"),
    ("limit=1&limit=2", 400, "bad_query"),
    ("colour=red", 400, "bad_query"),
    ("deleted=perhaps", 400, "bad_query"),
    ("lang=xx", 400, "bad_query"),
    ("after=%00", 400, "bad_cursor"),
    ("after=nonsense", 400, "bad_cursor"),
    ("after=kqFwYw", 400, "bad_cursor"),
    ("after=kqFxoWE", 400, "bad_cursor"),
    ("after=" + "A" * 2000, 400, "bad_query"),
    ("where.colour=red", 422, "unknown_field"),
    ("where.stage=high", 422, "wrong_type"),
    ("where.born=yesterday", 422, "bad_format"),
    ("where.tags=", 422, "bad_value"),
    ("&".join(f"where.f{n}=1" for n in range(70)), 400, "bad_query"),
]


async def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        for query, status, code in BAD_LISTS:
            problem(await thin.get(f"{PATIENTS}?{query}"), status, code)


async def test_what_does_not_exist_is_told_with_what_does(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        told = problem(await thin.get(f"/v1/spaces/{SPACE}/patients"), 404, "unknown_collection")
        assert "patient, diary, task" in told["detail"]
        visitor = Thin(thin.server, VISITOR)
        told = problem(await visitor.get(f"/v1/spaces/{SPACE}/x"), 404, "unknown_collection")
        assert "diary" not in told["detail"]
        problem(await thin.get("/v1/spaces/x"), 404, "not_found")
        problem(await thin.get(f"{PATIENTS}/p1/x"), 404, "not_found")
        problem(await thin.get(f"{PATIENTS}/"), 404, "not_found")
        assert await ids_of(thin) == []


# ── what is hidden ──────────────────────────────────────────────────────────

SECRET = "melancholia"


async def secretive(thin: Thin) -> None:
    """Records in which somebody may not see everything."""
    await thin.put("p1", {"name": "Ann", "diagnosis": SECRET})
    read = (await thin.record("p1"))["version"]
    await thin.put("p1", {"diagnosis": SECRET + "2"})
    await thin.put("p1", {"diagnosis": SECRET + "3"}, if_match=read)
    await thin.put("p2", {"diagnosis": SECRET})
    await thin.put("d1", {"text": SECRET}, collection="diary")


async def test_what_may_not_be_read_is_in_no_answer(tmp_path: Path) -> None:
    paths = [
        PATIENTS,
        f"{PATIENTS}?limit=1",
        f"{PATIENTS}?conflicts=true",
        f"{PATIENTS}/p1",
        f"{PATIENTS}/p1/history",
        f"/v1/conflicts?space={SPACE}",
        f"/v1/conflicts?space={SPACE}&status=all",
        f"/v1/changes?space={SPACE}",
        f"/v1/devices?space={SPACE}",
        "/v1/spaces",
    ]
    async with thin_ward(tmp_path) as thin:
        await secretive(thin)
        nurse = Thin(thin.server, NURSE)
        seen = {path: await thin.read(path) for path in paths}
        told = {path: await nurse.read(path) for path in paths}
    assert SECRET in json.dumps(seen)
    text = json.dumps(told)
    assert SECRET not in text
    assert "diagnosis" not in text
    assert "diary" not in text
    assert "p2" not in text
    assert told[paths[0]]["records"][0]["conflicts"] == {}
    assert seen["/v1/spaces"]["spaces"][0]["open_conflicts"] == 1
    assert told["/v1/spaces"]["spaces"][0]["open_conflicts"] == 0


async def test_a_hidden_field_cannot_be_probed(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await secretive(thin)
        nurse = Thin(thin.server, NURSE)

        async def told(answer: Any, status: int, code: str) -> str:
            body = problem(answer, status, code)
            del body["request_id"]
            return json.dumps(body)

        for name in ("diagnosis", "nonsense"):
            listed = await told(
                await nurse.get(f"{PATIENTS}?where.{name}={SECRET}"), 422, "unknown_field"
            )
            patched = await told(
                await nurse.patch("p1", {"fields": {name: "x"}}), 422, "unknown_field"
            )
            chosen = await told(
                await nurse.resolve("p1", name, "x", [[new_id(), 0]]), 422, "unknown_field"
            )
            for text in (listed, patched, chosen):
                assert name in text
            if name == "diagnosis":
                first = [listed, patched, chosen]
        assert [
            text.replace("nonsense", "diagnosis") for text in (listed, patched, chosen)
        ] == first
        for record in ("p2", "p9"):
            problem(await nurse.get(f"{PATIENTS}/{record}"), 404, "unknown_record")
            problem(await nurse.get(f"{PATIENTS}/{record}/history"), 404, "unknown_record")
            problem(await nurse.delete(record), 404, "unknown_record")
        problem(await nurse.get(path_of("d1", "diary")), 404, "unknown_collection")
        problem(
            await nurse.get(f"/v1/conflicts?space={SPACE}&collection=diary"),
            404,
            "unknown_collection",
        )


async def test_what_was_read_before_a_role_changed_is_not_the_record_of_today(
    tmp_path: Path,
) -> None:
    """Whoever read it with another role had other fields before them, at the same place."""
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"diagnosis": SECRET})
        await thin.put("p1", {"name": "Ann"})
        nurse = Thin(thin.server, NURSE)
        for before, now in ((nurse, thin), (thin, nurse)):
            version = (await before.record("p1"))["version"]
            again = await now.get(path_of("p1"), If_None_Match=f'"{version}"')
            assert again.status == 200
            assert (SECRET in again.body.decode()) is (now is thin)
        read = (await nurse.record("p1"))["version"]
        change = {"fields": {"diagnosis": "none"}}
        problem(await thin.patch("p1", change, if_match=read), 412, "stale_version")
        assert SECRET in json.dumps(await thin.record("p1"))


async def test_a_hidden_write_changes_no_etag_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann", "tags": ["a"]})
        await thin.patch("p1", {"remove": {"tags": ["a"]}})
        nurse = Thin(thin.server, NURSE)
        before = await nurse.record("p1")
        await Thin(thin.server, CLINICIAN).put("p1", {"diagnosis": SECRET})
        after = await nurse.record("p1")
        assert after == before
        assert (await thin.record("p1"))["version"] != before["version"]
        assert (
            await nurse.get(path_of("p1"), If_None_Match=f'"{before["version"]}"')
        ).status == 304
        gone = await nurse.delete("p1", if_match=before["version"])
        assert gone.json["record"]["deleted"], gone.json


async def test_pages_pass_over_records_that_may_not_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "STEPS", 1)
    monkeypatch.setattr(records, "STEP_ROWS", 2)
    async with thin_ward(tmp_path) as thin:
        for n in range(7):
            await thin.put(f"hidden{n}", {"diagnosis": "x"})
        await thin.put("seen", {"name": "Ann"})
        assert await ids_of(Thin(thin.server, NURSE)) == ["seen"]


async def test_behind_many_hidden_writes_the_version_is_that_of_what_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "HIDDEN_STEPS", 2)
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        nurse = Thin(thin.server, NURSE)
        before = (await nurse.record("p1"))["version"]
        for n in range(4):
            await thin.put("p1", {"diagnosis": str(n)})
        assert (await nurse.record("p1"))["version"] == before
