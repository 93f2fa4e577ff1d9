"""The simulated disk loses what a real one may lose, and nothing else."""

from __future__ import annotations

import gc
import random
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable, Iterator

import apsw
import pytest

from crdtsync.database import explain, transaction
from crdtsync_server.simulation.disk import Disk, DiskRates, MachineGone
from crdtsync_server.simulation.sqlite import Connection
from crdtsync_server.simulation.vfs import vfs

NAME = "ledger.db"
FEW_PAGES = 6
"""Pages between checkpoints, so that a crash meets them too."""


class Ledger:
    """Transactions of several rows each, and what may be believed about them."""

    def __init__(self, disk: Disk, *, synchronous: str = "FULL", pages: int = FEW_PAGES) -> None:
        self.disk = disk
        self.random = random.Random(disk.random.random())
        self.synchronous = synchronous
        self.pages = pages
        self.written = 0
        self.acknowledged: set[int] = set()
        self.in_doubt: set[int] = set()
        self.connection = self.open()
        self.connection.execute("CREATE TABLE rows (number, parts, filler)")
        self.connection.execute("CREATE INDEX by_filler ON rows (filler, number)")

    def open(self, *, rewrite_log: bool = False) -> Connection:
        self.connection = self.disk.connect(
            NAME, checkpoint_pages=self.pages, rewrite_log=rewrite_log
        )
        self.connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        return self.connection

    def write(self, parts: int | None = None) -> int:
        """One transaction. Acknowledged once it returned."""
        self.written += 1
        number = self.written
        parts = parts or self.random.randrange(1, 7)
        self.in_doubt.add(number)
        with transaction(self.connection):  # type: ignore[arg-type]
            for _ in range(parts):
                row = (number, parts, self.random.randbytes(self.random.randrange(1_500)))
                self.connection.execute("INSERT INTO rows VALUES (?, ?, ?)", row)
        self.in_doubt.discard(number)
        self.acknowledged.add(number)
        return number

    def write_many(self, count: int) -> None:
        """Go on over failures, as a store does, until the machine is gone."""
        for _ in range(count):
            try:
                self.write()
            except MachineGone:
                return
            except sqlite3.OperationalError:
                assert not self.connection.in_transaction

    def found(self) -> Counter[int]:
        """How many rows each transaction has."""
        return Counter(n for (n,) in self.connection.execute("SELECT number FROM rows"))

    def fault(self) -> str | None:
        """What is wrong with the file, or None. From now on everything is as it was found."""
        try:
            checked = self.connection.execute("PRAGMA integrity_check").fetchall()
            rows = self.connection.execute("SELECT number, parts FROM rows").fetchall()
        except sqlite3.DatabaseError as error:
            return f"unreadable: {error}"
        if checked != [("ok",)]:
            return "corrupt"
        found = Counter(number for number, _ in rows)
        if any(found[number] != parts for number, parts in rows):
            return "half a transaction"
        if not found.keys() <= self.acknowledged | self.in_doubt:
            return "invented"
        if not self.acknowledged <= found.keys():
            return "an acknowledged transaction is lost"
        self.acknowledged |= found.keys()
        self.in_doubt.clear()
        return None

    def fault_after_power_cut(self, *, rewrite_log: bool = False) -> str | None:
        """Cut the power, start again, look."""
        self.disk.power_cut()
        try:
            self.open(rewrite_log=rewrite_log)
        except sqlite3.DatabaseError as error:
            return f"cannot be opened: {error}"
        return self.fault()


@pytest.fixture(name="disk")
def _disk() -> Iterator[Disk]:
    disk = Disk(random.Random(1))
    yield disk
    disk.close()


def seeds_that(
    happens: Callable[[Disk], object], *, seeds: int, power_safe: bool = True
) -> list[int]:
    """The seeds of the disks for which something is true."""
    found = []
    for seed in range(seeds):
        disk = Disk(random.Random(seed), power_safe=power_safe)
        if happens(disk):
            found.append(seed)
        disk.close()
    return found


# ── crashes ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("power_safe", [True, False])
@pytest.mark.parametrize("power_cut", [True, False])
def test_a_crash_at_any_call_leaves_what_was_acknowledged_and_nothing_half(
    power_cut: bool, power_safe: bool
) -> None:
    """Invariants 1 and 2, as far as SQLite answers for them."""
    counts: Counter[str] = Counter()
    for at in range(500):
        disk = Disk(random.Random(at), power_safe=power_safe)
        ledger = Ledger(disk)
        disk.crash_at = at
        ledger.write_many(12)
        is_through = not ledger.connection.is_gone
        assert len(ledger.in_doubt) == (not is_through)
        if power_cut:
            disk.power_cut()
        else:
            disk.process_killed()
        ledger.open()
        assert ledger.fault() is None, at
        ledger.write_many(5)
        assert ledger.fault_after_power_cut() is None, at
        counts += disk.counts
        disk.close()
        if is_through:
            break
    else:
        pytest.fail("12 transactions need more than 500 calls")
    assert counts["crash in the middle of a job"] == at > 100
    if power_cut:
        assert min(counts[it] for it in ("torn write", "lost tail", "reordered writes")) > 10


def test_without_synchronous_the_disk_loses_what_was_acknowledged() -> None:
    """The control of the tests around it: the disk really takes away what was not synced."""

    def loses(disk: Disk) -> str | None:
        ledger = Ledger(disk, synchronous="OFF")
        ledger.write_many(10)
        return ledger.fault_after_power_cut()

    assert len(seeds_that(loses, seeds=20)) > 15


def test_a_kill_of_the_process_alone_loses_nothing_that_was_written() -> None:
    def loses(disk: Disk) -> str | None:
        ledger = Ledger(disk, synchronous="OFF")
        ledger.write_many(10)
        disk.process_killed()
        ledger.open()
        return ledger.fault()

    assert seeds_that(loses, seeds=20) == []


def test_a_dead_opening_says_so_and_writes_nothing(disk: Disk) -> None:
    ledger = Ledger(disk)
    ledger.connection.execute("BEGIN IMMEDIATE")
    ledger.connection.execute("INSERT INTO rows VALUES (1, 1, '')")
    reading = ledger.connection.execute("SELECT * FROM rows")
    disk.process_killed()
    before = disk.image()
    dead = ledger.connection
    with pytest.raises(MachineGone) as caught:
        dead.execute("COMMIT")
    with pytest.raises(MachineGone):
        dead.executemany("INSERT INTO rows VALUES (?, 1, '')", [(2,)])
    with pytest.raises(MachineGone):
        reading.fetchone()
    assert not dead.in_transaction
    dead.close()
    assert disk.image() == before
    assert "the machine is gone" in str(explain(caught.value, "the file"))
    assert not ledger.open().execute("SELECT * FROM rows").fetchall()


def test_a_file_is_open_once(disk: Disk) -> None:
    first = disk.connect(NAME)
    with pytest.raises(sqlite3.OperationalError) as caught:
        disk.connect(NAME)
    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    first.close()
    disk.connect(NAME).close()


# ── faults ──────────────────────────────────────────────────────────────────


def test_after_failed_writes_reads_and_syncs_a_process_may_go_on() -> None:
    """A failed commit is there wholly or not at all; what was acknowledged stays."""
    counts: Counter[str] = Counter()
    for seed in range(150):
        disk = Disk(random.Random(seed))
        ledger = Ledger(disk)
        disk.rates = DiskRates(fail_sync=0.1, fail_write=0.02, fail_read=0.02)
        ledger.write_many(30)
        disk.rates = DiskRates()
        ledger.write_many(2)
        assert ledger.fault_after_power_cut() is None, seed
        counts += disk.counts
        disk.close()
    for fault in ("fsync failed", "write failed", "read failed"):
        assert counts[fault] > 50, fault


def test_in_its_process_a_commit_that_failed_does_not_show_and_one_that_returned_does() -> None:
    failed = 0
    for seed in range(60):
        disk = Disk(random.Random(seed))
        ledger = Ledger(disk)
        for _ in range(20):
            disk.full = disk.random.random() < 0.1
            disk.rates = DiskRates(fail_sync=0.05, fail_write=0.03, fail_read=0.03)
            ledger.write_many(1)
            disk.rates, disk.full = DiskRates(), False
            assert ledger.found().keys() == ledger.acknowledged
        failed += len(ledger.in_doubt)
        disk.close()
    assert failed > 200


def test_a_failed_sync_is_told_by_its_name_and_nothing_of_the_transaction_shows(
    disk: Disk,
) -> None:
    ledger = Ledger(disk)
    ledger.write()
    disk.rates.fail_sync = 1.0
    with pytest.raises(sqlite3.OperationalError) as caught:
        ledger.write()
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_FSYNC"
    assert str(caught.value) == "disk I/O error"
    assert not ledger.connection.in_transaction
    assert ledger.found().keys() == {1}
    disk.rates.fail_sync = 0.0
    assert ledger.write() in ledger.found()
    assert disk.counts["fsync failed"] == 1


def _a_new_process_after_a_failed_sync(*, rewrite_log: bool) -> Callable[[Disk], str | None]:
    def fault(disk: Disk) -> str | None:
        ledger = Ledger(disk, pages=1_000)
        ledger.write()
        disk.rates = DiskRates(fail_sync=1.0)
        with pytest.raises(sqlite3.OperationalError):
            ledger.write()
        disk.rates = DiskRates()
        disk.process_killed()
        ledger.open(rewrite_log=rewrite_log)
        assert ledger.found().keys() == {1, 2}, "SQLite takes the failed one for committed"
        ledger.write()
        return ledger.fault_after_power_cut()

    return fault


def test_a_new_process_after_a_failed_sync_needs_to_write_the_log_again() -> None:
    """Invariant 2. The cache is clean but the disk lacks it: what is appended then is lost.

    Going on in the same process overwrites it; only a new one, which reads the
    log from the cache, builds upon what is not there.
    """
    assert len(seeds_that(_a_new_process_after_a_failed_sync(rewrite_log=False), seeds=20)) > 10
    assert seeds_that(_a_new_process_after_a_failed_sync(rewrite_log=True), seeds=60) == []


def _what_a_new_process_read_is_lost(*, rewrite_log: bool) -> Callable[[Disk], bool]:
    def is_lost(disk: Disk) -> bool:
        ledger = Ledger(disk, pages=1_000)
        disk.crash_at = disk.random.randrange(16)
        ledger.write_many(1)
        disk.process_killed()
        ledger.open(rewrite_log=rewrite_log)
        read = ledger.found()
        disk.power_cut()
        ledger.open()
        return read != ledger.found()

    return is_lost


def test_what_a_new_process_reads_is_not_durable_before_the_next_sync() -> None:
    """Invariant 2. SQLite reads the log of a killed process from the cache and does not sync."""
    assert seeds_that(_what_a_new_process_read_is_lost(rewrite_log=False), seeds=200) != []
    assert seeds_that(_what_a_new_process_read_is_lost(rewrite_log=True), seeds=200) == []


def test_padded_commits_do_not_survive_failed_syncs() -> None:
    """Why ``power_safe`` is the default: it is SQLite's own, and its padding has a hole.

    The end of the padding is written after the sync of its commit. A failed sync
    loses it, SQLite goes on behind it, and what follows is out of reach.
    """

    def fault(disk: Disk) -> str | None:
        ledger = Ledger(disk, pages=1_000)
        ledger.write()
        disk.rates = DiskRates(fail_sync=1.0)
        ledger.write_many(1)
        disk.rates = DiskRates()
        ledger.write()
        return ledger.fault_after_power_cut()

    assert seeds_that(fault, seeds=60, power_safe=False) != []
    assert seeds_that(fault, seeds=60, power_safe=True) == []


def test_a_full_disk_changes_nothing_and_there_is_room_again_later(disk: Disk) -> None:
    ledger = Ledger(disk, pages=1_000)
    ledger.write_many(3)
    disk.full = True
    with pytest.raises(sqlite3.OperationalError) as caught:
        ledger.write()
    assert caught.value.sqlite_errorname == "SQLITE_FULL"
    assert "Free up space" in str(explain(caught.value, "the file"))
    assert not ledger.connection.in_transaction
    assert ledger.found().keys() == {1, 2, 3}
    assert disk.counts["disk full"] > 0
    disk.full = False
    ledger.write_many(3)
    assert ledger.fault_after_power_cut() is None
    assert len(ledger.acknowledged) == 6


def test_a_checkpoint_that_fails_is_no_failure_of_the_commit_before_it(disk: Disk) -> None:
    ledger = Ledger(disk, pages=1)
    ledger.write(parts=100)
    disk.full = True
    while disk.counts["disk full"] == 0:
        ledger.write(parts=3)  # fits into the log, but the database has to grow
    assert ledger.fault() is None
    disk.full = False
    ledger.write()
    assert ledger.fault_after_power_cut() is None


def test_an_opening_that_fails_leaves_the_file_as_it_was_and_free(disk: Disk) -> None:
    ledger = Ledger(disk)
    ledger.write_many(5)
    disk.process_killed()
    before = disk.image()
    disk.rates.fail_read = 1.0
    with pytest.raises(sqlite3.OperationalError) as caught:
        ledger.open()
    assert caught.value.sqlite_errorname == "SQLITE_IOERR_READ"
    assert disk.image() == before
    disk.rates.fail_read = 0.0
    ledger.open()
    assert ledger.fault() is None


def test_closing_on_a_disk_that_fails_leaves_the_log_where_it_is(disk: Disk) -> None:
    ledger = Ledger(disk, pages=1_000)
    ledger.write_many(5)
    disk.rates.fail_sync = 1.0
    ledger.connection.close()
    assert f"{NAME}-wal" in disk.files
    disk.rates.fail_sync = 0.0
    ledger.open()
    assert ledger.fault() is None
    ledger.connection.close()
    assert set(disk.files) == {NAME}


def test_a_crash_at_any_call_of_closing_loses_nothing() -> None:
    at = 0
    while True:
        disk = Disk(random.Random(at))
        ledger = Ledger(disk, pages=1_000)
        ledger.write_many(5)
        disk.crash_at = at
        try:
            ledger.connection.close()
        except MachineGone:
            assert ledger.fault_after_power_cut() is None, at
        else:
            break
        disk.close()
        at += 1
    assert at > 5


def test_a_checkpoint_is_made_when_the_pages_are_there(disk: Disk) -> None:
    ledger = Ledger(disk, pages=1_000)
    size = len(disk.files[NAME].cached)
    ledger.write_many(5)
    assert len(disk.files[NAME].cached) == size
    ledger.connection.execute("PRAGMA wal_autocheckpoint = 4")
    ledger.write()
    assert len(disk.files[NAME].cached) > size


# ── repeating and copying ───────────────────────────────────────────────────


def _a_bad_day(seed: int) -> tuple[object, ...]:
    disk = Disk(random.Random(seed), DiskRates(fail_sync=0.05, fail_write=0.02))
    disk.rates, calm = DiskRates(), disk.rates
    ledger = Ledger(disk)
    disk.rates = calm
    ledger.write_many(20)
    disk.crash_at = 17
    ledger.write_many(20)
    disk.power_cut()
    seen = (disk.image(), disk.counts, ledger.acknowledged, ledger.in_doubt)
    disk.close()
    return seen


def test_the_same_seed_leaves_the_same_bytes() -> None:
    assert _a_bad_day(5) == _a_bad_day(5)
    assert _a_bad_day(5) != _a_bad_day(6)


def test_a_copy_has_what_was_written_and_goes_its_own_way(disk: Disk) -> None:
    ledger = Ledger(disk)
    ledger.write_many(3)
    copy = disk.copy(random.Random(2))
    ledger.write()
    copy.power_cut()
    rows = "SELECT DISTINCT number FROM rows ORDER BY number"
    assert copy.connect(NAME).execute(rows).fetchall() == [(1,), (2,), (3,)]
    assert len(ledger.found()) == 4
    copy.close()


def test_disks_leave_nothing_behind_in_the_process() -> None:
    before = len(apsw.connections())
    first = Disk(random.Random(0))
    ledger = Ledger(first)
    ledger.connection.close()
    image = first.image()
    first.close()
    gone = []
    for seed in range(300):
        disk = Disk.from_image(image, random.Random(seed))
        disk.connect(NAME).execute("INSERT INTO rows VALUES (1, 1, '')")
        disk.crash_at = 1
        with pytest.raises(MachineGone):
            disk.connect("other").execute("CREATE TABLE t (a)")
        disk.close()
        gone.append(weakref.ref(disk))
    del disk
    gc.collect()
    assert not any(one() for one in gone)
    assert len(apsw.connections()) == before
    assert not vfs.openings
