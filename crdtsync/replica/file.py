"""The replica's file: its connection, its named queries, and what it says about itself."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from typing import Any

import msgspec

from crdtsync.database import queries
from crdtsync.documents.clock import HybridClock
from crdtsync.policy import CollectionPolicy, Policy, Visibility, compare
from crdtsync.protocol.client_session import landmarks
from crdtsync.protocol.messages import Landmark, Paging
from crdtsync.replica.errors import NotAReplica

_SQL = queries("crdtsync.replica.sql", "queries.sql")
SCHEMA_PACKAGE = "crdtsync.replica.sql"

MAX_REMEMBERED_RUNS = 48
"""Runs since the last welcome that a server may know (a crash right after hello).
Each opening is one, so commands run offline use them up; a hello takes 64."""

THIN_LANDMARKS_ABOVE = 64


ROWS_AT_ONCE = 250
"""Rows of one INSERT: at 8 values a row far below the 32,766 that SQLite takes since 3.32."""


@cache
def _of_many_rows(text: str) -> str:
    """An INSERT of one row as one of ROWS_AT_ONCE rows."""
    return re.sub(
        r"(?<=VALUES )\([^()]*\)", lambda row: ", ".join([row[0]] * ROWS_AT_ONCE), text, count=1
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this replica is to a server."""

    space: str
    replica_id: str
    run: str
    previous_runs: tuple[str, ...]


class ReplicaFile:
    """One open replica, used by one job at a time (see ``crdtsync.database``)."""

    def __init__(self, connection: sqlite3.Connection, policy: Policy) -> None:
        self.connection = connection
        self.policy = policy
        self.clock = HybridClock(self.number("last_effective_us"))

    # ── queries ─────────────────────────────────────────────────────────────

    def run(self, name: str, *values: Any) -> int:
        """Run a query that changes rows; how many it changed."""
        return self.connection.execute(_SQL[name], values).rowcount

    def run_named(self, name: str, values: dict[str, Any]) -> list[Any]:
        """Run a query with named parameters."""
        return self.connection.execute(_SQL[name], values).fetchall()

    def many(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a query for each row."""
        self.connection.executemany(_SQL[name], rows)

    def put_rows(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run an INSERT for each row, with many rows in a statement.

        Between two statements this thread waits for the interpreter, which may be reading
        the next page meanwhile.
        """
        one_row, remaining = _SQL[name], iter(rows)
        while group := list(islice(remaining, ROWS_AT_ONCE)):
            if len(group) == ROWS_AT_ONCE:
                values = tuple(chain.from_iterable(group))
                self.connection.execute(_of_many_rows(one_row), values)
            else:
                self.connection.executemany(one_row, group)

    def one(self, name: str, *values: Any) -> Any:
        """The first row of a query, or None."""
        return self.connection.execute(_SQL[name], values).fetchone()

    def all(self, name: str, *values: Any) -> list[Any]:
        """Every row of a query."""
        return self.connection.execute(_SQL[name], values).fetchall()

    # ── what the file says about itself ─────────────────────────────────────

    def text(self, key: str) -> str | None:
        """A text of the ``about`` table."""
        row = self.one("about", key)
        return None if row is None else str(row[0])

    def number(self, key: str) -> int:
        """A number of the ``about`` table (0 if it was never set)."""
        row = self.one("about", key)
        return 0 if row is None else int(row[0])

    def put(self, key: str, value: str | int | bytes) -> None:
        """Set a value of the ``about`` table."""
        self.run("set_about", key, value)

    @property
    def identity(self) -> Identity:
        """Space, replica_id and runs."""
        runs = tuple(msgspec.json.decode(self.text("runs") or "[]", type=list[str]))
        return Identity(
            self.text("space") or "",
            self.text("replica_id") or "",
            runs[-1] if runs else "",
            runs[:-1],
        )

    def begin_run(self, run: str) -> None:
        """Note a new opening. Earlier runs stay until a server welcomed this one.

        The oldest is the one that a server knows for certain: it always stays.
        """
        runs = msgspec.json.decode(self.text("runs") or "[]", type=list[str])
        kept = [*runs[:1], *[*runs[1:], run][1 - MAX_REMEMBERED_RUNS :]]
        self.put("runs", msgspec.json.encode(kept).decode())

    def welcomed(self) -> None:
        """The server knows the current run now; a copy of this file no longer passes for it."""
        self.put("runs", msgspec.json.encode([self.identity.run]).decode())

    def become_another(self, replica_id: str, run: str) -> None:
        """Take a new identity: this file is a copy of one that went on elsewhere."""
        self.put("replica_id", replica_id)
        self.put("runs", msgspec.json.encode([run]).decode())

    @property
    def cursor(self) -> Landmark:
        """The last (seq, digest) that is durable here."""
        row = self.one("about", "cursor_digest")
        return Landmark(self.number("cursor_seq"), bytes(row[0]) if row else b"")

    def set_cursor(self, cursor: Landmark) -> None:
        """Move the cursor and remember its digest as a landmark."""
        self.put("cursor_seq", cursor.seq)
        self.put("cursor_digest", cursor.digest)
        if cursor.seq:
            self.run("put_landmark", cursor.seq, cursor.digest)
        points = self.landmarks_all()
        if len(points) > THIN_LANDMARKS_ABOVE:
            kept = {point.seq for point in landmarks(points)}
            self.many("drop_landmark", [(p.seq,) for p in points if p.seq not in kept])

    def landmarks_all(self) -> list[Landmark]:
        """Every remembered landmark, newest first."""
        return [Landmark(seq, bytes(digest)) for seq, digest in self.all("landmarks")]

    @property
    def paging(self) -> Paging | None:
        """How far an unfinished paging has come."""
        row = self.one("about", "paging")
        return None if row is None or not row[0] else msgspec.msgpack.decode(row[0], type=Paging)

    def set_paging(self, paging: Paging | None) -> None:
        """Note how far paging has come (None: finished)."""
        self.put("paging", b"" if paging is None else msgspec.msgpack.encode(paging))

    def roles_of(self, user: str) -> frozenset[str] | None:
        """The roles that the server gave a user last; None before any welcome."""
        text = self.text(f"roles of {user}")
        return None if text is None else frozenset(msgspec.json.decode(text, type=list[str]))

    def set_roles(self, user: str, roles: Iterable[str]) -> None:
        """Note what the server said about a user."""
        self.put(f"roles of {user}", msgspec.json.encode(sorted(roles)).decode())

    def set_sight(self, roles: Iterable[str]) -> None:
        """Note whose roles the records here are sent under from now on.

        With every welcome: other roles may hide the same now, and not under a later policy.
        """
        self.put("view_roles", msgspec.json.encode(sorted(roles)).decode())

    @property
    def sight(self) -> Visibility:
        """What the records here were sent under: what the last welcome lets its user see."""
        roles = self.text("view_roles") if self.text("view") else None
        return self.policy.visibility(
            None if roles is None else msgspec.json.decode(roles, type=list[str])
        )

    def sight_of(self, user: str) -> Visibility:
        """What a user may read, by the roles that the server gave them last."""
        return self.policy.visibility(self.roles_of(user))

    def collection(self, name: str) -> CollectionPolicy:
        """The rules of a collection; raises UnknownCollection."""
        return self.policy.collection(name)


def check_is_replica(
    connection: sqlite3.Connection, path: str, *, empty_is_new: bool = True
) -> None:
    """Refuse a file of another program before anything is written to it."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not tables and not empty_is_new:
        raise NotAReplica(f"{path} is empty; it becomes a replica when it is opened for writing")
    if tables and not {"about", "outbox"} <= tables:
        raise NotAReplica(f"{path} is an SQLite file, but not a crdtsync replica; name another")


def check_matches(connection: sqlite3.Connection, *, path: str, space: str | None) -> Policy:
    """Check a file that is only read; returns the policy that it works under."""
    found = {
        key: connection.execute(_SQL["about"], (key,)).fetchone() for key in ("policy", "space")
    }
    if found["policy"] is None or found["space"] is None:
        raise NotAReplica(f"{path} is not a finished replica; open it once for writing")
    known = str(found["space"][0])
    if space not in (None, known):
        raise _other_space(path, known, space)
    return Policy.parse(str(found["policy"][0]), source=f"{path} (policy)")


def _other_space(path: str, known: str | None, space: str | None) -> NotAReplica:
    return NotAReplica(f"{path} holds the space {known!r}, not {space!r}; one file holds one space")


def prepare(
    connection: sqlite3.Connection,
    *,
    path: str,
    space: str | None,
    policy: Policy | None,
    replica_id: str,
) -> Policy:
    """Create or check the file's contents; returns the policy to work under.

    The file keeps the newest policy that it has seen: an older one that is
    passed in gives way. Raises NotAReplica where the file is something else, or
    where values that it holds could not be read under a newer policy.
    """
    stored = connection.execute(_SQL["about"], ("policy",)).fetchone()
    known = None if stored is None else Policy.parse(str(stored[0]), source=f"{path} (policy)")
    if policy is None and known is None:
        raise NotAReplica(f"{path} is new; pass policy= to create a replica")
    file = ReplicaFile(connection, known or policy)  # type: ignore[arg-type]
    if file.text("space") is None:
        if space is None:
            raise NotAReplica(f"{path} is new; pass space= to create a replica")
        file.put("space", space)
        file.put("replica_id", replica_id)
    elif space is not None and file.text("space") != space:
        raise _other_space(path, file.text("space"), space)
    if known is None or (policy is not None and policy.version > known.version):
        assert policy is not None
        if known is not None:
            _check_follows(path, known, policy)
        file.put("policy", policy.text)
        return policy
    if policy is not None and policy.version == known.version and policy.hash != known.hash:
        raise NotAReplica(
            f"{path} knows version {known.version} of the policy with other contents; "
            "raise `version` in the policy file when it changes"
        )
    return known


def _check_follows(path: str, known: Policy, policy: Policy) -> None:
    # No server would start with it, and there is no way back to the one before.
    refused = compare(known, policy).refused
    if refused:
        words = " ".join(
            f"{change.where}: {change.what} {change.how_to_migrate}" for change in refused
        )
        raise NotAReplica(
            f"{path} works under version {known.version} of the policy, and version "
            f"{policy.version} cannot follow it. {words}"
        )
