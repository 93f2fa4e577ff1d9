"""What an earlier process may have left, and a disk that cannot be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crdtsync import Replica
from crdtsync.database import DiskFull, StorageError, connect_durable, rewrite_wal
from crdtsync.protocol.messages import Landmark, Limits, Welcome
from crdtsync.replica import outbox, sync_jobs
from crdtsync.replica.errors import NotAReplica
from crdtsync.replica.file import ReplicaFile
from tests.replica.wards import queued, replica


@pytest.fixture(name="left")
def _left(tmp_path: Path) -> Path:
    """A database as a killed process leaves it: with commits in its WAL only."""
    connection = connect_durable(str(tmp_path / "running.db"))
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    for name in ("running.db", "running.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / name.replace("running", "left"))
    connection.close()
    return tmp_path / "left.db"


def test_the_wal_of_a_killed_process_is_written_anew_before_it_is_built_upon(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tests/simulation shows what it is for: planted bug "build on an unsynced WAL"."""
    synced: list[bytes] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").read_bytes())
        fsync(fd)

    before = left.with_name("left.db-wal").read_bytes()
    monkeypatch.setattr(os, "fsync", noted)
    connection = connect_durable(str(left))
    assert synced == [before]
    assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
    connection.close()


def test_a_wal_that_cannot_be_written_anew_is_told_and_nothing_changes(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    before = left.with_name("left.db-wal").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"was not closed in order.*open it again"):
        rewrite_wal(str(left))
    assert left.with_name("left.db-wal").read_bytes() == before


def test_the_wal_of_another_program_is_left_alone(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str) -> None:
        raise AssertionError("another program may be writing to it")

    monkeypatch.setattr("crdtsync.database.rewrite_wal", refused)

    def check(connection: sqlite3.Connection) -> None:
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
        raise NotAReplica("it is something else")

    with pytest.raises(NotAReplica):
        connect_durable(str(left), check)


async def test_a_disk_that_cannot_be_read_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with replica() as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")

        def broken(*args: Any) -> Any:
            raise sqlite3.OperationalError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(ReplicaFile, "one", broken)
            with pytest.raises(StorageError, match="disk I/O error"):
                patients["p1"]
        assert patients["p1"]["name"] == "Kim"


async def test_ops_are_not_stuck_where_the_disk_failed_as_a_connection_ended() -> None:
    """Found by the simulator: the next welcome puts right what the end could not."""
    async with replica() as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        store = tablet._open_store()
        await store.change(
            outbox.start_sending,
            user=tablet.user,
            room=10,
            request_id="0" * 8,
            now_us=tablet.now_us(),
            frame_bytes=1_000_000,
        )
        assert [row.state for row in queued(tablet)] == ["sending"]
        await _welcomed(tablet)
        assert [row.state for row in queued(tablet)] == ["pending"]


async def _welcomed(tablet: Replica) -> None:
    welcome = Welcome(
        protocol=1,
        user=tablet.user,
        roles=(),
        server_us=tablet.now_us(),
        head=Landmark(0, b""),
        paging=None,
        diverged=None,
        policy_version=1,
        policy_hash="",
        policy=None,
        limits=Limits(),
    )
    await tablet._open_store().change(sync_jobs.greet, welcome, tablet.user, tablet.now_us())
