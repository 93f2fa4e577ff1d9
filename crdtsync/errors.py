"""Errors of crdtsync, drawn as one tree.

::

    CrdtsyncError
    ├── PolicyError                      a policy file has mistakes (all of them are listed)
    ├── UnknownCollection (LookupError)  the policy has no such collection
    ├── UnknownField (LookupError)       the collection has no such field
    ├── InvalidValue (ValueError)        a value does not fit its field
    ├── CatalogueError (LookupError)     a message for people that does not exist
    ├── DocumentError                    a document or an op cannot be used as asked
    │   ├── BadDocument                  bytes that our own encoder did not write
    │   ├── CompactedDocument            compaction dropped what this would need
    │   └── InvalidOp                    an op that is malformed, or does not fit its record
    ├── UsageError                       the caller asked for what makes no sense here
    │   ├── UnresolvedConflict           a field in conflict was used as a plain value
    │   ├── ConflictChanged              another candidate arrived since it was read
    │   ├── RecordExists                 create() of an id that is already there
    │   ├── RecordDeleted                a write to a deleted record
    │   ├── NotPermitted                 the roles of this user do not allow the write
    │   ├── NoSuchRecord (KeyError)      a record that this replica does not hold
    │   ├── NoSuchOperation              an op_id that is not in the outbox
    │   └── ReplicaClosed                the replica is not open
    ├── SyncError                        sync did not reach what was waited for
    │   ├── NeedsAttention               some changes wait for a person
    │   ├── SignedOut                    the server does not accept the sign-in
    │   └── SyncTimeout (TimeoutError)   the time was over first
    ├── ProtocolError                    the peer broke the protocol
    ├── ConnectionLost                   a connection could not be made, or ended
    └── StorageError                     the machine's disk failed
        ├── DiskFull                     no space left
        ├── ReplicaInUse                 another process or object holds the file
        └── NotAReplica                  the file is something else

Misuse by the caller, a fault of the peer and a fault of the machine are
different branches, so that a program can react to each in one place.
"""

from __future__ import annotations


class CrdtsyncError(Exception):
    """Base of every error that crdtsync raises on purpose."""
