"""One server per data folder: the operating system's lock, and who holds it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from types import TracebackType

from crdtsync.database import StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FolderInUse(StorageError):
    """Another server works on this data folder."""


class FolderLock:
    """Held from ``__init__`` to ``release``; the system lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        """Raises FolderInUse naming the holder, or StorageError."""
        path = folder / "crdtsync.lock"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            _lock(self._file)
        except OSError as error:
            holder = _holder(self._file)
            os.close(self._file)
            raise FolderInUse(
                f"{folder} is in use by {holder}; stop that server, or use another folder"
            ) from error
        with contextlib.suppress(OSError):
            # On a full disk the lock holds all the same, only without a name.
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Let the folder go. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock(file: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(file: int) -> str:
    text = os.pread(file, 200, 0).decode(errors="replace").strip()
    return f"another server ({text})" if text else "another server"
