"""Traces show only what their reader may read, in spaces that they may enter."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.ops import EntryId
from crdtsync_server.authentication import Credentials, Identity
from tests.server.observing.traced import (
    POLICY,
    ask_trace,
    greeting,
    observed,
    recorded,
    steps,
    trace,
)
from tests.server.serving import SPACE, delete, device, new_id, push_of, serving, write

NURSE, DOCTOR = "kim:nurse", "lee:clinician,nurse"


class Spaces:
    """Everyone may enter the spaces that stand behind their name: ``kim@ward-3``."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        name, _, spaces = (credentials.token or "").partition("@")
        identity = Identity(credentials.user or name, frozenset({"clinician"}))
        return dataclasses.replace(identity, spaces=frozenset(spaces.split(",")))


async def test_hidden_fields_are_not_named_and_ops_of_hidden_fields_only_are_left_out(
    tmp_path: Path,
) -> None:
    mixed = write({"r/name": '"Kim"', "r/diagnosis": '"x"'}, user="lee")
    secret = write({"r/diagnosis": '"y"'}, user="lee")
    diary = write({"r/text": '"z"'}, user="lee", collection="diary", record="d1")
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        for op in (mixed, secret, diary):
            await wire.accept(op)
        (seen,) = (await trace(server, mixed.op_id, token=NURSE))["ops"]
        assert seen["fields"] == ["name"]
        assert "diagnosis" not in str(seen)
        for hidden in (secret.op_id, diary.op_id, "diary/d1"):
            assert (await trace(server, hidden, token=NURSE))["ops"] == []
        by_user = await trace(server, "user:lee", token=NURSE)
        assert [op["op_id"] for op in by_user["ops"]] == [mixed.op_id]
        record = await trace(server, "patient/p1", token=NURSE)
        assert [op["op_id"] for op in record["ops"]] == [mixed.op_id]
        doctor = await trace(server, "user:lee", token=DOCTOR)
        assert len(doctor["ops"]) == 3
        assert {name for op in doctor["ops"] for name in op["fields"]} == {
            "name",
            "diagnosis",
            "text",
        }


@pytest.mark.parametrize("reader", [NURSE, "lee:nurse", DOCTOR])
async def test_a_refused_op_in_a_collection_with_hidden_fields_is_told_to_its_author_only(
    tmp_path: Path, reader: str
) -> None:
    op = write({"r/diagnosis": "7"}, user="lee")
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        await wire.push(op)
        found = await trace(server, op.op_id, token=reader)
    if reader == NURSE:
        assert found["ops"] == []
    else:
        (told,) = found["ops"]
        assert (told["status"], told["seq"], told["fields"]) == ("refused", None, [])
        assert steps(told) == ["created", "queued", "received", "refused_field"]


async def test_nobody_looks_into_spaces_that_they_may_not_enter(tmp_path: Path) -> None:
    options: dict[str, Any] = {"dev": False, "authenticator": Spaces(), "policy": POLICY}
    op = write({"r/name": '"Kim"'})
    async with serving(tmp_path, **options) as server:
        async with device(server, **greeting(), token="kim@ward-3") as wire:
            push = push_of(op)
            await wire.push_frame(push)
        for query in (op.op_id, push.request_id, "kim", "patient/p1"):
            inside = await trace(server, query, token="kim@ward-3", space=None)
            assert [one["op_id"] for one in inside["ops"]] == [op.op_id], query
            outside = await trace(server, query, token="eve@ward-4", space=None)
            assert outside["ops"] == [], query
        answer = await ask_trace(server, op.op_id, token="eve@ward-4", space="ward-3")
        assert answer.status == 403
        unknown = await ask_trace(server, op.op_id, token="eve@ward-4", space="ward-5")
        assert unknown.status == 403


@pytest.mark.parametrize(
    ("query", "asked", "code"),
    [
        ("", {}, "bad_question"),
        ("x" * 1_000, {}, "bad_question"),
        ("op:123", {}, "bad_question"),
        ("record:p1", {}, "bad_question"),
        ("kim", {"limit": "0"}, "bad_limit"),
        ("kim", {"limit": "101"}, "bad_limit"),
        ("kim", {"limit": "１"}, "bad_limit"),
        ("kim", {"after": "x"}, "bad_question"),
        ("kim", {"after": "1.x"}, "bad_question"),
        ("kim", {"after": "9" * 50}, "bad_question"),
        ("patient/p1", {"after": "1"}, "bad_question"),
        ("kim", {"space": "\x00"}, "bad_space"),
    ],
)
async def test_questions_without_an_answer_are_told_why(
    tmp_path: Path, query: str, asked: dict[str, str], code: str
) -> None:
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(write({"c/visits": "1"}))
        answer = await ask_trace(server, query, **asked)
    assert (answer.status, answer.json["code"]) == (422, code)
    assert answer.json["request_id"] == answer.headers["x-request-id"]


async def test_without_a_sign_in_nothing_is_told(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        assert (await ask_trace(server, "kim", token=None)).status == 401
        assert (await ask_trace(server, "kim", token=None, space=None)).status == 401


async def test_what_nobody_knows_is_an_empty_answer(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        for query in ("kim", new_id(), "patient/p1", "record:nowhere/x", "'; DROP TABLE log;--"):
            found = await trace(server, query)
            assert (found["ops"], found["next"]) == ([], None)


async def test_pages_of_a_user_and_of_a_record_go_on_where_they_ended(tmp_path: Path) -> None:
    ops = [write({"c/visits": "1"}) for _ in range(7)]
    refused = write({"r/name": "7"})
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.push(*ops[:4])
        await wire.push(*ops[4:], refused)
        for query in ("kim", "patient/p1"):
            found: list[str] = []
            after: str | None = None
            for _ in range(10):
                page = await trace(server, query, limit=3, after=after)
                found += [op["op_id"] for op in page["ops"]]
                assert len(page["ops"]) <= 4
                after = page["next"]
                if after is None:
                    break
            assert sorted(found) == sorted([*(op.op_id for op in ops), refused.op_id]), query
        request = await trace(server, refused.op_id)
        assert request["ops"][0]["status"] == "refused"


async def test_later_fates_are_told_replaced_conflict_and_its_end(tmp_path: Path) -> None:
    first = write({"r/allergies": '["nuts"]', "r/name": '"Kim"'})
    other = write({"r/allergies": '["milk"]'}, user="lee")
    newer = write({"r/name": '"Kim Minji"'}, user="lee")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(first)
        async with device(server, "lee", **greeting()) as lee:
            await lee.accept(other)
            await lee.accept(newer)
        seen = [EntryId(first.op_id, 0), EntryId(other.op_id, 0)]
        chosen = write({"r/allergies": '["milk","nuts"]'}, supersedes={"r/allergies": seen})
        await wire.accept(chosen)
        (op,) = (await trace(server, first.op_id))["ops"]
        told = [(step["what"], step["by"]) for step in op["timeline"]]
        assert told[-4:] == [
            ("conflict_opened", "lee"),
            ("left", "lee"),
            ("left", "kim"),
            ("conflict_resolved", "kim"),
        ]
        assert op["notes"] == []
        (last,) = (await trace(server, chosen.op_id))["ops"]
        assert "left" not in steps(last)


async def test_a_delete_that_was_undone_is_told(tmp_path: Path) -> None:
    op = write({"c/visits": "1"})
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(op)
        gone = delete(seq=1)
        await wire.accept(gone)
        late = write({"r/name": '"Kim"'}, user="kim")
        await wire.accept(late)
        (deleted,) = (await trace(server, gone.op_id))["ops"]
        (reviving,) = (await trace(server, late.op_id))["ops"]
    assert deleted["fields"] == ["(the whole record)"]
    assert "left" in steps(deleted)
    assert "revived" in steps(reviving)


async def test_a_device_whose_clock_is_wrong_is_corrected_and_it_is_said(tmp_path: Path) -> None:
    async with observed(tmp_path) as server:
        now_us = server.service.now_us()
        hour_us = 3_600_000_000
        op = write({"c/visits": "1"}, time_us=now_us + hour_us - 5_000_000)
        async with device(server, **greeting(), client_us=now_us + hour_us) as wire:
            await wire.accept(op)
        (told,) = (await trace(server, op.op_id))["ops"]
    created, received = (
        next(s for s in told["timeline"] if s["what"] == name) for name in ("created", "received")
    )
    assert 4_000_000 < received["at_us"] - created["at_us"] < 60_000_000
    assert created["detail"]["device_us"] == op.time_us
    assert "3600 s" in created["words"]
    assert told["space"] == SPACE


async def test_a_trimmed_op_still_has_its_place_and_says_what_is_no_longer_kept(
    tmp_path: Path,
) -> None:
    op = write({"r/name": '"Kim"'})
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.accept(op)
        await recorded(tmp_path, "SELECT 1 FROM requests")
        await server.service.store.write(lambda found: found.execute("DELETE FROM requests"))
        (told,) = (await trace(server, op.op_id))["ops"]
        (korean,) = (await trace(server, op.op_id, lang="ko"))["ops"]
    assert told["seq"] == 1
    assert len(told["notes"]) == len(korean["notes"]) == 1
    assert told["notes"] != korean["notes"]
