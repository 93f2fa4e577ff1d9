"""Small file systems that can be filled without harm."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crdtsync_server.acceptance.outcome import NotRun

SIZE = "3m"


@contextmanager
def small_disk(folder: Path, name: str) -> Iterator[Path]:
    """A file system of three megabytes; NotRun without the right to mount one."""
    mounted = folder / name
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "crdtsync-acceptance", str(mounted)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=20)
    except OSError:
        raise NotRun("why_not_mount") from None
    if done.returncode:
        raise NotRun("why_not_mount")
    try:
        yield mounted
    finally:
        # Lazily: a process that was just killed may still be letting go of its files.
        subprocess.run(["umount", "-l", str(mounted)], check=False, timeout=20)


def fill(folder: Path) -> Path:
    """Take every byte that is left; remove the returned file to give it back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler
