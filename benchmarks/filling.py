"""Filling a server's folder through the code that decides ops, in large groups."""

from __future__ import annotations

import gc
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.patients import POLICY, SPACE, USER, op_on, patient, phone, spread_over
from crdtsync.documents.ops import Op
from crdtsync.protocol.messages import Push, PushedOp, Receipt
from crdtsync_server.storage.bounds import Bounds
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.store import FILE_NAME, connect_writer
from crdtsync_server.work import Notes, Origin, PushWork

GROUP = 2_000
"""Ops a transaction while filling; a server's own groups are as large as what is waiting."""

BOUNDS = Bounds(records=10**8)

BRIEF = ("last", "phone")
"""Fields of a record where a million of them have to be filled in a minute or two."""


class Filler:
    """Writes into one server's folder, without a server."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = connect_writer(str(folder / FILE_NAME))
        self._ledger = Ledger(POLICY, BOUNDS)
        self._origin = Origin(SPACE, str(uuid.uuid4()), USER, frozenset())

    def write(self, ops: Iterable[Op]) -> None:
        """Decide and commit ops; every one has to be accepted."""
        gc.disable()  # nothing here makes cycles, and a large heap is long to look through
        try:
            group: list[Op] = []
            for op in ops:
                group.append(op)
                if len(group) == GROUP:
                    self._commit(group)
                    group = []
            if group:
                self._commit(group)
        finally:
            gc.enable()

    def _commit(self, ops: Sequence[Op]) -> None:
        work = PushWork(self._origin, push_of(ops), 0, lambda _: None)
        group = self._ledger.commit_group(self._connection, [work], Notes(), now_us())
        check_accepted(group.results[0])

    def close(self) -> None:
        """Bring everything from the write-ahead log into the file itself."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()


def fill(folder: Path, records: int, *, brief: bool = False) -> None:
    """A server's folder with so many patients, of ten fields each or of two (``brief``)."""
    filler = Filler(folder)
    filler.write(beginnings(records, brief=brief))
    filler.close()


def beginnings(records: int, *, brief: bool = False) -> Iterable[Op]:
    """The op of each patient that begins the record."""
    for number in range(records):
        fields = patient(number)
        if brief:
            fields = {name: fields[name] for name in BRIEF}
        yield op_on(number, 0, fields, now_us())


def change_phones(folder: Path, records: int, changed: int) -> None:
    """Somebody edits ``changed`` of the patients, all over them, while nobody looks."""
    filler = Filler(folder)
    numbers = spread_over(changed, records)
    filler.write(op_on(one, 1, {"phone": phone(one, 1)}, now_us()) for one in numbers)
    filler.close()


def push_of(ops: Sequence[Op]) -> Push:
    """The message that brings ops."""
    return Push(str(uuid.uuid4()), tuple(PushedOp(op, None, op.time_us, 1) for op in ops))


def check_accepted(answers: object) -> None:
    """What was refused was not measured."""
    assert isinstance(answers, Sequence)
    assert answers
    refused = [answer for answer in answers if not isinstance(answer, Receipt)]
    assert not refused, refused[:3]


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000
