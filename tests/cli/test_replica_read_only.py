"""Reading a replica file beside the program that holds it, without leaving a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from crdtsync import NotAReplica, Policy, Replica, StorageError, UsageError
from tests.cli.command_line import POLICY, Device, process

WRITES: list[Callable[[Replica], Awaitable[Any]]] = [
    lambda replica: replica.collection("patient").update("p1", name="x"),
    lambda replica: replica.collection("patient").create(name="x"),
    lambda replica: replica.collection("patient").delete("p1"),
    lambda replica: replica.retry(),
    lambda replica: replica.sync_once("ws://127.0.0.1:1"),
]


def holder(file: Path) -> Replica:
    """The program that holds the file."""
    return Replica.open(file, space="ward-3", policy=Policy.parse(POLICY), user="nurse-kim")


def content(file: Path) -> list[str]:
    """Everything in the file, as SQL."""
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def test_a_reader_sees_what_the_holder_writes_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a b%23?.db"
    async with holder(file) as replica:
        await replica.collection("patient").update("p1", name="Kim", allergies={"peanut"})
        before = content(file)
        async with Replica.open(file, user="reader", read_only=True) as reader:
            assert reader.collection("patient")["p1"]["name"] == "Kim"
            assert (reader.space, reader.replica_id) == (replica.space, replica.replica_id)
            await replica.collection("patient").update("p1", name="Lee")
            assert reader.collection("patient")["p1"]["name"] == "Lee"
            assert [item.fields for item in reader.outbox][-1] == {"name": "Lee"}
            found = await reader.collection("patient").where({"name": "Lee"})
            assert [record.id for record in found] == ["p1"]
            assert len(await reader.history("patient", "p1", "name")) == 2
        assert before != content(file), "the holder wrote"
        before = content(file)
        async with Replica.open(file, user="reader", read_only=True) as reader:
            assert reader.status.pending == 2
        assert content(file) == before
    before = content(file)
    async with Replica.open(file, user="reader", read_only=True) as reader:
        assert "p1" in reader.collection("patient")
    assert content(file) == before


@pytest.mark.parametrize("write", WRITES)
async def test_every_write_is_refused(
    tmp_path: Path, write: Callable[[Replica], Awaitable[Any]]
) -> None:
    file = tmp_path / "tablet.db"
    async with holder(file) as replica:
        await replica.collection("patient").update("p1", name="Kim")
    before = content(file)
    async with Replica.open(file, user="reader", read_only=True) as reader:
        with pytest.raises(UsageError, match="reading only"):
            await write(reader)
    assert content(file) == before


async def test_what_is_no_replica_is_refused_and_not_touched(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    text = tmp_path / "text.db"
    text.write_text("not a database, and long enough to be looked at " * 100, encoding="utf-8")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for file in (tmp_path / "none.db", empty, text, other, tmp_path):
        with pytest.raises(StorageError):
            async with Replica.open(file, user="reader", read_only=True):
                pass
    assert not (tmp_path / "none.db").exists()
    assert empty.stat().st_size == 0
    with pytest.raises(NotAReplica):
        async with Replica.open(":memory:", user="reader", read_only=True):
            pass


async def test_a_file_of_another_schema_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "tablet.db"
    async with holder(file):
        pass
    for number, words in ((0, "older crdtsync"), (99, "newer crdtsync")):
        connection = sqlite3.connect(file)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.close()
        with pytest.raises(StorageError, match=words):
            async with Replica.open(file, user="reader", read_only=True):
                pass


async def test_another_space_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tablet.db"
    async with holder(file):
        pass
    with pytest.raises(NotAReplica, match="one file holds one space"):
        async with Replica.open(file, space="ward-4", user="reader", read_only=True):
            pass


READING = [
    ["records", "patient"], ["get", "patient", "p1"], ["status"], ["outbox"], ["conflicts"],
    ["history", "patient", "p1", "name"], ["export", "-", "-c", "patient"],
]  # fmt: skip


async def test_reading_commands_work_beside_the_holder_and_writing_ones_name_it(
    tmp_path: Path,
) -> None:
    device = Device(tmp_path / "tablet.db", "nurse-kim")
    async with holder(device.file) as replica:
        await replica.collection("patient").update("p1", name="Kim")
        for args in READING:
            done = process(*args, "--replica", device.file)
            assert done.exit_code in (0, 1), done.stderr
            assert done.stdout
            assert (done.exit_code == 1) == (args == ["status"]), "one change waits"
        for lang, words in (("en", "is open in"), ("ko", "다른 프로그램에서")):
            done = process(
                "set", "patient", "p1", "name=x", "--replica", device.file, "-u", "kim",
                "--lang", lang,
            )  # fmt: skip
            assert done.exit_code == 3
            assert words in done.stderr
            assert "pid" in done.stderr
            assert "Traceback" not in done.stderr
        assert replica.collection("patient")["p1"]["name"] == "Kim"
