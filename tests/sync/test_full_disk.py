"""A full disk: what was acknowledged stays, what was not is tried again, and it is said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync import DiskFull, SyncState
from tests.sync.ward import (
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    op_ids_of,
    server,
    until_status,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes; needs the right to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "crdtsync-test", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler


async def test_a_server_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    before, during = [op_id() for _ in range(5)], [op_id() for _ in range(300)]
    os.symlink(small_disk, tmp_path / "server")
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        for one in before:
            await patients.increment("p1", "visits", op_id=one)
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        filler = fill(small_disk)
        for n, one in enumerate(during):
            await patients.update(f"q{n}", name="x" * 900, op_id=one)
        status = await until_status(
            tablet, lambda status: status.failed and status.next_retry and not status.sending
        )
        assert status.needs_person == 0
        assert status.state is SyncState.SYNCING
        failed = [item for item in tablet.outbox if item.state == "failed"]
        assert failed
        assert {item.error_code for item in failed} == {"disk_full"}
        assert all(item.words("ko") for item in failed)
        assert all(item.retry_at is not None for item in failed)
        # Who only reads is served all the same, and what was acknowledged is there.
        phone.connect(ward.url)
        await phone.synced(timeout=20)
        assert phone.collection("patient")["p1"]["visits"] == len(before)
        assert_once(tmp_path, before, maybe=during)
        filler.unlink()
        await tablet.retry()
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert_once(tmp_path, [*before, *during])


async def test_a_server_whose_database_may_not_grow_recovers_by_itself(tmp_path: Path) -> None:
    """The same without the right to mount: SQLite's own limit says "full"."""
    before, during = op_id(), [op_id() for _ in range(40)]

    def shut(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def open_up(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim", op_id=before)
        tablet.connect(ward.url)
        await tablet.synced(timeout=20)
        await ward.service.store.write(shut)
        for n, one in enumerate(during):
            await patients.update(f"q{n}", name="x" * 5_000, op_id=one)
        await until_status(tablet, lambda status: status.failed > 0 and not status.sending)
        assert set(op_ids_of(tablet)) <= set(during)
        assert_once(tmp_path, [before], maybe=during)
        await ward.service.store.write(open_up)
        await tablet.retry()
        phone.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert_once(tmp_path, [before, *during])


async def test_a_write_on_a_full_device_raises_and_leaves_nothing_half_done(
    tmp_path: Path, small_disk: Path
) -> None:
    written: list[str] = []
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "phone") as phone,
        device(small_disk, "tablet") as tablet,
    ):
        patients = tablet.collection("patient")

        async def write_on() -> None:
            for n in range(2_000):
                one = op_id()
                await patients.update(f"q{n}", name="x" * 5_000, op_id=one)
                written.append(one)

        written.append(op_id())
        await patients.update("p1", name="Kim", op_id=written[-1])
        filler = fill(small_disk)
        with pytest.raises(DiskFull):
            await write_on()
        assert op_ids_of(tablet) == written
        assert len(patients) == len(written)
        filler.unlink()
        tablet.connect(ward.url)
        phone.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert_once(tmp_path, written)


async def test_a_device_that_is_full_while_it_receives_says_so_and_catches_up_later(
    tmp_path: Path, small_disk: Path
) -> None:
    async with (
        server(tmp_path) as ward,
        device(tmp_path, "tablet") as tablet,
        device(small_disk, "phone") as phone,
    ):
        own = op_id()
        await phone.collection("patient").increment("p1", "visits", op_id=own)
        await tablet.collection("patient").update_many(
            {f"p{n}": {"name": "x" * 2_000} for n in range(200)}
        )
        written = [*op_ids_of(tablet), own]
        await tablet.sync_once(ward.url)
        filler = fill(small_disk)
        phone.connect(ward.url)
        status = await until_status(phone, lambda status: status.next_retry is not None)
        assert "no space left" in (status.problem or "")
        assert status.storage_full
        assert status.message("ko").startswith("저장 공간이 부족해요.")
        assert op_ids_of(phone) == [own]
        assert phone.collection("patient")["p1"]["visits"] == 1
        filler.unlink()
        tablet.connect(ward.url)
        await in_step(phone, tablet)
        assert_alike(phone, tablet)
        assert len(phone.collection("patient")) == 200
        assert not phone.status.storage_full
        assert_once(tmp_path, written)
