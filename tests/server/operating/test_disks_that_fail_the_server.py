"""A disk that is full, read-only or damaged: said, and nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtsync import DiskFull, StorageError
from crdtsync.documents.ops import Op
from crdtsync.protocol.messages import History, HistoryRequest, Landmark, Receipt, Transient
from crdtsync_server.operating.backup import back_up
from crdtsync_server.operating.checking.verifying import verify
from crdtsync_server.operating.restore import restore
from crdtsync_server.service import RunningServer
from tests.server.operating.pages_of_tables import leaf_with, leaves, settle, spoil
from tests.server.operating.ward_data import make_data, open_ward
from tests.server.server_process import ServerProcess
from tests.server.serving import Wire, device, hello_of, rows_of, serving, write
from tests.sync.ward import assert_alike, assert_once, in_step, op_id, server, until_status
from tests.sync.ward import device as device_of

DEV = ("--dev", "--port", "0")
MARK = "the-page-that-is-going-to-be-spoiled"
FILLER = "x" * 1_500


def ward_with_large_records(folder: Path) -> dict[str, str]:
    """Thirty records, of which few share a page; op_ids by record."""
    ward = open_ward(folder)
    with contextlib.closing(ward.connection):
        for n in range(30):
            name = MARK if n == 10 else FILLER
            ward.push(write({"r/name": f'"{name}"'}, record=f"p{n}"))
    settle(folder / "crdtsync.db")
    return {f"p{n}": op_id for n, op_id in enumerate(ward.ops)}


async def answer_to(wire: Wire, op: Op) -> Any:
    (answer,) = await wire.push(op)
    return answer


@pytest.mark.parametrize("table", ["records", "log", "receipts"])
async def test_a_spoiled_page_refuses_what_touches_it_and_serves_the_rest(
    tmp_path: Path, table: str
) -> None:
    written = ward_with_large_records(tmp_path)
    path = tmp_path / "crdtsync.db"
    mark = MARK.encode() if table != "receipts" else bytes.fromhex(written["p10"].replace("-", ""))
    spoil(path, leaf_with(path, table, mark))
    fine, hit = write({"r/phone": '"010"'}, record="p29"), write({"r/phone": '"1"'}, record="p10")
    async with serving(tmp_path) as running, await Wire.open(running.url) as wire:
        # One that is in step: no first sync, so nothing of the spoiled page is read.
        ((seq, digest),) = rows_of(tmp_path, "SELECT seq, digest FROM spaces")
        await wire.greet(hello_of(cursor=Landmark(seq, digest)))
        if table == "receipts":
            # Every op looks there, and this table has one page: nothing can be taken.
            for op in (fine, hit):
                answer = await answer_to(wire, op)
                assert isinstance(answer, Transient)
                assert answer.reason == "disk_fault"
        else:
            accepted = await answer_to(wire, fine)
            assert isinstance(accepted, Receipt), "the others are not held up"
            answer = await answer_to(wire, hit)
            if table == "records":
                assert isinstance(answer, Transient)
                assert answer.reason == "disk_fault"
            else:
                assert isinstance(answer, Receipt), "the log is only appended to"
            # Repeats still get their receipts, and histories are read where they can be.
            assert await answer_to(wire, fine) == accepted
            await wire.send(HistoryRequest(1, "patient", "p29"))
            history = await wire.receive_a(History)
            assert history.entries[0].op_id == fine.op_id
    found = verify(path).findings
    assert "damaged_file" in found.counts


async def test_devices_go_on_beside_a_spoiled_page_and_a_restore_brings_everything_back(
    tmp_path: Path,
) -> None:
    """What real devices hold is never lost, and nothing is doubled, from damage to restore."""
    first, second = [op_id() for _ in range(12)], [op_id() for _ in range(3)]
    async with device_of(tmp_path, "tablet") as tablet, device_of(tmp_path, "phone") as phone:
        patients = tablet.collection("patient")
        async with server(tmp_path) as ward:
            for n, one in enumerate(first):
                name = MARK if n == 5 else FILLER
                await patients.update(f"p{n}", name=name, op_id=one)
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            back_up(tmp_path / "server", tmp_path / "ward.backup")
            await tablet.disconnect()
            await phone.disconnect()
        path = tmp_path / "server" / "crdtsync.db"
        settle(path)
        spoil(path, leaf_with(path, "records", MARK.encode()))
        async with server(tmp_path) as ward:
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await phone.synced(timeout=20)
            await patients.update("p5", phone="010", op_id=second[0])
            await until_status(
                tablet, lambda status: status.failed and status.next_retry and not status.sending
            )
            await phone.collection("patient").update("p11", phone="011", op_id=second[1])
            await phone.synced(timeout=20)
            (waiting,) = tablet.outbox
            assert (waiting.op_id, waiting.error_code) == (second[0], "disk_fault")
            assert waiting.words("en")
            assert waiting.words("ko")
            await tablet.disconnect()
            await phone.disconnect()
        await patients.increment("p5", "visits", 1, op_id=second[2])
        shutil.move(tmp_path / "server", tmp_path / "damaged")
        restore(tmp_path / "ward.backup", tmp_path / "server")
        async with server(tmp_path) as ward:
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await tablet.retry()
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert_once(tmp_path, [*first, *second])
            assert phone.collection("patient")["p5"]["phone"] == "010"
            assert phone.collection("patient")["p11"]["phone"] == "011"


async def test_a_database_that_turns_read_only_refuses_for_now_reads_on_and_recovers(
    tmp_path: Path,
) -> None:
    before, during = op_id(), [op_id() for _ in range(3)]
    async with (
        server(tmp_path) as ward,
        device_of(tmp_path, "tablet") as tablet,
        device_of(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim", op_id=before)
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        await set_read_only(ward, True)
        for one in during:
            await patients.increment("p1", "visits", op_id=one)
        status = await until_status(
            tablet, lambda status: status.failed and status.next_retry and not status.sending
        )
        assert status.needs_person == 0
        assert {item.error_code for item in tablet.outbox if item.state == "failed"} == {
            "disk_fault"
        }
        # A device that comes for the first time is admitted and gets everything.
        phone.connect(ward.url)
        await phone.synced(timeout=20)
        assert phone.collection("patient")["p1"]["name"] == "Kim"
        assert_once(tmp_path, [before])
        await set_read_only(ward, False)
        await tablet.retry()
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert_once(tmp_path, [before, *during])


async def set_read_only(ward: RunningServer, on: bool) -> None:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA query_only = {'ON' if on else 'OFF'}")

    await ward.service.store.write(job)


# ── at the start ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", ["policies", "sqlite_schema"])
async def test_a_server_does_not_start_on_damage_that_it_meets_at_once(
    tmp_path: Path, table: str
) -> None:
    make_data(tmp_path)
    path = tmp_path / "crdtsync.db"
    settle(path)
    if table == "sqlite_schema":
        data = bytearray(path.read_bytes())
        data[100:4_096] = b"\xa5" * 3_996
        path.write_bytes(data)
    else:
        ((number, _),) = leaves(path, table)
        spoil(path, number)
    with pytest.raises(StorageError, match="damaged pages"):
        await serving(tmp_path).start()


async def test_a_server_that_cannot_start_on_damaged_data_says_the_way_out(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    settle(tmp_path / "data" / "crdtsync.db")
    ((number, _),) = leaves(tmp_path / "data" / "crdtsync.db", "policies")
    spoil(tmp_path / "data" / "crdtsync.db", number)
    code, said = await ServerProcess(tmp_path, *DEV).ended()
    assert code == 2
    assert "damaged" in said
    assert f"crdtsync verify --data {tmp_path / 'data'}" in said
    assert "crdtsync restore" in said
    assert "Traceback" not in said


async def test_data_whose_schema_is_no_text_any_more_is_damage_to_every_command(
    tmp_path: Path,
) -> None:
    make_data(tmp_path / "data")
    path = tmp_path / "data" / "crdtsync.db"
    settle(path)
    content = path.read_bytes()
    assert content.count(b"CREATE TABLE spaces") == 1
    path.write_bytes(content.replace(b"CREATE TABLE spaces", b"CREATE \xb3ABLE spaces"))
    code, said = await ServerProcess(tmp_path, *DEV).ended()
    assert code == 2
    assert "damaged pages" in said
    assert f"crdtsync verify --data {tmp_path / 'data'}" in said
    assert "Traceback" not in said
    with pytest.raises(StorageError, match="damaged pages"):
        verify(path)


@pytest.fixture
def own_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=8m", "crdtsync-test", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


def mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False, timeout=20)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("mounting a file system is not permitted here")


async def test_a_read_only_disk_is_said_can_be_checked_and_copied_and_works_again_later(
    tmp_path: Path, own_disk: Path
) -> None:
    ops = make_data(own_disk / "data")
    settle(own_disk / "data" / "crdtsync.db")
    mount("-o", "remount,ro", str(own_disk))
    with pytest.raises(StorageError, match="Read-only file system"):
        await serving(own_disk / "data").start()
    assert verify(own_disk / "data" / "crdtsync.db").is_sound
    assert back_up(own_disk / "data", tmp_path / "ward.backup").heads[0].seq == len(ops)
    mount("-o", "remount,rw", str(own_disk))
    async with serving(own_disk / "data") as running, device(running) as wire:
        receipt = await wire.accept(write({"c/visits": "1"}))
        assert receipt.seq == len(ops) + 1


async def test_a_backup_onto_a_full_disk_is_refused_and_leaves_nothing(
    tmp_path: Path, own_disk: Path
) -> None:
    make_data(tmp_path / "data")
    with (own_disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 65_536)
            filler.flush()
    with pytest.raises(DiskFull, match="make room"):
        back_up(tmp_path / "data", own_disk / "ward.backup")
    assert os.listdir(own_disk) == ["filler"]
