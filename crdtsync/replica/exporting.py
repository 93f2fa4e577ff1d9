"""The queue as a file that people can read without crdtsync."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence

from crdtsync.database import DiskFull, StorageError
from crdtsync.replica.queue_rows import Row
from crdtsync.replica.queue_view import full_op, items
from crdtsync.whole_file import write_whole

BESIDE = ("", "-wal", "-shm", "-journal", ".lock")
"""Endings of the files that belong to a replica: SQLite's own, and the lock."""


def export_lines(rows: Sequence[Row]) -> list[str]:
    """One line of JSON per op."""
    return [
        json.dumps({**item.to_json(), "op": full_op(row)}, ensure_ascii=False) + "\n"
        for item, row in zip(items(rows), rows, strict=True)
    ]


def is_own_file(target: str | os.PathLike[str], replica: str | os.PathLike[str]) -> bool:
    """Whether ``target`` is the replica's file, by whatever name, or one that lies beside it.

    Written over, it would take the queue and every record with it (invariant 4).
    """
    own = os.path.realpath(replica)
    if os.path.realpath(target) in {f"{own}{ending}" for ending in BESIDE}:
        return True
    try:
        return os.path.samefile(target, own)
    except OSError:  # one of them is not there
        return False


def write_queue(target: str, lines: Sequence[str]) -> None:
    """Write a file wholly or not at all; raises StorageError."""
    try:
        write_whole(target, lines, replace=True)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"{target} cannot be written ({error.strerror}); the queue is as it was"
        ) from error
