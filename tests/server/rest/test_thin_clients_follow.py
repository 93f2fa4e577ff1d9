"""The change feed: pages, waiting, server-sent events, and how each of them ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.authentication import Credentials, Identity
from crdtsync_server.rest import following
from crdtsync_server.rest.shapes import ChangePage
from tests.server.rest.thin import NURSE, Thin, events, problem, thin_ward, trim
from tests.server.serving import SPACE, START_US, new_id

CHANGES = f"/v1/changes?space={SPACE}"


async def test_pages_of_the_log_go_on_where_the_last_one_ended(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        for n in range(5):
            await thin.patch("p1", {"fields": {"name": str(n)}, "increment": {"visits": n + 1}})
        await thin.delete("p1")
        seqs: list[int] = []
        since, digest = 0, ""
        while True:
            page = await thin.read(f"{CHANGES}&since={since}&limit=2{digest}")
            seqs += [change["seq"] for change in page["changes"]]
            since, digest = page["next"], f"&digest={page['digest']}"
            if page["next"] == page["head"]:
                break
        assert seqs == [1, 2, 3, 4, 5, 6]
        last = page["changes"][-1]
        assert (last["deleted"], last["fields"]) == (True, {})
        assert last["digest"] == page["digest"]
        first = (await thin.read(f"{CHANGES}&limit=1"))["changes"][0]
        assert first["fields"] == {
            "name": {"outcome": "applied", "values": ["0"]},
            "visits": {"outcome": "applied", "values": [1]},
        }
        empty = await thin.read(f"{CHANGES}&since=6")
        assert (empty["changes"], empty["next"], empty["digest"]) == ([], 6, page["digest"])


async def test_a_hidden_change_advances_the_place_and_says_nothing(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        await thin.put("p1", {"diagnosis": "x"})
        page = await Thin(thin.server, NURSE).read(CHANGES)
        assert ([change["seq"] for change in page["changes"]], page["next"]) == ([1], 2)


async def test_a_place_that_this_log_does_not_have_is_told_apart(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        problem(await thin.get("/v1/changes?space=new&since=1"), 409, "diverged")
        beginning = await thin.read("/v1/changes?space=new")
        assert (beginning["head"], beginning["digest"]) == (0, "")
        assert await thin.read("/v1/changes?space=new&since=0&digest=") == beginning
        for n in range(3):
            await thin.put("p1", {"name": str(n)})
        told = problem(await thin.get(f"{CHANGES}&since=4"), 409, "diverged")
        assert told["head"] == 3
        wrong = f"{CHANGES}&since=3&digest={'0' * 32}"
        problem(await thin.get(wrong), 409, "diverged")
        problem(await thin.get(f"{CHANGES}&since=3&digest="), 409, "diverged")
        problem(await thin.get(f"{CHANGES}&since={2**53}"), 400, "bad_query")
        problem(await thin.get(f"{CHANGES}&since={2**53 - 1}"), 409, "diverged")
        await trim(thin)
        told = problem(await thin.get(CHANGES), 410, "log_trimmed")
        assert (told["log_start"], told["head"]) == (4, 3)
        following_on = f"{CHANGES}&since={told['head']}&digest={told['digest']}"
        assert (await thin.read(following_on))["changes"] == []


# ── waiting ─────────────────────────────────────────────────────────────────


async def test_a_long_poll_is_answered_when_something_is_written(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        waiting = asyncio.create_task(thin.read(f"{CHANGES}&wait_s=30"))
        await _seated(thin, 1)
        await thin.put("p1", {"name": "Ann"})
        page = await waiting
        assert [change["seq"] for change in page["changes"]] == [1]
        assert thin.server.service.access.quotas.seats.taken == 0


async def test_a_long_poll_comes_to_an_end(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        page = await thin.read(f"{CHANGES}&wait_s=0.05")
        assert (page["changes"], page["next"]) == ([], 0)
        problem(await thin.get(f"{CHANGES}&wait_s=31"), 400, "bad_query")
        waiting = asyncio.create_task(thin.read(f"{CHANGES}&wait_s=30"))
        await _seated(thin, 1)
        await thin.server.service.drain()
        assert (await waiting)["changes"] == []


async def test_a_reader_who_waits_for_what_they_may_not_see_is_not_woken_for_it(
    tmp_path: Path,
) -> None:
    async with thin_ward(tmp_path) as thin:
        waiting = asyncio.create_task(Thin(thin.server, NURSE).read(f"{CHANGES}&wait_s=30"))
        await _seated(thin, 1)
        await thin.put("p1", {"diagnosis": "x"})
        await thin.put("p1", {"name": "Ann"})
        page = await waiting
        assert ([change["seq"] for change in page["changes"]], page["next"]) == ([2], 2)


async def test_a_long_poll_of_one_change_moves_on_past_what_is_hidden(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        nurse = Thin(thin.server, NURSE)
        waiting = asyncio.create_task(nurse.read(f"{CHANGES}&since=1&limit=1&wait_s=30"))
        await _seated(thin, 1)
        for n in range(3):
            await thin.put("p1", {"diagnosis": str(n)})
        await thin.put("p1", {"name": "Anna"})
        page = await waiting
        assert ([change["seq"] for change in page["changes"]], page["next"]) == ([5], 5)


async def test_a_long_poll_that_saw_hidden_changes_only_ends_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, has_read_all = following._read, asyncio.Event()

    async def noted(*asked: Any) -> ChangePage:
        page = await read(*asked)
        if page.next == 4:
            has_read_all.set()
        return page

    monkeypatch.setattr(following, "_read", noted)
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        nurse = Thin(thin.server, NURSE)
        waiting = asyncio.create_task(nurse.read(f"{CHANGES}&since=1&limit=1&wait_s=30"))
        await _seated(thin, 1)
        await thin.batch(
            [
                {"op_id": new_id(), "collection": "patient", "id": "p1", "fields": {"diagnosis": n}}
                for n in "abc"
            ]
        )
        await has_read_all.wait()
        await thin.server.service.drain()
        page = await waiting
        assert (page["changes"], page["next"]) == ([], 4)


async def test_followers_are_counted_and_bounded(tmp_path: Path) -> None:
    few = AccessSettings(connections_per_user=1)
    async with thin_ward(tmp_path, access=few) as thin:
        async with await events(thin) as stream:
            assert stream.status == 200
            answer = await thin.get(f"{CHANGES}&wait_s=30")
            problem(answer, 429, "too_many_connections")
            assert int(answer.headers["retry-after"]) > 0
            async with await events(thin) as second:
                assert second.status == 429
        await _seated(thin, 0)
        assert (await thin.get(f"{CHANGES}&wait_s=0.01")).status == 200


async def _seated(thin: Thin, count: int) -> None:
    """Until so many follow. The server has no event for it."""
    while thin.server.service.access.quotas.seats.taken != count:  # noqa: ASYNC110
        await asyncio.sleep(0)


# ── server-sent events ──────────────────────────────────────────────────────


def seq_of(event: dict[str, str]) -> int:
    """Where in the log an event stands."""
    return int(event["id"].partition("-")[0])


async def test_a_stream_tells_what_was_and_what_comes(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        async with await events(thin) as stream:
            assert b"text/event-stream" in stream.head
            first = await stream.next()
            change = json.loads(first["data"])
            assert (first["id"], first["event"]) == (f"1-{change['digest']}", "change")
            assert change["fields"]["name"]["values"] == ["Ann"]
            await thin.put("p1", {"name": "Anna"})
            assert seq_of(await stream.next()) == 2
        for place in (first["id"], "1"):
            async with await events(thin, Last_Event_ID=place) as stream:
                assert seq_of(await stream.next()) == 2
        async with await events(thin, "&since=2") as stream:
            await thin.put("p1", {"name": "Eve"})
            assert seq_of(await stream.next()) == 3


async def test_a_stream_that_comes_back_to_a_restored_server_is_told_so(tmp_path: Path) -> None:
    async with thin_ward(tmp_path / "before") as thin:
        await thin.put("p1", {"name": "Ann"})
        async with await events(thin) as stream:
            last = (await stream.next())["id"]
    async with thin_ward(tmp_path / "backup") as thin:
        # By then its log is longer than that of before: the seq alone would skip a change.
        for name in ("Eve", "Ida"):
            await thin.put("p1", {"name": name})
        async with await events(thin, Last_Event_ID=last) as stream:
            assert stream.status == 409


async def test_a_stream_moves_on_past_what_its_reader_may_not_see(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        await thin.put("p1", {"name": "Ann"})
        await thin.put("p1", {"diagnosis": "x"})
        nurse = Thin(thin.server, NURSE)
        async with await events(nurse) as stream:
            assert seq_of(await stream.next()) == 1
            behind = await stream.next()
            assert (seq_of(behind), set(behind)) == (2, {"id"})
        async with await events(nurse, Last_Event_ID=behind["id"]) as stream:
            await thin.put("p1", {"name": "Anna"})
            assert seq_of(await stream.next()) == 3


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("&since=9", {}, 409),
        ("", {"Last_Event_ID": "9"}, 409),
        ("", {"Last_Event_ID": "x"}, 400),
        ("", {"Last_Event_ID": "9" * 40}, 400),
        ("", {"Last_Event_ID": "0-"}, 400),
        ("&wait_s=99", {}, 400),
        ("", {"Authorization": ""}, 401),
    ],
)
async def test_a_stream_that_cannot_begin_is_a_problem(
    tmp_path: Path, query: str, headers: dict[str, str], status: int
) -> None:
    async with thin_ward(tmp_path) as thin, await events(thin, query, **headers) as stream:
        assert stream.status == status


async def test_a_stream_says_why_it_ends_when_the_server_stops(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin, await events(thin) as stream:
        await thin.put("p1", {"name": "Ann"})
        assert seq_of(await stream.next()) == 1
        stopping = asyncio.create_task(thin.server.stop())
        last = await stream.next()
        assert (last["event"], json.loads(last["data"])) == ("end", {"code": "restarting"})
        assert await stream.next() == {}
        await stopping


async def test_a_quiet_stream_says_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.01)
    async with thin_ward(tmp_path) as thin, await events(thin) as stream:
        while b"still here" not in stream._text:
            await stream._more()


class ShortSignIn:
    """Everybody is kim, until the clock says otherwise."""

    def __init__(self, clock: list[int]) -> None:
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity("kim", frozenset({"clinician"}), expires_us=START_US + 60_000_000)


async def test_a_stream_ends_with_the_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT_S", 0.01)
    clock = [START_US]
    sign_in: Any = ShortSignIn(clock)
    async with (
        thin_ward(tmp_path, dev=False, authenticator=sign_in, now_us=lambda: clock[0]) as thin,
        await events(thin) as stream,
    ):
        await thin.put("p1", {"name": "Ann"})
        assert seq_of(await stream.next()) == 1
        clock[0] += 61_000_000
        last = await stream.next()
        assert (last["event"], json.loads(last["data"])) == ("end", {"code": "unauthorized"})
        assert await stream.next() == {}


async def test_a_reader_who_goes_away_leaves_nothing_behind(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        async with await events(thin) as stream:
            await thin.put("p1", {"name": "Ann"})
            assert seq_of(await stream.next()) == 1
        await _seated(thin, 0)
        assert thin.server.service.hub.connected(SPACE) == frozenset()
