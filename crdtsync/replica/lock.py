"""One holder per replica file, kept by the operating system.

The lock lives on ``<file>.lock`` and ends with the process, however that ends.
The file's text names the holder for whoever finds it locked; the text is not
the lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from typing import IO

from crdtsync.database import DiskFull, StorageError
from crdtsync.replica.errors import ReplicaInUse

if sys.platform == "win32":
    import msvcrt

    _LOCKED_AT = 1 << 30

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            os.lseek(handle.fileno(), _LOCKED_AT, os.SEEK_SET)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """The right to write one file. Held from ``acquire`` to ``release``."""

    def __init__(self, path: str) -> None:
        # Two names of one file (links) are one file.
        self.path = f"{os.path.realpath(path)}.lock"
        self._of = path
        self._handle: IO[bytes] | None = None

    def acquire(self) -> None:
        """Take the lock or raise ReplicaInUse with the holder's name."""
        try:
            # Without a buffer: what a full disk does not take must not be tried again by close.
            handle = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - held until release
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    f"no space left for {self.path}; nothing was changed. Free up space and retry"
                ) from error
            raise StorageError(
                f"{self._of} cannot be opened for writing ({error.strerror}); check that its "
                "folder exists and may be written to"
            ) from error
        try:
            is_ours = _try_lock(handle)
        except OSError as error:
            handle.close()
            raise StorageError(
                f"{self._of} cannot be locked ({error.strerror}); keep it on a local disk"
            ) from error
        if not is_ours:
            handle.seek(0)
            holder = _holder(handle.read(4096).decode("utf-8", "replace"))
            handle.close()
            raise ReplicaInUse(
                f"{self._of} is open in {holder}; close it there, or use the file from one place"
            )
        about = {"pid": os.getpid(), "host": socket.gethostname(), "program": sys.argv[0]}
        with contextlib.suppress(OSError):
            handle.truncate(0)
            handle.write(json.dumps(about).encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back. May be called twice. A disk that takes no text is no fault here:
        what was done under the lock stands."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                handle.truncate(0)
            with contextlib.suppress(OSError):
                handle.close()


def _holder(text: str) -> str:
    try:
        about = json.loads(text)
        pid, host, program = int(about["pid"]), str(about["host"]), str(about["program"])
    except (ValueError, KeyError, TypeError):
        return "another process"
    if pid == os.getpid() and host == socket.gethostname():
        return f"this same process (pid {pid})"
    return f"another process (pid {pid} on {host}: {os.path.basename(program) or 'python'})"
