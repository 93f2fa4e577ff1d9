"""Where a replica's token comes from, and what happens when its sign-in ends.

A token that is a function is asked for anew for each connection. A sign-in that ends
on a connection (it expired, or was taken back) is then renewed without a person; one
that the server refuses although it was just asked for needs a person, and so does one
that ends again and again right after it was welcomed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from crdtsync.protocol.client_actions import Close

Token = str | Callable[[], str | Awaitable[str | None] | None] | None
"""What ``connect`` takes: a token, or a function (``async`` or not) that gives one. It may
take its time, up to ``TOKEN_TIMEOUT_S``, and may raise: then it is asked again later.
None from it means that nobody is signed in."""

SIGN_IN_CODES = frozenset({"not_authenticated", "unauthorized", "signed_out", "token_expired"})

TOKEN_TIMEOUT_S = 60
"""For a function that asks a network, or looks into a keychain."""

QUICK_ENDINGS = 3
"""Sign-ins that were welcomed and ended before the connection counted as steady. Another
one would not fare better."""


async def ask_for(token: Token) -> str | None:
    """The token to show now. Raises whatever the caller's function raises, or TimeoutError."""
    if token is None or isinstance(token, str):
        return token
    async with asyncio.timeout(TOKEN_TIMEOUT_S):
        try:
            given = token()
            if inspect.isawaitable(given):
                given = await given
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # What the function waited for was cancelled, not we: that must not end sync.
            raise RuntimeError("token() was cancelled from inside") from None
    if given is not None and not isinstance(given, str):
        raise TypeError(f"token() gave {type(given).__name__}; it has to give a str, or None")
    return given


class SignIns:
    """Decides whether a sign-in that ended can be renewed without a person."""

    def __init__(self) -> None:
        self.welcomed = False
        """Whether the server has welcomed this user on the connection at hand."""
        self._quick_endings = 0

    def can_renew(self, close: Close, token: Token, *, steady: bool) -> bool:
        """Called once for each connection that has ended. ``steady``: it lasted."""
        if steady:
            self._quick_endings = 0
        if close.reason not in SIGN_IN_CODES or not self.welcomed or not callable(token):
            return False
        if not steady:
            self._quick_endings += 1
        return self._quick_endings <= QUICK_ENDINGS

    def begin_anew(self) -> None:
        """A person signed in."""
        self._quick_endings = 0
