"""Where a connection stands for a replica, and what its session asks the shell to do, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from crdtsync.documents.state import LogEntry, Stub
from crdtsync.protocol.messages import (
    Answer,
    Head,
    History,
    Landmark,
    Message,
    Paging,
    Receipt,
    SnapshotRow,
    Welcome,
)


class Phase(Enum):
    """Where the connection stands (the drawing is in client_session.py)."""

    HELLO = "hello"
    RECOVERING = "recovering"
    PAGING = "paging"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message."""

    message: Message


@dataclass(frozen=True, slots=True)
class Greet:
    """The server welcomed us: adopt the policy and roles, note the run, reset if it
    diverged; then call ``greeted``."""

    welcome: Welcome
    round_trip_us: int


@dataclass(frozen=True, slots=True)
class StoreReceipts:
    """These of the ops that we asked for are in the log, the others are not."""

    asked: tuple[str, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class StorePage:
    """Install these snapshots; with ``done`` the cursor becomes ``head``."""

    rows: tuple[SnapshotRow, ...]
    paging: Paging | None
    head: Landmark
    remaining: int


@dataclass(frozen=True, slots=True)
class StoreEntries:
    """Apply these log entries; then call ``applied``."""

    entries: tuple[LogEntry | Stub, ...]


@dataclass(frozen=True, slots=True)
class StoreAnswers:
    """Note the answers to a push."""

    request_id: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class WantOps:
    """There is room for ``room`` more ops in flight; call ``push`` if there are any."""

    room: int


@dataclass(frozen=True, slots=True)
class WentLive:
    """Catching up has begun; from here on changes arrive as they happen."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply to ``ask_head`` or ``ask_history``."""

    request: int
    reply: Head | History


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection. ``code`` and ``words`` say why; ``retry`` whether coming
    back makes sense without a person."""

    code: int
    reason: str
    words: str
    retry: bool
    retry_after_ms: int = 0


Action = (
    Send
    | Greet
    | StoreReceipts
    | StorePage
    | StoreEntries
    | StoreAnswers
    | WantOps
    | WentLive
    | Answered
    | Close
)
