"""How a server of one's own is reached: its address, its certificate, and its sign-in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from crdtsync.policy import Policy
from crdtsync.replica.transport import dial
from crdtsync_server.demo.repeats import BareClient

LASTS_S = 3_600.0
"""Of the suite's own tokens, where a scenario does not say otherwise: longer than a run."""

PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Reach:
    """A server that was named with ``--server``."""

    url: str
    ca: Path | None = None
    """Who vouches for the certificate of ``wss://``; None: the system's authorities."""
    secret_file: Path | None = None
    """The secret that the server checks tokens with, for a server with sign-in."""

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How its certificate is checked; None for ``ws://``. Raises OSError (a bad file too)."""
        if not self.url.startswith("wss:"):
            return None
        return ssl.create_default_context(cafile=self.ca)

    @property
    def plain_url(self) -> str:
        """The same name without TLS: what is said to a proxy that speaks TLS onwards."""
        return f"ws://{urlsplit(self.url).netloc}"

    def client(self, space: str, user: str, policy: Policy | None) -> BareClient:
        """A bare client that is signed in."""
        token = None if self.secret_file is None else token_for(user, self.secret_file)
        to = partial(dial, ssl=self.tls) if self.url.startswith("wss:") else dial
        return BareClient(self.url, space, user, policy, token=token, dial=to)


def token_for(user: str, secret_file: Path, lasts_s: float = LASTS_S) -> str:
    """A token for one of the suite's own users. Raises BadAccessSettings."""
    from crdtsync_server.access.making import make_token, signing_key

    key = signing_key(secret_file, None)
    return make_token(key, user=user, roles=[], spaces="*", lasts_s=lasts_s)
