"""What a record costs in a server's memory: one that nobody uses, and one in use."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.filling import BOUNDS, check_accepted, now_us, push_of
from benchmarks.growth.store import brief_server, copy_of_server
from benchmarks.harness.disk import resident_bytes
from benchmarks.patients import POLICY, SPACE, USER, op_on, phone
from benchmarks.replica.devices import filled_server
from benchmarks.replica.pushing import greeted
from benchmarks.serving import ServerProcess
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.store import FILE_NAME, connect_writer
from crdtsync_server.work import Notes, Origin, PushWork

GROUP = 500
SMALL_CACHE_KIB = 2_048


async def cold(params: Mapping[str, int]) -> dict[str, float]:
    """A server over so many records beside one over none: as it has opened, and after a device
    has taken all of them. A figure below 0 is what the two processes differ by in any case."""
    records = params["records"]
    with tempfile.TemporaryDirectory() as empty, copy_of_server(brief_server(records)) as filled:
        with ServerProcess(Path(empty)) as server:
            empty_bytes = server.resident_bytes()
        with ServerProcess(filled) as server:
            opened_bytes = server.resident_bytes()
            socket = await greeted(server.url)
            paged_bytes = server.resident_bytes()
            await socket.close()
    return {
        "record_bytes": (opened_bytes - empty_bytes) / records,
        "paged_bytes": (paged_bytes - empty_bytes) / records,
        "server_mb": opened_bytes / 1e6,
    }


def hot(params: Mapping[str, int]) -> dict[str, float]:
    """The growth of a process whose ledger took one op to each of so many records of ten
    fields. SQLite's page cache is kept small: only what the server itself holds is counted."""
    records = params["records"]
    origin = Origin(SPACE, USER, USER, frozenset())
    with copy_of_server(filled_server(records)) as folder:
        connection = connect_writer(str(folder / FILE_NAME))
        connection.execute(f"PRAGMA cache_size = -{SMALL_CACHE_KIB}")
        ledger = Ledger(POLICY, BOUNDS)
        first = min(GROUP, records // 10)
        before = 0

        def edit(numbers: range) -> None:
            ops = [op_on(one, 1, {"phone": phone(one, 1)}, now_us()) for one in numbers]
            work = PushWork(origin, push_of(ops), 0, lambda _: None)
            group = ledger.commit_group(connection, [work], Notes(), now_us())
            check_accepted(group.results[0])

        edit(range(first))
        gc.collect()
        before = resident_bytes() or 0
        for start in range(first, records, GROUP):
            edit(range(start, min(start + GROUP, records)))
        gc.collect()
        after = resident_bytes() or 0
        connection.close()
    return {"record_bytes": (after - before) / (records - first)}
