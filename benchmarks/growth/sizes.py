"""What an op leaves on the disk, on a server and on a device."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from benchmarks.growth.records import check_stored, edits_of
from benchmarks.growth.store import copy_of_server, opened
from benchmarks.patients import phone, record_id, spread_over
from benchmarks.replica.devices import (
    SYNC_TIMEOUT_S,
    device,
    filled_server,
    replica_of,
    work_folder,
)
from benchmarks.serving import ServerProcess
from crdtsync_server.storage.store import FILE_NAME

TRACE = (
    "requests", "requests_by_time", "requests_by_request_id", "requests_by_user",
    "requests_refused", "groups", "groups_by_time",
)  # fmt: skip


async def on_a_server(params: Mapping[str, int]) -> dict[str, float]:
    """Edits of one field of ten, each of another record."""
    records, at_once = params["records"], params["at_once"]
    ops = edits_of(spread_over(records, records))
    with copy_of_server(filled_server(records)) as folder:
        before, pages = folder_bytes(folder), tables(folder)
        async with opened(folder) as store:
            await store.timed(ops, at_once=at_once, warm=0)
        check_stored(folder, records, ops)
        grown, after = folder_bytes(folder) - before, tables(folder)
    many = len(ops)
    trace = sum(after.get(name, 0) - pages.get(name, 0) for name in TRACE)
    return {
        "file_bytes": grown / many,
        "log_bytes": (after["log"] - pages["log"]) / many,
        "receipt_bytes": (after["receipts"] - pages["receipts"]) / many,
        "trace_bytes": trace / many,
        "record_bytes": (after["records"] - pages["records"]) / many,
        "op_bytes": sum(len(msgspec.msgpack.encode(op)) for op in ops) / many,
    }


async def on_a_device(params: Mapping[str, int]) -> dict[str, float]:
    """The same edits without a network, and once they are in step."""
    records = params["records"]
    numbers = spread_over(records, records)
    with work_folder() as folder:
        path = replica_of(records, folder)
        before = path.stat().st_size
        with copy_of_server(filled_server(records)) as server_folder:
            async with device(path) as replica:
                patients = replica.collection("patient")
                for first in range(0, records, 500):
                    some = numbers[first : first + 500]
                    await patients.update_many(
                        {record_id(one): {"phone": phone(one, 1)} for one in some}
                    )
            waiting = path.stat().st_size - before
            with ServerProcess(server_folder) as server:
                async with device(path) as replica:
                    await replica.sync_once(server.url, timeout=SYNC_TIMEOUT_S)
                    assert len(replica.outbox) == 0
            in_step = path.stat().st_size - before
        with closing(sqlite3.connect(path)) as connection:
            free = free_bytes(connection)
    many = len(numbers)
    return {"file_bytes": (in_step - free) / many, "waiting_bytes": waiting / many}


def folder_bytes(folder: Path) -> int:
    """Bytes of all files."""
    return sum(one.stat().st_size for one in os.scandir(folder) if one.is_file())


def tables(folder: Path) -> dict[str, int]:
    """Bytes of the pages of every table and index."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        rows = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
        return {name: int(size) for name, size in rows}


def free_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages that are free for what comes next."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)
