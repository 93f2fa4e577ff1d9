"""``connect``, ``disconnect``, ``synced`` and ``close``, and what the status says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtsync import (
    NeedsAttention,
    Replica,
    ReplicaClosed,
    SignedOut,
    Status,
    SyncState,
    SyncTimeout,
    UsageError,
)
from crdtsync.protocol.messages import Goodbye, Hello, Push, Refused
from crdtsync.replica.transport import Transport
from tests.replica.scripted_server import URL, Ledger, Link, ScriptedServer, serving
from tests.replica.wards import POLICY, foreign_op, nowhere, replica, until


class TestConnecting:
    """Once, twice, elsewhere, and not at all."""

    async def test_connect_returns_at_once_and_reconnects_by_itself(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        server.unreachable = True
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            assert server.dials == 0
            assert tablet.status.state is SyncState.CONNECTING
            await until(tablet, lambda: server.dials >= 3)
            assert "no server" in (tablet.status.problem or "")
            server.unreachable = False
            async with serving(server, ledger) as links:
                await tablet.synced(timeout=30)
                links[0].cut()
                await until(tablet, lambda: len(links) == 2 and tablet.status.problem is None)
                await tablet.synced(timeout=30)

    async def test_connect_again_to_the_same_address_keeps_the_connection(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet, serving(server, ledger) as links:
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            tablet.connect(URL)
            tablet.connect(URL, token="new")
            await tablet.synced(timeout=30)
            assert len(links) == 1

    async def test_connect_again_does_not_wait_for_the_next_attempt(self) -> None:
        server = ScriptedServer()
        server.unreachable = True
        async with replica(dial=server.dial, surroundings=None) as tablet:
            tablet.connect(URL)
            await until(tablet, lambda: tablet.status.next_retry is not None)
            before = server.dials
            tablet.connect(URL)
            await until(tablet, lambda: server.dials > before)

    async def test_connect_to_another_address_leaves_the_first(self) -> None:
        here, there = ScriptedServer(), ScriptedServer()
        ledger = Ledger(POLICY)

        async def dial(url: str) -> Transport:
            return await (here if url == "ws://here" else there).dial(url)

        async with (
            replica(dial=dial) as tablet,
            serving(here, ledger) as first,
            serving(there, ledger) as second,
        ):
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect("ws://here")
            await tablet.synced(timeout=30)
            tablet.connect("ws://there")
            await tablet.synced(timeout=30)
            assert (len(first), len(second)) == (1, 1)
            assert first[0].closed_with == 1000
            # A storm of changes of mind leaves one connection and no task behind.
            for n in range(6):
                tablet.connect("ws://here" if n % 2 else "ws://there")
            await tablet.synced(timeout=30)
            tablet.connect("ws://there")
            await tablet.disconnect()
            assert tablet._sync_tasks == set()
        assert ledger.head.seq == 1

    @pytest.mark.parametrize(
        "url", ["http://x", "x", "ws://", "", "ws://host:port", "ws://host:99999", "ws://[1"]
    )
    async def test_what_is_no_address_is_refused_at_the_call(self, url: str) -> None:
        async with replica() as tablet:
            with pytest.raises(UsageError, match="ws://"):
                tablet.connect(url)
            assert tablet.status.state is SyncState.OFFLINE

    async def test_disconnect_keeps_the_queue_and_may_come_twice(self) -> None:
        server = ScriptedServer()
        async with replica(dial=server.dial) as tablet:
            await tablet.disconnect()
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            link = await server.connection()
            link.say(Ledger(POLICY).welcome(await link.next(Hello)))
            await link.next(Push)
            await tablet.disconnect()
            await tablet.disconnect()
            assert [item.state for item in tablet.outbox] == ["pending"]
            assert tablet.status.state is SyncState.OFFLINE
            assert link.closed_with == 1000

    async def test_sync_once_connects_waits_and_disconnects(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        ledger.accept(foreign_op("p7", {"r/name": '"Lee"'}))
        async with replica(dial=server.dial) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            async with serving(server, ledger):
                status = await tablet.sync_once(URL, timeout=30)
            assert status.state is SyncState.SYNCED
            assert status.last_synced is not None
            assert sorted(tablet.collection("patient")) == ["p1", "p7"]
            assert tablet.status.state is SyncState.OFFLINE
            server.unreachable = True
            with pytest.raises(SyncTimeout):
                await tablet.sync_once(URL, timeout=0.05)
            assert tablet._sync_tasks == set()

    async def test_a_sign_in_that_cannot_be_had_now_is_asked_for_again(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        asked: list[str] = []

        async def token() -> str:
            asked.append("")
            if len(asked) < 3:
                raise OSError("the sign-in service is not reachable")
            return f"token-{len(asked)}"

        async with replica(dial=server.dial) as tablet, serving(server, ledger) as links:
            tablet.connect(URL, token=token)
            await tablet.synced(timeout=30)
            (hello,) = (m for m in links[0].sent if isinstance(m, Hello))
            assert hello.token == "token-3"

    async def test_a_fault_of_the_network_layer_is_reported_and_sync_goes_on(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))

        class Faulty(Link):
            async def receive(self) -> bytes | str:
                raise RuntimeError("two coroutines receive")

        first = True

        async def dial(url: str) -> Transport:
            nonlocal first
            if first:
                first = False
                return Faulty()
            return await server.dial(url)

        async with replica(dial=dial) as tablet, serving(server, ledger):
            tablet.connect(URL)
            await tablet.synced(timeout=30)
        assert len(faults) == 1

    async def test_garbage_and_text_frames_end_the_connection_only(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            for frame in ("hello", b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 5_000):
                link = await server.connection()
                link.say(ledger.welcome(await link.next(Hello)))
                link.say_raw(frame)
                await link.ended()
                assert link.closed_with == 4002
            async with serving(server, ledger):
                await tablet.synced(timeout=30)
            assert len(ledger.entries) == 1


class TestSynced:
    """Waits for what was there when asked; at once to a person when only a person helps."""

    async def test_times_out_with_the_status(self) -> None:
        async with replica() as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            with pytest.raises(SyncTimeout, match="1 waiting") as caught:
                await tablet.synced(timeout=0.05)
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.status.pending == 1

    @pytest.mark.parametrize("code", ["not_authenticated", "unauthorized"])
    async def test_raises_signed_out_at_once(self, code: str) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            tablet.connect(URL)
            waiting = asyncio.create_task(tablet.synced())
            link = await server.connection()
            await link.next(Hello)
            link.say(Refused(code, "sign in again", False))
            async with asyncio.timeout(30):
                with pytest.raises(SignedOut, match="Sign in"):
                    await waiting
            assert tablet.status.state is SyncState.SIGNED_OUT
            assert len(tablet.outbox) == 1
            tablet.connect(URL, token="better")
            async with serving(server, ledger) as links:
                await tablet.synced(timeout=30)
                (hello,) = (m for m in links[0].sent if isinstance(m, Hello))
                assert hello.token == "better"

    async def test_raises_needs_attention_at_once_when_the_server_wants_no_more(self) -> None:
        server = ScriptedServer()
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            await link.next(Hello)
            link.say(Refused("policy_mismatch", "raise the version of the file", False))
            async with asyncio.timeout(30):
                with pytest.raises(NeedsAttention, match="raise the version"):
                    await tablet.synced()

    async def test_a_sign_in_that_ends_while_connected(self) -> None:
        server = ScriptedServer()
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            link.say(Ledger(POLICY).welcome(await link.next(Hello)))
            link.say(Goodbye(4003, "the sign-in has ended", 0))
            await until(tablet, lambda: tablet.status.state is SyncState.SIGNED_OUT)

    @pytest.mark.parametrize("when", ["offline", "connected"])
    async def test_ends_when_the_replica_is_closed(self, when: str) -> None:
        server = ScriptedServer()
        tablet = replica(dial=server.dial)
        await tablet.start()
        await tablet.collection("patient").update("p1", name="Kim")
        if when == "connected":
            tablet.connect(URL)
            link = await server.connection()
            link.say(Ledger(POLICY).welcome(await link.next(Hello)))
            await link.next(Push)
        waiting = asyncio.create_task(tablet.synced())
        await asyncio.sleep(0)
        await tablet.close()
        async with asyncio.timeout(30):
            with pytest.raises(ReplicaClosed):
                await waiting


class TestClosing:
    """After ``close`` nothing works, and says so; closing twice is no mistake."""

    async def test_use_before_opening_and_after_closing_says_what_to_do(self) -> None:
        tablet = replica()

        def uses() -> list[Callable[[], Any]]:
            return [
                lambda: tablet.status,
                lambda: tablet.outbox,
                lambda: tablet.policy,
                lambda: tablet.replica_id,
                lambda: tablet.conflicts(),
                lambda: tablet.notices(),
                lambda: tablet.collection("patient"),
                lambda: tablet.connect(URL),
            ]

        for use in uses():
            with pytest.raises(ReplicaClosed, match="async with"):
                use()
        async with tablet:
            patients = tablet.collection("patient")
        await tablet.close()
        for use in uses():
            with pytest.raises(ReplicaClosed):
                use()
        for write in (
            patients.update("p1", name="Kim"),
            patients.where({"name": "Kim"}),
            tablet.retry(),
            tablet.discard("x"),
            tablet.synced(),
        ):
            with pytest.raises(ReplicaClosed):
                await write
        for read in (lambda: patients["p1"], lambda: len(patients), lambda: "p1" in patients):
            with pytest.raises(ReplicaClosed):
                read()

    async def test_it_may_be_opened_again(self, tmp_path: Path) -> None:
        tablet = replica(tmp_path / "a.db")
        for n in range(3):
            async with tablet:
                await tablet.collection("patient").update(f"p{n}", age=n)
        async with tablet:
            assert len(tablet.collection("patient")) == 3

    async def test_a_close_that_is_cancelled_still_closes_the_file(self, tmp_path: Path) -> None:
        class Stubborn(Link):
            async def close(self, code: int, reason: str) -> None:
                hanging.set()
                await release.wait()

        hanging, release = asyncio.Event(), asyncio.Event()
        link = Stubborn()

        async def dial(url: str) -> Transport:
            return link

        tablet = replica(tmp_path / "a.db", dial=dial)
        await tablet.start()
        tablet.connect(URL)
        await link.next(Hello)
        closing = asyncio.create_task(tablet.close())
        await hanging.wait()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        release.set()
        async with replica(tmp_path / "a.db"):
            pass


class TestStatusWords:
    """Every state in words of both languages."""

    @pytest.mark.parametrize(
        ("status", "english", "korean"),
        [
            (Status(state=SyncState.OFFLINE), "offline", "오프라인"),
            (Status(state=SyncState.OFFLINE, pending=2), "2 changes waiting", "2건"),
            (Status(state=SyncState.OFFLINE, pending=1), "1 change waiting", "1건"),
            (Status(state=SyncState.CONNECTING), "Connecting", "연결하는 중"),
            (Status(state=SyncState.CONNECTING, pending=1), "Saved on this device", "저장했어요"),
            (Status(state=SyncState.SIGNED_OUT, pending=3), "signed out. 3 changes", "3건"),
            (Status(state=SyncState.SYNCING, sending=1, pending=1), "Sending 2", "2건 보내는"),
            (
                Status(state=SyncState.SYNCING, first_sync_done=5, first_sync_total=9),
                "5 of 9",
                "9건 중 5건",
            ),
            (Status(state=SyncState.SYNCING, behind=7), "0 of 7", "7건"),
            (Status(state=SyncState.SYNCED), "All changes saved", "모두 저장"),
            (Status(state=SyncState.NEEDS_ATTENTION, failed=1, needs_person=1), "wasn't", "1건을"),
            (Status(state=SyncState.NEEDS_ATTENTION, problem="why"), "stopped: why", "why"),
            (Status(state=SyncState.SYNCED, clock_skew_s=-600), "off by 10 min", "10분"),
        ],
    )
    def test_say_what_matters(self, status: Status, english: str, korean: str) -> None:
        assert english in status.message()
        assert korean in status.message("ko")
        assert status.message() == status.message().strip()

    async def test_follow_the_life_of_a_change(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            assert tablet.status.state is SyncState.OFFLINE
            await tablet.collection("patient").update("p1", name="Kim")
            assert tablet.status.oldest_pending is not None
            assert tablet.status.waiting == 1
            async with serving(server, ledger):
                tablet.connect(URL)
                await until(tablet, lambda: tablet.status.state is SyncState.SYNCED)
            status = tablet.status
            # Nobody called ``synced``: the time is known all the same.
            assert status.last_synced is not None
            assert (status.waiting, status.oldest_pending) == (0, None)

    async def test_say_syncing_until_what_the_server_had_has_arrived(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            hello = await link.next(Hello)
            for _ in range(5):
                ledger.accept(foreign_op("p1", {"c/visits": "1"}))
            link.say(ledger.welcome(hello))
            await until(tablet, lambda: tablet.status.behind == 5)
            assert tablet.status.state is SyncState.SYNCING
            assert tablet.status.last_synced is None
            link.say(ledger.since(0))
            await until(tablet, lambda: tablet.status.state is SyncState.SYNCED)

    async def test_remember_the_last_sync_over_a_restart(self, tmp_path: Path) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet, serving(server, ledger):
            assert tablet.status.last_synced is None
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            last = tablet.status.last_synced
        async with replica(tmp_path / "a.db") as tablet:
            assert tablet.status.last_synced == last is not None

    async def test_tell_of_a_clock_that_is_wrong(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            server_us = tablet.now_us() - 600_000_000
            link.say(ledger.welcome(await link.next(Hello), server_us=server_us))
            await until(tablet, lambda: tablet.status.state is SyncState.SYNCED)
            assert "10 min" in tablet.status.message()


async def test_the_program_without_a_network_is_whole() -> None:
    async with Replica.open(
        ":memory:", space="w", policy=POLICY, user="kim", dial=nowhere
    ) as tablet:
        await tablet.collection("patient").update("p1", name="Kim Minji")
        assert tablet.space == "w"
        assert tablet.collection("patient")["p1"]["name"] == "Kim Minji"
