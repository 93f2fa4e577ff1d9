"""Retention in a server that runs: its schedule, beside ops, on a bad disk, killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtsync.database import InlineExecutor, queries
from crdtsync.protocol.messages import Limits, Receipt
from crdtsync_server import trimming
from crdtsync_server.authentication import DevAuthenticator
from crdtsync_server.service import Service
from crdtsync_server.settings import DAY_S, BadSettings, Retention, Settings, Timeouts, parse_age
from crdtsync_server.simulation.virtual_time import run_virtually
from crdtsync_server.storage import retention
from crdtsync_server.storage.keys import chain, uuid_bytes
from crdtsync_server.storage.retention import trim_log
from crdtsync_server.storage.store import Store, connect_reader, connect_writer
from tests.server.server_process import ServerProcess
from tests.server.serving import (
    POLICY,
    SPACE,
    START_US,
    FaultyConnection,
    GatedExecutor,
    Wire,
    device,
    hello_of,
    rows_of,
    serving,
    write,
)
from tests.server.test_retention import HOUR_US, Space, entries_of

SQL = queries("crdtsync_server.storage", "queries.sql")
KEEP_NOTHING = Retention(keep_log_s=0, keep_entries=0)


class World:
    """A service in virtual time over a connection that may fail; its clock is the loop's."""

    def __init__(self, kept: Retention) -> None:
        self.connection = FaultyConnection(connect_writer(":memory:"))
        executor: Any = InlineExecutor(self.connection)  # type: ignore[arg-type]
        self.store = Store(executor, executor, what="the disk")
        settings = Settings(Path("."), "127.0.0.1", 0, True, Limits(), Timeouts(), retention=kept)
        self.service = Service(POLICY, settings, DevAuthenticator(POLICY), now_us=self.now_us)
        self.space = Space(self.connection)

    def now_us(self) -> int:
        return START_US + round(asyncio.get_running_loop().time() * 1e6)

    def write(self, count: int) -> None:
        """Ops that are received now."""
        self.space.now_us = self.now_us() - HOUR_US
        self.space.push(*[write({"r/name": f'"{n}"'}, record=f"p{n}") for n in range(count)])

    async def __aenter__(self) -> World:
        await self.service.start(self.store)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.drain()
        await self.service.close()


def test_old_detail_goes_by_itself_and_each_entry_has_its_stated_time() -> None:
    async def main() -> list[int]:
        async with World(Retention(keep_log_s=10 * DAY_S, keep_entries=0)) as world:
            starts = []
            for _ in range(30):
                world.write(3)
                await asyncio.sleep(DAY_S)
                starts.append(world.space.log_start)
            return starts

    starts = run_virtually(main())
    # At the end of day n the entries of the days that lie more than ten back are trimmed.
    assert starts == [3 * max(day - 10, 0) + 1 for day in range(1, 31)]


@pytest.mark.parametrize("statement", ["BEGIN", "DELETE FROM log", "COMMIT"])
def test_a_disk_that_fails_is_told_in_words_and_tried_again_later(
    statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> tuple[int, int, int]:
        async with World(KEEP_NOTHING) as world:
            world.write(5)
            before = entries_of(world.connection)
            world.connection.fail_on = statement
            world.connection.error = full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorname = "SQLITE_FULL"
            await asyncio.sleep(trimming.FIRST_AFTER_S + 1)
            failed = world.space.log_start
            world.connection.fail_on = None
            assert entries_of(world.connection) == before
            await asyncio.sleep(trimming.RETRY_S - 2)
            waited = world.space.log_start
            await asyncio.sleep(2)
            return failed, waited, world.space.log_start

    with caplog.at_level(logging.ERROR, "crdtsync.server.retention"):
        assert run_virtually(main()) == (1, 1, 6)
    (told,) = caplog.messages
    assert "nothing is lost" in told
    assert "no space left for the disk" in told


def test_a_fault_of_our_own_does_not_end_trimming_for_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        async with World(KEEP_NOTHING) as world:
            world.write(5)
            with monkeypatch.context() as patch:
                patch.setattr(retention, "_shortened", lambda entry: 1 / 0)
                await asyncio.sleep(trimming.FIRST_AFTER_S + 1)
            assert world.space.log_start == 1
            await asyncio.sleep(trimming.RETRY_S)
            return world.space.log_start

    assert run_virtually(main()) == 6
    assert "ZeroDivisionError" in caplog.text


def test_a_log_that_is_kept_for_ever_is_never_trimmed() -> None:
    async def main() -> int:
        async with World(Retention(keep_log_s=None)) as world:
            world.write(2_000)
            await asyncio.sleep(30 * DAY_S)
            assert await world.service.trimmer.trim() == 0
            return world.space.log_start

    assert run_virtually(main()) == 1


async def test_ops_and_readers_go_on_while_the_log_is_trimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "PAUSE_S", 0)
    monkeypatch.setattr(retention, "SLICE_ROWS", 7)
    ops = [write({"r/name": f'"{n}"', "c/visits": "1"}, record=f"p{n % 5}") for n in range(900)]
    receipts: list[Receipt] = []
    async with (
        serving(tmp_path, retention=KEEP_NOTHING) as server,
        device(server) as wire,
        device(server, "lee") as reader,
    ):
        trimmed = 0
        for start in range(0, 900, 30):
            trim = asyncio.create_task(server.service.trimmer.trim())
            answers = await wire.push(*ops[start : start + 30])
            receipts += [one for one in answers if isinstance(one, Receipt)]
            trimmed += await trim
        assert trimmed > 100
        # A reader that keeps up gets every entry whole, whatever was trimmed behind it.
        entries = await reader.entries_to(900)
        assert all(entry.writes and len(entry.writes) == 2 for entry in entries)
        assert [one.seq for one in receipts] == list(range(1, 901))
        await server.service.trimmer.trim()
        again = await wire.push(*ops[:150])
        assert again == receipts[:150]
    assert rows_of(tmp_path, "SELECT log_start, seq FROM spaces") == [(901, 900)]
    counts = rows_of(tmp_path, "SELECT count(*), count(DISTINCT op_id) FROM receipts")
    assert counts == [(900, 900)]


async def test_a_server_that_stops_in_the_middle_of_a_slice_ends_cleanly(tmp_path: Path) -> None:
    path = tmp_path / "crdtsync.db"
    writer = GatedExecutor(FaultyConnection(connect_writer(str(path))))
    reader = GatedExecutor(FaultyConnection(connect_reader(path)))
    store = Store(writer, reader, what=str(path))
    async with serving(tmp_path, store=store, retention=KEEP_NOTHING) as server:
        async with device(server) as wire:
            for _ in range(3):
                await wire.accept(write({"r/name": '"Kim"'}))
        writer.entered.clear()
        writer.gate.clear()
        trim = asyncio.create_task(server.service.trimmer.trim())
        await writer.entered.wait()
        stopping = asyncio.create_task(server.service.trimmer.stop())
        writer.gate.set()
        await stopping
        await trim
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert "crdtsync retention" not in names


async def test_the_task_of_a_server_ends_with_it_and_can_be_ended_twice(tmp_path: Path) -> None:
    def tasks() -> list[str]:
        return [one.get_name() for one in asyncio.all_tasks() if "retention" in one.get_name()]

    async with serving(tmp_path) as server:
        assert len(tasks()) == 1
        await server.service.trimmer.stop()
        await server.service.trimmer.stop()
        assert tasks() == []
    async with serving(tmp_path):
        assert len(tasks()) == 1
    assert tasks() == []


# ── killed ──────────────────────────────────────────────────────────────────

KILLED = """
import os, signal, sys
from crdtsync.database import queries, transaction
from crdtsync_server.storage import retention
from crdtsync_server.storage.store import connect_writer

moment, left = sys.argv[2], [int(sys.argv[3])]

class deadly(transaction):
    def __exit__(self, kind, *rest):
        left[0] -= 1
        if moment == "before" and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__exit__(kind, *rest)
        if moment == "after" and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

retention.transaction = deadly
retention.trim_old(
    connect_writer(sys.argv[1]),
    queries("crdtsync_server.storage", "queries.sql"),
    before_us=1 << 60,
    max_rows=20,
)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_server_killed_around_the_commit_of_a_slice_loses_nothing_and_goes_on(
    tmp_path: Path, moment: str
) -> None:
    file = tmp_path / "crdtsync.db"
    with contextlib.closing(connect_writer(str(file))) as connection:
        space = Space(connection)
        ops = [write({"r/name": f'"{n}"'}, record=f"p{n % 4}") for n in range(100)]
        space.push(*ops)
        told = {record: space.record(record).encode() for record in ("p0", "p1", "p2", "p3")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(file), moment, "3"
    )
    assert await process.wait() == -9
    with contextlib.closing(connect_writer(str(file))) as connection:
        again = Space(connection)
        assert again.log_start == (41 if moment == "before" else 61)
        trim_log(connection, SQL, SPACE, 97)
        assert again.log_start == 97
        digest = b""
        for entry in entries_of(connection):
            digest = chain(digest, uuid_bytes(entry.op_id), entry.received_us)
            assert entry.digest == digest
        assert [again.push(op)[0] for op in ops] == [space.receipts[op.op_id] for op in ops]
        assert {record: again.record(record).encode() for record in told} == told
        # The last of each record that had lost to a trimmed one, and the ones just before the cut.
        assert connection.execute("SELECT count(*) FROM kept_values").fetchone() == (4 + 4,)


# ── what people set ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12h", 43_200), ("90d", 90 * DAY_S), ("8w", 56 * DAY_S), ("2y", 730 * DAY_S)],
)
def test_times_are_written_as_people_say_them(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


def test_forever_is_a_time_too() -> None:
    assert parse_age("forever") is None


@pytest.mark.parametrize("text", ["", "90", "d", "-3d", "1.5d", "0d", "90 d", "1000000000d", "٣d"])
def test_what_is_no_time_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(BadSettings, match=r"90d.*forever"):
        parse_age(text)


@pytest.mark.parametrize("kept", [Retention(keep_log_s=-1), Retention(keep_entries=-1)])
def test_less_than_nothing_cannot_be_kept(tmp_path: Path, kept: Retention) -> None:
    with pytest.raises(BadSettings, match="less than"):
        serving(tmp_path, retention=kept)


async def test_the_command_takes_the_retention_and_says_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    dev = ("--dev", "--port", "0")
    code, said = await ServerProcess(tmp_path, *dev, "--keep-log", "a while").ended()
    assert code == 2
    assert "a while" in said
    options = (*dev, "--keep-log", "12h", "--keep-entries", "5")
    async with ServerProcess(tmp_path, *options) as server, await Wire.open(server.url) as wire:
        assert (await wire.greet(hello_of())).head.seq == 0
