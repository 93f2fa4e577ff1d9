"""A hello and a push that share a group: the new reader misses nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import Answer, Landmark
from crdtsync_server.hub import Feed, Hub
from crdtsync_server.ingest import Ingest
from crdtsync_server.storage.store import Store
from crdtsync_server.work import AdmitWork, Fault, Origin, PushWork
from tests.server.serving import POLICY, SPACE, hello_of, new_id, push_of, write

ROLES = frozenset({"clinician", "nurse"})


class _Reader:
    replica_id = ""

    def wake(self) -> None:
        """Nothing to do: the test looks at the feed."""

    def fence(self) -> None:
        """Nothing to do."""


async def test_entries_decided_after_a_hello_in_its_group_reach_the_space_it_joins() -> None:
    store, hub = Store.in_memory(), Hub()
    ingest = Ingest(store, POLICY, now_us=lambda: 1_000_000, publish=hub.publish)
    feeds: list[Feed] = []
    pushed = asyncio.Event()

    def admitted(outcome: Admission | Fault) -> None:
        assert isinstance(outcome, Admission)
        assert outcome.head.seq == 0
        feeds.append(hub.join(SPACE, _Reader(), outcome.head))

    hello = hello_of("lee")
    newcomer = Origin(SPACE, hello.replica_id, hello.user, ROLES)
    writer = Origin(SPACE, new_id(), "kim", ROLES)
    push = push_of(write({"r/note": '"n"'}))
    # The writer's own connection has ended: nobody else reads this space.
    ingest.submit(AdmitWork(newcomer, hello, admitted))
    ingest.submit(PushWork(writer, push, 100, lambda answers: pushed.set()))
    ingest.start()
    await pushed.wait()
    await ingest.stop()
    await store.close()

    (feed,) = feeds
    assert feed.head.seq == 1
    assert feed.head != Landmark(0, b"")


async def test_a_push_came_when_its_frame_was_read_or_else_when_it_was_submitted() -> None:
    store = Store.in_memory()
    asked: list[int] = []

    def allowance(origin: Origin, count: int, now_us: int) -> int:
        asked.append(now_us)
        return 0

    ingest = Ingest(
        store, POLICY, now_us=lambda: 2_000_000, publish=Hub().publish, allowance=allowance
    )
    writer = Origin(SPACE, new_id(), "kim", ROLES)
    push = push_of(write({"r/note": '"n"'}))
    read = PushWork(writer, push, 100, lambda answers: None, received_us=1_000_000)
    unread = PushWork(writer, push, 100, lambda answers: None)
    ingest.submit(read)
    ingest.submit(unread)
    ingest.start()
    await ingest.stop()
    await store.close()

    assert [read.received_us, unread.received_us] == asked == [1_000_000, 2_000_000]


async def test_a_group_on_a_failing_disk_is_answered_once_though_what_is_read_is_spoiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two answers to one push are a broken protocol to its device."""
    store = Store.in_memory()
    ingest = Ingest(store, POLICY, now_us=lambda: 1_000_000, publish=Hub().publish)
    outcomes: list[str] = []
    told = asyncio.Event()

    def admitted(outcome: Admission | Fault) -> None:
        assert isinstance(outcome, Fault)
        outcomes.append(f"hello: {outcome.reason}")
        told.set()

    def answered(answers: Sequence[Answer]) -> None:
        outcomes.extend(type(answer).__name__ for answer in answers)
        told.set()

    writer = Origin(SPACE, new_id(), "kim", ROLES)
    ingest.submit(PushWork(writer, push_of(write({"c/visits": "1"})), 100, answered))
    ingest.start()
    await told.wait()
    # Some bytes of an entry went bad where SQLite does not look, and the disk takes no more.
    await store.write(lambda connection: connection.execute("UPDATE log SET entry = x'00'"))

    async def full(job: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "write", full)
    told.clear()
    hello = hello_of("lee", cursor=Landmark(1, b"d"))
    newcomer = Origin(SPACE, hello.replica_id, hello.user, ROLES)
    ingest.submit(PushWork(writer, push_of(write({"c/visits": "1"})), 100, answered))
    ingest.submit(AdmitWork(newcomer, hello, admitted))
    ingest.submit(PushWork(writer, push_of(write({"c/visits": "1"})), 100, answered))
    await told.wait()
    await ingest.stop()
    await store.close()
    assert outcomes == ["Receipt", "Transient", "hello: disk_fault", "Transient"]
