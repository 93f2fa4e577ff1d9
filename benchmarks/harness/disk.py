"""Folders on a real disk for what is measured, and what is prepared once for a whole run.

A commit on tmpfs costs nothing and says nothing, so contenders get a temporary folder
that lies on a disk. What takes long to prepare and is the same in every round (a server
with 100,000 records) is made by whoever needs it first, outside its clock, and copied by
the others. It is gone when the run ends, so that it can never be older than the code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.apart import run_apart

PREPARED = "CRDTSYNC_BENCHMARKS_PREPARED"
"""The environment variable that names the folder of what is prepared; scripts of peers
use it as well."""

NOT_DISKS = frozenset({"tmpfs", "ramfs"})
MOUNTS = Path("/proc/self/mounts")


class NoDisk(Exception):
    """Every folder for temporary files lies in memory; says which setting helps."""


def disk_folder() -> Path:
    """Where temporary folders of measurements are made. Raises NoDisk."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.home()):
        if folder.is_dir() and kind_of(folder) not in NOT_DISKS:
            return folder
    raise NoDisk("temporary folders lie in memory; set TMPDIR to a folder on a disk")


def kind_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system that a folder lies on; None where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    place, found = folder.resolve(), (0, "")
    for line in lines:
        _, mounted, kind, *_ = line.split(" ")
        if place.is_relative_to(mounted) and len(mounted) >= found[0]:
            found = (len(mounted), kind)
    return found[1] or None


@contextlib.contextmanager
def prepared_for_a_run() -> Iterator[None]:
    """Keep what is prepared until the block ends; a folder that is named already stays."""
    if PREPARED in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="crdtsync-prepared-", dir=disk_folder()) as folder:
        os.environ[PREPARED] = folder
        try:
            yield
        finally:
            del os.environ[PREPARED]


def prepared(name: str, target: str, **params: int) -> Path:
    """The folder of that name, made by ``target`` (see ``apart.py``) unless it is there.
    Nobody writes to it."""
    kept = Path(os.environ.get(PREPARED) or tempfile.gettempdir())
    folder = kept / name
    if not folder.exists():
        part = kept / f"{name}.part"
        shutil.rmtree(part, ignore_errors=True)  # somebody was stopped in the middle
        part.mkdir(parents=True)
        run_apart(target, part, **params)
        part.rename(folder)
    return folder


def copy_of(folder: Path, to: Path) -> Path:
    """A copy to work on, saved to the disk, so that no later commit has to save it as well."""
    shutil.copytree(folder, to)
    os.sync()
    return to


def peak_bytes() -> int | None:
    """The most memory that this process ever held; None where only Linux says it.

    What ``wait4`` tells of a process includes the memory of whoever started it and of
    what it started itself (a server), so a contender tells it of itself.
    """
    return _of_status("VmHWM")


def resident_bytes() -> int | None:
    """The memory that this process holds now; None where only Linux says it."""
    return _of_status("VmRSS")


def _of_status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
