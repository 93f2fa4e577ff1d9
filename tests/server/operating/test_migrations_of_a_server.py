"""A database of an earlier version: brought up to date wholly, or left as it was."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from crdtsync.database import DiskFull, StorageError, connect_durable, migrate, newest_schema
from crdtsync_server.operating.backup import back_up
from crdtsync_server.operating.checking.findings import Findings
from crdtsync_server.operating.checking.structure import check_schema_is_ours
from crdtsync_server.operating.checking.verifying import verify
from crdtsync_server.storage.migrating import REWRITES, prepare_migration
from crdtsync_server.storage.store import MIGRATIONS, connect_writer
from tests.server.operating.ward_data import make_data, open_ward
from tests.server.serving import device, rows_of, serving, write

ROOT = Path(__file__).parents[3]
NEWEST = newest_schema(MIGRATIONS)


def make_old_data(folder: Path, version: int) -> list[str]:
    """Data as a server of an earlier version left it: its tables, with everything in them."""
    newer, older = folder.with_name("newer") / "crdtsync.db", folder / "crdtsync.db"
    ops = make_data(newer.parent)
    folder.mkdir(parents=True)
    with contextlib.closing(connect_durable(str(older))) as connection:
        migrate(connection, MIGRATIONS, what="old data", upto=version)
        connection.execute("ATTACH ? AS newer", (str(newer),))
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
            columns = ", ".join(name for (name,) in rows)
            connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}"
            )
    shutil.rmtree(newer.parent)
    return ops


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_data_of_every_earlier_version_is_brought_up_to_date_and_goes_on(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    make_old_data(tmp_path / "data", version)
    path = tmp_path / "data" / "crdtsync.db"
    before = verify(path)
    assert (before.schema, before.findings.told) == (version, [])
    with caplog.at_level(logging.INFO):
        ward = open_ward(tmp_path / "data")
    with contextlib.closing(ward.connection):
        assert ward.push(write({"c/visits": "1"}))[0].seq == 39
    assert f"from_schema={version} to_schema={NEWEST}" in caplog.text
    after = verify(path)
    assert (after.schema, after.findings.told) == (NEWEST, [])
    assert after.records == before.records


async def test_a_server_starts_on_data_of_version_1_and_says_what_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ops = make_old_data(tmp_path / "data", 1)
    with caplog.at_level(logging.INFO):
        async with serving(tmp_path / "data") as running, device(running) as wire:
            assert (await wire.accept(write({"c/visits": "1"}))).seq == len(ops) + 1
    assert "bringing the database up to date" in caplog.text
    assert rows_of(tmp_path / "data", "PRAGMA user_version") == [(NEWEST,)]


def test_data_of_an_earlier_version_can_be_backed_up_before_the_upgrade(tmp_path: Path) -> None:
    make_old_data(tmp_path / "data", 2)
    made = back_up(tmp_path / "data", tmp_path / "ward.backup")
    assert made.verified.schema == 2
    assert verify(tmp_path / "data" / "crdtsync.db").schema == 2, "a backup changes nothing"


async def test_data_of_a_newer_server_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    make_data(tmp_path / "data")
    path = tmp_path / "data" / "crdtsync.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=f"schema 99, this one knows {NEWEST}.*install"):
        await serving(tmp_path / "data").start()
    assert rows_of(tmp_path / "data", "PRAGMA user_version") == [(99,)]
    with pytest.raises(StorageError, match="schema 99"):
        back_up(tmp_path / "data", tmp_path / "ward.backup")


def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old_data(tmp_path / "data", 1)
    path = tmp_path / "data" / "crdtsync.db"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(DiskFull, match="Nothing was changed; make room"):
        connect_writer(str(path))
    assert rows_of(tmp_path / "data", "PRAGMA user_version") == [(1,)]
    monkeypatch.undo()
    connect_writer(str(path)).close()
    assert rows_of(tmp_path / "data", "PRAGMA user_version") == [(NEWEST,)]


def test_a_migration_that_rewrites_the_database_needs_as_much_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "crdtsync.db"
    with path.open("wb") as file:
        file.truncate(500 * 1_048_576)
    usage = shutil.disk_usage(tmp_path)._replace(free=400 * 1_048_576)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    prepare_migration(str(path), 1, ["CREATE TABLE small (x)"])
    with pytest.raises(DiskFull, match=r"501\.0 MiB"):
        prepare_migration(str(path), 1, [f"{REWRITES}\nUPDATE log SET x = 1"])


KILLED = """
import contextlib, json, os, shutil, sys
from pathlib import Path
from crdtsync.database import connect_durable, migrate
from crdtsync_server.storage.store import MIGRATIONS

original, copy, ended = Path(sys.argv[1]), Path(sys.argv[2]), []
while True:
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{copy}{ending}")
    shutil.copyfile(original, copy)
    child = os.fork()
    if child == 0:
        left = [len(ended)]
        def trace(statement):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), 9)
        connection = connect_durable(str(copy))
        connection.set_trace_callback(trace)
        migrate(connection, MIGRATIONS, what="it")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    for ending in ("", "-wal"):
        if os.path.exists(f"{copy}{ending}"):
            shutil.copyfile(f"{copy}{ending}", f"{copy.parent}/{len(ended)}.db{ending}")
    ended.append(status)
    if status == 0:
        break
print(json.dumps(ended))
"""


def test_a_migration_that_is_killed_anywhere_leaves_the_old_or_the_new_and_never_half(
    tmp_path: Path,
) -> None:
    """Killed before each of its statements; what is left is one version, whole, and goes on."""
    make_old_data(tmp_path / "data", 1)
    path = tmp_path / "data" / "crdtsync.db"
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(tmp_path / "copy.db")],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "server")])},
    )
    ended = json.loads(run.stdout)
    assert len(ended) > 10
    assert ended[-1] == 0
    assert all(status == 9 for status in ended[:-1])
    seen = set()
    for n in range(len(ended)):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{n}.db")) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            findings = Findings()
            check_schema_is_ours(connection, findings, version)
            assert findings.told == []
            assert connection.execute("SELECT count(*) FROM log").fetchone() == (39,)
            seen.add(version)
    assert seen == set(range(1, NEWEST + 1))
    killed_in_the_middle = tmp_path / f"{len(ended) // 2}.db"
    connect_writer(str(killed_in_the_middle)).close()
    assert verify(killed_in_the_middle).findings.told == []
