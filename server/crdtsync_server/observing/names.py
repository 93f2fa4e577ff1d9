"""Every metric of the server: its name, what it counts, and its labels.

Base units, ``_total`` for counters, one unit a metric. No label ever holds a user, a
request or a record: those belong in the trace. What a label may hold is bounded:
``field`` is collection.field of the policy, ``reason`` and ``code`` are known codes or
``other``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A name as it stands on ``/metrics``, with its help text."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


OPERATIONS = Metric(
    "crdtsync_operations_total",
    "Ops that arrived, by what became of them: accepted, duplicate (answered from the receipt), "
    "refused, held (waits for an earlier op), failed (a fault that passes).",
    ("result", "reason"),
)
STAGES = Metric(
    "crdtsync_operation_duration_seconds",
    "How long an op took in each stage. persist and broadcast are its group's; validate and "
    "apply are timed for the first accepted op of each group.",
    ("stage",),
)
END_TO_END = Metric(
    "crdtsync_end_to_end_seconds",
    "From the person's write to the commit, time without a network included, corrected by the "
    "skew of the device's clock.",
)
RETRIES = Metric(
    "crdtsync_client_retries_total",
    "Attempts without success of ops that were accepted later, by how they ended.",
    ("reason",),
)
OUTBOX_AGE = Metric(
    "crdtsync_client_outbox_oldest_age_seconds",
    "Age of the oldest op that a device seen in the last 30 days has not got rid of.",
)
CONFLICTS_OPENED = Metric("crdtsync_conflicts_opened_total", "Conflicts that opened.", ("field",))
CONFLICTS_RESOLVED = Metric(
    "crdtsync_conflicts_resolved_total",
    "Conflicts that ended: chosen by a person, or agreed because the values became equal.",
    ("method",),
)
CONFLICTS_OPEN = Metric("crdtsync_conflicts_open", "Conflicts that wait for a person now.")
OLDEST_CONFLICT = Metric(
    "crdtsync_conflict_oldest_open_timestamp_seconds",
    "When the oldest open conflict opened, in seconds since 1970; absent where none is open.",
)
CONNECTIONS = Metric("crdtsync_websocket_connections", "WebSockets that are open now.")
CLOSES = Metric(
    "crdtsync_websocket_closes_total",
    "WebSockets that ended, by close code (crdtsync/protocol/PROTOCOL.md).",
    ("code",),
)
CLOCK_SKEW = Metric(
    "crdtsync_clock_skew_seconds",
    "A device's clock minus the server's: of all that are connected now, the one that is "
    "furthest off. 0 where none is.",
)
UPDATE_SIZE = Metric("crdtsync_update_size_bytes", "Size of accepted ops as log entries.")
DOCUMENT_SIZE = Metric(
    "crdtsync_document_size_bytes", "Size of records as they are written after a change."
)
BUILD = Metric("crdtsync_build_info", "The version that runs, as a label; always 1.", ("version",))

# Beyond the names of UX.md: what the alert on the disk needs.
DATABASE_SIZE = Metric("crdtsync_database_size_bytes", "The database file and its log (WAL).")
DISK_FREE = Metric("crdtsync_disk_free_bytes", "Free space where the database lies.")
DISK_SIZE = Metric("crdtsync_disk_size_bytes", "Size of the disk where the database lies.")
WRITABLE = Metric(
    "crdtsync_store_writable",
    "1 if the last write succeeded, 0 if it failed: devices are told to come back later.",
)

TRACE_WRITABLE = Metric(
    "crdtsync_trace_writable",
    "0 if tables of the trace are damaged: changes are saved, and how they travel is not recorded.",
)

STAGE_NAMES = ("validate", "apply", "persist", "broadcast")
RESULT_NAMES = ("accepted", "duplicate", "refused", "held", "failed")
OTHER = "other"

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
