"""``crdtsync token revoke``: adds lines to a file of revocations."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from crdtsync.cli.failures import BAD_INPUT, Failure
from crdtsync_server.access.checking import claims_of
from crdtsync_server.access.revocation import parse_revoked
from crdtsync_server.access.settings import BadAccessSettings
from crdtsync_server.access.words import tell


def line_of_token(token: str, lang: str) -> str:
    """For a whole token, or its jti. Raises Failure where the token has none."""
    read = claims_of(token)
    if read is None:
        return f"token {token}"
    claims = read[1]
    if not isinstance(claims.get("jti"), str):
        words = tell("no_token_number", lang, user=claims.get("sub", "NAME"))
        raise Failure(words, BAD_INPUT)
    return f"token {claims['jti']}"


def line_of_user(user: str, before: str | None) -> str:
    """For a user, as of ``before`` (``now``, or a time)."""
    if before is None:
        return f"user {user}"
    if before == "now":
        # Tokens count whole seconds: one made within this second counts as before.
        now = datetime.now(UTC).replace(microsecond=0)
        before = datetime.fromtimestamp(now.timestamp() + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"user {user} before {before}"


def add_line(path: Path, line: str) -> None:
    """Append in one write. Raises BadAccessSettings for a line that would be a mistake, and
    where the file has one, since a server would then go on with what it read before."""
    parse_revoked(line, "the line to add")
    if "\n" in line or "\r" in line:
        raise BadAccessSettings("a name does not go over several lines")
    number = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o640)
    with os.fdopen(number, "r+b", buffering=0) as file:
        text = file.read().decode(errors="replace")
        begin = "" if not text or text.endswith("\n") else "\n"
        file.write(f"{begin}{line}\n".encode())
        os.fsync(file.fileno())
    parse_revoked(text, str(path))
