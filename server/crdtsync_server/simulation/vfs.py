"""SQLite's way to the simulated disks: one VFS for the process, a path for each opening."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import apsw

from crdtsync_server.simulation.files import SECTOR_BYTES, File
from crdtsync_server.simulation.sqlite import MachineGone, Opening

if TYPE_CHECKING:
    from crdtsync_server.simulation.disk import Disk

NAME = "crdtsync-simulated"
_JULIAN_MS = 212_822_035_200_000
"""The time that SQLite is told, always the same."""

_NOT_THERE = {
    *("xGetLastError", "xDlOpen", "xDlError", "xDlSym", "xDlClose"),
    *("xSetSystemCall", "xGetSystemCall", "xNextSystemCall"),
}


class OpenFile(apsw.VFSFile):
    """A file in the hands of one opening."""

    def __init__(self, disk: Disk, opening: Opening, file: File) -> None:
        # Not the base's: it would open a file of the operating system.
        self._disk = disk
        self._opening = opening
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Fewer bytes at the end of the file."""
        if self._opening.is_gone:
            raise MachineGone
        disk = self._disk
        if disk.rates.fail_read and disk.happens("read failed", disk.rates.fail_read):
            raise apsw.exception_for(apsw.SQLITE_IOERR_READ)
        return bytes(self._file.cached[offset : offset + amount])

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        """Into the cache."""
        if self._opening.is_gone:
            raise MachineGone
        self._disk.write(self._file, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """In the cache."""
        if self._opening.is_gone:
            raise MachineGone
        self._disk.truncate(self._file, newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """To the platter."""
        if self._opening.is_gone:
            raise MachineGone
        self._disk.sync(self._file)

    def xFileSize(self) -> int:  # noqa: N802
        """The size of the file in the cache."""
        if self._opening.is_gone:
            raise MachineGone
        return len(self._file.cached)

    def xLock(self, level: int) -> None:  # noqa: N802
        """There is one process: ``Disk.connect`` sees to that."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """See xLock."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """See xLock."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """What is written in one go."""
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """No write is atomic, none keeps its order; see ``Disk`` for ``power_safe``."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE if self._disk.power_safe else 0

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        """Nothing special is understood."""
        return False

    def xClose(self) -> None:  # noqa: N802
        """Files are not held open."""


class SimulatedVFS(apsw.VFS):
    """Finds the disk of a path."""

    def __init__(self) -> None:
        super().__init__(NAME, None, exclude=_NOT_THERE)
        self.openings: dict[str, tuple[Disk, Opening]] = {}

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> OpenFile:  # noqa: N802
        """Open a file, or make it. That it is there is durable at once."""
        if name is None:
            raise apsw.exception_for(apsw.SQLITE_CANTOPEN)  # temp_store is in memory
        path = name if isinstance(name, str) else name.filename()
        disk, opening, inner = self._find(path)
        file = disk.files.get(inner)
        if file is None:
            file = disk.files[inner] = File()
        flags[1] = flags[0]
        return OpenFile(disk, opening, file)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file. That it is gone is durable at once."""
        disk, _, inner = self._find(filename)
        disk.delete(inner)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        """Whether a file is there."""
        disk, _, inner = self._find(pathname)
        return inner in disk.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Paths are whole already."""
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        """Not asked: SQLite's randomness comes from its default VFS, see ``seed_sqlite``."""
        return bytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        """No time passes."""
        return microseconds

    def xCurrentTime(self) -> float:  # noqa: N802
        """Always the same."""
        return _JULIAN_MS / 86_400_000

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        """Always the same."""
        return _JULIAN_MS

    def _find(self, path: str) -> tuple[Disk, Opening, str]:
        number, _, inner = path.partition("/")
        disk, opening = self.openings[number]
        if opening.is_gone:
            raise MachineGone
        return disk, opening, inner


class _Seed(apsw.VFS):
    def __init__(self, random: Random) -> None:
        self._random = random
        super().__init__("crdtsync-seed", "", makedefault=True)

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return self._random.randbytes(numbytes)


def seed_sqlite(random: Random) -> None:
    """Make SQLite's own randomness (the salts of a WAL) follow from ``random``.

    SQLite has one generator for the process and seeds it from the default VFS.
    """
    seed = _Seed(random)
    try:
        apsw.randomness(0)
        apsw.randomness(1)
    finally:
        seed.unregister()


vfs = SimulatedVFS()
