"""What an op costs a server, by how often its record was edited before."""

from __future__ import annotations

import sqlite3
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from pycrdt import Doc, Map

from benchmarks.filling import check_accepted, push_of
from benchmarks.growth_writers import EDIT_US, FIELDS, POLICY, RECORD, WINDOW, Writers
from crdtsync.documents.ops import Op
from crdtsync.documents.state import LogEntry, decode_stored
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.store import FILE_NAME, connect_writer
from crdtsync_server.work import Notes, Origin, PushWork

GROUP = 100
START_US = 1_700_000_000_000_000
_ENTRY = msgspec.msgpack.Decoder(LogEntry)


class EditedRecord:
    """One record of ten fields of every kind, edited by one writer, in a space of its own."""

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger, number: int) -> None:
        self._connection = connection
        self._ledger = ledger
        self._origin = Origin(f"ward-{number}", str(uuid.uuid4()), "writer-0", frozenset())
        self._writers = Writers(1, seed=number)
        self._now_us = START_US
        self.edits = 0

    def next_ops(self, many: int) -> Sequence[Op]:
        """The writer's next edits, each on top of the one before."""
        (ops,) = self._writers.round(self._now_us, many)
        self._now_us += EDIT_US * len(ops)
        return ops

    def commit(self, ops: Sequence[Op]) -> tuple[float, float]:
        """Decide and commit them as one group: (seconds, processor seconds)."""
        work = PushWork(self._origin, push_of(ops), 0, lambda _: None)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        group = self._ledger.commit_group(self._connection, [work], Notes(), self._now_us)
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        check_accepted(group.results[0])
        for published in group.published:
            for entry in map(_ENTRY.decode, published.entries):
                self._writers.follow(entry)
        self.edits += len(ops)
        return took_s, cpu_s

    def edit(self, many: int) -> None:
        """So many edits before the clock runs."""
        while many:
            ops = self.next_ops(min(many, WINDOW[1]))
            self.commit(ops)
            many -= len(ops)

    def size_bytes(self) -> int:
        """Of the record at rest; it has to be what the writer holds."""
        row = self._connection.execute(
            "SELECT records.state FROM records JOIN spaces ON spaces.id = records.space "
            "WHERE spaces.name = ? AND record = ?",
            (self._origin.space, RECORD),
        ).fetchone()
        # Its bytes may name the ops in another order.
        assert decode_stored(row[0]).fields == self._writers.confirmed.stored().fields
        return len(row[0])


def on_a_server(params: Mapping[str, int]) -> dict[str, float]:
    """Groups of 100 edits of one record each, after ``edits`` edits of it."""
    edits, records, groups = params["edits"], params["records"], params["groups"]
    with tempfile.TemporaryDirectory() as folder:
        connection = connect_writer(str(Path(folder) / FILE_NAME))
        ledger = Ledger(POLICY)
        edited = [EditedRecord(connection, ledger, number) for number in range(records)]
        for record in edited:
            record.edit(edits)
        size_bytes = edited[0].size_bytes()
        took_s = cpu_s = 0.0
        for number in range(groups):
            record = edited[number % records]
            taken = record.commit(record.next_ops(GROUP))
            took_s, cpu_s = took_s + taken[0], cpu_s + taken[1]
        for record in edited:
            assert record.size_bytes()
        (logged,) = connection.execute("SELECT count(*) FROM log").fetchone()
        assert logged == sum(record.edits for record in edited) == records * edits + groups * GROUP
        connection.close()
    many = groups * GROUP
    return {
        "us": took_s * 1e6 / many,
        "cpu_us": cpu_s * 1e6 / many,
        "record_bytes": size_bytes,
    }


def in_pycrdt(params: Mapping[str, int]) -> dict[str, float]:
    """The same shape with pycrdt alone: ten keys of a Map, overwritten in turn, each edit sent
    to a second document; never rewritten, never on a disk."""
    edits, groups = params["edits"], params["groups"]
    doc, other = Doc[Any](client_id=1), Doc[Any](client_id=2)
    fields = doc.get("fields", type=Map)
    sent: list[bytes] = []
    subscription = doc.observe(lambda event: sent.append(event.update))
    for number in range(edits):
        fields[FIELDS[number % len(FIELDS)]] = f"value {number}"
    for update in sent:
        other.apply_update(update)
    size_bytes = len(doc.get_update())
    sent.clear()
    many = groups * GROUP
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(edits, edits + many):
        fields[FIELDS[number % len(FIELDS)]] = f"value {number}"
        other.apply_update(sent.pop())
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    doc.unobserve(subscription)
    last = FIELDS[(edits + many - 1) % len(FIELDS)]
    assert other.get("fields", type=Map)[last] == f"value {edits + many - 1}"
    return {
        "us": took_s * 1e6 / many,
        "cpu_us": cpu_s * 1e6 / many,
        "record_bytes": size_bytes,
    }
