"""Watching a collection and the status: coalescing, bounded, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from crdtsync import Replica, ReplicaClosed, UsageError
from crdtsync.replica import applying
from crdtsync.replica.watching import MAX_WAITING_IDS
from tests.replica.scripted_server import Ledger, ScriptedServer, serving
from tests.replica.wards import POLICY, foreign_op, replica


@pytest.fixture(name="tablet")
async def _tablet() -> AsyncIterator[Replica]:
    async with replica() as opened:
        yield opened


async def test_changes_come_once_for_each_record_however_often_it_changed(
    tablet: Replica,
) -> None:
    patients = tablet.collection("patient")
    async with patients.watch() as changes:
        stream = aiter(changes)
        for n in range(5):
            await patients.update("p1", age=n)
        await patients.update("p2", age=1)
        await tablet.collection("visit").update("v1", reason="cough")
        change = await anext(stream)
        assert change.ids == {"p1", "p2"}
        assert not change.everything
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        await patients.delete("p2")
        assert (await waiting).ids == {"p2"}


async def test_changes_from_the_server_are_told_too(tablet: Replica) -> None:
    patients = tablet.collection("patient")
    server, ledger = ScriptedServer(), Ledger(POLICY)
    ledger.accept(foreign_op("p7", {"r/name": '"Kim"'}))
    async with replica(dial=server.dial) as phone, serving(server, ledger):
        patients = phone.collection("patient")
        async with patients.watch() as changes:
            phone.connect("ws://scripted")
            async with asyncio.timeout(30):
                assert (await anext(aiter(changes))).ids == {"p7"}
            assert patients["p7"]["name"] == "Kim"


async def test_a_slow_watcher_is_told_everything_instead_of_an_endless_list(
    tablet: Replica,
) -> None:
    patients = tablet.collection("patient")
    async with patients.watch() as changes:
        tablet._changed({("patient", f"p{n}") for n in range(MAX_WAITING_IDS + 1)})
        change = await anext(aiter(changes))
        assert change.everything
        assert change.ids == frozenset()
        tablet._changed({("patient", "p1")})
        assert (await anext(aiter(changes))).ids == {"p1"}


async def test_the_stream_ends_with_its_block_and_with_the_replica() -> None:
    tablet = replica()
    await tablet.start()
    patients = tablet.collection("patient")
    changes, status = patients.watch(), tablet.watch_status()
    await changes.__aenter__()
    await status.__aenter__()
    await anext(aiter(status))
    readers = [asyncio.ensure_future(anext(aiter(stream))) for stream in (changes, status)]
    await asyncio.sleep(0)
    await tablet.close()
    for ended in await asyncio.gather(*readers, return_exceptions=True):
        assert isinstance(ended, StopAsyncIteration)
    with pytest.raises(ReplicaClosed):
        patients.watch()


async def test_a_watch_without_its_block_is_refused_instead_of_waiting_for_ever() -> None:
    async with replica() as tablet:
        changes = tablet.collection("patient").watch()
        entered_late = tablet.collection("patient").watch()
        statuses, entered_too_late = tablet.watch_status(), tablet.watch_status()
        async with asyncio.timeout(30):
            with pytest.raises(UsageError, match=r"async with patient\.watch\(\) as changes"):
                await anext(aiter(changes))
            with pytest.raises(
                UsageError, match=r"async with replica\.watch_status\(\) as statuses"
            ):
                await anext(aiter(statuses))
    for stream in (changes, statuses):
        with pytest.raises(ReplicaClosed):
            await anext(aiter(stream))
    for late in (entered_late, entered_too_late):
        with pytest.raises(ReplicaClosed):
            await late.__aenter__()
    with pytest.raises(ReplicaClosed):
        tablet.watch_status()


async def test_status_is_told_when_it_becomes_another_one(tablet: Replica) -> None:
    patients = tablet.collection("patient")
    async with tablet.watch_status() as statuses:
        stream = aiter(statuses)
        assert (await anext(stream)).pending == 0
        for n in range(4):
            await patients.update("p1", age=n)
        assert (await anext(stream)).pending == 4
        waiting = asyncio.ensure_future(anext(stream))
        tablet._moved_on()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        await patients.update("p1", age=9)
        assert (await waiting).pending == 5


async def test_a_new_policy_tells_every_watcher_to_read_anew(tablet: Replica) -> None:
    server = ScriptedServer()
    newer = type(POLICY).parse(POLICY.text.replace("version = 1", "version = 2"))
    async with (
        replica(dial=server.dial) as phone,
        phone.collection("patient").watch() as changes,
        serving(server, Ledger(newer), policy=newer.text),
    ):
        phone.connect("ws://scripted")
        async with asyncio.timeout(30):
            assert (await anext(aiter(changes))).everything
        assert phone.policy.version == 2


async def test_many_local_and_remote_changes_leave_no_watcher_behind(tablet: Replica) -> None:
    patients, ledger = tablet.collection("patient"), Ledger(POLICY)
    for _ in range(10):
        async with patients.watch():
            pass
    assert tablet.watchers("patient") == set()
    ledger.accept(foreign_op("p1", {"r/name": '"Kim"'}))
    await tablet._open_store().change(applying.apply_entries, ledger.since(0).entries, 0)
    assert patients["p1"]["name"] == "Kim"
