"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from crdtsync.errors import CrdtsyncError
from crdtsync.protocol.messages import Limits
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.authentication import is_loopback
from crdtsync_server.observing.settings import ObservingSettings


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

    notice_s: float = 0.0
    """While ``/readyz`` says 503 and the server still listens, so that a load balancer sends
    nobody to a closed door."""


DAY_S = 86_400

_UNITS_S = {"h": 3_600, "d": DAY_S, "w": 7 * DAY_S, "y": 365 * DAY_S}
FOR_EVER = "forever"


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the log keeps its detail (values, and what became of them).

    Receipts, conflicts and the records themselves are kept for ever; see
    storage/retention.py for every table.
    """

    keep_log_s: float | None = 90 * DAY_S
    """Seconds since an entry was received; None keeps everything. Longer than a
    holiday or a broken device's repair: whoever was away longer gets snapshots."""

    keep_entries: int = 1_000
    """The newest entries of each space, which stay whatever their age: about 300 KB a
    space, so that a quiet household keeps its history, and one wrong look at the clock
    cannot empty a log."""


def parse_age(text: str) -> float | None:
    """Seconds of ``90d``, ``12h``, ``8w``, ``2y``; None for ``forever``. Raises BadSettings."""
    if text == FOR_EVER:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})([hdwy])", text)
    if found is None:
        raise BadSettings(
            f"{text!r} is not a time to keep the log for; write it like 12h, 90d, 8w or 2y, "
            f"or {FOR_EVER}"
        )
    return float(int(found[1]) * _UNITS_S[found[2]])


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What stands in front of the server, TLS among it."""

    trusted: tuple[str, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are
    believed. From anybody else these headers are ignored."""

    public_url: str | None = None
    """Where people reach the server, such as ``https://sync.example.org``."""

    def check(self) -> None:
        """Raise BadSettings where an address, or the URL, is none."""
        for address in self.trusted:
            _check_network(address)
        if self.public_url is not None:
            url = urlsplit(self.public_url)
            if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
                raise BadSettings(
                    f"public_url {self.public_url!r} is not where browsers reach the server; "
                    "write it like https://sync.example.org"
                )


def _check_network(address: str) -> None:
    if address == "*":
        raise BadSettings(
            "trusted_proxies = * would believe every client what it says about its own address; "
            "name the proxy's address or network, such as 127.0.0.1 or 10.0.0.0/8"
        )
    try:
        ipaddress.ip_network(address)
    except ValueError as error:
        raise BadSettings(
            f"{address!r} in trusted_proxies is not an address or a network ({error}); "
            "write it like 127.0.0.1 or 10.0.0.0/8"
        ) from None


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
    retention: Retention = field(default_factory=Retention)
    access: AccessSettings = field(default_factory=AccessSettings)
    observing: ObservingSettings = field(default_factory=ObservingSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)

    def check(self, *, authenticated: bool = False) -> None:
        """Refuse what would be unsafe. ``authenticated``: an authenticator was handed in."""
        if self.dev and not is_loopback(self.host):
            raise BadSettings(
                f"--dev trusts every name and grants every role, so it listens on this machine "
                f"only, not on {self.host}. Leave --host out, or use 127.0.0.1"
            )
        if self.dev and self.access.authenticates:
            raise BadSettings(
                "--dev trusts every name, and a key for tokens is set as well; leave one out"
            )
        if not (self.dev or authenticated or self.access.authenticates):
            raise BadSettings(
                "no authentication is set up, and a server that trusts everyone must not run "
                "by accident. Set jwt_secret_file or jwt_public_key (--jwt-secret-file FILE; "
                "crdtsync token makes a secret and tokens). To try things out on this machine, "
                "start it with --dev"
            )
        kept_s, entries = self.retention.keep_log_s, self.retention.keep_entries
        if (kept_s is not None and kept_s < 0) or entries < 0:
            raise BadSettings("the log cannot be kept for less than no time, or no entries")
        if self.limits.silence_ms < 2 * self.limits.heartbeat_ms:
            raise BadSettings(
                f"silence_ms ({self.limits.silence_ms}) has to be at least twice heartbeat_ms "
                f"({self.limits.heartbeat_ms}): one late heartbeat must not end a connection"
            )
        self.access.check()
        self.proxy.check()
