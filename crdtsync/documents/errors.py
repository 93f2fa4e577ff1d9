"""Errors of documents and ops (the tree is drawn in crdtsync/errors.py)."""

from __future__ import annotations

from crdtsync.errors import CrdtsyncError


class DocumentError(CrdtsyncError):
    """A document or an op cannot be used as asked."""


class BadDocument(DocumentError):
    """Bytes that our own encoder did not write; nothing was applied."""


class CompactedDocument(DocumentError):
    """A state cannot be merged or extended because compaction dropped what that needs."""


class InvalidOp(DocumentError):
    """An op that is malformed in itself or against its record.

    ``code`` is the reason as machines name it; the catalogue has its words.
    """

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.field = field


class UsageError(CrdtsyncError):
    """The caller asked for something that makes no sense here."""


class UnresolvedConflict(UsageError):
    """A field in conflict was used as if it had one value."""


class ConflictChanged(UsageError):
    """Another candidate arrived since the conflict was read; read it again and choose."""


class RecordExists(UsageError):
    """``create`` of an id that is already there; use ``update``."""


class RecordDeleted(UsageError):
    """A write to a deleted record; ``restore`` it first."""


class NotPermitted(UsageError):
    """The roles of this user do not allow the write, or the look at a field."""
