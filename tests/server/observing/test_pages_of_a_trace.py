"""What the reader may not know of shows neither in the length of a page nor in where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.ops import EntryId, Op
from crdtsync_server.observing import finding
from crdtsync_server.observing.places import sealed
from crdtsync_server.service import RunningServer
from tests.server.observing.test_traces_and_what_one_may_read import DOCTOR, NURSE, Spaces
from tests.server.observing.traced import POLICY, ask_trace, greeting, observed, trace
from tests.server.serving import device, new_id, push_of, serving, write

QUERIES = ("record:patient/p1", "user:lee")


def hidden(**options: Any) -> Op:
    return write({"r/diagnosis": '"x"'}, user="lee", **options)


def shown(**options: Any) -> Op:
    return write({"c/visits": "1"}, user="lee", **options)


async def pages(
    server: RunningServer, query: str, *, token: str = NURSE, limit: int = 1
) -> list[dict[str, Any]]:
    """Every page, from the first to the one without a ``next``."""
    found = [await trace(server, query, token=token, limit=limit)]
    while found[-1]["next"] is not None:
        assert len(found) < 50
        after = found[-1]["next"]
        found.append(await trace(server, query, token=token, limit=limit, after=after))
    return found


def ops_of(page: dict[str, Any]) -> list[str]:
    return [op["op_id"] for op in page["ops"]]


@pytest.mark.parametrize("query", QUERIES)
async def test_hidden_ops_fill_no_page_and_end_none(tmp_path: Path, query: str) -> None:
    first, second = shown(), shown()
    refused = write({"r/diagnosis": "7"}, user="lee")
    ops = [hidden(), first, hidden(), refused, hidden(), second, hidden(), hidden()]
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        await wire.push(*ops[:4])
        await wire.push(*ops[4:])
        found = await pages(server, query)
        assert [ops_of(page) for page in found] == [[second.op_id], [first.op_id]]
        # It could have been otherwise: who may know of all of them gets eight pages.
        assert len(await pages(server, query, token=DOCTOR)) == 8


async def test_a_page_names_the_op_that_it_ended_with(tmp_path: Path) -> None:
    ops = [shown(), hidden(), shown(), hidden()]
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        push = push_of(*ops)
        await wire.push_frame(push)
        for query in (*QUERIES, push.request_id):
            (page, _) = await pages(server, query)
            (told,) = page["ops"]
            assert told["op_id"] == ops[2].op_id
            place = f"{told['seq']}" if "record:" in query else told["op_id"]
            assert page["next"].rpartition(".")[2] == place, query


@pytest.mark.parametrize("query", QUERIES)
async def test_only_hidden_ops_are_an_empty_answer_and_nothing_goes_on(
    tmp_path: Path, query: str
) -> None:
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        await wire.push(hidden(), hidden(), hidden())
        found = await trace(server, query, token=NURSE, limit=1)
        assert (found["ops"], found["next"]) == ([], None)
        assert (await trace(server, query, token=DOCTOR, limit=1))["next"] is not None


@pytest.mark.parametrize("query", QUERIES)
async def test_a_walk_that_is_too_long_ends_at_a_place_that_nobody_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(finding, "SCANNED_OPS", 3)
    oldest, newest = shown(), shown()
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        for op in (oldest, *(hidden() for _ in range(8)), newest):
            await wire.accept(op)
        found = await pages(server, query, limit=5)
    told = [ops_of(page) for page in found]
    assert [one for page in told for one in page] == [newest.op_id, oldest.op_id]
    assert [] in told
    for page in found[:-1]:
        ended_empty = not page["ops"]
        assert page["next"].startswith("~") == ended_empty, page["next"]


async def test_a_place_that_was_made_up_tells_nothing(tmp_path: Path) -> None:
    ops = [shown(), hidden(), shown(record="p2"), shown()]
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        for op in ops:
            await wire.accept(op)
        answers = {
            after: (await trace(server, "patient/p1", token=NURSE, after=after))["ops"]
            for after in ("1.2", "1.3", "1.9", f"1.{new_id()}")
        }
        # The hidden op's place answers like that of another record, and like none.
        assert answers["1.2"] == answers["1.3"] == answers["1.9"] == []
        assert [op["op_id"] for op in (await trace(server, "patient/p1", after="1.4"))["ops"]] == [
            ops[1].op_id,
            ops[0].op_id,
        ]
        for after in ("~", "~x", "~é", sealed(1, 2)[:-4] + "AAAA"):
            answer = await ask_trace(server, "patient/p1", after=after)
            assert (answer.status, answer.json["code"]) == (422, "bad_question")


async def test_refused_ops_of_a_record_are_paged_like_the_others(tmp_path: Path) -> None:
    refused = [write({"r/name": "7"}, user="lee") for _ in range(3)]
    accepted = [shown() for _ in range(2)]
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        for op in (*refused, *accepted):
            await wire.push(op)
        found = await pages(server, "patient/p1", token=DOCTOR, limit=2)
    told = [ops_of(page) for page in found]
    assert [len(page) for page in told] == [2, 2, 1]
    newest_first = [*reversed(refused), *reversed(accepted)]
    assert [one for page in told for one in page] == [op.op_id for op in newest_first]


async def test_an_op_of_a_closed_space_is_answered_like_one_that_nobody_knows(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"dev": False, "authenticator": Spaces(), "policy": POLICY}
    op, refused = write({"r/name": '"Kim"'}), write({"r/name": "7"}, record="p2")
    async with serving(tmp_path, **options) as server:
        async with device(server, **greeting(), token="kim@ward-3") as wire:
            await wire.push(op, refused)
        for known in (op, refused):
            inside = await trace(server, known.op_id, token="kim@ward-3", space=None)
            assert inside["kind"] == "op"
        for space in (None, "ward-4"):
            answers = []
            for number in (op.op_id, refused.op_id, new_id()):
                found = await trace(server, number, token="eve@ward-4", space=space)
                answers.append((found["kind"], found["ops"], found["next"]))
            assert answers == [("request", [], None)] * 3


async def test_an_op_whose_hidden_value_was_replaced_is_no_more_known_than_before(
    tmp_path: Path,
) -> None:
    first = hidden()
    newer = hidden(supersedes={"r/diagnosis": [EntryId(first.op_id, 0)]})
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        await wire.accept(first)
        await wire.accept(newer)
        for number in (first.op_id, newer.op_id):
            found = await trace(server, number, token=NURSE)
            assert (found["kind"], found["ops"]) == ("request", [])
            assert (await trace(server, number, token=DOCTOR))["kind"] == "op"
