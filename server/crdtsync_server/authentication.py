"""Who is this? The seam where tokens come later."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy
from crdtsync.protocol.messages import Hello


@dataclass(frozen=True, slots=True)
class Identity:
    """Someone who signed in."""

    user: str
    roles: frozenset[str]
    expires_us: int | None = None
    """When the sign-in ends (microseconds since 1970); the connection is closed then."""


class NotAuthenticated(CrdtsyncError):
    """The sign-in is not good; the message is for the person who has to sign in again."""


class Authenticator(Protocol):
    """Decides who speaks on a connection, and whether they may enter its space."""

    async def authenticate(self, hello: Hello) -> Identity:
        """Who sent this hello. Raises NotAuthenticated.

        Any other exception is a fault of this machine: the replica is told to
        come back later. May be called many times at once.
        """
        ...


class DevAuthenticator:
    """Trusts the name in the hello and grants every role that the policy names.

    Only for a machine of one's own: ``serve --dev`` listens on loopback only.
    """

    def __init__(self, policy: Policy) -> None:
        self._roles = roles_of(policy)

    async def authenticate(self, hello: Hello) -> Identity:
        """Whoever they say they are."""
        return Identity(hello.user, self._roles)


def roles_of(policy: Policy) -> frozenset[str]:
    """Every role that the policy names."""
    roles: set[str] = set()
    for collection in policy.collections.values():
        roles |= collection.delete or frozenset()
        for field in collection.fields.values():
            roles |= field.write or frozenset()
    return frozenset(roles)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
