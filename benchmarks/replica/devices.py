"""Replicas for the contenders: new ones, and those that hold a whole server's records."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.harness.disk import copy_of, prepared
from benchmarks.patients import POLICY, SPACE, USER, patient, record_id
from benchmarks.serving import ServerProcess
from crdtsync import Replica

SYNC_TIMEOUT_S = 300
MANY = 500
"""Records a commit where many are written while something is prepared."""


def device(path: Path) -> Replica:
    """A replica in this file; a new one if there is none."""
    return Replica.open(path, space=SPACE, policy=POLICY, user=USER, device="bench")


@contextmanager
def work_folder() -> Iterator[Path]:
    """An empty folder on a disk."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def filled_server(records: int) -> Path:
    """A server's folder with so many records. Not to be written to."""
    return prepared(f"server-{records}", "benchmarks.filling:fill", records=records)


def in_step(records: int) -> Path:
    """A folder with ``server`` and ``replica.db``, both with so many records, in step. Not to
    be written to."""
    filled_server(records)
    return prepared(f"in-step-{records}", f"{__name__}:bring_in_step", records=records)


async def bring_in_step(folder: Path, records: int) -> None:
    """Make such a folder."""
    with ServerProcess(copy_of(filled_server(records), folder / "server")) as server:
        async with device(folder / "replica.db") as replica:
            await replica.sync_once(server.url, timeout=SYNC_TIMEOUT_S)


def replica_of(records: int, folder: Path) -> Path:
    """A replica's file with so many records, to be written to."""
    path = folder / "replica.db"
    shutil.copyfile(in_step(records) / path.name, path)
    os.sync()
    return path


async def write_all(replica: Replica, records: int) -> None:
    """Begin so many records on a device."""
    patients = replica.collection("patient")
    numbers = iter(range(records))
    while some := list(islice(numbers, MANY)):
        await patients.update_many({record_id(number): patient(number) for number in some})


def check_patients(replica: Replica, records: int, *, samples: int = 50) -> None:
    """All records are there, and some of them, all over, read as they were written."""
    patients = replica.collection("patient")
    assert len(patients) == records, f"{len(patients)} records instead of {records}"
    for number in range(0, records, max(records // samples, 1)):
        assert dict(patients[record_id(number)]) == patient(number), record_id(number)
