"""Who asks for what: the connection to read from, the spaces, the window, the reader's eyes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from crdtsync.database import queries
from crdtsync.documents.ops import is_op_id
from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, Visibility
from crdtsync_server.report.measures import Window
from crdtsync_server.report.windows import Buckets
from crdtsync_server.storage.keys import in_chunks
from crdtsync_server.storage.receipts import ENTRY_DECODER

SQL: Mapping[str, str] = queries("crdtsync_server.report", "queries.sql")

EXAMPLES = 3
"""Example request_ids of one reason."""

OF_DEVICES = ("http",)
"""Replica_ids that are no device: thin clients write through the server itself."""


def entry_of(data: bytes) -> LogEntry | None:
    """The entry of a log row; None for bytes that are none, as damage leaves them: a report
    is wanted most of all then."""
    try:
        entry = ENTRY_DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return entry if is_op_id(entry.op_id) else None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is looked at, at most. What lies beyond is said, never left out in silence."""

    pushes: int = 50_000
    ops: int = 100_000
    attempts: int = 50_000
    connections: int = 50_000
    cursors: int = 100_000
    replicas: int = 5_000
    conflicts: int = 5_000
    ranges: int = 20_000
    named_ops: int = 100_000
    """Op_ids of devices' reports that are looked up."""
    log_rows: int = 50_000
    """Newest log entries per space that the internal checks read."""
    whole_log: bool = False
    """Whether every table is counted and every log read from its beginning."""


DASHBOARD = Bounds()
"""About a second of work on one core, not on the event loop."""

THOROUGH = Bounds(
    pushes=500_000,
    ops=1_000_000,
    attempts=500_000,
    connections=500_000,
    cursors=1_000_000,
    replicas=50_000,
    conflicts=50_000,
    ranges=200_000,
    named_ops=2_000_000,
    log_rows=5_000_000,
    whole_log=True,
)
"""For the report that is read once a week: some ten seconds for a million ops."""


@dataclass(frozen=True, slots=True)
class Space:
    """A space, as the database knows it."""

    id: int
    name: str
    seq: int
    digest: bytes
    received_us: int
    log_start: int


@dataclass(frozen=True, slots=True)
class Live:
    """What only a running server knows."""

    connected: frozenset[tuple[str, str]]
    """(space, replica_id) of those that are connected now."""
    trace: bool
    """Whether it records attempts."""


@dataclass(frozen=True)
class Scope:
    """Everything that a measurement goes by."""

    connection: sqlite3.Connection
    policy: Policy
    seen: Visibility
    spaces: tuple[Space, ...]
    """Those that are measured; never one that the reader may not enter."""
    window: Window
    buckets: Buckets
    now_us: int
    lang: str
    live: Live | None = None
    """None: read from a folder, with or without a server beside it."""
    bounds: Bounds = field(default_factory=Bounds)

    @cached_property
    def space_ids(self) -> str:
        """As a JSON list, for the statements."""
        return msgspec.json.encode([space.id for space in self.spaces]).decode()

    @cached_property
    def space_names(self) -> dict[int, str]:
        """Names by id."""
        return {space.id: space.name for space in self.spaces}

    @cached_property
    def tables(self) -> frozenset[str]:
        """What the database has: one of an older version lacks some."""
        return frozenset(name for (name,) in self.connection.execute(SQL["tables"]))

    @cached_property
    def schema(self) -> int:
        """The number of the database's last migration."""
        return int(self.connection.execute(SQL["schema"]).fetchone()[0])

    @property
    def has_trace_tables(self) -> bool:
        """Whether attempts can be recorded at all."""
        return "requests" in self.tables

    def within(self, name: str, most: int) -> list[Any]:
        """The rows of the window in the spaces that are measured, at most ``most``."""
        values = {
            "from_us": self.window.from_us,
            "to_us": self.window.to_us,
            "spaces": self.space_ids,
            "most": most,
        }
        needed = {key: value for key, value in values.items() if f":{key}" in SQL[name]}
        return self.connection.execute(SQL[name], needed).fetchall()

    def by_op_ids(self, name: str, keys: Iterable[bytes]) -> list[Any]:
        """The rows of a statement about op_ids; the same row may come twice."""
        found: list[Any] = []
        for placeholders, chunk in in_chunks(list(keys)):
            found += self.connection.execute(SQL[name].replace("/*ids*/", placeholders), chunk)
        return found

    # ── words of the policy ─────────────────────────────────────────────────

    def collection_label(self, name: str) -> str:
        """What people call a collection."""
        rules = self.policy.collections.get(name)
        return name if rules is None else rules.label_in(self.lang)

    def field_label(self, collection: str, root: str) -> str:
        """What people call the field with this root."""
        rules = self.policy.collections.get(collection)
        found = None if rules is None else rules.by_root.get(root)
        return root.partition("/")[2] if found is None else found.label_in(self.lang)

    def root_of(self, collection: str, field_name: str) -> str | None:
        """The root of a field by its name; None for one that the policy does not know."""
        rules = self.policy.collections.get(collection)
        found = None if rules is None else rules.fields.get(field_name)
        return None if found is None else found.root
