"""An online backup: one committed state of the database, in one file that was checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from crdtsync.database import DiskFull, StorageError, explain
from crdtsync.errors import CrdtsyncError
from crdtsync.whole_file import sync_folder
from crdtsync_server.operating.checking.findings import Progress, no_progress
from crdtsync_server.operating.checking.structure import schema_version
from crdtsync_server.operating.checking.verifying import Verified, verify
from crdtsync_server.operating.database_file import (
    SpaceHead,
    connect_to_check,
    database_of,
    heads,
)
from crdtsync_server.storage.migrating import mebibytes

PAGES_PER_STEP = 2_000
"""8 MiB between two reports of progress, and between two looks at Ctrl-C."""

SPARE_BYTES = 1_048_576


class BackupRefused(CrdtsyncError):
    """The backup was not begun; nothing was written."""


class BackupUnsound(CrdtsyncError):
    """What was copied has damage. ``verified`` says which; no file was left."""

    def __init__(self, words: str, verified: Verified) -> None:
        super().__init__(words)
        self.verified = verified


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was written, synced and checked."""

    path: Path
    size_bytes: int
    heads: tuple[SpaceHead, ...]
    verified: Verified


def back_up(
    place: Path, to: Path, *, replace: bool = False, progress: Progress = no_progress
) -> BackedUp:
    """Copy the database of ``place`` (a data folder) into the file ``to``, server running or not.

    All pages are read in one transaction, so the copy is the database as of one
    committed group. The server is never held up; its write-ahead file grows
    while the copy is made. The copy is written beside ``to``, synced, checked as
    by ``crdtsync verify``, and renamed: ``to`` is whole or not there. Raises
    BackupRefused, BackupUnsound, StorageError or DiskFull, and then leaves
    no file behind and an older ``to`` as it was.
    """
    source = database_of(place)
    if to.is_symlink():
        to = Path(os.path.realpath(to))
    _check_target(source, to, replace)
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        found = _copy(source, partial, progress)
        _sync(partial)
        verified = verify(partial, progress)
        if not verified.is_sound:
            raise BackupUnsound(
                f"the database in {place} has damage, and so has a copy of it. No backup was "
                f"written{f'; {to} is as it was' if to.exists() else ''}. "
                f"crdtsync verify --data {place} tells all of it",
                verified,
            )
        os.replace(partial, to)
        sync_folder(to.parent)
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{partial}{ending}")
    return BackedUp(to, to.stat().st_size, found, verified)


def _check_target(source: Path, to: Path, replace: bool) -> None:
    if to.is_dir():
        raise BackupRefused(f"{to} is a folder; name a file in it, such as {to / 'ward.backup'}")
    if to.exists() and not to.is_file():
        # A rename would put a file in the place of a pipe, or of /dev/null.
        raise BackupRefused(f"{to} is a pipe or a device; name a file")
    if to.exists() and not replace:
        raise BackupRefused(f"{to} is there already; choose another name, or say --replace")
    if not to.absolute().parent.is_dir():
        raise BackupRefused(f"{to.parent} does not exist; make that folder first")
    if to.absolute().parent.resolve() == source.absolute().parent.resolve():
        raise BackupRefused(
            f"{to} lies in the data folder itself: what takes the one would take the other. "
            "Choose a folder on another disk"
        )
    size_bytes, free = source.stat().st_size, shutil.disk_usage(to.absolute().parent).free
    if free < size_bytes + SPARE_BYTES:
        raise DiskFull(
            f"the backup needs {mebibytes(size_bytes + SPARE_BYTES)} in {to.absolute().parent}, "
            f"and there are {mebibytes(free)}; make room, or choose another disk"
        )


def _copy(source: Path, partial: Path, progress: Progress) -> tuple[SpaceHead, ...]:
    with contextlib.closing(connect_to_check(source)) as reading:
        _make_private(partial)
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as writing:
            try:
                # The transaction stays open: pages that a server commits meanwhile are not
                # seen, and SQLite has no reason to begin the copy anew.
                reading.execute("BEGIN")
                schema_version(reading, str(source))
                found = heads(reading)
                writing.execute("PRAGMA synchronous = OFF")  # synced once, at the end
                reading.backup(
                    writing,
                    pages=PAGES_PER_STEP,
                    progress=lambda _, left, total: progress("copy", total - left, total),
                )
                reading.execute("ROLLBACK")
                # One file, without a write-ahead file beside it, whatever the server uses.
                writing.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.Error as error:
                name = getattr(error, "sqlite_errorname", "") or ""
                what = str(partial) if name.startswith("SQLITE_FULL") else str(source)
                raise explain(error, what) from error
    return found


def _make_private(path: Path) -> None:
    """A backup holds everything that the database holds: for its owner's eyes only."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
