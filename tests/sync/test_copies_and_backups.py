"""A server restored from a backup, and device files that were copied: nothing is doubled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crdtsync import Conflict
from crdtsync.documents.folding import FOLD_ABOVE
from crdtsync_server.acceptance.proxy import Proxy
from crdtsync_server.storage.retention import trim_log
from tests.sync.ward import (
    SPACE,
    ServerLog,
    assert_alike,
    assert_once,
    copy_file,
    device,
    in_step,
    op_id,
    op_ids_of,
    server,
    until_status,
)


def back_up(folder: Path) -> None:
    """Copy the data folder of a server that does not run."""
    shutil.copytree(folder / "server", folder / "backup")


def restore(folder: Path) -> None:
    """Put the backup in the place of the data folder."""
    shutil.rmtree(folder / "server")
    shutil.copytree(folder / "backup", folder / "server")


async def test_a_server_restored_from_a_backup_gets_back_what_its_devices_still_have(
    tmp_path: Path,
) -> None:
    """Own ops are offered again under their ids, those that supersede lost ones too."""
    kept, again, gone, fresh = ([op_id() for _ in range(n)] for n in (3, 4, 3, 3))
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        patients, theirs = tablet.collection("patient"), phone.collection("patient")
        async with server(tmp_path) as ward:
            await patients.update("p1", name="Kim", allergies={"latex"}, op_id=kept[0])
            await patients.increment("p1", "visits", 1, op_id=kept[1])
            await patients.update("p2", name="Park", op_id=kept[2])
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            await tablet.disconnect()
            await phone.disconnect()
        back_up(tmp_path)
        async with server(tmp_path) as ward, device(tmp_path, "broken") as broken:
            for replica in (tablet, phone, broken):
                replica.connect(ward.url)
            # "broken" is lost with all that only it could offer again.
            others = broken.collection("patient")
            await broken.synced(timeout=20)
            await others.update("p1", allergies={"latex", "nuts"}, op_id=gone[0])
            await others.increment("p2", "visits", 100, op_id=gone[1])
            await others.update("p4", name="Lost", op_id=gone[2])
            await in_step(broken, tablet, phone)
            # These supersede what the server is about to forget, and what it keeps.
            await patients.update("p1", allergies={"milk"}, name="Kim M", op_id=again[0])
            await patients.increment("p1", "visits", 10, op_id=again[1])
            await in_step(tablet, phone)
            await theirs.update("p1", name="Kim Minji", op_id=again[2])
            await theirs.update("p3", name="Choi", op_id=again[3])
            await in_step(tablet, phone)
            before = ServerLog(tmp_path)
            assert set(before.op_ids) == {*kept, *again, *gone}
            await tablet.disconnect()
            await phone.disconnect()
        await patients.increment("p1", "visits", 1_000, op_id=fresh[0])
        await patients.update("p2", phone="010", op_id=fresh[1])
        await theirs.update("p5", name="New", op_id=fresh[2])
        restore(tmp_path)
        assert set(ServerLog(tmp_path).op_ids) == set(kept)
        async with server(tmp_path) as ward, device(tmp_path, "new") as new:
            for replica in (tablet, phone, new):
                replica.connect(ward.url)
            await in_step(tablet, phone, new)
            assert_alike(tablet, phone, new)
            shown = {one: dict(record) for one, record in new.collection("patient").items()}
            assert set(shown) == {"p1", "p2", "p3", "p5"}
            assert shown["p1"]["name"] == "Kim Minji"
            assert not isinstance(shown["p1"]["allergies"], Conflict)
            assert shown["p1"]["allergies"] == {"milk"}
            assert (shown["p1"]["visits"], shown["p2"]["visits"]) == (1_011, 0)
            assert shown["p2"]["phone"] == "010"
            assert_once(tmp_path, [*kept, *again, *fresh])
            for replica in (tablet, phone):
                notices = {notice["kind"]: notice["detail"] for notice in replica.notices()}
                assert "server_restored" in notices
                assert "records_lost" in notices, "p4 is gone for good, and that must be said"
            assert new.notices() == []


async def test_a_server_that_grew_again_after_the_restore_is_noticed_too(tmp_path: Path) -> None:
    """Its head is beyond the device's cursor, so only digests tell."""
    first, lost, other = op_id(), op_id(), [op_id() for _ in range(5)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path) as ward:
            await tablet.collection("patient").increment("p1", "visits", 1, op_id=first)
            await tablet.sync_once(ward.url)
        back_up(tmp_path)
        async with server(tmp_path) as ward:
            await tablet.collection("patient").increment("p1", "visits", 10, op_id=lost)
            await tablet.sync_once(ward.url)
        restore(tmp_path)
        async with server(tmp_path) as ward:
            for one in other:
                await phone.collection("patient").increment("p1", "visits", 100, op_id=one)
            await phone.sync_once(ward.url)
            assert ServerLog(tmp_path).seq > 2
            tablet.connect(ward.url)
            phone.connect(ward.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert phone.collection("patient")["p1"]["visits"] == 511
            assert_once(tmp_path, [first, lost, *other])


@pytest.mark.parametrize("held", ["record", "version"])
async def test_a_form_that_was_open_over_a_restore_has_not_seen_the_new_log(
    tmp_path: Path, held: str
) -> None:
    """Its seqs belong to the log that is gone; invariant 6 must not hang on them."""
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        patients = tablet.collection("patient")
        async with server(tmp_path) as ward:
            await patients.update("p1", allergies={"peanut"})
            await tablet.sync_once(ward.url)
            await phone.sync_once(ward.url)
        back_up(tmp_path)
        async with server(tmp_path) as ward:
            for _ in range(5):
                await patients.increment("p1", "visits")
            await tablet.sync_once(ward.url)
        form = patients["p1"]
        restore(tmp_path)
        async with server(tmp_path) as ward:
            await phone.collection("patient").update("p1", allergies={"latex"})
            await phone.sync_once(ward.url)
            await tablet.sync_once(ward.url)
            assert patients["p1"]["allergies"] == {"latex"}
            based_on = form if held == "record" else form.version
            await patients.update("p1", {"allergies": {"milk"}}, based_on=based_on)
            await tablet.sync_once(ward.url)
            conflict = patients["p1"]["allergies"]
            assert isinstance(conflict, Conflict)
            assert conflict.union() == {"latex", "milk"}
            # A form that is opened now has seen what it shows.
            await conflict.resolve({"latex"})
            await patients.update("p1", {"allergies": {"egg"}}, based_on=patients["p1"].version)
            assert patients["p1"]["allergies"] == {"egg"}


@pytest.mark.parametrize("arrives", ["not", "whole"])
@pytest.mark.parametrize("name", ["welcome", "receipts", "snapshots", "answers"])
async def test_recovery_from_a_backup_that_is_cut_goes_on_where_it_was(
    tmp_path: Path, name: str, arrives: str
) -> None:
    written = [op_id() for _ in range(10)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path) as ward:
            for one in written[:4]:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
        back_up(tmp_path)
        async with server(tmp_path) as ward:
            for one in written[4:8]:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
        for one in written[8:]:
            await tablet.collection("patient").increment("p1", "visits", op_id=one)
        restore(tmp_path)
        async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
            fault = proxy.fault("server", name, arrives="whole" if arrives == "whole" else "not")
            tablet.connect(proxy.url)
            phone.connect(ward.url)
            await in_step(tablet, phone)
            assert fault.happened.is_set()
            assert_alike(tablet, phone)
            assert phone.collection("patient")["p1"]["visits"] == len(written)
            assert_once(tmp_path, written)


async def test_a_first_sync_that_was_cut_before_a_restore_shows_nothing_that_is_lost(
    tmp_path: Path,
) -> None:
    """The device has no cursor yet, so the places where it was paging have to tell."""
    kept, lost = [op_id() for _ in range(700)], [op_id() for _ in range(5)]
    async with device(tmp_path, "tablet") as tablet:
        async with server(tmp_path) as ward:
            for n, one in enumerate(kept):
                await tablet.collection("task").update(f"k{n}", title="kept", op_id=one)
            await tablet.sync_once(ward.url)
        back_up(tmp_path)
        async with (
            server(tmp_path) as ward,
            Proxy(ward.port) as proxy,
            device(tmp_path, "phone") as phone,
        ):
            async with device(tmp_path, "broken") as broken:
                for n, one in enumerate(lost):
                    await broken.collection("task").update(f"l{n}", title="lost", op_id=one)
                await broken.sync_once(ward.url)

            async def no_network() -> None:
                proxy.online = False

            fault = proxy.fault("server", "snapshots", skip=1, act=no_network)
            phone.connect(proxy.url)
            await fault.happened.wait()
            await until_status(phone, lambda status: status.next_retry is not None)
            assert "l0" in phone.collection("task")
            assert 0 < len(phone.collection("task")) < len(kept)
        restore(tmp_path)
        async with server(tmp_path) as ward, device(tmp_path, "phone") as phone:
            phone.connect(ward.url)
            tablet.connect(ward.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert "l0" not in phone.collection("task")
            assert len(phone.collection("task")) == len(kept)
            assert_once(tmp_path, kept)


@pytest.mark.parametrize("knows_server", [False, True], ids=["never synced", "synced before"])
@pytest.mark.parametrize("first", ["original", "copy"])
async def test_a_copied_file_goes_on_as_a_second_device_and_nothing_is_doubled(
    tmp_path: Path, knows_server: bool, first: str
) -> None:
    shared = [op_id() for _ in range(4)]
    own = [op_id() for _ in range(2)]
    async with server(tmp_path) as ward:
        async with device(tmp_path, "original", user="kim") as original:
            if knows_server:
                await original.collection("patient").increment("p1", "visits", op_id=shared[0])
                await original.sync_once(ward.url)
            for one in shared[1 if knows_server else 0 :]:
                await original.collection("patient").increment("p1", "visits", op_id=one)
            identity = original.replica_id
        copy_file(tmp_path / "original.db", tmp_path / "copy.db")
        async with (
            device(tmp_path, "original", user="kim") as original,
            device(tmp_path, "copy", user="kim") as copy,
            device(tmp_path, "phone") as phone,
        ):
            assert copy.replica_id == original.replica_id == identity
            assert op_ids_of(copy) == op_ids_of(original)
            await original.collection("patient").increment("p1", "visits", 10, op_id=own[0])
            await copy.collection("patient").increment("p1", "visits", 100, op_id=own[1])
            two = [original, copy] if first == "original" else [copy, original]
            for replica in [*two, phone]:
                replica.connect(ward.url)
                await replica.synced(timeout=20)
            await in_step(original, copy, phone)
            assert_alike(original, copy, phone)
            assert copy.replica_id != original.replica_id
            assert identity in (copy.replica_id, original.replica_id)
            assert phone.collection("patient")["p1"]["visits"] == 4 + 10 + 100
            assert_once(tmp_path, [*shared, *own])


async def test_an_old_copy_that_is_put_back_goes_on_and_nothing_is_doubled(tmp_path: Path) -> None:
    written = [op_id() for _ in range(9)]
    async with server(tmp_path) as ward:
        async with device(tmp_path, "tablet") as tablet:
            for one in written[:3]:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
        copy_file(tmp_path / "tablet.db", tmp_path / "old.db")
        async with device(tmp_path, "tablet") as tablet:
            for one in written[3:6]:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
        (tmp_path / "tablet.db").unlink()
        copy_file(tmp_path / "old.db", tmp_path / "tablet.db")
        async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
            assert op_ids_of(tablet) == written[:3]
            for one in written[6:]:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            tablet.connect(ward.url)
            phone.connect(ward.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert phone.collection("patient")["p1"]["visits"] == len(written)
            assert_once(tmp_path, written)


async def test_a_copy_asks_for_what_the_other_one_may_have_sent_before_it_pages(
    tmp_path: Path,
) -> None:
    """Its author need not be there for it: without the receipt a counter would show it twice,
    and whoever discards it would be told that the server never had it."""
    waiting = op_id()
    async with device(tmp_path, "tablet", user="park") as tablet:
        async with server(tmp_path) as ward:
            await tablet.collection("patient").update("p1", name="Kim")
            await tablet.sync_once(ward.url)
        await tablet.collection("patient").increment("p1", "visits", 1, op_id=waiting)
    copy_file(tmp_path / "tablet.db", tmp_path / "copy.db")
    async with server(tmp_path) as ward, device(tmp_path, "phone") as phone:
        async with device(tmp_path, "tablet", user="park") as tablet:
            await tablet.sync_once(ward.url)
        for _ in range(FOLD_ABOVE + 1):
            await phone.collection("patient").increment("p1", "visits", 10)
        await phone.sync_once(ward.url)
        store, head = ward.service.store, ServerLog(tmp_path).seq
        await store.write(lambda connection: trim_log(connection, store.sql, SPACE, head))
        async with device(tmp_path, "copy", user="kim") as copy:
            copy.connect(ward.url)
            await until_status(copy, lambda _: copy._open_view().cursor.seq == head)
            assert copy.outbox == []
            assert copy.collection("patient")["p1"]["visits"] == 1 + 10 * (FOLD_ABOVE + 1)


@pytest.mark.parametrize("unseen", [True, False], ids=["an unseen edit", "nothing unseen"])
async def test_a_delete_that_is_offered_again_covers_what_the_person_saw_and_no_more(
    tmp_path: Path, unseen: bool
) -> None:
    """Its base names places of a log that is gone; in the new one others stand there."""
    first, delete, others = op_id(), op_id(), [op_id() for _ in range(5)]
    own, lost = [op_id() for _ in range(5)], [op_id() for _ in range(20)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path) as ward:
            await tablet.collection("patient").update("p1", name="Kim", op_id=first)
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            for replica in (tablet, phone):
                await replica.disconnect()
        back_up(tmp_path)
        async with server(tmp_path) as ward:
            async with device(tmp_path, "broken") as broken:
                for one in lost:
                    await broken.collection("patient").increment("p1", "visits", op_id=one)
                await broken.sync_once(ward.url)
            for one in own:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
            await tablet.collection("patient").delete("p1", op_id=delete)
            await tablet.sync_once(ward.url)
            assert "p1" not in tablet.collection("patient")
        record = "p1" if unseen else "p2"
        for one in others:
            await phone.collection("patient").increment(record, "visits", op_id=one)
        restore(tmp_path)
        async with server(tmp_path) as ward:
            for replica in (phone, tablet):
                replica.connect(ward.url)
                await replica.synced(timeout=20)
            await in_step(phone, tablet)
            for replica in (phone, tablet):
                assert ("p1" in replica.collection("patient")) is unseen
            assert_once(tmp_path, [first, *own, delete, *others])


async def test_a_receipt_of_a_server_that_was_restored_since_covers_nothing(
    tmp_path: Path,
) -> None:
    """The device never saw the entry, so no digest tells that the server forgot the op."""
    mine, others = op_id(), [op_id() for _ in range(3)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path):
            pass
        back_up(tmp_path)
        async with server(tmp_path) as ward, Proxy(ward.port) as proxy:

            async def no_network() -> None:
                proxy.online = False

            fault = proxy.fault("server", "changes", arrives="not", act=no_network)
            await tablet.collection("patient").update("p1", name="Kim", op_id=mine)
            tablet.connect(proxy.url)
            await fault.happened.wait()
            await until_status(tablet, lambda status: status.next_retry is not None)
            assert ServerLog(tmp_path).op_ids == [mine]
            assert op_ids_of(tablet) == [mine]
            await tablet.disconnect()
        restore(tmp_path)
        async with server(tmp_path) as ward:
            for one in others:
                await phone.collection("patient").increment("p2", "visits", op_id=one)
            await phone.sync_once(ward.url)
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            assert phone.collection("patient")["p1"]["name"] == "Kim"
            assert_alike(tablet, phone)
            assert_once(tmp_path, [mine, *others])


async def test_recovery_from_a_server_that_holds_nothing_may_be_cut(tmp_path: Path) -> None:
    """The second hello finds an empty log and nothing to page: what was here must go too."""
    lost, kept = op_id(), [op_id() for _ in range(12)]
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        async with server(tmp_path) as ward:
            async with device(tmp_path, "broken") as broken:
                await broken.collection("patient").update("p0", name="Lost", op_id=lost)
                await broken.sync_once(ward.url)
            for one in kept:
                await tablet.collection("patient").increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
        shutil.rmtree(tmp_path / "server")
        async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
            fault = proxy.fault("server", "snapshots", arrives="not")
            tablet.connect(proxy.url)
            phone.connect(ward.url)
            await in_step(tablet, phone)
            assert fault.happened.is_set()
            assert_alike(tablet, phone)
            assert phone.collection("patient")["p1"]["visits"] == len(kept)
            assert "p0" not in tablet.collection("patient")
            assert_once(tmp_path, kept)


async def test_a_delete_between_a_restore_and_its_snapshots_has_not_seen_the_new_log(
    tmp_path: Path,
) -> None:
    written, unseen = [op_id() for _ in range(6)], op_id()
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        patients = tablet.collection("patient")
        async with server(tmp_path) as ward:
            await patients.update("p1", name="Kim", op_id=written[0])
            await tablet.sync_once(ward.url)
            await phone.sync_once(ward.url)
        back_up(tmp_path)
        async with server(tmp_path) as ward:
            for one in written[1:5]:
                await patients.increment("p1", "visits", op_id=one)
            await tablet.sync_once(ward.url)
        restore(tmp_path)
        async with server(tmp_path) as ward, Proxy(ward.port) as proxy:
            # At a place in the log that the tablet knew as one of its own ops.
            await phone.collection("patient").update("p1", name="Kim Minji", op_id=unseen)
            await phone.sync_once(ward.url)

            async def no_network() -> None:
                proxy.online = False

            fault = proxy.fault("server", "snapshots", arrives="not", act=no_network)
            tablet.connect(proxy.url)
            await fault.happened.wait()
            await until_status(tablet, lambda status: status.next_retry is not None)
            assert patients["p1"]["name"] == "Kim"
            await patients.delete("p1", op_id=written[5])
            assert "p1" not in patients
            proxy.online = True
            for replica in (tablet, phone):
                replica.connect(proxy.url)
            await in_step(tablet, phone)
            assert patients["p1"]["name"] == "Kim Minji", "nobody who deleted it had seen that"
            assert_alike(tablet, phone)
            assert_once(tmp_path, [*written, unseen])
