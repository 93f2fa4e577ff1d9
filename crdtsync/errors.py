"""Errors of crdtsync, drawn as one tree.

::

    CrdtsyncError
    ├── PolicyError                  a policy file has mistakes (all of them are listed)
    ├── InvalidValue (ValueError)    a value does not fit its field
    ├── DocumentError                a document or an op cannot be used as asked
    │   ├── BadDocument              bytes that our own encoder did not write
    │   ├── CompactedDocument        states with different as-of marks cannot be merged
    │   └── InvalidOp                an op that is malformed in itself
    ├── UsageError                   the caller asked for something that makes no sense
    │   ├── UnresolvedConflict       a field in conflict was used as a plain value
    │   ├── ConflictChanged          another candidate arrived since the conflict was read
    │   ├── RecordExists             create() of an id that is already there
    │   ├── RecordDeleted            a write to a deleted record
    │   ├── NoSuchRecord (KeyError)  a record that this replica does not hold
    │   └── NoSuchOperation          an op_id that is not in the outbox
    ├── SyncError                    sync did not reach what was waited for
    │   ├── NeedsAttention           some ops wait for a person
    │   ├── SignedOut                the server does not accept the sign-in
    │   └── SyncTimeout (TimeoutError)
    ├── ProtocolError                the peer broke the protocol (RemoteError)
    └── StorageError                 the machine's disk failed or is full
        ├── ReplicaInUse             another process or object holds the file
        └── NotAReplica              the file is something else, or too new

Misuse by the caller, a fault of the peer and a fault of the machine are
different branches, so that a program can react to each in one place.
"""

from __future__ import annotations


class CrdtsyncError(Exception):
    """Base of every error that crdtsync raises on purpose."""
