"""A server's database with a bit of everything in it, written by the server's own code."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from crdtsync.database import queries
from crdtsync.documents.ops import EntryId, Op
from crdtsync.policy import Policy
from crdtsync.protocol.messages import Receipt
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.policies import adopt_policy
from crdtsync_server.storage.retention import trim_log
from crdtsync_server.storage.store import FILE_NAME, connect_writer
from crdtsync_server.work import Notes, Origin, PushWork
from tests.server.serving import (
    POLICY,
    SPACE,
    START_US,
    delete,
    hello_of,
    new_id,
    push_of,
    write,
)

HOUR_US = 3_600_000_000
SQL = queries("crdtsync_server.storage", "queries.sql")


class Ward:
    """One space of a database file, written to without a network."""

    def __init__(
        self, connection: sqlite3.Connection, space: str = SPACE, policy: Policy = POLICY
    ) -> None:
        self.connection = connection
        self.space = space
        self._ledger = Ledger(policy)
        self.origin = Origin(space, hello_of().replica_id, "kim", frozenset({"nurse"}))
        self.now_us = START_US
        self.ops: list[str] = []

    def push(self, *ops: Op) -> list[Receipt]:
        """Ops that are all accepted, as one group, an hour after the last."""
        self.now_us += HOUR_US
        work = PushWork(self.origin, push_of(*ops), 500, lambda _: None)
        result = self._ledger.commit_group(self.connection, [work], Notes(), self.now_us).results
        (answers,) = result
        assert isinstance(answers, list)
        receipts = [one for one in answers if isinstance(one, Receipt)]
        assert len(receipts) == len(ops), answers
        self.ops += [op.op_id for op in ops]
        return receipts

    def trim(self, below_seq: int) -> None:
        """Cut the detail of the log below a seq."""
        trim_log(self.connection, SQL, self.space, below_seq)

    def fill(self) -> None:
        """Every kind of field, conflicts in every state, deletes, graves, many increments."""
        for n in range(4):
            self.push(
                write({"r/name": f'"Kim {n}"', "r/phone": f'"010-{n}"'}, time_us=START_US + n)
            )
        for n in range(24):
            self.push(write({"c/visits": "1"}, record=f"p{n % 2}"))
        self._conflicts()
        self.push(write({"s/tags": ('"a"', '"b"')}, record="p3"))
        (kept,) = self.push(write({"r/name": '"Choi"'}, record="p4"))
        self.push(delete("p4", seq=kept.seq - 1))
        self.push(delete("p3", seq=kept.seq))
        unseen = EntryId(new_id(), 0)
        self.push(write({"r/name": '"Lee"'}, record="p5", supersedes={"r/name": [unseen]}))

    def _conflicts(self) -> None:
        first = write({"r/allergies": '["latex"]'}, record="p1")
        second = write({"r/allergies": '["nuts"]'}, record="p1")
        self.push(first, second)
        chosen = write(
            {"r/allergies": '["latex","nuts"]'},
            record="p1",
            supersedes={"r/allergies": [EntryId(one.op_id, 0) for one in (first, second)]},
        )
        self.push(chosen)
        self.push(
            write({"r/allergies": '["milk"]'}, record="p2"),
            write({"r/allergies": '["eggs"]'}, record="p2"),
        )


def open_ward(folder: Path, space: str = SPACE) -> Ward:
    """A data folder's database, made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = connect_writer(str(folder / FILE_NAME))
    adopt_policy(connection, SQL, POLICY, START_US)
    return Ward(connection, space)


def make_data(folder: Path, *, trim_below: int = 0) -> list[str]:
    """A data folder with two spaces; the op_ids of the first, in the order of its log."""
    ward = open_ward(folder)
    with contextlib.closing(ward.connection):
        ward.fill()
        other = Ward(ward.connection, "ward-4")
        other.push(write({"r/name": '"Park"'}))
        if trim_below:
            ward.trim(trim_below)
    return ward.ops
