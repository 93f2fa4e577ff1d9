"""Writes over HTTP: the same ops as over WebSocket, once each, answered after the commit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.state import LogEntry
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.rest.turns import in_use
from tests.server.access.asking import ask
from tests.server.rest.thin import (
    CLINICIAN,
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
from tests.server.serving import SPACE, device, new_id, rows_of
from tests.server.serving import write as op


async def test_a_write_is_one_op_with_every_verb_and_reaches_replicas(tmp_path: Path) -> None:
    async with (
        thin_ward(tmp_path) as thin,
        device(thin.server, policy_hash=POLICY.hash) as wire,
    ):
        key = new_id()
        answer = await thin.patch(
            "p1",
            {
                "fields": {"name": "Ann", "born": "1990-01-31", "notes": ["a", "b"]},
                "increment": {"visits": 2, "balance": "1.50"},
                "add": {"tags": ["x", "y"]},
                "time_us": 1_700_000_000_000_000,
            },
            key=key,
        )
        (entry,) = await wire.entries_to(1)
    assert isinstance(entry, LogEntry)
    assert (entry.op_id, entry.user, entry.time_us) == (key, "kim", 1_700_000_000_000_000)
    assert entry.writes["s/tags"] == ('"x"', '"y"')
    receipt = answer.json["receipt"]
    assert (receipt["op_id"], receipt["seq"]) == (key, 1)
    assert set(receipt["outcomes"].values()) == {"applied"}
    fields = answer.json["record"]["fields"]
    assert (fields["name"], fields["visits"], fields["balance"]) == ("Ann", 2, "1.50")
    assert (fields["tags"], fields["phone"]) == (["x", "y"], None)
    assert answer.headers["etag"] == f'"{answer.json["record"]["version"]}"'


async def test_the_same_key_again_gets_the_first_receipt_and_applies_once(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        key = new_id()
        body = {"fields": {"tags": ["a"], "name": "Ann"}, "increment": {"visits": 1}}
        first = await thin.patch("p1", body, key=key)
        await thin.patch("p1", {"add": {"tags": ["b"]}})
        again = await thin.patch("p1", body, key=key.upper())
    assert again.json["receipt"] == first.json["receipt"]
    assert again.json["record"]["fields"]["visits"] == 1
    assert again.json["record"]["fields"]["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "record", "token"),
    [
        ({"fields": {"name": "Eve"}, "increment": {"visits": 1}}, "p1", CLINICIAN),
        ({"fields": {"name": "Ann"}, "increment": {"visits": 2}}, "p1", CLINICIAN),
        ({"fields": {"name": "Ann"}}, "p1", CLINICIAN),
        ({"fields": {"name": "Ann"}, "increment": {"visits": 1}}, "p2", CLINICIAN),
        ({"fields": {"name": "Ann"}, "increment": {"visits": 1}}, "p1", NURSE),
        ({"fields": {"name": "Ann"}, "increment": {"visits": 1}, "time_us": 5}, "p1", CLINICIAN),
    ],
    ids=["value", "delta", "fewer fields", "record", "author", "time"],
)
async def test_the_same_key_with_other_content_is_refused(
    tmp_path: Path, body: dict[str, Any], record: str, token: str
) -> None:
    async with thin_ward(tmp_path) as thin:
        key = new_id()
        await thin.patch("p1", {"fields": {"name": "Ann"}, "increment": {"visits": 1}}, key=key)
        other = await Thin(thin.server, token).patch(record, body, key=key)
        problem(other, 409, "op_id_reused")
        found = await thin.record("p1")
    assert (found["fields"]["name"], found["fields"]["visits"]) == ("Ann", 1)


async def test_a_key_of_another_space_is_refused_without_a_word_about_it(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        key = new_id()
        await thin.put("p1", {"name": "Ann"}, key=key)
        elsewhere = path_of("p1", space="home")
        answer = await thin.write("PATCH", elsewhere, {"fields": {"name": "Ann"}}, key=key)
        told = problem(answer, 409, "op_id_reused")
    assert SPACE not in json.dumps(told)


async def test_a_write_that_is_sent_many_times_at_once_is_one_op(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        key = new_id()
        body = {"fields": {"allergies": ["nuts"]}, "increment": {"visits": 1}}
        answers = await asyncio.gather(*[thin.patch("p1", body, key=key) for _ in range(12)])
        other = {"fields": {"allergies": ["latex"]}, "increment": {"visits": 1}}
        key = new_id()
        mixed = await asyncio.gather(
            *[thin.patch("p2", [body, other][n % 2], key=key) for n in range(12)]
        )
        assert (await thin.record("p1"))["fields"]["visits"] == 1
        assert (await thin.record("p2"))["fields"]["visits"] == 1
        assert in_use(thin.server.service) == 0
    results = rows_of(tmp_path, "SELECT result, count(*) FROM attempts GROUP BY result")
    assert results == [("duplicate", 11 + 5)]
    assert [answer.status for answer in answers] == [200] * 12
    assert len({json.dumps(answer.json["receipt"]) for answer in answers}) == 1
    assert sorted(answer.status for answer in mixed) == [200] * 6 + [409] * 6
    assert len(rows_of(tmp_path, "SELECT 1 FROM log")) == 2


async def test_a_repeat_after_the_record_was_deleted_still_gets_its_receipt(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        key, delete_key = new_id(), new_id()
        first = await thin.put("p1", {"name": "Ann"}, key=key)
        gone = await thin.delete("p1", key=delete_key)
        again = await thin.put("p1", {"name": "Ann"}, key=key)
        gone_again = await thin.delete("p1", key=delete_key)
    assert again["receipt"] == first["receipt"]
    assert again["record"]["deleted"]
    assert gone_again.json == gone.json


async def test_a_client_that_goes_away_while_it_waits_finds_its_receipt(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        key = new_id()
        body = json.dumps({"increment": {"visits": 1}}).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", thin.server.port)
        head = (
            f"PATCH {path_of('p1')} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer kim\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        writer.transport.abort()
        again = await thin.patch("p1", {"increment": {"visits": 1}}, key=key)
        assert again.json["record"]["fields"]["visits"] == 1
    assert len(rows_of(tmp_path, "SELECT 1 FROM log")) <= 1


async def test_a_repeat_after_the_log_was_trimmed_is_told_from_another_write(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        plain, removal, assigned = new_id(), new_id(), new_id()
        wish = {"fields": {"name": "Ann"}, "add": {"tags": ["a", "b"]}, "increment": {"visits": 3}}
        first = await thin.patch("p1", wish, key=plain)
        await thin.patch("p1", {"remove": {"tags": ["a"]}}, key=removal)
        await thin.put("p1", {"tags": ["c"]}, key=assigned)
        await thin.put("p1", {"name": "Eve"})
        await trim(thin)
        again = await thin.patch("p1", wish, key=plain)
        assert again.json["receipt"] == first.json["receipt"]
        other = wish | {"add": {"tags": ["a", "c"]}}
        problem(await thin.patch("p1", other, key=plain), 409, "op_id_reused")
        assert (await thin.patch("p1", {"remove": {"tags": ["a"]}}, key=removal)).status == 200
        assert (await thin.patch("p1", {"fields": {"tags": ["c"]}}, key=assigned)).status == 200
        swapped = await thin.patch("p1", {"fields": {"name": "c"}}, key=assigned)
        problem(swapped, 409, "op_id_reused")


# ── versions ────────────────────────────────────────────────────────────────


async def test_a_plain_field_that_was_written_meanwhile_is_not_overwritten(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        read = (await thin.put("p1", {"name": "Ann", "born": "1990-01-01"}))["record"]["version"]
        await Thin(thin.server, NURSE).put("p1", {"name": "Anna"})
        answer = await thin.patch("p1", {"fields": {"name": "Anne"}}, if_match=read)
        told = problem(answer, 412, "stale_version")
        assert told["field"] == "name"
        now = await thin.record("p1")
        assert answer.headers["etag"] == f'"{now["version"]}"'
        assert now["fields"]["name"] == "Anna"
        other_field = await thin.put("p1", {"born": "1990-02-02"}, if_match=read)
        assert other_field["record"]["fields"]["born"] == "1990-02-02"


async def test_a_manual_field_that_was_written_meanwhile_gets_a_second_value(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        read = (await thin.put("p1", {"dose": "1"}))["record"]["version"]
        await thin.put("p1", {"dose": "2"})
        answer = await thin.put("p1", {"dose": "3"}, if_match=read)
    assert answer["receipt"]["outcomes"] == {"dose": "conflict"}
    values = {one["value"] for one in answer["record"]["conflicts"]["dose"]}
    assert values == {"2", "3"}


async def test_a_set_that_is_assigned_keeps_what_the_writer_had_not_seen(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        read = (await thin.put("p1", {"tags": ["a", "b"]}))["record"]["version"]
        await thin.patch("p1", {"add": {"tags": ["c"]}})
        answer = await thin.put("p1", {"tags": ["b"]}, if_match=read)
    assert answer["record"]["fields"]["tags"] == ["b", "c"]


async def test_two_writers_with_one_version_never_overwrite_each_other(tmp_path: Path) -> None:
    """The version is checked where the op is decided, not only where it is made."""
    async with thin_ward(tmp_path) as thin:
        version = (await thin.put("p1", {"name": "0"}))["record"]["version"]
        for _ in range(5):
            names = [str(n) for n in range(8)]
            answers = await asyncio.gather(
                *[thin.patch("p1", {"fields": {"name": n}}, if_match=version) for n in names]
            )
            statuses = sorted(answer.status for answer in answers)
            assert statuses == [200] + [412] * 7
            version = (await thin.record("p1"))["version"]


async def test_a_form_that_was_open_before_the_delete_brings_the_record_back(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        read = (await thin.put("p1", {"name": "Ann"}))["record"]["version"]
        await thin.delete("p1")
        problem(await thin.patch("p1", {"fields": {"phone": "1"}}), 409, "record_deleted")
        answer = await thin.put("p1", {"phone": "1"}, if_match=read)
    assert not answer["record"]["deleted"]


async def test_a_version_of_another_record_or_log_is_stale_and_nonsense_is_refused(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        first = (await thin.put("p1", {"name": "Ann"}))["record"]["version"]
        await thin.put("p2", {"name": "Bob"})
        change = {"fields": {"name": "Eve"}}
        problem(await thin.patch("p2", change, if_match=first), 412, "stale_version")
        problem(await thin.patch("p1", change, if_match="1-00000000"), 412, "stale_version")
        problem(await thin.patch("p1", change, if_match="99-00000000"), 412, "stale_version")
        problem(await thin.patch("p9", change, if_match=first), 412, "stale_version")
        problem(await thin.patch("p1", change, if_match="one"), 400, "bad_version")
        unquoted = await thin.patch("p1", change, If_None_Match="x", if_match=None)
        problem(unquoted, 400, "bad_version")
        assert (await thin.patch("p1", change, If_Match="*")).status == 200


async def test_only_new_means_only_new(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        answers = await asyncio.gather(
            *[thin.patch("p1", {"fields": {"name": str(n)}}, If_None_Match="*") for n in range(6)]
        )
        assert sorted(answer.status for answer in answers) == [200] + [412] * 5
        problem(
            await thin.patch("p1", {"fields": {"name": "x"}}, If_None_Match="*"),
            412,
            "record_exists",
        )


# ── conflicts, deletes ──────────────────────────────────────────────────────


async def test_a_field_in_conflict_is_not_written_but_chosen(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        found = await in_conflict(thin)
        answer = await thin.patch("p1", {"fields": {"allergies": ["none"], "name": "Ann"}})
        told = problem(answer, 409, "conflict")
        assert told["field"] == "allergies"
        assert told["candidates"] == found
        assert {tuple(one["value"]) for one in found} == {("latex", "nuts"), ("penicillin",)}
        assert (await thin.record("p1"))["fields"]["name"] is None
        chosen = await thin.resolve(
            "p1", "allergies", ["latex", "nuts", "penicillin"], seen_of(found)
        )
    assert chosen.json["record"]["conflicts"] == {}
    assert chosen.json["record"]["fields"]["allergies"] == ["latex", "nuts", "penicillin"]
    assert chosen.json["receipt"]["outcomes"] == {"allergies": "applied"}


async def test_a_value_that_arrived_after_the_page_was_opened_stays_and_the_answer_says_so(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        found = await in_conflict(thin)
        late = Thin(thin.server, NURSE)
        stale = (await thin.record("p1"))["version"]
        async with device(thin.server, "lee", policy_hash=POLICY.hash) as wire:
            await wire.accept(op({"r/allergies": '["wasps"]'}, user="lee"))
        chosen = await thin.resolve("p1", "allergies", ["nuts"], seen_of(found))
        values = [one["value"] for one in chosen.json["record"]["conflicts"]["allergies"]]
        assert sorted(values) == [["nuts"], ["wasps"]]
        assert chosen.json["receipt"]["outcomes"] == {"allergies": "conflict"}
        assert (await late.record("p1"))["version"] != stale


async def test_a_choice_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        found = await in_conflict(thin)
        seen = seen_of(found)
        problem(await thin.resolve("p1", "name", "x", seen), 422, "bad_value")
        problem(await thin.resolve("p1", "allergies", "nuts", seen), 422, "wrong_type")
        problem(await thin.resolve("p1", "colour", "x", seen), 422, "unknown_field")
        problem(await thin.resolve("p1", "allergies", ["x"], []), 422, "bad_body")
        problem(await thin.resolve("p1", "allergies", ["x"], [["nope", 0]]), 422, "bad_body")
        problem(await thin.resolve("p9", "allergies", ["x"], seen), 404, "unknown_record")
        visitor = Thin(thin.server, VISITOR)
        problem(await visitor.resolve("p1", "allergies", ["x"], seen), 403, "not_permitted")
        foreign = (await thin.put("p2", {"dose": "1"}))["receipt"]["op_id"]
        told = problem(
            await thin.resolve("p1", "allergies", ["x"], [[foreign, 0]]), 422, "bad_supersedes"
        )
        assert told["words"]
        assert len((await thin.record("p1"))["conflicts"]["allergies"]) == 2


async def test_a_record_goes_and_comes_back_with_its_values(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        problem(await thin.restore("p1"), 409, "not_deleted")
        gone = await thin.delete("p1")
        assert gone.json["record"]["deleted"]
        assert gone.json["receipt"]["outcomes"] == {"": "applied"}
        problem(await thin.delete("p1"), 409, "record_deleted")
        assert (await thin.record("p1"))["deleted"]
        back = await thin.restore("p1")
        assert not back.json["record"]["deleted"]
        assert back.json["record"]["fields"]["name"] == "Ann"
        problem(await thin.delete("p9"), 404, "unknown_record")
        problem(await thin.restore("p9"), 404, "unknown_record")
        visitor = Thin(thin.server, VISITOR)
        problem(await visitor.delete("p1"), 403, "not_permitted")
        stale = (await thin.record("p1"))["version"]
        await thin.put("p1", {"name": "Anna"})
        problem(await thin.delete("p1", if_match=stale), 412, "stale_version")


async def test_nothing_to_change_makes_no_op(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"tags": ["a"]})
        answer = await thin.put("p1", {"tags": ["a"]})
        assert answer["receipt"] is None
        problem(await thin.patch("p1", {}), 422, "nothing_to_write")
        twice = {"fields": {"tags": ["b"]}, "add": {"tags": ["c"]}}
        assert problem(await thin.patch("p1", twice), 422, "field_twice")["field"] == "tags"
    assert len(rows_of(tmp_path, "SELECT 1 FROM log")) == 1


# ── bad values ──────────────────────────────────────────────────────────────


BAD_BODIES: list[tuple[Any, str, str | None]] = [
    ({"fields": {"born": "31.1.1990"}}, "bad_format", "born"),
    ({"fields": {"stage": 9}}, "out_of_range", "stage"),
    ({"fields": {"stage": "2"}}, "wrong_type", "stage"),
    ({"fields": {"alive": 1}}, "wrong_type", "alive"),
    ({"fields": {"seen_at": "2024-01-01T10:00:00"}}, "naive_datetime", "seen_at"),
    ({"fields": {"weight": 1e400}}, "bad_json", None),
    ({"fields": {"tags": "a"}}, "bad_value", "tags"),
    ({"fields": {"visits": 3}}, "bad_value", "visits"),
    ({"increment": {"name": 1}}, "bad_value", "name"),
    ({"increment": {"visits": 1.5}}, "wrong_type", "visits"),
    ({"increment": {"visits": 2**60}}, "unsafe_integer", "visits"),
    ({"increment": {"visits": True}}, "bad_body", None),
    ({"add": {"allergies": ["x"]}}, "bad_value", "allergies"),
    ({"add": {"tags": "x"}}, "bad_body", None),
    ({"add": {"tags": ["x"]}, "remove": {"tags": ["x"]}}, "bad_value", "tags"),
    ({"fields": {"colour": "red"}}, "unknown_field", "colour"),
    ({"fields": {"name": {"conflict": [{"value": 1}]}}}, "bad_value", "name"),
    ({"feilds": {"name": "x"}}, "bad_body", None),
    ({"fields": {"name": "\ud800"}}, "bad_text", None),
    ({"fields": {"name": "\x00"}}, "bad_text", "name"),
    ([], "bad_body", None),
    ({"fields": {"name": "x"}, "time_us": -1}, "bad_body", None),
]


async def test_what_does_not_fit_is_refused_and_named(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for body, code, field in BAD_BODIES:
            answer = await thin.patch("p1", body)
            told = problem(answer, 400 if code == "bad_json" else 422, code)
            assert (told.get("field"), bool(told["detail"])) == (field, True), body
        problem(await thin.get(path_of("p1")), 404, "unknown_record")


async def test_bad_requests_are_told_what_is_wrong_with_them(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        path = path_of("p1")
        good = {"fields": {"name": "x"}}
        json_type = {"Content_Type": "application/json"}
        problem(await thin.ask("PATCH", path, good), 400, "idempotency_key_required")
        problem(await thin.patch("p1", good, key="17"), 400, "bad_idempotency_key")
        v1 = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
        problem(await thin.patch("p1", good, key=v1), 400, "bad_idempotency_key")
        problem(await thin.patch("p1", good, Content_Type="text/plain"), 415, _MEDIA)
        problem(await thin.write("PATCH", path), 415, _MEDIA)
        problem(await thin.write("PATCH", path, **json_type), 400, "bad_json")
        problem(await thin.write("PUT", path, good), 405, "method_not_allowed")
        assert (await thin.write("PUT", path, good)).headers["allow"] == "DELETE, GET, HEAD, PATCH"
        problem(await thin.patch("p1", good, collection="x"), 404, "unknown_collection")
        problem(await thin.patch("a\x01b", good), 422, "bad_record_id")
        problem(await thin.patch("p1", good, Authorization=""), 401, "unauthorized")
        deep = {"fields": {"more": json.loads("[" * 200 + "]" * 200)}}
        problem(await thin.patch("p1", deep), 422, "too_deep")
        await thin.put("p1", {"name": "x" * 50_000})
    small = AccessSettings(request_bytes=2_000)
    async with thin_ward(tmp_path / "small", access=small) as thin:
        huge = {"fields": {"name": "x" * 2_000}}
        problem(await thin.patch("p1", huge), 413, "too_large")


_MEDIA = "unsupported_media_type"


async def test_json_that_lies_or_nests_without_end_is_refused(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for text in (
            b"{",
            b"[" * 100_000,
            b'{"fields":{},"fields":{}}',
            b"\xff",
            b"NaN",
            b"1" * 9000,
        ):
            answer = await ask(
                thin.server,
                path_of("p1"),
                method="PATCH",
                body=text,
                Authorization="Bearer kim",
                Idempotency_Key=new_id(),
                Content_Type="application/json",
            )
            problem(answer, 400, "bad_json")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", b'{"time_us":NUMBER,"fields":{"name":"x"}}'),
        ("POST", "/resolve", b'{"field":"dose","value":"1","seen":[["x",NUMBER]]}'),
        ("POST", "/resolve", b'{"field":"dose","value":"1","seen":[],"time_us":NUMBER}'),
    ],
)
@pytest.mark.parametrize("number", [b"1E1000000000", b"-1E1000000000", b"1E-1000000000", b"1e17"])
async def test_a_number_with_an_exponent_of_ten_digits_does_not_fit(
    tmp_path: Path, method: str, path: str, body: bytes, number: bytes
) -> None:
    async with thin_ward(tmp_path) as thin:
        answer = await ask(
            thin.server,
            f"{path_of('p1')}{path}",
            method=method,
            body=body.replace(b"NUMBER", number),
            Authorization="Bearer kim",
            Idempotency_Key=new_id(),
            Content_Type="application/json",
        )
        problem(answer, 422, "bad_body")


async def test_a_whole_number_may_be_written_as_a_decimal(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for text in (b"1700000000000000", b"1700000000000000.0", b"17e14"):
            answer = await ask(
                thin.server,
                path_of("p1"),
                method="PATCH",
                body=b'{"time_us":%b,"increment":{"visits":1}}' % text,
                Authorization="Bearer kim",
                Idempotency_Key=new_id(),
                Content_Type="application/json",
            )
            assert answer.status == 200, answer.json
        entries = (await thin.read(f"{path_of('p1')}/history"))["entries"]
        assert [entry["time_us"] for entry in entries] == [1_700_000_000_000_000] * 3


async def test_a_full_server_says_when_to_come_back(tmp_path: Path) -> None:
    async with ward(tmp_path) as server:
        thin = Thin(server)
        await thin.put("p1", {"name": "x"})
        await server.service.ingest.stop()
        answer = await thin.patch("p1", {"fields": {"name": "y"}})
        problem(answer, 503, "restarting")
        assert int(answer.headers["retry-after"]) > 0
