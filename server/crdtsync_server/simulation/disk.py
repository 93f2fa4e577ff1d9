"""The disk of a simulated machine: real SQLite over files in memory that misbehave.

What is modelled: bytes that are written but not synced may be lost, torn at a
sector, or survive out of order when the power is cut; a sync, write or read may
fail; the disk may be full; the machine may be gone at any write. What is not: a
file's creation and deletion are durable at once, what was synced never rots, and
each database has one connection, which holds it exclusively (so its wal-index is
on the heap, and reading beside a writer is not part of it).
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

import apsw

from crdtsync_server.simulation.files import DiskRates, File, part_of
from crdtsync_server.simulation.sqlite import Connection, MachineGone, Opening, translated
from crdtsync_server.simulation.vfs import NAME, seed_sqlite, vfs

__all__ = ["Disk", "DiskRates", "Image", "MachineGone"]

Image = Mapping[str, bytes]
"""The files of a disk by name."""

CHECKPOINT_PAGES = 1_000
"""SQLite's own default. Fewer make checkpoints, and what goes wrong in them, more frequent."""

_STATEMENTS = 256
"""Prepared statements that are kept: more than either store has."""

_REWRITE_BYTES = 65_536

_SET_UP = (
    # First of all: it puts the wal-index on the heap, there is no shared memory here.
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL; "
    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA synchronous"
)
_IS_SET_UP = [("exclusive",), ("wal",), (2,)]

_numbers = itertools.count(1)


class Disk:
    """The disk of one machine: files in memory, each with what is durable and what is not.

    The same calls on a disk of the same seed leave the same bytes, provided that
    worlds do not take turns within one process (SQLite has one random generator).
    """

    def __init__(
        self, random: Random, rates: DiskRates | None = None, *, power_safe: bool = True
    ) -> None:
        """``power_safe`` is what SQLite takes every disk for unless it is told otherwise:
        a write that is cut short harms no byte beside it. Without, it pads each commit."""
        self.random = random
        self.rates = DiskRates() if rates is None else rates
        self.full = False
        """Whether anything that would grow a file fails; overwriting works."""
        self.counts: Counter[str] = Counter()
        """The faults that were really injected."""
        self.crash_at: int | None = None
        """Calls that write, cut, sync or delete before the machine is gone in the middle
        of one. Say then what it was: ``power_cut`` or ``process_killed``."""
        self.on_sync_failed: Callable[[], None] | None = None
        """Hears of a sync that failed, before SQLite does."""
        self.power_safe = power_safe
        self.files: dict[str, File] = {}
        self._connections: dict[str, Connection] = {}
        self._openings: dict[str, Opening] = {}

    @classmethod
    def from_image(cls, image: Image, random: Random, rates: DiskRates | None = None) -> Disk:
        """A disk that holds these files, durably."""
        disk = cls(random, rates)
        disk.files = {name: File(contents) for name, contents in image.items()}
        return disk

    def image(self) -> Image:
        """The files as another process would read them now."""
        return {name: bytes(file.cached) for name, file in self.files.items()}

    def copy(self, random: Random) -> Disk:
        """The files as another process would read them now, durable on a disk of their own.

        Ask for it between jobs. The copy's rates are its own: nothing fails.
        """
        disk = Disk.from_image(self.image(), random)
        disk.power_safe = self.power_safe
        return disk

    def connect(
        self,
        name: str,
        *,
        checkpoint_pages: int = CHECKPOINT_PAGES,
        rewrite_log: bool = False,
    ) -> Connection:
        """Open a database as ``connect_durable`` does. Raises sqlite3.Error.

        A file can be open once; a second time it is busy. ``rewrite_log`` first makes
        durable what an earlier process left in the log (see ``_rewrite``).
        """
        if name in self._openings:
            raise translated(apsw.exception_for(apsw.SQLITE_BUSY))
        if rewrite_log:
            self._rewrite(f"{name}-wal")
        seed_sqlite(self.random)
        opening = Opening()
        number = str(next(_numbers))
        vfs.openings[number] = (self, opening)
        self._openings[name] = opening

        def released() -> None:
            vfs.openings.pop(number, None)
            self._openings.pop(name, None)
            self._connections.pop(name, None)

        try:
            raw = apsw.Connection(f"{number}/{name}", vfs=NAME, statementcachesize=_STATEMENTS)
        except Exception as error:
            released()
            raise (MachineGone() if opening.is_gone else translated(error)) from error
        connection = Connection(raw, opening, released, checkpoint_pages=checkpoint_pages)
        self._connections[name] = connection
        try:
            set_up = connection.execute(_SET_UP).fetchall()
        except sqlite3.Error:
            connection.abandon()
            raise
        if set_up != _IS_SET_UP:
            connection.abandon()
            raise sqlite3.OperationalError(f"{name} could not be set up: {set_up}")
        return connection

    def power_cut(self) -> None:
        """The machine dies: what is not synced is lost, torn or kept, as the rates say."""
        self._abandon()
        self.counts["power cut"] += 1
        for file in self.files.values():
            file.sync_by_chance(self.random, self.rates, self.counts)
            file.forget_cache()

    def process_killed(self) -> None:
        """Only the process dies. The operating system has all that was written."""
        self._abandon()
        self.counts["process killed"] += 1

    def close(self) -> None:
        """Give up every opening. What was written stays."""
        self._abandon()

    def _rewrite(self, name: str) -> None:
        """Write a file's own bytes over it, and sync.

        After a kill the log is read from the cache: SQLite takes a transaction for
        committed that no sync has brought to the disk. Where a sync had failed even
        a later one does not, for the cache is clean; only what is written anew counts.
        """
        file = self.files.get(name)
        if file is None:
            return
        try:
            for start in range(0, len(file.cached), _REWRITE_BYTES):
                self.write(file, start, bytes(file.cached[start : start + _REWRITE_BYTES]))
            self.sync(file)
        except apsw.Error as error:
            raise translated(error) from error

    def _abandon(self) -> None:
        self.crash_at = None
        for connection in tuple(self._connections.values()):
            connection.abandon()

    # ── what the VFS calls ──────────────────────────────────────────────────

    def happens(self, fault: str, rate: float) -> bool:
        """Whether a fault of this rate comes now."""
        if self.random.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def write(self, file: File, offset: int, data: bytes) -> None:
        """Write into the cache, or fail to."""
        if self.crash_at is not None and self._is_last_call():
            file.write(offset, part_of(offset, data, self.random))
            raise MachineGone
        if self.full and offset + len(data) > len(file.cached):
            self.counts["disk full"] += 1
            raise apsw.exception_for(apsw.SQLITE_FULL)
        if self.rates.fail_write and self.happens("write failed", self.rates.fail_write):
            file.write(offset, part_of(offset, data, self.random))
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        file.write(offset, data)

    def truncate(self, file: File, size: int) -> None:
        """Cut a file, or fail to."""
        if self.crash_at is not None and self._is_last_call():
            raise MachineGone
        if self.full and size > len(file.cached):
            self.counts["disk full"] += 1
            raise apsw.exception_for(apsw.SQLITE_FULL)
        if self.rates.fail_write and self.happens("write failed", self.rates.fail_write):
            raise apsw.exception_for(apsw.SQLITE_IOERR_TRUNCATE)
        file.truncate(size)

    def sync(self, file: File) -> None:
        """Make a file durable, or fail to."""
        if self.crash_at is not None and self._is_last_call():
            raise MachineGone
        if self.rates.fail_sync and self.happens("fsync failed", self.rates.fail_sync):
            file.sync_by_chance(self.random, self.rates, self.counts)
            if self.on_sync_failed is not None:
                self.on_sync_failed()
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        file.sync()

    def delete(self, name: str) -> None:
        """Delete a file, durably."""
        if self.crash_at is not None and self._is_last_call():
            raise MachineGone
        if self.files.pop(name, None) is None:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT)

    def _is_last_call(self) -> bool:
        assert self.crash_at is not None
        self.crash_at -= 1
        if self.crash_at >= 0:
            return False
        self.crash_at = None
        self.counts["crash in the middle of a job"] += 1
        for opening in self._openings.values():
            opening.is_gone = True
        return True
