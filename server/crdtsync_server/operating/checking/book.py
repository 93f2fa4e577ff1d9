"""The database under check: one view of it, and what the checks look up in it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import msgspec

from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, PolicyError
from crdtsync_server.operating.checking.findings import Findings
from crdtsync_server.storage.keys import position
from crdtsync_server.storage.receipts import ENTRY_DECODER

MAX_POLICIES = 1_000
"""Versions of the policy that conflicts are judged by."""


@dataclass(slots=True)
class Space:
    """A space, and what the pass over its log has found."""

    id: int
    name: str
    head_seq: int
    digest: bytes
    received_us: int
    log_start: int
    rows: int = 0
    """Log rows that are there."""
    linked: int = 0
    """Log rows that the chain of some record reaches."""


@dataclass(slots=True)
class Book:
    """One consistent view: everything is read in one transaction of ``connection``."""

    connection: sqlite3.Connection
    findings: Findings
    spaces: dict[int, Space] = field(default_factory=dict)
    policies: list[Policy] = field(default_factory=list)
    """Newest first."""

    def read_spaces(self) -> None:
        """Every space's head."""
        rows = self.connection.execute(
            "SELECT id, name, seq, digest, received_us, log_start FROM spaces ORDER BY id"
        )
        for row in rows:
            space = Space(*row)
            self.spaces[space.id] = space
            if not 1 <= space.log_start <= space.head_seq + 1:
                self.findings.add(
                    "wrong_head",
                    space.name,
                    f"the log is said to start at {space.log_start} and to end at {space.head_seq}",
                )

    def read_policies(self) -> None:
        """Every policy that the server went by; one that does not hold is a finding."""
        rows = self.connection.execute(
            "SELECT version, hash, text FROM policies ORDER BY version DESC LIMIT ?",
            (MAX_POLICIES,),
        ).fetchall()
        for version, policy_hash, text in rows:
            try:
                policy = Policy.parse(text)
            except PolicyError as error:
                self.findings.add("wrong_policy", f"version {version}", str(error).split("\n")[0])
                continue
            if (policy.version, policy.hash) != (version, policy_hash):
                self.findings.add(
                    "wrong_policy", f"version {version}", "its text is not the one of its hash"
                )
            self.policies.append(policy)
        if not rows and self.connection.execute("SELECT 1 FROM log LIMIT 1").fetchone():
            self.findings.add("wrong_policy", "policies", "there is none, and yet there is a log")

    def place(self, space_id: int, seq: int) -> str:
        """A place in a log, for people."""
        space = self.spaces.get(space_id)
        return f"{space.name if space else f'space {space_id}'} seq {seq}"

    def entry(self, space_id: int, seq: int) -> LogEntry | None:
        """The log entry at a place; None where none can be read."""
        row = self.connection.execute(
            "SELECT entry FROM log WHERE position = ?", (position(space_id, seq),)
        ).fetchone()
        return None if row is None else readable_entry(row[0])

    def raw_entry(self, space_id: int, seq: int) -> bytes | None:
        """The same, encoded."""
        row = self.connection.execute(
            "SELECT entry FROM log WHERE position = ?", (position(space_id, seq),)
        ).fetchone()
        return None if row is None else bytes(row[0])


def readable_entry(data: bytes) -> LogEntry | None:
    """The log entry in ``data``; None for anything else."""
    try:
        return ENTRY_DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
