"""Backups made while the server works, and what becomes of devices after a restore."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from crdtsync.database import DiskFull, StorageError
from crdtsync_server.operating import commands
from crdtsync_server.operating.backup import BackupRefused, BackupUnsound, back_up
from crdtsync_server.operating.checking.verifying import verify
from crdtsync_server.operating.restore import BackupDamaged, RestoreRefused, restore
from crdtsync_server.storage.lock import FolderInUse
from tests.server.operating.ward_data import make_data, open_ward
from tests.server.serving import device as wire_device
from tests.server.serving import rows_of, serving, write
from tests.sync.ward import (
    ServerLog,
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    server,
)

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


# ── backup ──────────────────────────────────────────────────────────────────


async def test_backups_under_load_are_each_one_committed_state(tmp_path: Path) -> None:
    """Invariant 2 for backups: what was acknowledged before it began is in it, whole."""
    acknowledged = 0
    begun, done = asyncio.Event(), asyncio.Event()
    heads: list[int] = []

    async with serving(tmp_path / "data") as running:

        async def write_on() -> None:
            nonlocal acknowledged
            async with wire_device(running) as wire:
                while not done.is_set():
                    ops = [write({"c/visits": "1"}, record=f"p{n}") for n in range(20)]
                    acknowledged += len(await wire.push(*ops))
                    begun.set()

        writing = asyncio.create_task(write_on())
        await begun.wait()
        for n in range(4):
            before = acknowledged
            to = tmp_path / f"{n}.backup"
            made = await asyncio.to_thread(back_up, tmp_path / "data", to)
            (head,) = made.heads
            assert before <= head.seq <= acknowledged + 20
            assert head.seq == made.verified.spaces[0].head_seq
            assert head.seq % 20 == 0, "a group is in it or not"
            heads.append(head.seq)
        done.set()
        await writing
    assert heads == sorted(heads)
    assert heads[-1] > heads[0], "the server went on while it was copied"
    assert set(os.listdir(tmp_path)) == {"data", *(f"{n}.backup" for n in range(4))}


def test_a_backup_holds_every_table_and_is_one_private_file(tmp_path: Path) -> None:
    make_data(tmp_path / "data", trim_below=20)
    made = back_up(tmp_path / "data", tmp_path / "ward.backup")
    assert made.size_bytes == (tmp_path / "ward.backup").stat().st_size
    assert (tmp_path / "ward.backup").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "ward.backup"]
    for path in (tmp_path / "data" / "crdtsync.db", tmp_path / "ward.backup"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as one:
            dump = list(one.iterdump())
        (tmp_path / "data" / f"{path.name}.sql").write_text("\n".join(dump), encoding="utf-8")
    both = [
        (tmp_path / "data" / f"{name}.sql").read_text() for name in ("crdtsync.db", "ward.backup")
    ]
    assert both[0] == both[1]
    assert 'INSERT INTO "kept_values"' in both[0]


def test_a_backup_that_is_there_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "data")
    with contextlib.closing(ward.connection):
        ward.push(write({"c/visits": "1"}))
        to = tmp_path / "ward.backup"
        back_up(tmp_path / "data", to)
        ward.push(write({"c/visits": "1"}))
        with pytest.raises(BackupRefused, match="--replace"):
            back_up(tmp_path / "data", to)
        assert back_up(tmp_path / "data", to, replace=True).heads[0].seq == 2


@pytest.mark.parametrize("older", [True, False])
def test_a_link_to_another_disk_stays_one_and_the_backup_lies_where_it_leads(
    tmp_path: Path, older: bool
) -> None:
    make_data(tmp_path / "data")
    (tmp_path / "disk").mkdir()
    there, link = tmp_path / "disk" / "ward.backup", tmp_path / "latest.backup"
    link.symlink_to(there)
    if older:
        there.write_text("an older one")
    back_up(tmp_path / "data", link, replace=older)
    assert link.is_symlink()
    assert verify(there).is_sound
    inward = tmp_path / "inward"
    inward.symlink_to(tmp_path / "data" / "crdtsync.db")
    with pytest.raises(BackupRefused, match="lies in the data folder"):
        back_up(tmp_path / "data", inward, replace=True)


def test_a_pipe_or_a_device_is_no_place_for_a_backup(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BackupRefused, match="is a pipe or a device"):
        back_up(tmp_path / "data", tmp_path / "pipe", replace=True)
    assert (tmp_path / "pipe").is_fifo()


def test_a_backup_that_was_stopped_leaves_the_older_one_and_nothing_else(tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "data")
    with contextlib.closing(ward.connection):
        ward.push(write({"c/visits": "1"}))
        to = tmp_path / "ward.backup"
        back_up(tmp_path / "data", to)
        older = to.read_bytes()
        ward.push(write({"c/visits": "1"}))

        for stopped_at in ("copy", "pages", "records"):

            def stop(step: str, done: int, total: int, wanted: str = stopped_at) -> None:
                if step == wanted:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                back_up(tmp_path / "data", to, replace=True, progress=stop)
            assert to.read_bytes() == older
            assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "ward.backup"]


def test_a_backup_that_was_killed_leaves_the_older_one(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    to = tmp_path / "ward.backup"
    back_up(tmp_path / "data", to)
    older = to.read_bytes()
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from crdtsync_server.operating.backup import back_up\n"
        "def die(step, done, total):\n"
        "    if step == 'log':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "back_up(Path(sys.argv[1]), Path(sys.argv[2]), replace=True, progress=die)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data"), str(to)],
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "server")])},
    )
    assert ended.returncode == -signal.SIGKILL
    assert to.read_bytes() == older
    assert any(path.name.endswith(".partial") for path in tmp_path.iterdir()), "it had begun"
    assert back_up(tmp_path / "data", to, replace=True).verified.is_sound


def test_damaged_data_is_not_backed_up_over_a_good_backup(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    to = tmp_path / "ward.backup"
    back_up(tmp_path / "data", to)
    good = to.read_bytes()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "crdtsync.db")) as one, one:
        one.execute("DELETE FROM receipts")
    with pytest.raises(BackupUnsound, match="is as it was") as caught:
        back_up(tmp_path / "data", to, replace=True)
    assert caught.value.verified.findings.counts["receipt_missing"] == 39
    assert to.read_bytes() == good
    told = run("backup", "--data", str(tmp_path / "data"), "--to", str(to), "--replace")
    assert told.exit_code == 1
    assert "receipts are missing" in told.output


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("data/ward.backup", "lies in the data folder itself"),
        ("nowhere/ward.backup", "make that folder first"),
        ("data", "is a folder"),
    ],
)
def test_a_place_where_no_backup_should_be_is_refused(tmp_path: Path, to: str, words: str) -> None:
    make_data(tmp_path / "data")
    with pytest.raises(BackupRefused, match=words):
        back_up(tmp_path / "data", tmp_path / to)
    assert (
        run("backup", "--data", str(tmp_path / "data"), "--to", str(tmp_path / to)).exit_code == 2
    )


def test_a_backup_needs_room_and_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_data(tmp_path / "data")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=5_000))
    with pytest.raises(DiskFull, match=r"there are 0\.0 MiB"):
        back_up(tmp_path / "data", tmp_path / "ward.backup")


def test_a_folder_without_a_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not a server's data folder"):
        back_up(tmp_path, tmp_path / "ward.backup")


# ── restore ─────────────────────────────────────────────────────────────────


def test_a_restored_folder_is_the_data_that_was_backed_up(tmp_path: Path) -> None:
    make_data(tmp_path / "data", trim_below=20)
    back_up(tmp_path / "data", tmp_path / "ward.backup")
    restored = restore(tmp_path / "ward.backup", tmp_path / "new" / "data")
    assert restored.path.read_bytes() == (tmp_path / "ward.backup").read_bytes()
    assert verify(restored.path).is_sound
    ward = open_ward(tmp_path / "new" / "data")
    with contextlib.closing(ward.connection):
        assert ward.push(write({"c/visits": "1"}))[0].seq == 39
    assert verify(restored.path).is_sound


async def test_a_folder_that_a_server_runs_on_is_never_restored_into(tmp_path: Path) -> None:
    make_data(tmp_path / "other")
    back_up(tmp_path / "other", tmp_path / "ward.backup")
    async with serving(tmp_path / "data"):
        with pytest.raises(FolderInUse, match=f"pid {os.getpid()}"):
            restore(tmp_path / "ward.backup", tmp_path / "data")
    with pytest.raises(RestoreRefused, match="is not empty"):
        restore(tmp_path / "ward.backup", tmp_path / "data")
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM log") == [(0,)]


def test_a_folder_that_holds_anything_is_refused_and_left_alone(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    back_up(tmp_path / "data", tmp_path / "ward.backup")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "notes.txt").write_text("keep me")
    told = run("restore", "--from", str(tmp_path / "ward.backup"), "--data", str(tmp_path / "new"))
    assert told.exit_code == 2
    assert "notes.txt" in told.output
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["notes.txt"]


def test_a_fresh_disk_counts_as_empty(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    back_up(tmp_path / "data", tmp_path / "ward.backup")
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    assert restore(tmp_path / "ward.backup", tmp_path / "disk").verified.is_sound


def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    back_up(tmp_path / "data", tmp_path / "ward.backup")
    with contextlib.closing(sqlite3.connect(tmp_path / "ward.backup")) as one, one:
        one.execute("DELETE FROM log WHERE position % 10 = 3")
    with pytest.raises(BackupDamaged, match="Take an older backup"):
        restore(tmp_path / "ward.backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_database_that_was_not_closed_is_no_backup(tmp_path: Path) -> None:
    """Its newest commits stand in the write-ahead file, which nobody would copy."""
    ward = open_ward(tmp_path / "data")
    with contextlib.closing(ward.connection):
        ward.push(write({"c/visits": "1"}))
        with pytest.raises(RestoreRefused, match="crdtsync backup"):
            restore(tmp_path / "data" / "crdtsync.db", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_devices_offer_again_what_the_backup_lacks_and_nothing_is_doubled(
    tmp_path: Path,
) -> None:
    """With real replicas: 0 lost of what devices hold, 0 doubled, and what is gone is said."""
    kept, again, gone, fresh = ([op_id() for _ in range(n)] for n in (2, 3, 1, 2))
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        patients, theirs = tablet.collection("patient"), phone.collection("patient")
        async with server(tmp_path) as ward, device(tmp_path, "broken") as broken:
            for replica in (tablet, phone, broken):
                replica.connect(ward.url)
            await patients.update("p1", name="Kim", allergies={"latex"}, op_id=kept[0])
            await theirs.increment("p1", "visits", 1, op_id=kept[1])
            await in_step(tablet, phone)
            made = await asyncio.to_thread(back_up, tmp_path / "server", tmp_path / "ward.backup")
            assert made.heads[0].seq == len(kept)
            await broken.collection("patient").update("p9", name="Gone", op_id=gone[0])
            await patients.update("p1", allergies={"milk"}, op_id=again[0])
            await patients.increment("p1", "visits", 10, op_id=again[1])
            await in_step(broken, tablet, phone)
            await theirs.update("p2", name="Choi", op_id=again[2])
            await in_step(tablet, phone)
            await tablet.disconnect()
            await phone.disconnect()
        await patients.increment("p1", "visits", 100, op_id=fresh[0])
        await theirs.update("p3", phone="010", op_id=fresh[1])
        shutil.move(tmp_path / "server", tmp_path / "old")
        restore(tmp_path / "ward.backup", tmp_path / "server")
        assert set(ServerLog(tmp_path).op_ids) == set(kept)
        async with server(tmp_path) as ward:
            for replica in (tablet, phone):
                replica.connect(ward.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            assert_once(tmp_path, [*kept, *again, *fresh])
            assert set(theirs) == {"p1", "p2", "p3"}
            assert theirs["p1"]["visits"] == 111
            assert theirs["p1"]["allergies"] == {"milk"}
            for replica in (tablet, phone):
                notices = {notice["kind"] for notice in replica.notices()}
                assert {"server_restored", "records_lost"} <= notices
    assert verify(tmp_path / "server" / "crdtsync.db").findings.told == []


# ── the commands ────────────────────────────────────────────────────────────


def test_the_commands_tell_what_is_in_a_backup_and_what_devices_will_do(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    to = tmp_path / "ward.backup"
    told = run("backup", "--data", str(tmp_path / "data"), "--to", str(to))
    assert told.exit_code == 0, told.output
    assert "space ward-3: up to change 38" in told.output
    assert "records: 7" in told.output
    told = run("restore", "--from", str(to), "--data", str(tmp_path / "new"), "--lang", "ko")
    assert told.exit_code == 0, told.output
    assert "공간 ward-3: 변경 38번까지" in told.output
    assert "정책 버전 3 이상" in told.output
    assert "다시" in told.output
    told = run("restore", "--from", str(to), "--data", str(tmp_path / "newer"), "--json")
    assert json.loads(told.stdout)["spaces"][0]["head"] == 38
