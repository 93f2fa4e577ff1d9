"""The server's log as evidence: read from its database file, or over the protocol alone."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy
from crdtsync_server.acceptance.reaching import Reach

Proof = Literal["file", "protocol"]

AUDITOR = "acceptance-auditor"


@dataclass(frozen=True, slots=True)
class LogCopy:
    """Everything that a server's log holds for one space."""

    entries: tuple[LogEntry, ...]
    """In the order of the log."""
    flaws: tuple[str, ...]
    """What is wrong with the log itself: gaps, broken digests, missing receipts."""
    proof: Proof
    deliveries: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per op_id what the server noted about its arrival; from the file only."""

    @property
    def op_ids(self) -> list[str]:
        """In the order of the log."""
        return [entry.op_id for entry in self.entries]


def log_from_file(database: Path, space: str) -> LogCopy:
    """Read a server's database beside the running server, without touching it."""
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("BEGIN")
        row = connection.execute(
            "SELECT id, seq, digest FROM spaces WHERE name = ?", (space,)
        ).fetchone()
        if row is None:
            return LogCopy((), (), "file")
        space_id, head_seq, head_digest = row
        bounds = (space_id << 40, (space_id + 1) << 40)
        rows = connection.execute(
            "SELECT entry, request_id, attempts, created_us FROM log "
            "WHERE position > ? AND position < ? ORDER BY position",
            bounds,
        ).fetchall()
        receipts = {
            str(uuid.UUID(bytes=key))
            for (key,) in connection.execute(
                "SELECT op_id FROM receipts WHERE position > ? AND position < ?", bounds
            )
        }
    finally:
        connection.close()
    entries = [msgspec.msgpack.decode(data, type=LogEntry) for data, *_ in rows]
    flaws = [*flaws_of(entries, head_seq, head_digest)]
    without = {entry.op_id for entry in entries} ^ receipts
    flaws += [f"{op_id}: log and receipts do not agree" for op_id in sorted(without)]
    deliveries = {
        entry.op_id: {"request_id": request_id.hex(), "attempts": attempts, "created_us": created}
        for entry, (_, request_id, attempts, created) in zip(entries, rows, strict=True)
    }
    return LogCopy(tuple(entries), tuple(flaws), "file", deliveries)


async def log_over_protocol(reach: Reach, space: str, policy: Policy) -> LogCopy:
    """Read the log as a stranger: every record from the snapshots, then each one's history."""
    async with reach.client(space, AUDITOR, policy) as client:
        assert client.welcome is not None
        head = client.welcome.head
        found: list[LogEntry] = []
        for row in client.snapshots:
            found += await client.log_entries(row.collection, row.record)
    entries = sorted(found, key=lambda entry: entry.seq)
    return LogCopy(tuple(entries), tuple(flaws_of(entries, head.seq, head.digest)), "protocol")


def flaws_of(entries: Iterable[LogEntry], head_seq: int, head_digest: bytes) -> Iterable[str]:
    """A log counts 1, 2, 3 … up to its head, each entry chained to the one before."""
    digest, expected = b"", 1
    for entry in entries:
        if entry.seq != expected:
            yield f"place {expected} of the log is missing; {entry.seq} follows"
        received = entry.received_us.to_bytes(8, "big")
        content = digest + uuid.UUID(entry.op_id).bytes + received  # PROTOCOL.md, digest
        digest = hashlib.blake2b(content, digest_size=16).digest()
        if entry.digest != digest:
            yield f"the digest at place {entry.seq} does not follow from the entries before it"
            digest = entry.digest
        expected = entry.seq + 1
    if expected != head_seq + 1:
        yield f"the log ends at place {expected - 1}, its head says {head_seq}"
    elif digest != head_digest:
        yield "the digest of the head is not that of the last entry"


async def policy_of(reach: Reach, space: str) -> tuple[str, int]:
    """The policy that a server goes by, as text, and its version."""
    async with reach.client(space, AUDITOR, None) as client:
        assert client.welcome is not None
        return client.welcome.policy or "", client.welcome.policy_version
