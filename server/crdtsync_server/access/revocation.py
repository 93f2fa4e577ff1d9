"""Sign-ins that an operator took back: a file that is read again whenever it changes.

::

    # a comment
    token 6f1c0c6e-2f7e-4a55-9d5e-8b5b7f9f8f10
    user kim
    user lee before 2026-03-01T12:00:00Z

``user`` alone takes back every sign-in of that user, now and later; with ``before``
only tokens that were made before then, those that do not say when included.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync_server.access.settings import BadAccessSettings
from crdtsync_server.access.tokens import MAX_JTI_CHARS
from crdtsync_server.authentication import Identity

logger = logging.getLogger("crdtsync.server.access")

MAX_FILE_BYTES = 16 * 1_048_576
"""About 300,000 lines. Tokens expire: lines of expired ones can be taken out."""

LOOK_EVERY_S = 1.0
"""How long a revocation takes to reach live connections, at most (and a second more for a
last line without an end, which may still be being written)."""

_BEFORE = re.compile(r"(.+) before (\S+)")


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the file says."""

    tokens: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    users_before_us: dict[str, int] = field(default_factory=dict)

    def covers(self, identity: Identity) -> bool:
        """Whether this sign-in was taken back."""
        if identity.user in self.users or identity.token_id in self.tokens:
            return True
        before_us = self.users_before_us.get(identity.user)
        return before_us is not None and (
            identity.issued_us is None or identity.issued_us < before_us
        )


def parse_revoked(text: str, where: str) -> Revoked:
    """Read a file of revocations. Raises BadAccessSettings that names the line."""
    tokens: set[str] = set()
    users: set[str] = set()
    before: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        kind, _, rest = words.partition(" ")
        name = rest.strip()
        try:
            if kind == "token" and name:
                tokens.add(_token_id(name))
            elif kind == "user" and (found := _BEFORE.fullmatch(name)):
                user = _user(found[1])
                before[user] = max(before.get(user, 0), parse_time_us(found[2]))
            elif kind == "user" and name:
                users.add(_user(name))
            else:
                raise ValueError("write: token JTI, user NAME, or user NAME before TIME")
        except (ValueError, InvalidOp) as error:
            raise BadAccessSettings(f"{where}, line {number}: {error}") from error
    return Revoked(frozenset(tokens), frozenset(users), before)


def parse_time_us(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time with its zone. Raises ValueError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write it like 2026-03-01T12:00:00Z") from None
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it like 2026-03-01T12:00:00Z")
    return round(when.timestamp() * 1_000_000)


def _token_id(name: str) -> str:
    if len(name) > MAX_JTI_CHARS or name.count(".") == 2:
        # A whole token in a file that others read would be a leak of its own.
        raise ValueError("write the token's jti, not the token (crdtsync token check shows it)")
    return name


def _user(name: str) -> str:
    check_identifier(name, "user")
    return name


Signature = tuple[int, int, int]
"""(time of change, size, inode): another one means another content."""


class RevocationFile:
    """Watches the file; what was last read well holds."""

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self.revoked = Revoked()
        self._path = path
        self._changed = changed
        self._seen: Signature | None = None
        self._unsettled: Signature | None = None
        self._missing = False
        self._task: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read it when the server starts. Raises BadAccessSettings, so that a slip of the pen
        in the path does not let everyone in who was shut out."""
        try:
            self._seen = self._signature()
            self.revoked = parse_revoked(self._text(), str(self._path))
        except OSError as error:
            raise BadAccessSettings(
                f"the file of revocations cannot be read: {self._path}: "
                f"{error.strerror or error}. An empty one will do"
            ) from error

    def start(self) -> None:
        """Look again and again, until ``stop``."""
        self._task = asyncio.create_task(self._watch(), name="crdtsync revocations")

    async def stop(self) -> None:
        """End. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """Read the file again if it has changed; a mistake in it is logged and changes nothing."""
        try:
            # A folder on a network may take its time.
            found = await asyncio.to_thread(self._read_if_changed)
        except OSError as error:
            if not self._missing:
                logger.error("revocations cannot be read, the last ones hold: %s", error)
            self._missing = True
            return
        except BadAccessSettings as error:
            logger.error("revocations have a mistake, the last good ones hold: %s", error)
            return
        self._missing = False
        if found is not None:
            self.revoked = found
            logger.info(
                "revocations were read again: %d tokens, %d users",
                len(found.tokens),
                len(found.users) + len(found.users_before_us),
            )
            self._changed()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:
                # This loop must never end before the server does.
                logger.exception("revocations could not be looked at")

    def _read_if_changed(self) -> Revoked | None:
        signature = self._signature()
        if signature == self._seen:
            return None
        text = self._text()
        if text and not text.endswith("\n") and signature != self._unsettled:
            # Half a line may be there so far: "user ki" is another user.
            self._unsettled = signature
            return None
        self._seen = signature
        return parse_revoked(text, str(self._path))

    def _signature(self) -> Signature:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _text(self) -> str:
        with self._path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise BadAccessSettings(
                f"{self._path} is larger than {MAX_FILE_BYTES} bytes; take out lines of tokens "
                "that have expired"
            )
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise BadAccessSettings(f"{self._path} is not a UTF-8 text: {error}") from error
