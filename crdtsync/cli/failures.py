"""Exit codes, and what is said when a command cannot do what it was asked for."""

from __future__ import annotations

import errno
from contextvars import ContextVar
from typing import Final

from crdtsync.catalogue import message, reason
from crdtsync.cli.texts import say
from crdtsync.database import DiskFull, StorageError
from crdtsync.documents.errors import (
    ConflictChanged,
    NotPermitted,
    RecordDeleted,
    RecordExists,
    UnresolvedConflict,
)
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import InvalidValue, UnknownCollection, UnknownField
from crdtsync.protocol.errors import ProtocolError
from crdtsync.replica.errors import (
    NeedsAttention,
    NoSuchOperation,
    NoSuchRecord,
    NotAReplica,
    ReplicaInUse,
    SignedOut,
    SyncTimeout,
)
from crdtsync.replica.transport import ConnectionLost

OK: Final = 0
NEEDS_PERSON: Final = 1
BAD_INPUT: Final = 2
STORAGE: Final = 3
NETWORK: Final = 4
INTERRUPTED: Final = 130

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 something needs a person, or is not in sync; 2 usage or bad input; "
    "3 storage; 4 network or time over; 130 stopped with Ctrl-C."
)

current_lang: ContextVar[str] = ContextVar("current_lang", default="en")
"""The language of the command that runs, for errors that are told outside of it."""


class Failure(CrdtsyncError):
    """A command ends here: words for the person (in their language) and the exit code."""

    def __init__(self, words: str, exit_code: int = BAD_INPUT) -> None:
        super().__init__(words)
        self.exit_code = exit_code


# The first class that fits decides. The library's own words are in English and name
# files, records and fields; in Korean they stand below the sentence, under "자세히".
_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (StorageError, STORAGE),
    (SyncTimeout, NETWORK),
    (NeedsAttention, NEEDS_PERSON),
    (SignedOut, NEEDS_PERSON),
    (ConnectionLost, NETWORK),
    (ProtocolError, NETWORK),
    (ConflictChanged, NEEDS_PERSON),
    (UnresolvedConflict, NEEDS_PERSON),
    (CrdtsyncError, BAD_INPUT),
    (OSError, STORAGE),
)

_KOREAN: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ReplicaInUse, "failed_in_use"),
    (NotAReplica, "failed_not_a_replica"),
    (StorageError, "failed_storage"),
    (SyncTimeout, "failed_time_over"),
    (NeedsAttention, "failed_needs_attention"),
    (SignedOut, "failed_signed_out"),
    (ConnectionLost, "failed_network"),
    (ProtocolError, "failed_network"),
    (ConflictChanged, "failed_conflict_changed"),
    (UnresolvedConflict, "failed_unresolved"),
    (RecordDeleted, "failed_deleted"),
    (RecordExists, "failed_exists"),
    (NotPermitted, "failed_not_permitted"),
    (NoSuchRecord, "failed_no_record"),
    (NoSuchOperation, "failed_no_op"),
    (UnknownCollection, "failed_unknown_collection"),
    (UnknownField, "failed_unknown_field"),
    (CrdtsyncError, "failed_request"),
    (OSError, "failed_storage"),
)


def exit_code(error: BaseException) -> int:
    """The exit code that a foreseeable error ends a command with."""
    if isinstance(error, Failure):
        return error.exit_code
    return next(code for kind, code in _CODES if isinstance(error, kind))


def words_for(error: BaseException, lang: str) -> str:
    """What happened, where, and the cure, in the reader's language."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, InvalidValue):
        return value_words(error, lang)
    detail = _os_words(error) if isinstance(error, OSError) else str(error)
    if lang != "ko":
        # The library tells programmers which method to call; people get the command.
        return say("failed_unresolved", lang) if isinstance(error, UnresolvedConflict) else detail
    if _is_of_a_full_disk(error):
        words = message("storage_full", lang)
    else:
        words = say(next(key for kind, key in _KOREAN if isinstance(error, kind)), lang)
    return f"{words}\n{message('details', lang)}: {detail}"


def value_words(error: InvalidValue, lang: str) -> str:
    """Why a value does not fit its field."""
    return say(
        "bad_value", lang, field=error.field, reason=reason(error.code, lang, **error.params)
    )


def _is_of_a_full_disk(error: BaseException) -> bool:
    return isinstance(error, DiskFull) or (
        isinstance(error, OSError) and error.errno == errno.ENOSPC
    )


def _os_words(error: OSError) -> str:
    if isinstance(error, SyncTimeout):
        return str(error)
    if error.errno == errno.ENOSPC and error.filename:
        return say("no_space", "en", file=error.filename)
    if error.errno == errno.ENOSPC:
        return message("storage_full", "en")  # a stream that was open already has no name here
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
