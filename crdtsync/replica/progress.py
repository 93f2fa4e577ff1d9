"""How a connection stands, as the sync shell notes it."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.protocol.client_actions import Close


@dataclass(slots=True)
class Progress:
    """How the connection stands; the replica makes its status from it."""

    wanted: bool = False
    connecting: bool = False
    live: bool = False
    signed_out: bool = False
    stopped: Close | None = None
    problem: str | None = None
    storage_full: bool = False
    """What arrived last found no space; small writes may have found some since."""
    next_attempt_us: int | None = None
    clock_skew_us: int = 0
    first_sync_done: int = 0
    first_sync_total: int | None = None
    head_known: int | None = None
    """Where the server's log is known to reach; None before a welcome."""
    cursor: int = 0

    @property
    def behind(self) -> int:
        """Log entries that are known to be still on their way."""
        return max((self.head_known or 0) - self.cursor, 0)
