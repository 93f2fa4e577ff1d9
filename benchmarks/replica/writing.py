"""Durable writes on a device, beside the least that a durable write can cost."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.harness.percentiles import latencies
from benchmarks.patients import phone, record_id, spread_over
from benchmarks.replica.devices import device, replica_of, work_folder

WARM = 20
"""Writes before the clock, after which code and files are warm."""

ROW_BYTES = 400
"""What the bare loop inserts: about what an op and its record take in a replica's file."""


async def replica_writes(params: Mapping[str, int]) -> dict[str, float]:
    """``await patients.update(id, phone=…)``, one after the other."""
    return await _of_replica(params, many=1)


async def replica_writes_many(params: Mapping[str, int]) -> dict[str, float]:
    """``await patients.update_many(…)`` of a hundred records at a time."""
    return await _of_replica(params, many=params["at_once"])


async def _of_replica(params: Mapping[str, int], *, many: int) -> dict[str, float]:
    records, writes = params["records"], params["writes"]
    numbers = spread_over((WARM + writes) * many, records)
    expected: dict[int, str] = {}
    with work_folder() as folder:
        path = replica_of(records, folder)
        async with device(path) as replica:
            patients = replica.collection("patient")

            async def write(turn: int) -> None:
                some = numbers[turn * many : (turn + 1) * many]
                changes = {number: phone(number, turn + 1) for number in some}
                expected.update(changes)
                if many == 1:
                    await patients.update(record_id(some[0]), phone=changes[some[0]])
                else:
                    await patients.update_many(
                        {record_id(number): {"phone": new} for number, new in changes.items()}
                    )

            figures = await _timed(write, writes, many)
        async with device(path) as replica:
            patients = replica.collection("patient")
            assert len(replica.outbox) == (WARM + writes) * many
            for number, new in expected.items():
                assert patients[record_id(number)]["phone"] == new
    return figures


async def bare_commits(params: Mapping[str, int]) -> dict[str, float]:
    """One row a commit: BEGIN IMMEDIATE, INSERT, COMMIT; WAL, synchronous=FULL, no thread."""
    return await _of_sqlite(params, many=1)


async def bare_commits_many(params: Mapping[str, int]) -> dict[str, float]:
    """A hundred rows a commit."""
    return await _of_sqlite(params, many=params["at_once"])


async def _of_sqlite(params: Mapping[str, int], *, many: int) -> dict[str, float]:
    writes = params["writes"]
    with work_folder() as folder, closing(_bare_file(folder / "bare.db")) as connection:

        async def write(turn: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO rows VALUES (?, ?)", _rows(many))
            connection.execute("COMMIT")

        figures = await _timed(write, writes, many)
        (count,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        assert count == (WARM + writes) * many
    return figures


def _bare_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, body BLOB NOT NULL)")
    return connection


def _rows(many: int) -> Sequence[tuple[str, bytes]]:
    return [(str(uuid.uuid4()), b"x" * ROW_BYTES) for _ in range(many)]


async def _timed(
    write: Callable[[int], Awaitable[None]], writes: int, many: int
) -> dict[str, float]:
    for turn in range(WARM):
        await write(turn)
    taken_s = []
    cpu_s, began_s = time.process_time(), time.perf_counter()
    for turn in range(WARM, WARM + writes):
        before_s = time.perf_counter()
        await write(turn)
        taken_s.append(time.perf_counter() - before_s)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return latencies(taken_s) | {
        "per_s": writes * many / took_s,
        "cpu_us": cpu_s * 1e6 / (writes * many),
    }
