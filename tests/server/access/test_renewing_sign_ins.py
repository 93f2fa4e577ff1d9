"""A replica whose sign-in ends: it asks for a new token, or keeps its queue and says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtsync import NeedsAttention, Replica, SignedOut, SyncState
from crdtsync.protocol.client_actions import Close
from crdtsync.replica.signing_in import QUICK_ENDINGS, SignIns, ask_for
from crdtsync.replica.surroundings import System
from crdtsync_server.service import RunningServer
from crdtsync_server.work import PushWork, Work
from tests.server.access.signing import OTHER_SECRET, secured, token
from tests.server.serving import POLICY, SPACE, rows_of


class Hasty(System):
    """Draws the shortest delay each time."""

    def draw(self) -> float:
        return 0.0


class Keys:
    """A person's sign-in at some identity provider: counts how often it is asked."""

    def __init__(self, *tokens: str | None) -> None:
        self.asked = 0
        self._tokens = tokens

    def __call__(self) -> str | None:
        self.asked += 1
        return self._tokens[min(self.asked, len(self._tokens)) - 1]


def replica(folder: Path, user: str = "kim") -> Replica:
    return Replica.open(
        folder / "tablet.db", space=SPACE, policy=POLICY, user=user, surroundings=Hasty()
    )


async def until(replica: Replica, true: Callable[[Any], bool]) -> Any:
    """The first status of which it is true."""
    async with replica.watch_status() as statuses:
        async for status in statuses:
            if true(status):
                return status
    raise AssertionError("the replica was closed first")


def on_push(server: RunningServer, number: int, then: Callable[[], None]) -> None:
    """Do something right after a push was taken, before it is decided."""
    submit, seen = server.service.ingest.submit, 0

    def taken(work: Work) -> None:
        nonlocal seen
        submit(work)
        if isinstance(work, PushWork):
            seen += 1
            if seen == number:
                then()

    server.service.ingest.submit = taken  # type: ignore[method-assign]


async def test_a_sign_in_that_ends_in_the_middle_of_a_push_is_renewed_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    keys = Keys(token(jti="morning"), token(jti="evening"))
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        for _ in range(300):
            await tablet.collection("patient").increment("p1", "visits")
        on_push(server, 2, lambda: server.service.end_sign_ins(lambda who: True))
        tablet.connect(server.url, token=keys)
        await tablet.synced(timeout=30)
        assert tablet.collection("patient")["p1"]["visits"] == 300
        assert tablet.status.state is SyncState.SYNCED
    assert keys.asked == 2
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(300,)]


async def test_an_expired_sign_in_is_renewed_without_a_person(tmp_path: Path) -> None:
    at_us = [time.time_ns() // 1_000 + 5_000_000]
    keys = Keys(token(exp=at_us[0] / 1e6 + 0.1), token())
    async with (
        secured(tmp_path, other={"now_us": lambda: at_us[0]}) as server,
        replica(tmp_path) as tablet,
    ):
        tablet.connect(server.url, token=keys)
        await tablet.synced(timeout=20)
        at_us[0] += 1_000_000
        await until(tablet, lambda status: keys.asked == 2)
        await tablet.collection("patient").increment("p1", "visits")
        await tablet.synced(timeout=20)
    assert keys.asked == 2


@pytest.mark.parametrize("fresh", [token(key=OTHER_SECRET), token(exp=1), None])
async def test_a_fresh_token_that_is_refused_signs_out_and_keeps_the_queue(
    tmp_path: Path, fresh: str | None
) -> None:
    keys = Keys(token(), fresh)
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        tablet.connect(server.url, token=keys)
        await tablet.synced(timeout=20)
        server.service.end_sign_ins(lambda who: True)
        await until(tablet, lambda status: status.state is SyncState.SIGNED_OUT)
        for _ in range(4):
            await tablet.collection("patient").increment("p1", "visits")
        with pytest.raises(SignedOut):
            await tablet.synced(timeout=20)
        assert "4 changes are still on this device" in tablet.status.message()
        assert "변경 4건" in tablet.status.message("ko")
        assert keys.asked == 2  # it does not go on asking
        tablet.connect(server.url, token=token)  # a person signs in
        await tablet.synced(timeout=20)
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(4,)]


async def test_a_token_that_is_a_text_is_not_renewed(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        tablet.connect(server.url, token=token())
        await tablet.synced(timeout=20)
        server.service.end_sign_ins(lambda who: True)
        status = await until(tablet, lambda status: status.state is SyncState.SIGNED_OUT)
        assert "sign in again" in status.problem or "sign in anew" in status.problem


async def test_sign_ins_that_end_as_soon_as_they_begin_are_given_up(tmp_path: Path) -> None:
    keys = Keys(token())
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        await tablet.collection("patient").increment("p1", "visits")
        submit = server.service.ingest.submit

        def never(work: Work) -> None:
            if isinstance(work, PushWork):
                server.service.end_sign_ins(lambda who: True)
            else:
                submit(work)

        server.service.ingest.submit = never  # type: ignore[method-assign]
        tablet.connect(server.url, token=keys)
        status = await until(tablet, lambda status: status.state is SyncState.SIGNED_OUT)
        assert status.waiting == 1
    assert keys.asked == QUICK_ENDINGS + 1


async def test_another_user_of_the_device_signs_in_and_each_sends_their_own(
    tmp_path: Path,
) -> None:
    async with secured(tmp_path) as server:
        async with replica(tmp_path, "kim") as tablet:
            await tablet.collection("patient").increment("p1", "visits")
            tablet.connect(server.url, token=token(exp=1))
            with pytest.raises(SignedOut):
                await tablet.synced(timeout=20)
        async with replica(tmp_path, "lee") as tablet:
            await tablet.collection("patient").increment("p1", "visits", 10)
            tablet.connect(server.url, token=token("kim"))  # somebody else's
            with pytest.raises(SignedOut):
                await tablet.synced(timeout=20)
            tablet.connect(server.url, token=lambda: token("lee"))
            with pytest.raises(SignedOut, match="1 change by kim waits"):
                await tablet.synced(timeout=20)
            assert tablet.status.signed_out_ops == 1
        async with replica(tmp_path, "kim") as tablet:
            tablet.connect(server.url, token=token)
            await tablet.synced(timeout=20)
            assert tablet.collection("patient")["p1"]["visits"] == 11
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(2,)]


async def test_a_withdrawn_role_refuses_what_waits_and_it_stays_to_be_seen(tmp_path: Path) -> None:
    keys = Keys(token(), token(roles=[]))
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        tablet.connect(server.url, token=keys)
        await tablet.synced(timeout=20)
        await tablet.disconnect()
        await tablet.collection("patient").update("p1", allergies={"latex"})
        await tablet.collection("patient").update("p2", name="Lee")
        tablet.connect(server.url, token=keys)
        with pytest.raises(NeedsAttention):
            await tablet.synced(timeout=20)
        (item,) = [item for item in tablet.outbox if item.needs_person]
        assert (item.record_id, item.error_code) == ("p1", "not_permitted")
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_a_space_that_the_token_does_not_open_needs_a_person(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        await tablet.collection("patient").increment("p1", "visits")
        tablet.connect(server.url, token=token(spaces=["elsewhere"]))
        with pytest.raises(NeedsAttention, match="does not open the space"):
            await tablet.synced(timeout=20)
        assert tablet.status.waiting == 1
        tablet.connect(server.url, token=token())
        await tablet.synced(timeout=20)


async def test_a_token_function_may_wait_and_may_fail(tmp_path: Path) -> None:
    asked = 0

    async def ask_the_network() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise OSError("no network yet")
        return token()

    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        tablet.connect(server.url, token=ask_the_network)
        status = await until(tablet, lambda status: status.problem is not None)
        assert "no sign-in could be had" in status.problem
        await tablet.synced(timeout=20)
    assert asked == 2


async def test_what_a_token_function_gives_is_a_text_or_nothing() -> None:
    async def later() -> str:
        return "b"

    assert [await ask_for(one) for one in (None, "a", lambda: "b", later)] == [None, "a", "b", "b"]
    assert await ask_for(lambda: None) is None
    with pytest.raises(TypeError, match="int"):
        await ask_for(lambda: 7)  # type: ignore[arg-type, return-value]


def test_only_a_sign_in_that_was_welcomed_is_renewed() -> None:
    ended = Close(4003, "signed_out", "", retry=False)
    for welcomed, close, shown, renewed in (
        (True, ended, token, True),
        (False, ended, token, False),
        (True, ended, "text", False),
        (True, ended, None, False),
        (True, Close(4001, "no_access", "", retry=False), token, False),
    ):
        sign_ins = SignIns()
        sign_ins.welcomed = welcomed
        assert sign_ins.can_renew(close, shown, steady=True) is renewed


async def test_a_token_function_whose_own_wait_is_cancelled_does_not_end_sync(
    tmp_path: Path,
) -> None:
    """Another task of the app cancelled the refresh that the function was waiting for."""
    good = token("kim")
    refreshing: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    refreshing.cancel()
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        return good if asked > 1 else await refreshing

    async with secured(tmp_path) as server, replica(tmp_path) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        tablet.connect(server.url, token=ask)
        await tablet.synced(timeout=20)
    assert asked > 1
