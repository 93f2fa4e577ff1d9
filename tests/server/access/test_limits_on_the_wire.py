"""Limits, as a replica meets them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from crdtsync.database import queries
from crdtsync.documents.ops import EntryId
from crdtsync.protocol.messages import Receipt, RefusedOp, Transient
from crdtsync_server.access import access
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.storage.bounds import Bounds, Filling
from crdtsync_server.storage.keys import position
from tests.server.serving import Wire, device, hello_of, new_id, rows_of, serving, write
from tests.server.test_group_faults import faulty_store


async def test_a_flood_of_ops_is_told_to_come_back_and_nothing_is_lost(tmp_path: Path) -> None:
    slow = AccessSettings(ops_per_s_per_connection=50.0)
    still = time.time_ns() // 1_000
    async with (
        serving(tmp_path, access=slow, now_us=lambda: still) as server,
        device(server) as wire,
    ):
        for _ in range(10):
            served = await wire.push(*(write({"c/visits": "1"}) for _ in range(50)))
            assert all(isinstance(one, Receipt) for one in served)
        answers = [(await wire.push(write({"c/visits": "1"})))[0] for _ in range(20)]
        sent_away = [one for one in answers if isinstance(one, Transient)]
        assert len(sent_away) == 20
        assert {one.reason for one in sent_away} == {"rate_limited"}
        waits = [one.retry_after_ms for one in sent_away]
        assert waits == sorted(waits)
        assert waits[-1] > waits[0]
        # Another device is not disturbed.
        async with device(server, "lee") as other:
            await other.accept(write({"c/visits": "1"}, user="lee"))
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(501,)]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"connections": 2}, "this server takes 2"),
        ({"connections_per_user": 2}, "kim is connected 2 times"),
        ({"connections_per_space": 2}, "this space takes 2"),
    ],
)
async def test_who_finds_no_seat_is_told_when_to_come_back(
    tmp_path: Path, limits: dict[str, int], words: str
) -> None:
    async with serving(tmp_path, access=AccessSettings(**limits)) as server:  # type: ignore[arg-type]
        async with device(server), device(server):
            async with await Wire.open(server.url) as wire:
                refused = await wire.refused(hello_of())
            assert (refused.code, refused.retry) == ("too_many_connections", True)
            assert refused.retry_after_ms > 0
            assert words in refused.words
        # The two have left; that the server hears of it may take a moment.
        while server.service.access.quotas.seats.taken:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
        async with device(server) as wire:
            await wire.accept(write({"c/visits": "1"}))


async def test_sockets_that_never_say_hello_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MAX_WAITING", 4)
    few = AccessSettings(connections=1)  # and its seat is free
    async with serving(tmp_path, access=few) as server, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(await Wire.open(server.url)) for _ in range(8)]
        assert server.service.access.waiting == 5
        for wire in silent[:3]:
            assert await wire.closed() in (None, 1006)
        async with device(server) as honest:
            await honest.accept(write({"c/visits": "1"}))


async def test_a_full_space_takes_no_new_record_but_every_other_change(tmp_path: Path) -> None:
    small = AccessSettings(records_per_space=2)
    async with serving(tmp_path, access=small) as server:
        async with device(server) as wire:
            await wire.accept(write({"c/visits": "1"}, record="p1"))
            await wire.accept(write({"c/visits": "1"}, record="p2"))
            (answer,) = await wire.push(write({"c/visits": "1"}, record="p3"))
            assert isinstance(answer, RefusedOp)
            assert answer.code == "space_full"
            assert "2 records" in answer.words
            await wire.accept(write({"c/visits": "1"}, record="p2"))
        async with device(server, space="ward-4") as wire:
            await wire.accept(write({"c/visits": "1"}, record="p3"))
    async with serving(tmp_path, access=small) as server, device(server) as wire:
        (answer,) = await wire.push(write({"c/visits": "1"}, record="p4"))
        assert isinstance(answer, RefusedOp)
        assert answer.code == "space_full"


def unseen(count: int) -> list[EntryId]:
    """Values that nobody has ever sent."""
    return [EntryId(new_id(), 0) for _ in range(count)]


async def test_nobody_fills_the_server_with_values_that_never_come(tmp_path: Path) -> None:
    small = AccessSettings(graves_per_space=100)
    async with serving(tmp_path, access=small) as server, device(server) as wire:
        for _ in range(2):
            await wire.accept(write({"r/name": '"x"'}, supersedes={"r/name": unseen(5)}))
        (answer,) = await wire.push(write({"r/name": '"x"'}, supersedes={"r/name": unseen(1)}))
        assert isinstance(answer, RefusedOp)
        assert answer.code == "too_many_unseen"
        await wire.accept(write({"r/name": '"y"'}))  # all else goes on
        async with device(server, "lee") as other:  # and so does everyone else
            await other.accept(
                write({"r/name": '"z"'}, user="lee", supersedes={"r/name": unseen(5)})
            )
    assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(15,)]


async def test_values_that_arrive_late_free_their_place(tmp_path: Path) -> None:
    small = AccessSettings(graves_per_space=10)  # one per user
    late = [write({"r/name": f'"{n}"'}) for n in range(3)]
    async with serving(tmp_path, access=small) as server, device(server) as wire:
        for n, op in enumerate(late):
            user = ("kim", "lee", "han")[n]
            seen = {"r/name": [EntryId(op.op_id, 0)]}
            async with device(server, user) as other:
                await other.accept(write({"r/name": '"n"'}, user=user, supersedes=seen))
        for op in late:
            await wire.accept(op)
        filling = server.service.ingest._ledger._cache.filling
        assert filling._graves == {1: 0}
    assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(0,)]


async def test_a_user_whose_values_arrived_may_name_others(tmp_path: Path) -> None:
    small = AccessSettings(graves_per_space=10)  # one per user
    async with serving(tmp_path, access=small) as server, device(server) as wire:
        for _ in range(3):
            late = write({"r/name": '"late"'})
            seen = {"r/name": [EntryId(late.op_id, 0)]}
            await wire.accept(write({"r/name": '"n"'}, supersedes=seen))
            again = {"r/name": [EntryId(late.op_id, 0), *unseen(1)]}
            (answer,) = await wire.push(write({"r/name": '"m"'}, supersedes=again))
            assert isinstance(answer, RefusedOp)
            assert answer.code == "too_many_unseen"
            await wire.accept(late)
    assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(0,)]


async def test_a_grave_stays_its_first_diggers_within_one_group(tmp_path: Path) -> None:
    small = AccessSettings(graves_per_space=30)  # three per user
    late = write({"r/name": '"late"'})
    seen = {"r/name": [EntryId(late.op_id, 0)]}
    async with serving(tmp_path, access=small) as server, device(server) as wire:
        shares = server.service.ingest._ledger._cache.filling._dug_by
        async with device(server, "lee") as other:
            await other.accept(write({"r/name": '"n"'}, user="lee", supersedes=seen))
        assert dict(shares) == {(1, "lee"): 1}
        answers = await wire.push(write({"r/name": '"m"'}, supersedes=seen), late)
        assert all(isinstance(one, Receipt) for one in answers)
        assert dict(shares) == {(1, "lee"): 0}


async def test_groups_that_failed_take_nothing_of_a_users_share(tmp_path: Path) -> None:
    small = AccessSettings(graves_per_space=10)  # one per user
    store, writer = faulty_store(tmp_path)
    op = write({"r/name": '"x"'}, supersedes={"r/name": unseen(1)})
    async with serving(tmp_path, store=store, access=small) as server, device(server) as wire:
        writer.connection.fail_on = "COMMIT"
        for _ in range(3):
            (answer,) = await wire.push(op)
            assert isinstance(answer, Transient)
            assert answer.reason == "disk_fault"
        writer.connection.fail_on = None
        await wire.accept(op)
    assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(1,)]


def test_many_diggers_are_forgotten_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from crdtsync_server.storage import bounds

    monkeypatch.setattr(bounds, "MAX_DIGS", 3)
    filling = Filling()
    filling._graves = {}
    for n in range(10):
        filling.graves_dug(position(1, n + 1), f"user {n}", 1)
    assert 0 < len(filling._diggers) == len(filling._dug_by) <= 3
    assert filling._graves == {1: 10}
    for n in range(10):  # those of diggers who were forgotten close all the same
        filling.grave_closed(position(1, n + 1))
    assert filling._graves == {1: 0}
    assert set(filling._dug_by.values()) == {0}
    assert Bounds() == Bounds(1_000_000, 200_000)
    assert "count_graves" in queries("crdtsync_server.storage", "queries.sql")
