"""What a device keeps for a stated time or number only, and what it never lets go."""

from __future__ import annotations

from typing import Any

import pytest

from crdtsync import Replica
from crdtsync.documents.state import RecordState
from crdtsync.protocol.messages import Landmark, SnapshotRow
from crdtsync.replica import applying, sync_jobs
from crdtsync.replica.applying import ACCEPTED_KEPT_US, LOST_KEPT_US
from tests.replica.scripted_server import Ledger
from tests.replica.wards import POLICY, foreign_op, queued, replica

DAY_US = 24 * 3600 * 1_000_000
NOW_US = 1_700_000_000_000_000


async def count(tablet: Replica, table: str) -> int:
    (found,) = await tablet._open_store().look(
        lambda file: file.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    )
    return int(found)


async def change(tablet: Replica, job: Any, *arguments: Any) -> Any:
    return await tablet._open_store().change(job, *arguments)


async def write_and_sync(tablet: Replica, ledger: Ledger, count: int, now_us: int) -> None:
    """Own ops that the log brings back."""
    for _ in range(count):
        await tablet.collection("patient").increment("p1", "visits")
        ledger.accept(queued(tablet)[0].op)
        await change(tablet, applying.apply_entries, ledger.since(0).entries, now_us)
    assert tablet.outbox == []


async def test_own_accepted_ops_are_kept_for_their_time_and_in_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with replica() as tablet:
        ledger = Ledger(POLICY)
        await write_and_sync(tablet, ledger, 5, NOW_US)
        await write_and_sync(tablet, ledger, 5, NOW_US + 20 * DAY_US)
        await change(tablet, sync_jobs.went_live, 0, NOW_US + ACCEPTED_KEPT_US)
        assert await count(tablet, "accepted") == 10
        # At the next connection, however few entries came in between.
        await change(tablet, sync_jobs.went_live, 0, NOW_US + ACCEPTED_KEPT_US + 1)
        assert await count(tablet, "accepted") == 5
        monkeypatch.setattr(applying, "ACCEPTED_KEPT", 3)
        await change(tablet, sync_jobs.went_live, 0, NOW_US + 20 * DAY_US)
        kept = await tablet._open_store().look(lambda file: file.all("accepted_after", 0))
        assert [row[0] for row in kept] == [e.op_id for e in reversed(ledger.entries[-3:])]


async def test_a_device_that_only_ever_pages_lets_go_of_what_is_old_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Away longer than the log each time: no log entry comes by that would remind it."""
    async with replica() as tablet:
        ledger = Ledger(POLICY)
        await write_and_sync(tablet, ledger, 4, NOW_US)
        assert await count(tablet, "seen") == 4
        monkeypatch.setattr(applying, "SEEN_KEPT", 1_000)
        state = RecordState("patient", "p1")
        state.seq = 5_000
        head, later_us = Landmark(5_000, b"x" * 16), NOW_US + 40 * DAY_US
        rows = [SnapshotRow("patient", "p1", state.stored())]
        await change(tablet, applying.install_page, rows, None, head, later_us)
        assert await count(tablet, "accepted") == 0
        assert await count(tablet, "seen") == 0
        assert await count(tablet, "records") == 1


async def test_local_history_is_bounded_in_number_and_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(applying, "FORGET_EVERY", 10)
    monkeypatch.setattr(applying, "SEEN_BYTES", 40_000)
    async with replica() as tablet:
        ledger = Ledger(POLICY)
        for n in range(300):
            ledger.accept(foreign_op("p1", {"r/name": f'"{n} {"x" * 800}"'}))
        entries = ledger.since(0).entries
        for start in range(0, 300, 7):
            await change(tablet, applying.apply_entries, entries[start : start + 7], NOW_US)
            (size_bytes,) = await tablet._open_store().look(
                lambda file: file.connection.execute(
                    "SELECT coalesce(sum(length(entry)), 0) FROM seen"
                ).fetchone()
            )
            assert size_bytes < 60_000
        assert 20 < await count(tablet, "seen") < 50
        history = await tablet.history("patient", "p1", "name")
        assert history[0].value.startswith("299 ")
        monkeypatch.setattr(applying, "SEEN_KEPT", 5)
        await change(tablet, applying.forget_old, NOW_US)
        assert await count(tablet, "seen") == 5


async def test_copies_of_records_that_a_restored_server_lost_are_kept_for_a_year() -> None:
    async with replica() as tablet:
        ledger = Ledger(POLICY)
        for n in range(4):
            ledger.accept(foreign_op(f"p{n}", {"r/name": f'"{n}"'}))
        await change(tablet, applying.apply_entries, ledger.since(0).entries, NOW_US)
        await change(tablet, applying.reset, 0, None, NOW_US)
        await change(tablet, applying.install_page, (), None, Landmark(0, b""), NOW_US)
        assert await count(tablet, "lost") == 4
        await change(tablet, applying.forget_old, NOW_US + LOST_KEPT_US)
        assert await count(tablet, "lost") == 4
        await change(tablet, applying.forget_old, NOW_US + LOST_KEPT_US + 1)
        assert await count(tablet, "lost") == 0


async def test_invariant_4_nothing_that_waits_is_ever_too_old() -> None:
    async with replica() as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        await change(tablet, applying.forget_old, NOW_US + 100_000 * DAY_US)
        assert len(tablet.outbox) == 1
        assert tablet.collection("patient")["p1"]["name"] == "Kim"


async def test_a_record_on_a_device_is_as_small_as_what_it_holds() -> None:
    async with replica() as tablet:
        ledger, patients = Ledger(POLICY), tablet.collection("patient")
        sizes = []
        for n in range(120):
            await patients.update("p1", name=f"{n:04}", allergies={f"{n % 10}"})
            await patients.increment("p1", "visits", 1)
            await patients.add("p1", "tags", "a" if n % 2 else "b")
            for row in queued(tablet):
                ledger.accept(row.op)
            await change(tablet, applying.apply_entries, ledger.since(0).entries, NOW_US)
            (size_bytes,) = await tablet._open_store().look(
                lambda file: file.connection.execute(
                    "SELECT length(state) + length(view) FROM records"
                ).fetchone()
            )
            sizes.append(size_bytes)
        assert patients["p1"]["visits"] == 120
        assert max(sizes[60:]) < 1.1 * max(sizes[:60])
