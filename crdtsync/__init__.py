"""crdtsync: an offline-first record store.

Every device holds a durable replica and works without a network; a policy says,
field by field, what happens when two people wrote the same thing.
"""

from crdtsync.database import DiskFull, StorageError
from crdtsync.documents.conflict import Candidate, Conflict
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import (
    BadDocument,
    CompactedDocument,
    ConflictChanged,
    DocumentError,
    InvalidOp,
    NotPermitted,
    RecordDeleted,
    RecordExists,
    UnresolvedConflict,
    UsageError,
)
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import InvalidValue, PolicyError, UnknownCollection, UnknownField
from crdtsync.policy_file import Policy
from crdtsync.protocol.errors import ProtocolError
from crdtsync.replica.collection import Collection
from crdtsync.replica.errors import (
    NeedsAttention,
    NoSuchOperation,
    NoSuchRecord,
    NotAReplica,
    ReplicaClosed,
    ReplicaInUse,
    SignedOut,
    SyncError,
    SyncTimeout,
)
from crdtsync.replica.history import FieldHistory, PastValue
from crdtsync.replica.queue_view import OutboxItem
from crdtsync.replica.record import Record
from crdtsync.replica.replica import Replica
from crdtsync.replica.status import Status, SyncState
from crdtsync.version import __version__

__all__ = [
    "BadDocument",
    "Candidate",
    "Collection",
    "CompactedDocument",
    "Conflict",
    "ConflictChanged",
    "CrdtsyncError",
    "DiskFull",
    "DocumentError",
    "FieldHistory",
    "InvalidOp",
    "InvalidValue",
    "NeedsAttention",
    "NoSuchOperation",
    "NoSuchRecord",
    "NotAReplica",
    "NotPermitted",
    "OutboxItem",
    "PastValue",
    "Policy",
    "PolicyError",
    "ProtocolError",
    "Record",
    "RecordDeleted",
    "RecordDocument",
    "RecordExists",
    "Replica",
    "ReplicaClosed",
    "ReplicaInUse",
    "SignedOut",
    "Status",
    "StorageError",
    "SyncError",
    "SyncState",
    "SyncTimeout",
    "UnknownCollection",
    "UnknownField",
    "UnresolvedConflict",
    "UsageError",
    "__version__",
]
