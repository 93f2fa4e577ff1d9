"""Log entries, snapshots and resets: one transaction each, nothing doubled, nothing skipped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from crdtsync import Conflict, Replica, StorageError
from crdtsync.documents.state import LogEntry, RecordState, Stub
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    CursorReport,
    Hello,
    Landmark,
    Paging,
    Push,
    Receipts,
    ReceiptsRequest,
    Refused,
    SnapshotPage,
    SnapshotRequest,
)
from crdtsync.replica import applying
from tests.replica.scripted_server import (
    URL,
    Ledger,
    ScriptedServer,
    ops_of,
    serving,
)
from tests.replica.wards import POLICY, foreign_op, queued, replica, until


async def apply(tablet: Replica, entries: tuple[LogEntry | Stub, ...]) -> None:
    await tablet._open_store().change(applying.apply_entries, entries, 0)


def picture(tablet: Replica) -> Any:
    """Everything that a job may change."""
    connection = tablet._open_view().connection
    tables = ("about", "records", "outbox", "accepted", "seen", "landmarks", "notices", "lost")
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


class TestEntries:
    """Entry, cursor and outbox row change together."""

    @pytest.mark.parametrize("broken", ["store_confirmed", "drop_covered", "refresh"])
    async def test_a_job_that_fails_in_the_middle_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            await tablet.collection("patient").update("p1", name="Kim")
            ledger.accept(queued(tablet)[0].op)
            entries = (*ledger.since(0).entries, Stub(2, b"x" * 16))
            before = picture(tablet)
            with monkeypatch.context() as patch:

                def fail(*_: Any) -> None:
                    raise RuntimeError("in the middle")

                if broken == "refresh":
                    patch.setattr(f"crdtsync.replica.applying.{broken}", fail)
                    entries = (Stub(1, b"x" * 16, ledger.entries[0].op_id),)
                else:
                    patch.setattr(f"crdtsync.replica.applying.{broken}", fail)
                with pytest.raises(RuntimeError):
                    await apply(tablet, entries)
            assert picture(tablet) == before
            await apply(tablet, (*ledger.since(0).entries, Stub(2, b"x" * 16)))
            assert tablet.outbox == []
            assert tablet._open_view().cursor == Landmark(2, b"x" * 16)

    async def test_entries_below_the_cursor_are_skipped_however_they_come_again(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            for _ in range(10):
                ledger.accept(foreign_op("p1", {"c/visits": "1"}))
            entries = ledger.since(0).entries
            for start, end in ((0, 3), (0, 5), (2, 7), (6, 7), (0, 10), (0, 10)):
                await apply(tablet, entries[start:end])
            assert tablet.collection("patient")["p1"]["visits"] == 10
            assert tablet._open_view().cursor == ledger.head

    async def test_a_gap_is_never_applied(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            for _ in range(3):
                ledger.accept(foreign_op("p1", {"c/visits": "1"}))
            with pytest.raises(AssertionError, match="gap"):
                await apply(tablet, ledger.since(1).entries)
            assert tablet._open_view().cursor.seq == 0

    async def test_a_gap_ends_the_connection_and_the_next_one_heals(self) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello)))
            for _ in range(3):
                ledger.accept(foreign_op("p1", {"c/visits": "1"}))
            link.say(ledger.since(1))
            await link.ended()
            assert link.closed_with == 4002
            await until(tablet, lambda: "gap" in (tablet.status.problem or ""))
            async with serving(server, ledger):
                await until(tablet, lambda: tablet._open_view().cursor.seq == 3)
            assert tablet.collection("patient")["p1"]["visits"] == 3

    async def test_own_entries_change_nothing_that_is_shown(self) -> None:
        async with replica() as tablet:
            ledger, patients = Ledger(POLICY), tablet.collection("patient")
            await patients.update("p1", name="Kim", tags={"a"})
            await patients.increment("p1", "visits", 2)
            await patients.add("p1", "tags", "b")
            await patients.remove("p1", "tags", "a")
            shown = patients["p1"].to_json()
            for row in queued(tablet):
                ledger.accept(row.op)
                await apply(tablet, ledger.since(len(ledger.entries) - 1).entries)
                assert patients["p1"].to_json() == shown
            assert tablet.outbox == []

    async def test_counters_are_folded_and_stay_right(self) -> None:
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            for n in range(50):
                ledger.accept(foreign_op("p1", {"c/visits": str(n)}))
                if n % 7 == 0:
                    await apply(tablet, ledger.since(tablet._open_view().cursor.seq).entries)
            await apply(tablet, ledger.since(tablet._open_view().cursor.seq).entries)
            assert tablet.collection("patient")["p1"]["visits"] == sum(range(50))
            row = tablet._open_view().one("record_state", "patient", "p1")
            assert len(RecordState.decode("patient", "p1", row[0]).fields["c/visits"]) < 20

    async def test_stubs_move_the_cursor_and_bring_back_own_ops(self) -> None:
        async with replica() as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            op_id = tablet.outbox[0].op_id
            await apply(tablet, (Stub(1, b"a" * 16), Stub(2, b"b" * 16, op_id)))
            assert tablet.outbox == []
            assert tablet._open_view().cursor.seq == 2

    async def test_what_is_known_of_the_log_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(applying, "SEEN_KEPT", 100)
        async with replica() as tablet:
            ledger = Ledger(POLICY)
            for n in range(2_100):
                ledger.accept(foreign_op(f"p{n % 5}", {"c/visits": "1"}))
            for start in range(0, 2_100, 50):
                await apply(tablet, ledger.since(start).entries[:50])
            connection = tablet._open_view().connection
            assert connection.execute("SELECT count(*) FROM seen").fetchone()[0] <= 1_100
            assert connection.execute("SELECT count(*) FROM landmarks").fetchone()[0] <= 70


class TestFirstSync:
    """Snapshots in pages, cut anywhere, resumed."""

    def ledger(self, records: int = 9) -> Ledger:
        ledger = Ledger(POLICY)
        for n in range(records):
            ledger.accept(foreign_op(f"p{n}", {"r/name": f'"{n}"', "c/visits": "1"}))
        return ledger

    async def test_in_pages_with_progress_and_then_live(self) -> None:
        server, ledger = ScriptedServer(), self.ledger()
        rows = ledger.rows()
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            first = Paging(9, 10, 0)
            link.say(ledger.welcome(await link.next(Hello), paging=first))
            asked = await link.next(SnapshotRequest)
            assert asked.paging == first
            link.say(SnapshotPage(asked.request, rows[:3], Paging(9, 7, 0), ledger.head, 6))
            asked = await link.next(SnapshotRequest)
            await until(tablet, lambda: tablet.status.first_sync_done > 0)
            status = tablet.status
            assert (status.first_sync_done, status.first_sync_total) == (3, 9)
            assert status.state.value == "syncing"
            assert ("3" in status.message("en"), "9" in status.message("ko")) == (True, True)
            assert len(tablet.collection("patient")) == 3
            # The last page and the first changes may stand in one packet.
            ledger.accept(foreign_op("p0", {"r/phone": '"010"'}))
            link.say(
                SnapshotPage(
                    asked.request, rows[3:], None, Landmark(9, ledger.entries[8].digest), 0
                )
            )
            link.say(Changes(ledger.since(9).entries))
            await until(tablet, lambda: tablet._open_view().cursor.seq == 10)
            assert tablet.collection("patient")["p0"]["phone"] == "010"
            assert len(tablet.collection("patient")) == 9
            assert tablet.status.first_sync_total is None
            assert (await link.next(CursorReport)).seq == 10

    async def test_cut_in_the_middle_goes_on_where_it_stopped(self, tmp_path: Path) -> None:
        server, ledger = ScriptedServer(), self.ledger()
        rows = ledger.rows()
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello), paging=Paging(9, 10, 0)))
            asked = await link.next(SnapshotRequest)
            link.say(SnapshotPage(asked.request, rows[:3], Paging(9, 7, 0), ledger.head, 6))
            await link.next(SnapshotRequest)
            link.cut()
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            assert len(tablet.collection("patient")) == 3
            tablet.connect(URL)
            link = await server.connection()
            hello = await link.next(Hello)
            assert hello.cursor.seq == 0
            # The page's own landmark tells a server that was restored meanwhile.
            assert ledger.head in hello.landmarks
            link.say(ledger.welcome(hello, paging=Paging(9, 10, 0)))
            asked = await link.next(SnapshotRequest)
            assert asked.paging == Paging(9, 7, 0)
            link.say(SnapshotPage(asked.request, rows[3:], None, ledger.head, 0))
            await until(tablet, lambda: tablet._open_view().cursor.seq == 9)
            assert {r["visits"] for r in tablet.collection("patient").values()} == {1}
            assert len(tablet.collection("patient")) == 9

    async def test_a_page_that_fails_in_the_middle_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger = self.ledger()
        async with replica() as tablet:
            before = picture(tablet)
            monkeypatch.setattr(Replica, "_changed", lambda *_: None)
            with monkeypatch.context() as patch:
                patch.setattr(applying, "drop_covered", lambda *_: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    await tablet._open_store().change(
                        applying.install_page, ledger.rows(), None, ledger.head, 0
                    )
            assert picture(tablet) == before

    async def test_a_snapshot_that_holds_an_own_op_whose_receipt_was_lost_doubles_nothing(
        self, tmp_path: Path
    ) -> None:
        server, ledger = ScriptedServer(), self.ledger(2)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            await tablet.collection("patient").increment("p0", "visits", 5)
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello)))
            push = await link.next(Push)
            ledger.accept(push.ops[0].op)
            link.cut()
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            await tablet.collection("patient").increment("p0", "visits", 10)
            async with serving(server, ledger) as links:
                tablet.connect(URL)
                await until(tablet, lambda: tablet._open_view().cursor.seq >= 3)
                assert tablet.collection("patient")["p0"]["visits"] == 16
                await tablet.synced(timeout=30)
            order = [type(m) for m in links[0].sent]
            assert order.index(ReceiptsRequest) < order.index(SnapshotRequest)
            assert tablet.collection("patient")["p0"]["visits"] == 16
            assert len(ledger.entries) == 4

    async def test_writes_made_while_paging_stay_on_top(self) -> None:
        server, ledger = ScriptedServer(), self.ledger(3)
        async with replica(dial=server.dial) as tablet:
            tablet.connect(URL)
            link = await server.connection()
            link.say(ledger.welcome(await link.next(Hello), paging=Paging(3, 4, 0)))
            asked = await link.next(SnapshotRequest)
            await tablet.collection("patient").update("p1", name="mine", phone="010")
            link.say(SnapshotPage(asked.request, ledger.rows(), None, ledger.head, 0))
            push = await link.next(Push)
            assert tablet.collection("patient")["p1"]["name"] == "mine"
            link.say(Answers(push.request_id, (ledger.accept(push.ops[0].op),)), ledger.since(3))
            await until(tablet, lambda: not tablet.outbox)
            assert tablet.collection("patient")["p1"]["name"] == "mine"


class TestServerRestored:
    """``diverged``: what the server lost is offered again, what is gone is said."""

    async def test_own_accepted_ops_are_offered_again_in_order_before_the_queue(
        self, tmp_path: Path
    ) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            patients = tablet.collection("patient")
            async with serving(server, ledger):
                tablet.connect(URL)
                ledger.accept(foreign_op("old", {"r/name": '"stays"'}))
                for _ in range(3):
                    await patients.increment("p1", "visits", 1)
                    await tablet.synced(timeout=30)
                ledger.accept(foreign_op("gone", {"r/name": '"lost"'}))
                await patients.increment("p1", "visits", 1)
                await tablet.synced(timeout=30)
                await until(tablet, lambda: "gone" in patients)
                await tablet.disconnect()
            await patients.increment("p1", "visits", 1)
            waiting = tablet.outbox[0].op_id
            restored = ledger.copy_until(2)
            lost_own = [e.op_id for e in ledger.entries[2:] if e.user == "nurse-kim"]
            assert len(lost_own) == 3
            tablet.connect(URL)
            link = await server.connection()
            hello = await link.next(Hello)
            assert {point.seq for point in hello.landmarks} & {1, 2, 3}
            link.say(restored.welcome(hello, diverged=2, paging=Paging(2, 3, 0)))
            asked = await link.next(ReceiptsRequest)
            assert set(lost_own) <= set(asked.op_ids)
            link.say(Receipts(asked.request, ()))
            asked_page = await link.next(SnapshotRequest)
            assert patients["p1"]["visits"] == 5
            link.say(SnapshotPage(asked_page.request, restored.rows(), None, restored.head, 0))
            push = await link.next(Push)
            assert ops_of([push]) == [*lost_own, waiting]
            receipts = tuple(restored.accept(p.op) for p in push.ops)
            link.say(Answers(push.request_id, receipts), restored.since(2))
            await until(tablet, lambda: not tablet.outbox)
            assert patients["p1"]["visits"] == 5
            assert "gone" not in patients
            assert patients["old"]["name"] == "stays"
            notices = {notice["kind"]: notice["detail"] for notice in tablet.notices()}
            assert set(notices) == {"server_restored", "records_lost"}
            lost = tablet._open_view().connection.execute("SELECT id FROM lost").fetchall()
            assert lost == [("gone",)]
        async with replica(tmp_path / "a.db") as tablet:
            assert tablet.collection("patient")["p1"]["visits"] == 5

    async def test_a_second_cut_during_the_reset_goes_on_and_loses_nothing(
        self, tmp_path: Path
    ) -> None:
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            async with serving(server, ledger):
                tablet.connect(URL)
                for n in range(4):
                    await tablet.collection("patient").update(f"p{n}", age=n)
                await tablet.synced(timeout=30)
            restored = ledger.copy_until(1)
            link = await server.connection()
            hello = await link.next(Hello)
            link.say(restored.welcome(hello, diverged=1, paging=Paging(1, 2, 0)))
            await link.next(ReceiptsRequest)
            assert len(tablet.collection("patient")) == 4
            link.cut()
            async with serving(server, restored):
                await tablet.synced(timeout=30)
                assert sorted(tablet.collection("patient")) == ["p0", "p1", "p2", "p3"]
                assert len(restored.entries) == 4
            assert [notice["kind"] for notice in tablet.notices()] == ["server_restored"]

    @pytest.mark.parametrize("view", ["", "f" * 32])
    async def test_a_server_that_holds_nothing_leaves_nothing_even_if_a_role_changed_with_a_cut(
        self, tmp_path: Path, view: str
    ) -> None:
        """An empty log has no page to send: the welcome itself ends the paging."""
        server, ledger = ScriptedServer(), Ledger(POLICY)
        async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
            patients = tablet.collection("patient")
            async with serving(server, ledger):
                tablet.connect(URL)
                ledger.accept(foreign_op("gone", {"r/name": '"lost"'}))
                await tablet.synced(timeout=30)
                await until(tablet, lambda: "gone" in patients)
            wiped = ledger.copy_until(0)
            link = await server.connection()
            link.say(wiped.welcome(await link.next(Hello), diverged=0, paging=Paging(0, 1, 0)))
            await link.next(SnapshotRequest)
            assert "gone" in patients
            link.cut()
            async with serving(server, wiped, view=view):
                await until(tablet, lambda: "gone" not in patients)
                wiped.accept(foreign_op("gone", {"r/phone": '"010"'}))
                await patients.update("p1", name="Kim")
                await tablet.synced(timeout=30)
            assert tablet._open_view().paging is None


async def test_a_copied_file_takes_a_new_name_and_goes_on() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        name = tablet.replica_id
        tablet.connect(URL)
        link = await server.connection()
        first = await link.next(Hello)
        assert first.replica_id == name
        link.say(Refused("replica_copied", "a copy", True, 0))
        async with serving(server, ledger) as links:
            await tablet.synced(timeout=30)
            (hello,) = (m for m in links[0].sent if isinstance(m, Hello))
        assert hello.replica_id == tablet.replica_id != name
        assert (hello.run != first.run, hello.previous_runs) == (True, ())
        assert len(ledger.entries) == 1


async def test_a_server_that_finds_copies_everywhere_is_not_hammered() -> None:
    server = ScriptedServer()
    async with replica(dial=server.dial, surroundings=None) as tablet:
        tablet.connect(URL)
        for _ in range(2):
            link = await server.connection()
            await link.next(Hello)
            link.say(Refused("replica_copied", "a copy", True, 0))
        await link.ended()
        await until(tablet, lambda: tablet.status.next_retry is not None)


async def test_runs_since_the_last_welcome_are_named_and_the_oldest_stays(tmp_path: Path) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    runs = []
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet, serving(server, ledger):
        tablet.connect(URL)
        await tablet.synced(timeout=30)
        known = tablet._open_view().identity.run
    for _ in range(60):
        async with replica(tmp_path / "a.db") as tablet:
            runs.append(tablet._open_view().identity.run)
    async with replica(tmp_path / "a.db", dial=server.dial) as tablet:
        tablet.connect(URL)
        hello = await (await server.connection()).next(Hello)
        assert known in hello.previous_runs
        assert runs[-1] in hello.previous_runs
        assert len(hello.previous_runs) <= 64


async def test_concurrent_values_of_a_manual_field_stay_until_somebody_chooses() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    async with replica(dial=server.dial) as tablet, serving(server, ledger) as links:
        patients = tablet.collection("patient")
        await patients.update("p1", allergies={"nut"})
        tablet.connect(URL)
        await tablet.synced(timeout=30)
        ledger.accept(foreign_op("p1", {"r/allergies": '["latex"]'}))
        links[-1].say(ledger.since(1))
        await until(tablet, lambda: tablet.status.conflicts == 1)
        conflict = patients["p1"]["allergies"]
        assert isinstance(conflict, Conflict)
        await conflict.resolve(conflict.union())
        await tablet.synced(timeout=30)
        assert ledger.states["patient", "p1"].fields["r/allergies"].keys() == {
            (ledger.entries[-1].op_id, 0)
        }


async def test_a_full_disk_while_receiving_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    ledger.accept(foreign_op("p1", {"r/name": '"Kim"'}))
    full = True
    real = applying.install_pages

    def install(*args: Any) -> Any:
        if full:
            raise StorageError("no space left; free up space")
        return real(*args)

    monkeypatch.setattr(applying, "install_pages", install)
    async with replica(dial=server.dial) as tablet, serving(server, ledger):
        tablet.connect(URL)
        await until(tablet, lambda: "no space" in (tablet.status.problem or ""))
        full = False
        async with asyncio.timeout(30):
            await tablet.synced()
        assert tablet.collection("patient")["p1"]["name"] == "Kim"
        assert tablet.status.problem is None
