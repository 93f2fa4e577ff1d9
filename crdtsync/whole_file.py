"""Files that are there wholly or not at all, whatever the disk does meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

FOR_EVERYONE = 0o666
"""The mode of a new file before the umask takes its bits away."""


def write_whole(
    path: str | os.PathLike[str],
    texts: Iterable[str],
    *,
    replace: bool,
    mode: int = FOR_EVERYONE,
) -> None:
    """Write ``texts`` as UTF-8 into ``path``, synced, without a change of line endings.

    They are written into a part beside ``path``, and the part takes the name at the end. With
    ``replace`` an older file stays until then and hands on its mode; without it, raises
    FileExistsError where the name is taken, and leaves what is there. Every OSError names
    ``path``. Whatever is raised, from ``texts`` too, no part is left. What is no file, such as
    a pipe or a device, is written to as it is: a file must not take its place.
    """
    target = Path(os.path.realpath(path)) if replace else Path(path)
    # A name of its own: two commands at once do not write into each other's part. It is
    # short, because the name of the file itself may be as long as names may be.
    part = target.parent / f".crdtsync-{secrets.token_hex(8)}.part"
    try:
        if replace and os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(texts)
            return
        if not replace and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        try:
            number = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
                file.writelines(texts)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                _hand_on_mode(target, part)
                os.replace(part, target)
            else:
                _take_free_name(part, target)
            with contextlib.suppress(PermissionError):  # a folder to write in, not to read
                sync_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(part)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    if os.name == "nt":  # pragma: no cover - Windows has no such call and needs none
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hand_on_mode(older: Path, part: Path) -> None:
    """What nobody else could read stays so."""
    with contextlib.suppress(FileNotFoundError):
        os.chmod(part, os.stat(older).st_mode & 0o777)


def _take_free_name(part: Path, target: Path) -> None:
    """Give the part its name unless somebody took it first (FileExistsError)."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: the name is claimed by an empty file, and a rename
        # onto it needs no room on the disk.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(part, target)
