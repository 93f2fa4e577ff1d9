"""Putting a backup in the place of a database that is gone."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from crdtsync.database import DiskFull, StorageError
from crdtsync.errors import CrdtsyncError
from crdtsync.whole_file import sync_folder
from crdtsync_server.operating.checking.findings import Progress, no_progress
from crdtsync_server.operating.checking.verifying import Verified, verify
from crdtsync_server.operating.database_file import database_of
from crdtsync_server.storage.lock import FolderLock
from crdtsync_server.storage.migrating import mebibytes
from crdtsync_server.storage.store import FILE_NAME

CHUNK_BYTES = 4 * 1_048_576

NOT_DATA = frozenset({"lost+found", "crdtsync.lock"})
"""What a folder may hold and still count as empty: the file system's own, and a free lock."""


class RestoreRefused(CrdtsyncError):
    """Nothing was restored and nothing was changed."""


class BackupDamaged(RestoreRefused):
    """The backup has damage; ``verified`` says which."""

    def __init__(self, words: str, verified: Verified) -> None:
        super().__init__(words)
        self.verified = verified


@dataclass(frozen=True, slots=True)
class Restored:
    """A data folder that a server can start on."""

    path: Path
    verified: Verified


def restore(source: Path, folder: Path, progress: Progress = no_progress) -> Restored:
    """Make ``folder`` the data folder that ``source`` is a backup of.

    The folder must be empty or not there, and no server may run on it. The
    backup is checked first, as by ``crdtsync verify``; the copy is compared with it byte for byte,
    synced and renamed. Raises RestoreRefused, StorageError or DiskFull;
    a folder that was empty is empty then.
    """
    backup = database_of(source)
    _check_folder(backup, folder)
    verified = verify(backup, progress)
    if not verified.is_sound:
        raise BackupDamaged(
            f"{source} has damage, so it was not restored. Take an older backup", verified
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder):
            path = _put(backup, folder, progress)
    except OSError as error:
        kind = DiskFull if error.errno == errno.ENOSPC else StorageError
        raise kind(f"{folder} cannot be written: {error.strerror or error}") from error
    return Restored(path, verified)


def _check_folder(backup: Path, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RestoreRefused(f"{folder} is a file; name a folder")
    if folder.is_dir():
        if (folder / "crdtsync.lock").exists():
            FolderLock(folder).release()  # raises, naming the server that runs on it
        others = sorted(one.name for one in folder.iterdir() if one.name not in NOT_DATA)
        if others:
            raise RestoreRefused(
                f"{folder} is not empty (it holds {', '.join(others[:3])}"
                f"{' …' if len(others) > 3 else ''}). Move what is there aside first, and keep it: "
                "it may hold changes that the backup lacks"
            )
    _check_alone(backup)
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free, needed = shutil.disk_usage(existing).free, backup.stat().st_size
    if free < needed:
        raise DiskFull(
            f"the backup needs {mebibytes(needed)} in {folder}, and there are {mebibytes(free)}"
        )


def _check_alone(backup: Path) -> None:
    """A database with a write-ahead file beside it is no backup: half of it stands elsewhere."""
    with contextlib.suppress(OSError):
        if os.path.getsize(f"{backup}-wal"):
            raise RestoreRefused(
                f"{backup} has a write-ahead file beside it, so a server runs on it or was killed: "
                "it is no backup. Make one of it with crdtsync backup"
            )


def _put(backup: Path, folder: Path, progress: Progress) -> Path:
    target, partial = folder / FILE_NAME, folder / f".{FILE_NAME}.partial"
    try:
        written = _copy(backup, partial, progress)
        if _digest(partial) != written:
            raise StorageError(
                f"{partial} does not read back as it was written; check that disk. "
                "Nothing was restored"
            )
        os.replace(partial, target)
        sync_folder(folder)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)
    return target


def _copy(source: Path, target: Path, progress: Progress) -> bytes:
    digest, done, total = hashlib.blake2b(), 0, source.stat().st_size
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(CHUNK_BYTES):
            digest.update(chunk)
            writing.write(chunk)
            done += len(chunk)
            progress("copy", done, total)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.digest()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()
