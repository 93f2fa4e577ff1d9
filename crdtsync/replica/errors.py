"""Errors of replicas (the tree is drawn in crdtsync/errors.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtsync.database import StorageError
from crdtsync.documents.errors import UsageError
from crdtsync.errors import CrdtsyncError

if TYPE_CHECKING:
    from crdtsync.replica.status import Status


class NoSuchRecord(UsageError, KeyError):
    """A record that this replica does not hold."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NoSuchOperation(UsageError):
    """An op_id that is not in the outbox: synced, discarded, or never written here."""


class ReplicaClosed(UsageError):
    """The replica was closed, or was never opened with ``async with``."""


class SyncError(CrdtsyncError):
    """Sync did not reach what was waited for. ``status`` is how things stood."""

    def __init__(self, words: str, status: Status) -> None:
        super().__init__(words)
        self.status = status


class NeedsAttention(SyncError):
    """Some changes wait for a person: retry, edit or discard them."""


class SignedOut(SyncError):
    """The server does not accept the sign-in, or changes of another user wait for theirs.

    ``authors`` are the users whose sign-in is waited for; empty where it is this one's.
    """

    def __init__(self, words: str, status: Status, authors: tuple[str, ...] = ()) -> None:
        super().__init__(words, status)
        self.authors = authors


class SyncTimeout(SyncError, TimeoutError):
    """The time was over first. Nothing is lost; sync goes on."""


class ReplicaInUse(StorageError):
    """Another process or object holds the replica file."""


class NotAReplica(StorageError):
    """The file is something else than a replica of this space."""
