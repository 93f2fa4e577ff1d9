"""First sync, catching up, and draining an outbox: a device and a server on loopback.

The clock runs from ``connect`` until the device knows that it is in step: everything is
durable on both sides by then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from benchmarks.harness.apart import run_apart
from benchmarks.harness.disk import copy_of
from benchmarks.patients import patient, phone, record_id, spread_over
from benchmarks.replica.devices import (
    SYNC_TIMEOUT_S,
    check_patients,
    device,
    filled_server,
    in_step,
    work_folder,
    write_all,
)
from benchmarks.serving import ServerProcess
from crdtsync import Replica

SERVER_FILE = "crdtsync.db"
"""In a server's folder."""


async def first_sync(params: Mapping[str, int]) -> dict[str, float]:
    """An empty device gets all records of a server."""
    records = params["records"]
    filled = filled_server(records)
    with (
        work_folder() as folder,
        ServerProcess(copy_of(filled, folder / "server")) as server,
    ):
        async with device(folder / "replica.db") as replica:
            figures = await _in_step(replica, server, records)
            check_patients(replica, records)
        return figures | {"file_bytes_per_record": size_of(folder / "replica.db") / records}


async def catch_up(params: Mapping[str, int]) -> dict[str, float]:
    """A device comes back that held everything; 1 % of the records changed meanwhile."""
    records = params["records"]
    changed = spread_over(max(records // 100, 1), records)
    with work_folder() as folder:
        both = copy_of(in_step(records), folder / "both")
        run_apart(
            "benchmarks.filling:change_phones", both / "server",
            records=records, changed=len(changed),
        )  # fmt: skip
        with ServerProcess(both / "server") as server:
            async with device(both / "replica.db") as replica:
                patients = replica.collection("patient")
                first = record_id(changed[0])
                assert patients[first]["phone"] == patient(changed[0])["phone"]
                figures = await _in_step(replica, server, len(changed))
                for number in changed:
                    assert patients[record_id(number)]["phone"] == phone(number, 1)
    return figures


async def drain(params: Mapping[str, int]) -> dict[str, float]:
    """A device that wrote so many records without a network finds it again."""
    ops = params["ops"]
    with work_folder() as folder:
        with ServerProcess(folder / "server") as server:
            async with device(folder / "replica.db") as replica:
                await write_all(replica, ops)
                assert len(replica.outbox) > 0
                figures = await _in_step(replica, server, ops)
                assert replica.status.waiting == 0
                check_patients(replica, ops)
        assert logged(folder / "server") == ops
    return figures


async def _in_step(replica: Replica, server: ServerProcess, many: int) -> dict[str, float]:
    """Connect and wait until nothing is missing on either side."""
    server_s, own_s, began_s = server.cpu_s(), time.process_time(), time.perf_counter()
    replica.connect(server.url)
    await replica.synced(timeout=SYNC_TIMEOUT_S)
    took_s = time.perf_counter() - began_s
    own_s, server_s = time.process_time() - own_s, server.cpu_s() - server_s
    return {
        "per_s": many / took_s,
        "seconds": took_s,
        "device_cpu_us": own_s * 1e6 / many,
        "server_cpu_us": server_s * 1e6 / many,
    }


def logged(folder: Path) -> int:
    """Ops in the log of a server that has ended."""
    with closing(sqlite3.connect(folder / SERVER_FILE)) as connection:
        return int(connection.execute("SELECT count(*) FROM log").fetchone()[0])


def size_of(path: Path) -> int:
    """Bytes of a database with what has not been moved into its file yet."""
    parts = (path, path.with_name(f"{path.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
