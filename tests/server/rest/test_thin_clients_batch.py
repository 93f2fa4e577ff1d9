"""Batches: many ops, each judged on its own, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.rest.thin import (
    NURSE,
    Thin,
    in_conflict,
    problem,
    seen_of,
    thin_ward,
)
from tests.server.serving import new_id, rows_of


def one(record: str, fields: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An op of a batch."""
    made = {"op_id": new_id(), "collection": "patient", "id": record, **more}
    return made if fields is None else {**made, "fields": fields}


async def results_of(thin: Thin, ops: list[dict[str, Any]], **more: Any) -> list[Any]:
    answer = await thin.batch(ops, **more)
    assert answer.status == 200, answer.json
    return list(answer.json["results"])


async def test_a_batch_is_one_request_and_one_commit_with_one_answer_per_op(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        candidates = await in_conflict(thin, "p3")
        await thin.put("p4", {"name": "gone"})
        await thin.put("p5", {"name": "back"})
        await thin.delete("p5")
        key = new_id()
        ops = [
            one("p1", {"name": "Ann"}, increment={"visits": 1}, add={"tags": ["a"]}),
            one("p2", {"stage": 9}),
            one("p3", resolve={"field": "allergies", "value": ["x"], "seen": seen_of(candidates)}),
            one("p4", delete=True),
            one("p5", restore=True),
            one("t", {"title": "wash"}, collection="task"),
            one("p1", {"name": "Ann"}, collection="nothing"),
            one("p6", {"name": "a"}, delete=True),
            one("\x01", {"name": "a"}),
        ]
        answer = await thin.batch(ops, key=key)
        statuses = [result["status"] for result in answer.json["results"]]
        assert statuses == [
            "accepted", "refused", "accepted", "accepted", "accepted", "accepted",
            "refused", "refused", "refused",
        ]  # fmt: skip
        assert (answer.json["accepted"], answer.json["refused"]) == (5, 4)
        assert answer.json["request_id"] == key
        refused = [r["problem"] for r in answer.json["results"] if r["problem"]]
        codes = [(r["status"], r["code"], r["field"]) for r in refused]
        assert codes == [
            (422, "out_of_range", "stage"),
            (404, "unknown_collection", None),
            (422, "bad_body", None),
            (422, "bad_record_id", None),
        ]
        record = await thin.record("p1")
        assert record["version"] == answer.json["results"][0]["version"]
        assert (await thin.record("p3"))["conflicts"] == {}
        assert (await thin.record("p4"))["deleted"]
        request_ids = rows_of(
            tmp_path, "SELECT DISTINCT request_id FROM log ORDER BY position DESC LIMIT 5"
        )
        assert bytes.fromhex(key.replace("-", "")) in [row[0] for row in request_ids]


async def test_a_batch_that_is_sent_again_adds_only_what_was_missing(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        ops = [one(f"p{n}", {"tags": [str(n)]}, increment={"visits": 1}) for n in range(5)]
        first = await results_of(thin, ops[:3])
        again = await results_of(thin, ops)
        assert [r["receipt"] for r in again[:3]] == [r["receipt"] for r in first]
        assert (await thin.record("p4"))["fields"]["visits"] == 1
        changed = [{**ops[0], "fields": {"tags": ["x"]}}, ops[1]]
        refused, same = await results_of(thin, changed)
        assert refused["problem"]["code"] == "op_id_reused"
        assert same["receipt"] == first[1]["receipt"]
    assert len(rows_of(tmp_path, "SELECT 1 FROM log")) == 5


async def test_later_ops_of_a_batch_build_on_earlier_ones_of_their_record(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        ops = [
            one("p1", {"allergies": ["nuts"], "tags": ["a", "b"]}),
            one("p1", {"allergies": ["nuts", "milk"], "tags": ["b"]}),
            one("p1", remove={"tags": ["b"]}),
            one("p2", {"name": "x"}),
            one("p2", delete=True),
        ]
        results = await results_of(thin, ops)
        assert [result["status"] for result in results] == ["accepted"] * 5
        found = await thin.record("p1")
        assert found["conflicts"] == {}
        assert found["fields"]["allergies"] == ["milk", "nuts"]
        assert found["fields"]["tags"] == []
        assert (await thin.record("p2"))["deleted"]


async def test_what_comes_after_a_refused_op_on_its_record_is_held(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        foreign = (await thin.put("p9", {"dose": "1"}))["receipt"]["op_id"]
        ops = [
            one("p1", {"stage": 99}),
            one("p1", {"name": "after"}),
            one("p2", {"dose": "1"}),
            one("p2", resolve={"field": "dose", "value": "2", "seen": [[foreign, 0]]}),
            one("p2", {"name": "after"}),
            one("p3", {"name": "free"}),
            one("p4", {"name": "and"}, delete=True),
            one("p4", {"name": "after"}),
        ]
        results = await results_of(thin, ops)
        assert [result["status"] for result in results] == [
            "refused", "held", "accepted", "refused", "held", "accepted", "refused", "held",
        ]  # fmt: skip
        problem(await thin.get("/v1/spaces/ward-3/patient/p1"), 404, "unknown_record")
        assert (await thin.record("p2"))["fields"]["name"] is None


async def test_versions_and_permissions_hold_in_a_batch_too(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        read = (await thin.put("p1", {"name": "Ann"}))["record"]["version"]
        await thin.put("p1", {"name": "Anna"})
        stale, unseen, existing, made = await results_of(
            thin,
            [
                one("p1", {"name": "Anne"}, if_match=read),
                one("p2", {"name": "x"}, if_match=read),
                one("p1", {"phone": "1"}, create=True),
                one("p3", {"phone": "1"}, create=True),
            ],
        )
        assert stale["problem"]["code"] == "stale_version"
        assert unseen["problem"]["code"] == "stale_version"
        assert existing["problem"] is not None
        assert made["status"] == "accepted"
        nurse = Thin(thin.server, NURSE)
        hidden, denied = await results_of(
            nurse, [one("p1", {"diagnosis": "x"}), one("p1", delete=True)]
        )
        assert hidden["problem"]["code"] == "unknown_field"
        assert denied["status"] == "held"


async def test_a_batch_as_a_whole_can_be_wrong(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        same = one("p1", {"name": "x"})
        problem(await thin.batch([same, same]), 422, "op_id_twice")
        problem(await thin.batch([]), 422, "bad_body")
        problem(await thin.batch([one("p", {"name": "x"}) for _ in range(201)]), 422, "bad_body")
        problem(await thin.batch([{**same, "op_id": "1"}]), 422, "bad_body")
        problem(await thin.batch([{**same, "colour": "1"}]), 422, "bad_body")
        problem(await thin.batch([same], key="x"), 400, "bad_idempotency_key")
        problem(await thin.batch([same], space="\x01"), 422, "bad_space")
        problem(await thin.write("POST", "/v1/batch", {"ops": [same]}), 400, "bad_query")
        assert len(await results_of(thin, [one(f"p{n}", {"name": "x"}) for n in range(200)])) == 200
