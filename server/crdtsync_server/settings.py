"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from crdtsync.errors import CrdtsyncError
from crdtsync.protocol.messages import Limits
from crdtsync_server.authentication import is_loopback


class BadSettings(CrdtsyncError):
    """The server cannot start like this; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a connection may keep the server waiting."""

    send_s: float = 30.0
    """A frame that the peer does not take: a phone in a lift comes back sooner."""

    close_s: float = 5.0
    """From the decision to close until the socket is cut."""

    drain_s: float = 10.0
    """For everything that a stopping server still has to say."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a server listens and what it trusts."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes any free port."""
    dev: bool = False
    """Trust every name, grant every role. Loopback only."""
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)

    def check(self, *, authenticated: bool = False) -> None:
        """Refuse what would be unsafe. ``authenticated``: sign-ins are really checked."""
        if self.dev and not is_loopback(self.host):
            raise BadSettings(
                f"--dev trusts every name and grants every role, so it listens on this machine "
                f"only, not on {self.host}. Leave --host out, or use 127.0.0.1"
            )
        if not self.dev and not authenticated:
            raise BadSettings(
                "no authentication is set up, and a server that trusts everyone must not run "
                "by accident. To try things out on this machine, start it with --dev. Sign-in "
                "by token is not in this version"
            )
