"""A server's database written by hand, row by row, so that every figure is known beforehand."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, Visibility
from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.overview import Asked, measure
from crdtsync_server.report.reconciliation import digest_of
from crdtsync_server.report.scope import Bounds, Live
from crdtsync_server.storage.keys import chain, position, uuid_bytes
from crdtsync_server.storage.store import connect_writer

NOW_US = 1_700_000_000_000_000
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US

POLICY = Policy.parse(
    """
version = 3
[patient]
label = { en = "Patient", ko = "환자" }
[patient.fields]
name      = { type = "string", label = { en = "Name", ko = "이름" } }
allergies = { type = "set<string>", merge = "manual", read = ["clinician"], write = ["clinician"] }
phone     = { type = "string" }
[bed.fields]
number = { type = "string" }
[secret]
delete = ["clinician"]
[secret.fields]
code = { type = "string", read = ["clinician"], write = ["clinician"] }
"""
)
EVERYTHING = POLICY.visibility(["clinician"])
SOME = POLICY.visibility(["nurse"])


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Written:
    """An op that stands in the log."""

    op_id: str
    request_id: str
    seq: int


class Book:
    """Writes rows as the server would."""

    def __init__(self) -> None:
        self.connection = connect_writer(":memory:")
        self._requests = 0
        self._seqs: dict[int, int] = {}
        self._digests: dict[int, bytes] = {}
        self.spaces: dict[str, int] = {}

    def run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.execute(statement, values)

    def space(self, name: str = "ward") -> int:
        if name not in self.spaces:
            cursor = self.run("INSERT INTO spaces (name, created_us) VALUES (?, 0)", name)
            assert cursor.lastrowid is not None
            self.spaces[name] = cursor.lastrowid
            self._seqs[cursor.lastrowid], self._digests[cursor.lastrowid] = 0, b""
        return self.spaces[name]

    def replica(
        self,
        device: str = "tablet",
        *,
        space: str = "ward",
        user: str = "kim",
        outbox: OutboxSummary | None = None,
        seen_us: int = NOW_US,
        cursor_seq: int = 0,
        replica_id: str | None = None,
    ) -> int:
        cursor = self.run(
            "INSERT INTO replicas (space, replica_id, user, device, cursor_seq, outbox, "
            "first_seen_us, last_seen_us) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            self.space(space),
            replica_id or new_id(),
            user,
            device,
            cursor_seq,
            None if outbox is None else msgspec.msgpack.encode(outbox),
            seen_us,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def connected(
        self,
        replica: int,
        at_us: int,
        *,
        skew_us: int = 0,
        ended_us: int | None = None,
        code: int | None = None,
        outbox: OutboxSummary | None = None,
    ) -> None:
        self.run(
            "INSERT INTO connections (replica, user, connected_us, ended_us, code, skew_us, "
            "cursor_seq, head_seq, outbox) VALUES (?, 'kim', ?, ?, ?, ?, 0, 0, ?)",
            replica,
            at_us,
            ended_us,
            code,
            skew_us,
            None if outbox is None else msgspec.msgpack.encode(outbox),
        )

    def push(
        self,
        replica: int,
        received_us: int,
        *,
        space: str = "ward",
        took_us: int = 10_000,
        created_us: Sequence[int] = (),
        attempts: int = 1,
        request_id: str | None = None,
        op_ids: Sequence[str] = (),
        **counts: int,
    ) -> list[Written]:
        """A push whose ops were written at ``created_us`` by the device's clock."""
        space_id, request_id = self.space(space), request_id or new_id()
        first = self._seqs[space_id] + 1
        names = op_ids or [new_id() for _ in created_us]
        written = [
            self._append(space_id, replica, op_id, request_id, received_us, when, attempts)
            for op_id, when in zip(names, created_us, strict=True)
        ]
        group = self.run(
            "INSERT INTO groups (decided_us, committed_us) VALUES (?, ?)",
            received_us,
            received_us + took_us,
        ).lastrowid
        numbers = {"duplicate": 0, "refused": 0, "held": 0, "transient": 0} | counts
        cursor = self.run(
            "INSERT INTO requests (request_id, space, replica, user, grp, received_us, first_seq, "
            "last_seq, accepted, duplicate, refused, held, transient) "
            "VALUES (?, ?, ?, 'kim', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            uuid_bytes(request_id),
            space_id,
            replica,
            group,
            received_us,
            first if written else None,
            self._seqs[space_id] if written else None,
            len(written),
            *numbers.values(),
        )
        assert cursor.lastrowid is not None
        self._requests = cursor.lastrowid
        return written

    def _append(
        self,
        space_id: int,
        replica: int,
        op_id: str,
        request_id: str,
        received_us: int,
        created_us: int,
        attempts: int,
    ) -> Written:
        seq = self._seqs[space_id] + 1
        digest = chain(self._digests[space_id], uuid_bytes(op_id), received_us)
        entry = LogEntry(
            seq=seq,
            digest=digest,
            op_id=op_id,
            user="kim",
            collection="patient",
            record="p1",
            time_us=created_us,
            received_us=received_us,
            effective_us=received_us,
            writes={"r/name": ('"x"',)},
            removed=(),
            outcomes={"r/name": "applied"},
            prev_seq=0,
        )
        place = position(space_id, seq)
        self.run(
            "INSERT INTO log VALUES (?, x'', ?, ?, ?, ?, ?)",
            place,
            msgspec.msgpack.encode(entry),
            uuid_bytes(request_id),
            replica,
            attempts,
            created_us,
        )
        self.run("INSERT INTO receipts VALUES (?, ?)", uuid_bytes(op_id), place)
        self.run(
            "UPDATE spaces SET seq = ?, digest = ?, received_us = ? WHERE id = ?",
            seq,
            digest,
            received_us,
            space_id,
        )
        self._seqs[space_id], self._digests[space_id] = seq, digest
        return Written(op_id, request_id, seq)

    def attempt(
        self,
        op_id: str,
        result: str,
        code: str | None = None,
        *,
        number: int = 1,
        collection: str = "patient",
        field: str | None = None,
    ) -> None:
        """An op of the last push that did not enter the log by it."""
        self.run(
            "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, 'p1', 0, ?)",
            uuid_bytes(op_id),
            self._requests,
            result,
            code,
            field,
            collection,
            number,
        )

    def told(self, op_id: str, request_id: str, sent_us: int, ended: str) -> None:
        """The last push told of an earlier attempt."""
        self.run(
            "INSERT OR IGNORE INTO client_attempts VALUES (?, ?, ?, ?, ?)",
            uuid_bytes(op_id),
            uuid_bytes(request_id),
            sent_us,
            ended,
            self._requests,
        )

    def acknowledged(
        self, replica: int, from_seq: int, to_seq: int, op_ids: Sequence[str], *, named: bool = True
    ) -> None:
        joined = b"".join(map(uuid_bytes, op_ids)) if named else b""
        self.run(
            "INSERT INTO acknowledged (replica, to_seq, from_seq, count, digest, received_us, "
            "op_ids) VALUES (?, ?, ?, ?, ?, ?, ?)",
            replica,
            to_seq,
            from_seq,
            len(op_ids),
            digest_of(op_ids),
            NOW_US,
            joined,
        )

    def conflict(
        self,
        root: str = "r/allergies",
        *,
        collection: str = "patient",
        status: str = "open",
        opened_us: int = NOW_US,
        events: Sequence[tuple[str, int, str]] = (),
    ) -> None:
        cursor = self.run(
            "INSERT INTO conflicts (space, collection, record, root, status, opened_us, "
            "changed_us, candidates) VALUES (?, ?, 'p1', ?, ?, ?, ?, ?)",
            self.space(),
            collection,
            root,
            status,
            opened_us,
            opened_us,
            msgspec.msgpack.encode([[new_id(), 0], [new_id(), 0]]),
        )
        for seq, (kind, at_us, user) in enumerate(events):
            self.run(
                "INSERT INTO conflict_events VALUES (?, ?, ?, ?, ?, '', x'90')",
                cursor.lastrowid,
                seq,
                kind,
                at_us,
                user,
            )

    def record(self, collection: str, record: str, *, size_bytes: int) -> None:
        """A record whose stored state has this size, written by the log's next entry."""
        (written,) = self.push(self.replica(), NOW_US, created_us=[NOW_US])
        space = self.space()
        self.run(
            "INSERT INTO records (space, collection, record, position, state) "
            "VALUES (?, ?, ?, ?, zeroblob(?))",
            space,
            collection,
            record,
            position(space, written.seq),
            size_bytes,
        )

    def overview(
        self,
        *,
        seen: Visibility = EVERYTHING,
        live: Live | None = None,
        bounds: Bounds | None = None,
        **asked: Any,
    ) -> Overview:
        return measure(
            self.connection,
            Asked(
                policy=POLICY,
                seen=seen,
                now_us=NOW_US,
                live=live,
                bounds=bounds or Bounds(whole_log=True),
                **asked,
            ),
        )
