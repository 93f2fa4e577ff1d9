"""Room in the write-ahead log of a device that writes more than now and then."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from crdtsync import Replica, database
from crdtsync.replica.log_upkeep import (
    CHECKPOINT_WRITES,
    RESERVED_BYTES,
    reserve_space,
)
from tests.replica.wards import replica


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BRIEF_S", 60.0)


class TestRoomInTheLog:
    async def test_a_device_that_writes_on_has_room_and_the_log_stays_within_it(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.db"
        writes = CHECKPOINT_WRITES * 3 + 5
        async with replica(path) as tablet:
            await write(tablet, range(5))
            assert log_bytes(path) < RESERVED_BYTES
            await write(tablet, range(5, writes))
            assert log_bytes(path) == RESERVED_BYTES
            assert tablet.collection("patient")[f"p{writes - 1}"]["age"] == writes - 1
        async with replica(path) as tablet:
            assert len(tablet.outbox) == writes

    async def test_what_was_written_into_reserved_room_outlives_a_crash(
        self, tmp_path: Path
    ) -> None:
        """Invariant 1: the zeros behind the last commit are no part of the log."""
        path, left = tmp_path / "a.db", tmp_path / "left.db"
        async with replica(path) as tablet:
            for upto in (20, CHECKPOINT_WRITES + 20):
                await write(tablet, range(upto))
                assert log_bytes(path) == RESERVED_BYTES
                for end in ("", "-wal"):
                    shutil.copy(f"{path}{end}", f"{left}{end}")
                async with replica(left) as found:
                    patients = found.collection("patient")
                    assert [patients[f"p{n}"]["age"] for n in range(upto)] == [*range(upto)]
                async with replica(path, read_only=True) as beside:
                    assert len(beside.collection("patient")) == upto

    async def test_an_emptied_log_may_be_given_room_before_anything_is_written(
        self, tmp_path: Path
    ) -> None:
        path, left = tmp_path / "a.db", tmp_path / "left.db"
        async with replica(path) as tablet:
            await write(tablet, range(3))
            await tablet._open_store().empty_log()
            assert log_bytes(path) == 0
            reserve_space(f"{path}-wal", RESERVED_BYTES)
            for upto in (3, 6):
                await write(tablet, range(upto))
                for end in ("", "-wal"):
                    shutil.copy(f"{path}{end}", f"{left}{end}")
                async with replica(left) as found:
                    assert len(found.collection("patient")) == upto
                async with replica(path, read_only=True) as beside:
                    assert len(beside.collection("patient")) == upto

    async def test_a_disk_without_room_for_it_gets_back_what_was_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.db"
        tries = 0

        def full(fd: int) -> None:
            nonlocal tries
            tries += 1
            assert os.fstat(fd).st_size == RESERVED_BYTES
            raise OSError(errno.ENOSPC, "No space left on device")

        async with replica(path) as tablet:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", full)
                await write(tablet, range(40))
                assert 0 < log_bytes(path) < RESERVED_BYTES
            assert tries == 1, "what was free was taken again and again"
            assert len(tablet.outbox) == 40

    async def test_a_disk_that_is_nearly_full_is_not_filled_further(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.db"
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=RESERVED_BYTES))
        async with replica(path) as tablet:
            await write(tablet, range(40))
            assert 0 < log_bytes(path) < RESERVED_BYTES

    async def test_a_closed_file_is_not_seen_to(self, tmp_path: Path) -> None:
        tablet = replica(tmp_path / "a.db")
        await tablet.start()
        upkeep = tablet._open_store()._upkeep
        assert upkeep is not None
        await tablet.close()
        for _ in range(CHECKPOINT_WRITES):
            upkeep.wrote()
        assert upkeep._work is None

    def test_a_log_that_is_long_enough_stays_as_it_is(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        log.write_bytes(b"frames")
        reserve_space(str(log), 3)
        assert log.read_bytes() == b"frames"
        reserve_space(str(log), 8)
        assert log.read_bytes() == b"frames\0\0"


class TestWhoseLogItIs:
    """Invariants 1 and 4: nobody writes into the log of a file that somebody else has open."""

    async def test_that_of_the_file_as_it_was_opened_wherever_the_process_goes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        for folder in (here, there):
            folder.mkdir()
        monkeypatch.chdir(here)
        async with replica("a.db") as tablet, replica(there / "a.db") as other:
            await write(other, range(3))
            monkeypatch.chdir(there)
            await write(tablet, range(20))
            assert log_bytes(here / "a.db") == RESERVED_BYTES
            assert log_bytes(there / "a.db") < RESERVED_BYTES

    async def test_that_of_the_file_itself_where_it_is_opened_through_a_link(
        self, tmp_path: Path
    ) -> None:
        link = tmp_path / "links" / "a.db"
        link.parent.mkdir()
        link.symlink_to(tmp_path / "b.db")
        async with replica(link) as tablet:
            await write(tablet, range(20))
            assert log_bytes(tmp_path / "b.db") == RESERVED_BYTES
        assert [*link.parent.iterdir()] == [link]

    async def test_none_once_another_file_has_its_name(self, tmp_path: Path) -> None:
        path, moved = tmp_path / "a.db", tmp_path / "b.db"
        async with replica(path) as tablet:
            await write(tablet, range(3))
            for end in ("", "-wal", "-shm"):
                path.with_name(f"a.db{end}").rename(f"{moved}{end}")
            path.with_name("a.db.lock").unlink()
            async with replica(path) as other:
                await write(other, range(3))
                before = log_bytes(path)
                await write(tablet, range(3, 40))
                assert log_bytes(path) == before


async def write(tablet: Replica, numbers: range) -> None:
    """One write after the other, each durable before the next."""
    patients = tablet.collection("patient")
    for n in numbers:
        await patients.update(f"p{n}", age=n)
    store = tablet._open_store()
    await store.look(lambda file: None)  # what was begun beside the writes is over


def log_bytes(path: Path) -> int:
    """How long the file of the log is."""
    return path.with_name(f"{path.name}-wal").stat().st_size
