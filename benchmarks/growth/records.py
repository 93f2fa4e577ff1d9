"""What an op costs a server, by how many records it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.filling import now_us
from benchmarks.growth.bare import GROUP, WARM_SHARE
from benchmarks.growth.store import brief_server, copy_of_server, opened
from benchmarks.patients import op_on, phone, spread_over
from crdtsync.documents.ops import Op
from crdtsync_server.storage.store import FILE_NAME

HOT = 500
"""Records that a hospital has on its screens at a time."""


async def spread(params: Mapping[str, int]) -> dict[str, float]:
    """Every op edits another record, all over the store: none is in the server's memory."""
    records, ops = params["records"], params["ops"]
    return await _measured(records, spread_over(min(ops, records), records))


async def hot(params: Mapping[str, int]) -> dict[str, float]:
    """The ops go round a few records, as people work."""
    records, ops = params["records"], params["ops"]
    few = spread_over(HOT, records)
    return await _measured(records, [few[turn % len(few)] for turn in range(ops)])


async def _measured(records: int, numbers: Sequence[int]) -> dict[str, float]:
    ops = edits_of(numbers)
    with copy_of_server(brief_server(records)) as folder:
        async with opened(folder) as store:
            took_s, cpu_s, many = await store.timed(
                ops, at_once=GROUP, warm=len(ops) // WARM_SHARE // GROUP * GROUP
            )
        check_stored(folder, records, ops)
    return {"us": took_s * 1e6 / many, "cpu_us": cpu_s * 1e6 / many}


def edits_of(numbers: Sequence[int]) -> list[Op]:
    """One edit of a field each; who edits a record again has seen the edit before."""
    edits: dict[int, int] = {}
    made = []
    for number in numbers:
        edit = edits[number] = edits.get(number, 0) + 1
        made.append(op_on(number, edit, {"phone": phone(number, edit)}, now_us()))
    return made


def check_stored(folder: Path, records: int, ops: Sequence[Op]) -> None:
    """The server's file holds all of them, and no record more."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        (logged,) = connection.execute("SELECT count(*) FROM log").fetchone()
        (receipts,) = connection.execute("SELECT count(*) FROM receipts").fetchone()
        (there,) = connection.execute("SELECT count(*) FROM records").fetchone()
    assert (logged, receipts, there) == (records + len(ops), records + len(ops), records)
