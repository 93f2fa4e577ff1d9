"""Making tokens and secrets, for development and for small installations."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from pathlib import Path
from typing import Any

import jwt

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync.whole_file import write_whole
from crdtsync_server.access.keys import SigningKey, private_key, secret_file
from crdtsync_server.access.settings import BadAccessSettings

SECRET_BYTES = 48
"""Of randomness in a new secret; 64 characters in the file."""

LONGEST_S = 366 * 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_duration_s(text: str) -> int | None:
    """Seconds of ``30m``, ``8h``, ``7d``; None for what is none, or for more than a year."""
    found = re.fullmatch(r"([1-9]\d{0,7})([smhd])", text)
    if found is None:
        return None
    lasts_s = int(found[1]) * _UNITS_S[found[2]]
    return lasts_s if lasts_s <= LONGEST_S else None


def parts(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def signing_key(secret: Path | None, private: Path | None) -> SigningKey:
    """The key of one of the two files. Raises BadAccessSettings."""
    if private is not None:
        return private_key(private)
    assert secret is not None
    shared = secret_file(secret)
    assert isinstance(shared.material, bytes)
    return SigningKey(shared.algorithm, shared.material)


def make_token(
    key: SigningKey,
    *,
    user: str,
    roles: list[str],
    spaces: list[str] | str,
    lasts_s: float,
    issuer: str | None = None,
    audience: str | None = None,
    now_s: float | None = None,
    token_id: str | None = None,
) -> str:
    """A signed token. Raises BadAccessSettings where a name is none."""
    named = [("user", user), *(("role", role) for role in roles)]
    named += [("space", space) for space in spaces] if isinstance(spaces, list) else []
    try:
        for what, name in named:
            check_identifier(name, what)
    except InvalidOp as error:
        raise BadAccessSettings(str(error)) from error
    issued_s = int(time.time() if now_s is None else now_s)
    claims: dict[str, Any] = {
        "sub": user,
        "roles": roles,
        "spaces": spaces,
        "iat": issued_s,
        "exp": issued_s + int(lasts_s),
        "jti": token_id or str(uuid.uuid4()),
    }
    if issuer is not None:
        claims["iss"] = issuer
    if audience is not None:
        claims["aud"] = audience
    return jwt.encode(claims, key.material, algorithm=key.algorithm)


def write_secret(path: Path) -> None:
    """A new secret in a new file of mode 0600. Raises FileExistsError, OSError."""
    write_whole(path, [secrets.token_urlsafe(SECRET_BYTES) + "\n"], replace=False, mode=0o600)
