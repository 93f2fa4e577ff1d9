"""The queue as a file that people can read without crdtsync."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Sequence

from crdtsync.database import DiskFull, StorageError
from crdtsync.replica.queue_rows import Row
from crdtsync.replica.queue_view import full_op, items


def export_lines(rows: Sequence[Row]) -> list[str]:
    """One line of JSON per op."""
    return [
        json.dumps({**item.to_json(), "op": full_op(row)}, ensure_ascii=False) + "\n"
        for item, row in zip(items(rows), rows, strict=True)
    ]


def write_whole(target: str, lines: Sequence[str]) -> None:
    """Write a file wholly or not at all; raises StorageError."""
    part = f"{target}.part"
    try:
        with open(part, "w", encoding="utf-8") as handle:
            handle.writelines(lines)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(part)
        kind = DiskFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"{target} cannot be written ({error.strerror}); the queue is as it was"
        ) from error
