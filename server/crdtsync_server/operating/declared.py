"""Every setting of ``crdtsync serve``: its name, meaning, unit and default, said once.

A setting called ``keep_log`` is the flag ``--keep-log``, the variable
``CRDTSYNC_KEEP_LOG`` and the key ``keep_log`` of the file; the first of these
that is given counts. Defaults stand in the dataclasses that ``place`` leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crdtsync.protocol.client_session import MAX_LIMIT
from crdtsync_server.observing.settings import LOG_FORMATS, LOG_LEVELS
from crdtsync_server.operating.kinds import (
    Age,
    Choice,
    Kind,
    Names,
    Number,
    Place,
    Switch,
    Text,
    Whole,
)
from crdtsync_server.settings import Settings

PREFIX: Final = "CRDTSYNC_"
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting."""

    name: str
    place: tuple[str, ...]
    """Where in ``Settings`` it goes; empty for the policy, which stands beside them."""
    kind: Kind
    meaning: str
    unit: str = ""
    secret: bool = False
    """Never a flag (others would see it in the list of processes), and never shown."""
    required: bool = False

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str | None:
        """The flag of ``crdtsync serve``; None for secrets."""
        return None if self.secret else "--" + self.name.replace("_", "-")

    @property
    def default(self) -> object:
        """What counts when nothing is given."""
        if self.required:
            return None
        value: object = _DEFAULTS
        for step in self.place:
            value = getattr(value, step)
        return value


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together."""

    title: str
    settings: tuple[Declared, ...]


_DEFAULTS = Settings(Path())

_LIMIT = Whole(1, MAX_LIMIT)

GROUPS: Final = (
    Group(
        "The server",
        (
            Declared("policy", (), Place(), "The policy file.", required=True),
            Declared(
                "data",
                ("folder",),
                Place(),
                "The folder of the server's database. It is made if it is not there.",
                required=True,
            ),
            Declared(
                "host",
                ("host",),
                Text("ADDRESS"),
                "The address to listen on; 0.0.0.0 for all (then sign-in has to be set up).",
            ),
            Declared(
                "port", ("port",), Whole(0, 65_535), "The port to listen on; 0 takes any free one."
            ),
            Declared(
                "dev", ("dev",), Switch(), "Trust every name, grant every role. Loopback only."
            ),
        ),
    ),
    Group(
        "Sign-in and browsers",
        (
            Declared(
                "jwt_secret",
                ("access", "jwt_secret"),
                Text(),
                "The HS256 secret that tokens are signed with, at least 32 bytes. "
                "Better: jwt_secret_file.",
                secret=True,
            ),
            Declared(
                "jwt_secret_file",
                ("access", "jwt_secret_file"),
                Place("FILE"),
                "A file with the HS256 secret; only the server's user should be able to read it.",
            ),
            Declared(
                "jwt_public_key",
                ("access", "jwt_public_key"),
                Place("FILE"),
                "A PEM file with the public key of whoever signs the tokens (RS256 or ES256).",
            ),
            Declared(
                "jwt_issuer",
                ("access", "jwt_issuer"),
                Text(),
                "The iss that every token has to name.",
            ),
            Declared(
                "jwt_audience",
                ("access", "jwt_audience"),
                Text(),
                "The aud that every token has to name.",
            ),
            Declared(
                "leeway_s",
                ("access", "leeway_s"),
                Number(0, 300),
                "How far the clocks of the signer and of this server may be apart.",
                unit="seconds",
            ),
            Declared(
                "revoked",
                ("access", "revoked"),
                Place("FILE"),
                "The file of revoked tokens; it is read again whenever it changes.",
            ),
            Declared(
                "origins",
                ("access", "origins"),
                Names(),
                "Other origins whose pages may use this server, such as https://app.example.org.",
            ),
            Declared(
                "metrics_token",
                ("access", "metrics_token"),
                Text(),
                "What a scraper from another machine shows for /metrics "
                "(Authorization: Bearer …). From this machine none is needed.",
                secret=True,
            ),
        ),
    ),
    Group(
        "Behind a proxy",
        (
            Declared(
                "trusted_proxies",
                ("proxy", "trusted"),
                Names(),
                "Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto "
                "are believed. From anybody else these headers are ignored.",
            ),
            Declared(
                "public_url",
                ("proxy", "public_url"),
                Text("URL"),
                "Where browsers reach the server, such as https://sync.example.org.",
            ),
        ),
    ),
    Group(
        "Logs, metrics, traces",
        (
            Declared(
                "log_format",
                ("observing", "log_format"),
                Choice(LOG_FORMATS),
                "Logs for people, or one JSON object a line.",
            ),
            Declared(
                "log_level",
                ("observing", "log_level"),
                Choice(LOG_LEVELS),
                "The least that is logged. Tokens and values never are.",
            ),
            Declared("metrics", ("observing", "metrics"), Switch(), "Measure for /metrics."),
            Declared(
                "trace",
                ("observing", "trace"),
                Switch(),
                "Record each change's way. Off, traces, the report and the dashboard know nothing "
                "of attempts that failed.",
            ),
        ),
    ),
    Group(
        "What is kept",
        (
            Declared(
                "keep_log",
                ("retention", "keep_log_s"),
                Age(),
                "How long old values and their history are kept: 12h, 90d, 8w, 2y or forever. "
                "Receipts, conflicts and the last value that lost are always kept.",
            ),
            Declared(
                "keep_entries",
                ("retention", "keep_entries"),
                Whole(0),
                "The newest changes of each space that are kept at any age.",
                unit="changes",
            ),
        ),
    ),
    Group(
        "Limits",
        (
            Declared(
                "connections",
                ("access", "connections"),
                Whole(),
                "Open connections of all users together.",
            ),
            Declared(
                "connections_per_user",
                ("access", "connections_per_user"),
                Whole(),
                "Open connections of one user, in all spaces together.",
            ),
            Declared(
                "connections_per_space",
                ("access", "connections_per_space"),
                Whole(),
                "Open connections to one space.",
            ),
            Declared(
                "ops_per_s_per_connection",
                ("access", "ops_per_s_per_connection"),
                Number(1),
                "Changes that one connection may send; faster ones are asked to wait.",
                unit="changes a second",
            ),
            Declared(
                "ops_per_s_per_user",
                ("access", "ops_per_s_per_user"),
                Number(1),
                "Changes that one user may send, on all devices together.",
                unit="changes a second",
            ),
            Declared(
                "ops_per_s_per_space",
                ("access", "ops_per_s_per_space"),
                Number(1),
                "Changes that one space takes.",
                unit="changes a second",
            ),
            Declared(
                "records_per_space",
                ("access", "records_per_space"),
                Whole(),
                "Records that one space may hold.",
            ),
            Declared(
                "graves_per_space",
                ("access", "graves_per_space"),
                Whole(),
                "Replaced values that have not arrived yet, which the server remembers per space.",
            ),
            Declared(
                "requests_per_s_per_client",
                ("access", "requests_per_s_per_client"),
                Number(1),
                "HTTP requests of one user, or of one address where nobody has signed in.",
                unit="requests a second",
            ),
            Declared(
                "request_bytes",
                ("access", "request_bytes"),
                Whole(),
                "The largest body of an HTTP request.",
                unit="bytes",
            ),
            Declared(
                "frame_bytes",
                ("limits", "frame_bytes"),
                _LIMIT,
                "The largest frame that a device may send.",
                unit="bytes",
            ),
            Declared(
                "ops_per_push",
                ("limits", "ops_per_push"),
                _LIMIT,
                "Changes in one frame of a device.",
                unit="changes",
            ),
            Declared(
                "ops_in_flight",
                ("limits", "ops_in_flight"),
                _LIMIT,
                "Changes that a device may have sent and not heard of yet.",
                unit="changes",
            ),
            Declared(
                "heartbeat_ms",
                ("limits", "heartbeat_ms"),
                _LIMIT,
                "A connection on which nothing moved for so long says that it lives.",
                unit="milliseconds",
            ),
            Declared(
                "silence_ms",
                ("limits", "silence_ms"),
                _LIMIT,
                "A peer that was silent for so long counts as gone; at least two heartbeats.",
                unit="milliseconds",
            ),
        ),
    ),
    Group(
        "Patience",
        (
            Declared(
                "send_s",
                ("timeouts", "send_s"),
                Number(0.1, 3_600),
                "How long a device may take for one frame before its connection is cut.",
                unit="seconds",
            ),
            Declared(
                "close_s",
                ("timeouts", "close_s"),
                Number(0.1, 3_600),
                "From the decision to close a connection until it is cut.",
                unit="seconds",
            ),
            Declared(
                "drain_s",
                ("timeouts", "drain_s"),
                Number(0.1, 3_600),
                "How long a stopping server waits for what it still has to say.",
                unit="seconds",
            ),
            Declared(
                "notice_s",
                ("timeouts", "notice_s"),
                Number(0, 600),
                "How long a stopping server says so at /readyz and still listens: as long as a "
                "load balancer takes to notice. 0 where there is none.",
                unit="seconds",
            ),
        ),
    ),
)

SETTINGS: Final = {one.name: one for group in GROUPS for one in group.settings}
