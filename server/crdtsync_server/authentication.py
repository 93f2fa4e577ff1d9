"""Who is this? What every way of signing in gives, and the one that trusts everybody."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody showed to be let in."""

    token: str | None
    """Of the hello, else of the ``Authorization: Bearer`` header. Never logged."""
    user: str | None = None
    """Who they say they are; None over HTTP, where only the token speaks."""

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


@dataclass(frozen=True, slots=True)
class Identity:
    """Someone who signed in."""

    user: str
    roles: frozenset[str]
    expires_us: int | None = None
    """When the sign-in ends (microseconds since 1970); the connection is closed then."""
    spaces: frozenset[str] | None = None
    """The spaces that they may enter; None: every one."""
    token_id: str | None = None
    """The token's ``jti``, by which it can be revoked."""
    issued_us: int | None = None
    """When the token was made, for "everything of this user before then is revoked"."""

    def may_enter(self, space: str) -> bool:
        """Whether this sign-in is good for ``space``."""
        return self.spaces is None or space in self.spaces


class NotAuthenticated(CrdtsyncError):
    """The sign-in is not good; the message is for the person who has to sign in again."""


class Authenticator(Protocol):
    """Decides who speaks, over a WebSocket or over HTTP, and which spaces they may enter."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Who showed these credentials. Raises NotAuthenticated.

        Any other exception is a fault of this machine: the peer is told to come
        back later. May be called many times at once.
        """
        ...


class DevAuthenticator:
    """Trusts the name that is given, and grants every role that the policy names.

    The token may name other roles: ``kim:nurse,clinician`` is kim with just these,
    ``kim:`` is kim with none. Only for a machine of one's own: ``serve --dev``
    listens on loopback only.
    """

    def __init__(self, policy: Policy) -> None:
        self._roles = roles_of(policy)

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Whoever they say they are."""
        name, colon, roles = (credentials.token or "").partition(":")
        user = credentials.user or name
        if not user:
            raise NotAuthenticated(
                "say who you are: this server runs with --dev and takes any name as the token, "
                "such as Authorization: Bearer kim"
            )
        if not colon:
            return Identity(user, self._roles)
        return Identity(user, frozenset(role for role in roles.split(",") if role))


def roles_of(policy: Policy) -> frozenset[str]:
    """Every role that the policy names."""
    roles: set[str] = set()
    for collection in policy.collections.values():
        roles |= (collection.delete or frozenset()) | (collection.read or frozenset())
        for field in collection.fields.values():
            roles |= (field.write or frozenset()) | (field.read or frozenset())
    return frozenset(roles)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
