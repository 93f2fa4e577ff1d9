"""Does a record stay small? One record of ten fields, edited again and again.

``python -m benchmarks.record_growth`` lets 1, 2 and 20 writers edit one record 100,
10,000 and 1,000,000 times through the server's own groups on a real SQLite file (one
commit for about 200 edits), and measures what is left: bytes at rest, as a document, in
the log before and after trimming, on a replica, and how long reading takes. Everything
is compared with the same values written once. The exit code is 1 if an op was not
accepted, or if server, writers and replica do not end with the same record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from pycrdt import Doc, Map
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.growth_writers import (
    EDIT_US,
    FIELDS,
    PATIENT,
    POLICY,
    RECORD,
    Writers,
    written_once,
)
from benchmarks.harness import results
from benchmarks.harness.disk import disk_folder
from crdtsync.database import queries
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.ops import Op
from crdtsync.documents.reading import read_field
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.protocol.messages import Landmark, Push, PushedOp, Receipt, SnapshotRow
from crdtsync.replica import applying
from crdtsync.replica.store import ReplicaStore
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.retention import SLICE_ROWS, trim_step
from crdtsync_server.storage.store import connect_writer
from crdtsync_server.work import Notes, Origin, PushWork

SPACE = "ward-3"
START_US = 1_700_000_000_000_000

WHOLE_EDITS = 10_000
"""Up to so many edits the document that was never compacted is measured too: it grows by
every edit, and a larger one is beyond what a document may be."""

REPLICA_EDITS = 60_000
"""The last entries of a long log that the replica takes one by one; it starts from a
snapshot before them. More than its local history keeps, so that this is full."""

REPEATS = 200

Say = Callable[[str, int, int], None]
"""(step, done, of how many)."""

_ENTRY = msgspec.msgpack.Decoder(LogEntry)


@dataclass
class Timing:
    """Microseconds of one reading."""

    median_us: float
    low_us: float
    """The 5th of 100."""
    high_us: float
    """The 95th of 100."""


@dataclass
class Growth:
    """What one record came to."""

    writers: int
    edits: int
    record_bytes: int = 0
    once_bytes: int = 0
    document_bytes: int = 0
    once_document_bytes: int = 0
    uncompacted_bytes: int | None = None
    read_entries: Timing | None = None
    read_document: Timing | None = None
    read_pycrdt: Timing | None = None
    once_read_entries: Timing | None = None
    once_read_document: Timing | None = None
    once_read_pycrdt: Timing | None = None
    log_bytes_per_op: float = 0.0
    """Pages of the log and of the index of receipts."""
    receipt_bytes_per_op: float = 0.0
    """The same when everything that retention may trim is trimmed."""
    trim_slice_ms: float = 0.0
    trim_slice_worst_ms: float = 0.0
    kept_values: int = 0
    replica_record_bytes: int = 0
    """Its entries and the view that queries read."""
    replica_file_bytes: int = 0
    replica_history: int = 0
    resolved: int = 0
    refused: int = 0
    seconds: float = 0.0
    mistakes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Bytes at rest beside those of the same values written once."""
        return self.record_bytes / self.once_bytes

    @property
    def good(self) -> bool:
        """Everything accepted, everyone alike."""
        return not (self.refused or self.mistakes)


class Run:
    """One record, edited ``edits`` times by ``writers`` writers, in ``folder``."""

    def __init__(self, folder: Path, writers: int, edits: int, seed: int, say: Say) -> None:
        self.growth = Growth(writers, edits)
        self._folder = folder
        self._say = say
        self._writers = Writers(writers, seed)
        self._connection = connect_writer(str(folder / "server.db"))
        self._ledger = Ledger(POLICY)
        self._origins = [
            Origin(SPACE, str(uuid.uuid4()), f"writer-{n}", frozenset()) for n in range(writers)
        ]
        self._now_us = START_US
        self._head = Landmark(0, b"")
        self._replica: ReplicaStore | None = None
        self._uncompacted = RecordDocument(PATIENT, RECORD) if edits <= WHOLE_EDITS else None

    async def run(self) -> Growth:
        """Edit, then measure."""
        growth, started = self.growth, time.monotonic()
        try:
            while self._head.seq < growth.edits:
                left = growth.edits - self._head.seq
                if left <= REPLICA_EDITS and self._replica is None:
                    await self._start_replica()
                await self._push(self._writers.round(self._now_us, left))
                self._say(self._step, min(self._head.seq, growth.edits), growth.edits)
                await asyncio.sleep(0)  # the turn of the loop in which Ctrl-C is heard
            await self._push([self._writers.resolve_all(self._now_us)])
            growth.resolved = self._writers.resolved
            growth.seconds = time.monotonic() - started
            await self._measure()
        finally:
            self._connection.close()
            if self._replica is not None:
                await self._replica.close()
        return growth

    @property
    def _step(self) -> str:
        return f"{self.growth.edits:,} edits by {self.growth.writers}"

    async def _push(self, sessions: Sequence[Sequence[Op]]) -> None:
        """A round as one group, as when every writer comes back into the network at once."""
        self._now_us += EDIT_US * sum(map(len, sessions))
        works = [
            PushWork(self._origins[n], _push_of(ops), 0, lambda _: None)
            for n, ops in enumerate(sessions)
            if ops
        ]
        if not works:
            return
        group = self._ledger.commit_group(self._connection, works, Notes(), self._now_us)
        for answers in group.results:
            assert isinstance(answers, Sequence)
            self.growth.refused += sum(not isinstance(answer, Receipt) for answer in answers)
        if not group.published:
            raise AssertionError("no op of a whole round was accepted")
        (published,) = group.published
        entries = [_ENTRY.decode(data) for data in published.entries]
        self._head = published.head
        for entry in entries:
            if entry.record != RECORD:
                continue
            self._writers.follow(entry)
            if self._uncompacted is not None:
                self._uncompacted.apply_entry(entry)
        if self._replica is not None:
            await self._replica.change(applying.apply_entries, entries, self._now_us)

    async def _start_replica(self) -> None:
        """A replica that begins here, from a snapshot."""
        self._replica = await ReplicaStore.open(
            str(self._folder / "replica.db"),
            space=SPACE,
            policy=POLICY,
            replica_id=str(uuid.uuid4()),
            run=str(uuid.uuid4()),
        )
        rows = [SnapshotRow("patient", RECORD, self._writers.confirmed.stored())]
        if self._head.seq:
            await self._replica.change(applying.install_page, rows, None, self._head, self._now_us)

    # ── measuring ───────────────────────────────────────────────────────────

    async def _measure(self) -> None:
        growth = self.growth
        self._say(f"{self._step}: measuring", 0, 1)
        state = self._stored(RECORD)
        if state.encode() != self._writers.confirmed.encode():
            growth.mistakes.append("the writers do not hold what the server holds")
        growth.record_bytes, growth.document_bytes, timings = measured(state)
        growth.read_entries, growth.read_document, growth.read_pycrdt = timings
        if self._uncompacted is not None:
            growth.uncompacted_bytes = len(self._uncompacted.encode())
        await self._measure_replica(state)
        growth.log_bytes_per_op = self._log_bytes() / self._head.seq
        self._trim()
        growth.receipt_bytes_per_op = self._log_bytes() / self._head.seq
        (growth.kept_values,) = self._connection.execute(
            "SELECT count(*) FROM kept_values"
        ).fetchone()
        await self._push([written_once(state, "once", self._now_us)])
        once = self._stored("once")
        if values_of(once) != values_of(state):
            growth.mistakes.append("the record written once holds other values")
        growth.once_bytes, growth.once_document_bytes, timings = measured(once)
        growth.once_read_entries, growth.once_read_document, growth.once_read_pycrdt = timings
        self._say(f"{self._step}: measuring", 1, 1)

    def _stored(self, record: str) -> RecordState:
        row = self._connection.execute(
            "SELECT state FROM records WHERE record = ?", (record,)
        ).fetchone()
        return RecordState.decode("patient", record, row[0])

    def _log_bytes(self) -> int:
        return sum(pages_of(self._connection, name) for name in ("log", "receipts"))

    def _trim(self) -> None:
        """Everything that retention may trim, slice by slice, as a server does."""
        sql = queries("crdtsync_server.storage", "queries.sql")
        slices: list[float] = []
        at: int | None = 0
        done = 0
        while at is not None:
            started = time.perf_counter()
            step = trim_step(self._connection, sql, from_space=at, before_us=self._now_us + 1)
            slices.append((time.perf_counter() - started) * 1e3)
            at, done = step.space_id, done + step.rows
            self._say(f"{self._step}: trimming", done, self._head.seq)
        self.growth.trim_slice_ms = statistics.median(slices)
        self.growth.trim_slice_worst_ms = max(slices)

    async def _measure_replica(self, state: RecordState) -> None:
        assert self._replica is not None
        row, seen = await self._replica.look(
            lambda file: (
                file.connection.execute(
                    "SELECT state, view FROM records WHERE id = ?", (RECORD,)
                ).fetchone(),
                file.connection.execute("SELECT count(*) FROM seen").fetchone()[0],
            )
        )
        # Both fold counters, but not at the same entries.
        if values_of(RecordState.decode("patient", RECORD, row[0])) != values_of(state):
            self.growth.mistakes.append("the replica does not hold what the server holds")
        self.growth.replica_record_bytes = len(row[0]) + len(row[1].encode())
        self.growth.replica_history = seen
        await self._replica.look(
            lambda file: file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        )
        self.growth.replica_file_bytes = (self._folder / "replica.db").stat().st_size


def _push_of(ops: Sequence[Op]) -> Push:
    return Push(str(uuid.uuid4()), tuple(PushedOp(op, None, op.time_us, 1) for op in ops))


def pages_of(connection: sqlite3.Connection, table: str) -> int:
    """Bytes of the pages of a table, free room within them included."""
    row = connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (table,)).fetchone()
    return int(row[0] or 0)


def values_of(state: RecordState) -> dict[str, Any]:
    """What the record reads as."""
    return {name: read_field(state, PATIENT.fields[name]) for name in FIELDS}


def measured(state: RecordState) -> tuple[int, int, tuple[Timing, Timing, Timing]]:
    """(bytes of its entries, bytes of its document, how long reading each takes)."""
    entries = state.encode()
    document = RecordDocument.from_state(state, PATIENT).encode()

    def read_entries() -> object:
        return values_of(RecordState.decode("patient", state.record, entries))

    def read_document() -> object:
        return dict(RecordDocument.open(document, PATIENT, state.record))

    def read_pycrdt() -> object:
        doc: Doc[Any] = Doc(client_id=1)
        doc.apply_update(document)
        return [doc.get(one.root, type=Map).to_py() for one in PATIENT.fields.values()]

    if read_entries() != read_document():
        raise AssertionError("the document reads otherwise than its record")
    timings = timed(read_entries), timed(read_document), timed(read_pycrdt)
    return len(entries), len(document), timings


def timed(action: Callable[[], object]) -> Timing:
    """How long one call takes, of ``REPEATS``."""
    taken: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        taken.append((time.perf_counter() - started) * 1e6)
    cuts = statistics.quantiles(taken, n=20)
    return Timing(statistics.median(taken), cuts[0], cuts[-1])


async def record_growth(
    folder: Path, writers: int, edits: int, *, seed: int = 1, say: Say = lambda *_: None
) -> Growth:
    """Edit one record in ``folder`` and measure it."""
    return await Run(folder, writers, edits, seed, say).run()


# ── the script ──────────────────────────────────────────────────────────────


def surroundings() -> dict[str, Any]:
    """What the figures depend on besides the code, as the harness tells it."""
    around = results.begin("python -m benchmarks.record_growth", quick=False, peers={})
    machine: dict[str, Any] = msgspec.to_builtins(around.machine)
    return {"commit": results.commit(), **around.versions, **machine}


HOW = f"""\
One record, ten fields: 3 server-latest, 2 user-latest, 2 manual, 2 counters, 1 set; the edits go
round the fields. Writers write without having seen each other (1 writer 200 edits, 2 writers 50
each, 20 writers 10 each), then all of it is decided in one group and committed; conflicts are
resolved by a writer. "Once" is the same values written once. Bytes at rest are the record's row
value, log bytes are pages of SQLite (log and index of receipts), "trimmed" is after retention took
all it may, {SLICE_ROWS} rows a slice. Times are medians of {REPEATS} reads (5th to 95th of 100 in
brackets): bytes to Python values of all ten fields."""


def table(found: Sequence[Growth]) -> Table:
    """What the script prints."""
    made = Table(title="One record after many edits")
    for heading in (
        "writers",
        "edits",
        "at rest, B",
        "× once",
        "document, B",
        "never compacted, B",
        "entries → values, µs",
        "document → values, µs",
        "pycrdt alone, µs",
        "log B/op",
        "trimmed B/op",
        "slice ms (worst)",
        "on a replica, B",
        "its file, MB (history)",
        "edits/s",
    ):
        made.add_column(heading, justify="right")
    for one in found:
        made.add_row(
            str(one.writers),
            f"{one.edits:,}",
            f"{one.record_bytes:,}",
            f"{one.ratio:.2f}",
            f"{one.document_bytes:,}",
            "–" if one.uncompacted_bytes is None else f"{one.uncompacted_bytes:,}",
            *(_times(it) for it in (one.read_entries, one.read_document, one.read_pycrdt)),
            f"{one.log_bytes_per_op:.0f}",
            f"{one.receipt_bytes_per_op:.0f}",
            f"{one.trim_slice_ms:.0f} ({one.trim_slice_worst_ms:.0f})",
            f"{one.replica_record_bytes:,}",
            f"{one.replica_file_bytes / 1e6:.1f} ({one.replica_history:,})",
            f"{one.edits / max(one.seconds, 1e-9):,.0f}",
        )
    return made


def _times(timing: Timing | None) -> str:
    assert timing is not None
    return f"{timing.median_us:.0f} ({timing.low_us:.0f}–{timing.high_us:.0f})"


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers; write 100,10000")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.record_growth", description="Does a record stay small?"
    )
    parser.add_argument("--edits", type=_numbers, default=[100, 10_000, 1_000_000])
    parser.add_argument("--writers", type=_numbers, default=[1, 2, 20])
    parser.add_argument("--seed", type=int, default=1, help="who edits what (1)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    chosen = parser.parse_args(arguments)
    console = Console()
    found: list[Growth] = []
    status = 0
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    started = time.monotonic()
    try:
        with Progress(*columns, console=console) as progress:
            say = _saying(progress)
            for edits in chosen.edits:
                for writers in chosen.writers:
                    with tempfile.TemporaryDirectory(
                        prefix="crdtsync-growth-", dir=disk_folder()
                    ) as folder:
                        run = record_growth(Path(folder), writers, edits, seed=chosen.seed, say=say)
                        found.append(asyncio.run(run))
    except KeyboardInterrupt:
        console.print("Stopped; these are the measurements that were finished.")
        status = 130
    if found:
        console.print(table(found), soft_wrap=not console.is_terminal)
    console.print(HOW)
    around = surroundings()
    console.print(", ".join(f"{name} {value}" for name, value in around.items()))
    console.print(f"{time.monotonic() - started:.0f} s in all")
    for one in found:
        for mistake in one.mistakes:
            console.print(f"[red]{one.edits} edits by {one.writers}: {mistake}[/red]")
        if one.refused:
            console.print(f"[red]{one.edits} edits by {one.writers}: {one.refused} refused[/red]")
    if chosen.json is not None:
        figures = {"how": HOW, "surroundings": around, "records": [asdict(one) for one in found]}
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return status or (0 if all(one.good for one in found) else 1)


def _saying(progress: Progress) -> Say:
    tasks: dict[str, Any] = {}

    def say(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = progress.add_task(step, total=total)
        progress.update(tasks[step], completed=done)

    return say


if __name__ == "__main__":
    sys.exit(main())
