"""Authenticators for tests: who may come in, and as what."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync.protocol.messages import Hello
from crdtsync_server.authentication import Identity, NotAuthenticated


class Roles:
    """Gives each user the roles that the test says; users who are not named stay outside."""

    def __init__(self, **roles: Iterable[str]) -> None:
        self.roles = {user: frozenset(names) for user, names in roles.items()}

    async def authenticate(self, hello: Hello) -> Identity:
        """See ``Authenticator``."""
        roles = self.roles.get(hello.user)
        if roles is None:
            raise NotAuthenticated(f"{hello.user} is signed out; sign in again")
        return Identity(hello.user, roles)
