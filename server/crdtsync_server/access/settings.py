"""What an operator decides about access: sign-in by token, limits, and who may read metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from crdtsync.errors import CrdtsyncError

MIN_SECRET_BYTES = 32
"""Of an HS256 secret: as long as the hash is (RFC 7518, 3.2)."""


class BadAccessSettings(CrdtsyncError):
    """Settings of access that make no sense, or that are not safe."""


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Sign-in by token, revocation, browsers, and limits. The defaults are generous."""

    jwt_secret: str | None = field(default=None, repr=False)
    """The HS256 secret itself (from the environment); at least 32 bytes."""
    jwt_secret_file: Path | None = None
    """A file with the HS256 secret, as ``crdtsync token new-secret`` writes it."""
    jwt_public_key: Path | None = None
    """A PEM file with the public key of whoever signs (RSA: RS256, P-256: ES256)."""
    jwt_issuer: str | None = None
    """``iss`` that every token has to name."""
    jwt_audience: str | None = None
    """``aud`` that every token has to name."""
    leeway_s: float = 30.0
    """How far the clocks of the signer and of this server may be apart."""
    revoked: Path | None = None
    """The file of revocations; read again whenever it changes."""
    origins: tuple[str, ...] = ()
    """Other origins whose pages may use this server, such as ``https://app.example.org``."""
    metrics_token: str | None = field(default=None, repr=False)
    """What a scraper from elsewhere than this machine shows for ``/metrics``."""
    connections: int = 2_000
    connections_per_user: int = 50
    """In all spaces together."""
    connections_per_space: int = 1_000
    ops_per_s_per_connection: float = 2_000.0
    ops_per_s_per_user: float = 5_000.0
    ops_per_s_per_space: float = 20_000.0
    records_per_space: int = 1_000_000
    graves_per_space: int = 200_000
    """Superseded entries that have not arrived yet, which the server remembers."""
    requests_per_s_per_client: float = 200.0
    """HTTP requests of one user, or of one address where nobody has signed in."""
    request_bytes: int = 1_048_576
    """The body of one HTTP request."""

    @property
    def authenticates(self) -> bool:
        """Whether sign-in by token is set up."""
        ways = (self.jwt_secret, self.jwt_secret_file, self.jwt_public_key)
        return any(way is not None for way in ways)

    def check(self) -> None:
        """Raise BadAccessSettings where something makes no sense. Reads no file."""
        ways = {
            "jwt_secret": self.jwt_secret,
            "jwt_secret_file": self.jwt_secret_file,
            "jwt_public_key": self.jwt_public_key,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise BadAccessSettings(
                f"{' and '.join(given)} are set; a server goes by one key. Take the others out"
            )
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise BadAccessSettings(f"{name} has to be at least 1, not {getattr(self, name)}")
        for name in _RATES:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 1):
                raise BadAccessSettings(f"{name} has to be at least 1 a second, not {value}")
        if not 0 <= self.leeway_s <= MAX_LEEWAY_S:
            raise BadAccessSettings(
                f"leeway_s has to be between 0 and {MAX_LEEWAY_S}, not {self.leeway_s}; "
                "set the clocks right instead"
            )
        for origin in self.origins:
            check_origin(origin)


_COUNTS = (
    "connections",
    "connections_per_user",
    "connections_per_space",
    "records_per_space",
    "graves_per_space",
    "request_bytes",
)
_RATES = (
    "ops_per_s_per_connection",
    "ops_per_s_per_user",
    "ops_per_s_per_space",
    "requests_per_s_per_client",
)

MAX_LEEWAY_S = 300.0
"""More would keep expired tokens alive for longer than anybody expects."""


def check_origin(origin: str) -> None:
    """Raise BadAccessSettings where this is not an origin as browsers send it (RFC 6454)."""
    scheme, separator, host = origin.partition("://")
    if scheme not in ("http", "https") or not separator or not host or set(host) & set("/?#@* "):
        raise BadAccessSettings(
            f"{origin!r} is not an origin; write scheme, host and port as a browser sends "
            "them, such as https://app.example.org (no path, no *)"
        )
    if origin != origin.lower():
        raise BadAccessSettings(f"{origin!r}: browsers send origins in lower case; write it so")
