"""What a running server holds about access: sign-ins, revocations, allowances."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from crdtsync_server.access.quotas import Quotas
from crdtsync_server.access.revocation import RevocationFile
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.access.tokens import BadToken, TokenAuthenticator, TokenReader
from crdtsync_server.authentication import Authenticator, Credentials, Identity

logger = logging.getLogger("crdtsync.server.access")

MAX_WAITING = 1_000
"""Connections without a good hello, beyond those that there are free seats for: after a
restart everyone comes back at one moment. An honest one says hello within a round trip, so
whoever has waited longest goes first: sockets that say nothing keep out nobody but each
other."""

EXPIRED_WORDS = "the sign-in has ended; sign in again"
REVOKED_WORDS = "this sign-in was taken back; ask whoever runs the server, or sign in anew"


class Waiting(Protocol):
    """A connection whose hello has not been taken yet."""

    def cut(self) -> None:
        """End it without a word. Must not raise."""
        ...


class Access:
    """One per service. Reads no file before ``load``."""

    def __init__(
        self,
        settings: AccessSettings,
        *,
        now_us: Callable[[], int],
        revoked: Callable[[Callable[[Identity], bool]], None],
    ) -> None:
        """``revoked`` is called with a test for sign-ins, when some were taken back: whoever
        is connected with one for which it holds has to go."""
        self.settings = settings
        self.quotas = Quotas(settings)
        self._now_us = now_us
        self._revoked = revoked
        self._waiting: dict[Waiting, None] = {}
        self.revocations: RevocationFile | None = None
        if settings.revoked is not None:
            self.revocations = RevocationFile(settings.revoked, self._on_change)

    # ── sign-ins ────────────────────────────────────────────────────────────

    def guard(self, authenticator: Authenticator) -> Authenticator:
        """``authenticator``, with expiry and revocation checked behind it."""
        return _Guarded(authenticator, self)

    def why_ended(self, identity: Identity) -> str | None:
        """Why this sign-in is not good any more, for whoever holds it; None while it is.

        For answers that go on for long, such as streams: ask again and again.
        """
        if identity.expires_us is not None and self._now_us() >= identity.expires_us:
            return EXPIRED_WORDS
        if self.revocations is not None and self.revocations.revoked.covers(identity):
            return REVOKED_WORDS
        return None

    # ── running ─────────────────────────────────────────────────────────────

    def load(self) -> None:
        """Read the revocations, before anybody is let in. Raises BadAccessSettings."""
        if self.revocations is not None:
            self.revocations.load()

    def start(self) -> None:
        """Watch the revocations from now on."""
        if self.revocations is not None:
            self.revocations.start()

    async def stop(self) -> None:
        """Watch no more. May be called twice."""
        if self.revocations is not None:
            await self.revocations.stop()

    def _on_change(self) -> None:
        assert self.revocations is not None
        self._revoked(self.revocations.revoked.covers)

    # ── connections that have not said who they are ─────────────────────────

    def wait(self, connection: Waiting) -> None:
        """A connection came; its hello is awaited."""
        free_seats = max(self.settings.connections - self.quotas.seats.taken, 0)
        while len(self._waiting) >= free_seats + MAX_WAITING:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.cut()
        self._waiting[connection] = None

    def waited(self, connection: Waiting) -> None:
        """Its hello was good, or it is gone. May be called twice."""
        self._waiting.pop(connection, None)

    @property
    def waiting(self) -> int:
        """How many have not said who they are."""
        return len(self._waiting)


class _Guarded:
    """An authenticator whose sign-ins can end and be taken back."""

    def __init__(self, inner: Authenticator, access: Access) -> None:
        self._inner = inner
        self._access = access

    async def authenticate(self, credentials: Credentials) -> Identity:
        """See ``Authenticator``."""
        identity = await self._inner.authenticate(credentials)
        ended = self._access.why_ended(identity)
        if ended is not None:
            raise BadToken("token_revoked" if ended == REVOKED_WORDS else "token_expired", ended)
        return identity


def token_authenticator(
    settings: AccessSettings, *, now_us: Callable[[], int]
) -> TokenAuthenticator | None:
    """Sign-in by token as the settings say; None where it is not set up.

    Raises BadAccessSettings where the key is not good.
    """
    if not settings.authenticates:
        return None
    return TokenAuthenticator(TokenReader.of(settings), now_us=now_us)
