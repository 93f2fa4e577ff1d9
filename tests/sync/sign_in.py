"""Authenticators for tests: who may come in, and as what."""

from __future__ import annotations

from collections.abc import Iterable

from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated


class Roles:
    """Gives each user the roles that the test says; users who are not named stay outside."""

    def __init__(self, **roles: Iterable[str]) -> None:
        self.roles = {user: frozenset(names) for user, names in roles.items()}

    async def authenticate(self, credentials: Credentials) -> Identity:
        """See ``Authenticator``."""
        user = credentials.user or ""
        roles = self.roles.get(user)
        if roles is None:
            raise NotAuthenticated(f"{user} is signed out; sign in again")
        return Identity(user, roles)
