"""Before a database of an earlier version is brought up to date: is there room, and who is told."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from crdtsync.database import DiskFull

logger = logging.getLogger("crdtsync.server.storage")

REWRITES = "-- rewrites the database"
"""A line of a migration that writes large tables anew: it needs as much room again."""

SMALL_STEP_BYTES = 64 * 1_048_576
"""Room for migrations that only add tables, columns and small indexes."""

LEAST_BYTES = 1_048_576


def prepare_migration(path: str, version: int, scripts: Sequence[str]) -> None:
    """Say what is about to happen to the database at ``path``; raise DiskFull without room for it.

    Nothing has been changed then: an earlier version of the server still runs on it.
    """
    size_bytes = os.path.getsize(path) if os.path.exists(path) else 0
    rewrites = any(REWRITES in script for script in scripts)
    needed = LEAST_BYTES + (size_bytes if rewrites else min(size_bytes, SMALL_STEP_BYTES))
    free = shutil.disk_usage(Path(path).parent).free
    target = version + len(scripts)
    if free < needed:
        raise DiskFull(
            f"{path} has to be brought from schema {version} to {target}, which needs "
            f"{mebibytes(needed)} of free space, and there are {mebibytes(free)}. Nothing was "
            "changed; make room and start again"
        )
    logger.warning(
        "bringing the database up to date path=%s from_schema=%d to_schema=%d size_bytes=%d; "
        "an earlier crdtsync cannot open it afterwards",
        path,
        version,
        target,
        size_bytes,
    )


def mebibytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1_048_576:.1f} MiB"
