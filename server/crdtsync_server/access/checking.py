"""``crdtsync token check``: what a token says, and whether it is good."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import jwt

from crdtsync.cli.failures import BAD_INPUT, Failure
from crdtsync.cli.screen import safe, table, to_read, to_tell
from crdtsync_server.access.revocation import RevocationFile
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.access.tokens import LAST_TIME_S, MAX_TOKEN_CHARS, BadToken, TokenReader
from crdtsync_server.access.words import TEXTS, tell

STDIN = "-"


def given(token: str) -> str:
    """The token of the command line, or of standard input (where nobody else sees it)."""
    if token == STDIN:
        token = sys.stdin.read(MAX_TOKEN_CHARS + 2)
    return token.strip().removeprefix("Bearer ").strip()


def claims_of(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims as they stand there, whoever wrote them; None for what is no token."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return read["header"], read["payload"]


def tell_of(token: str, settings: AccessSettings, lang: str) -> bool:
    """Print what is in the token; whether it is good. Raises Failure, BadAccessSettings."""
    read = claims_of(token)
    if read is None:
        raise Failure(tell("not_a_token", lang), BAD_INPUT)
    _print(*read, lang)
    if not settings.authenticates:
        to_tell().print(tell("unchecked", lang), soft_wrap=True)
        return False
    problem = _problem(token, settings)
    if problem is None:
        to_read().print(tell("good", lang), soft_wrap=True)
        return True
    reason = tell(problem.code, lang) if problem.code in TEXTS else str(problem)
    if lang == "en":
        reason = str(problem)
    to_read().print(tell("bad", lang, reason=reason), soft_wrap=True)
    return False


def _problem(token: str, settings: AccessSettings) -> BadToken | None:
    try:
        identity = TokenReader.of(settings).read(token, time.time_ns() // 1_000)
    except BadToken as error:
        return error
    if settings.revoked is not None:
        file = RevocationFile(settings.revoked, lambda: None)
        file.load()
        if file.revoked.covers(identity):
            return BadToken("token_revoked", "it was taken back")
    return None


def _print(header: dict[str, Any], claims: dict[str, Any], lang: str) -> None:
    spaces = claims.get("spaces")
    rows = [
        ("holder", claims.get("sub")),
        ("roles", claims.get("roles") or tell("nothing", lang)),
        ("spaces", tell("every_space", lang) if spaces == "*" else spaces),
        ("issued", _time(claims.get("iat"))),
        ("ends", _time(claims.get("exp"))),
        ("token_number", claims.get("jti")),
        ("issuer", claims.get("iss")),
        ("audience", claims.get("aud")),
        ("algorithm", header.get("alg")),
    ]
    shown = table("", "")
    shown.show_header = False
    for key, value in rows:
        text = tell("never_said", lang) if value is None else _text(value)
        shown.add_row(tell(key, lang), safe(text))
    to_read().print(shown)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(value: Any) -> str | None:
    if not isinstance(value, int | float):
        return None if value is None else str(value)
    if not 0 <= value <= LAST_TIME_S:
        return str(value)
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
