"""Sign-in by token: JSON Web Tokens (RFC 7519), checked after RFC 8725.

Claims: ``sub`` the user, ``spaces`` a list of spaces or ``"*"``, ``roles`` a list
(none if it is missing), ``exp`` when it ends (needed), ``iat``, ``nbf``, ``jti`` for
revoking it, ``aud`` and ``iss``. A token itself never stands in an error or a log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import jwt
import msgspec
from jwt.types import Options

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync_server.access.keys import CheckingKey, checking_key
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated

MAX_TOKEN_CHARS = 8_192
"""Room for hundreds of spaces; a header of HTTP holds no more anyway."""

MAX_SPACES = 10_000
MAX_ROLES = 256
MAX_JTI_CHARS = 256

LAST_TIME_S = 253_402_300_799
"""The end of the year 9999; a token "for ever" must not overflow a timer."""

# Times are judged by the server's clock, which is handed in; the rest is told in words.
_SIGNATURE_ONLY: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class BadToken(NotAuthenticated):
    """A token that is not good here. ``code`` names the failure for programs and tests."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says, by type. Claims that are not named here are ignored."""

    sub: str
    exp: float
    spaces: list[str] | Literal["*"]
    roles: list[str] = []
    iat: float | None = None
    nbf: float | None = None
    jti: str | None = None
    aud: str | list[str] | None = None
    iss: str | None = None

    def identity(self, leeway_s: float) -> Identity:
        """Who this is. Raises BadToken where a name is none."""
        names = [("user", self.sub), *(("role", role) for role in self.roles)]
        spaces: frozenset[str] | None = None
        if isinstance(self.spaces, list):
            names += [("space", space) for space in self.spaces]
            spaces = frozenset(self.spaces)
        if len(self.roles) > MAX_ROLES or len(self.spaces) > MAX_SPACES:
            raise BadToken("token_claims", "the token names too many roles or spaces")
        try:
            for what, name in names:
                check_identifier(name, what)
        except InvalidOp as error:
            raise BadToken("token_claims", f"the token is not usable here: {error}") from error
        if self.jti is not None and len(self.jti) > MAX_JTI_CHARS:
            raise BadToken("token_claims", "the token's jti is too long")
        return Identity(
            self.sub,
            frozenset(self.roles),
            expires_us=round((min(self.exp, LAST_TIME_S) + leeway_s) * 1_000_000),
            spaces=spaces,
            token_id=self.jti,
            issued_us=None if self.iat is None else round(min(self.iat, LAST_TIME_S) * 1_000_000),
        )


class TokenReader:
    """Checks tokens against one key, issuer and audience."""

    def __init__(
        self,
        key: CheckingKey,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_s: float = 0.0,
    ) -> None:
        self.algorithm = key.algorithm
        self._key = key
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s

    @classmethod
    def of(cls, settings: AccessSettings) -> TokenReader:
        """By an operator's settings. Raises BadAccessSettings."""
        return cls(
            checking_key(settings),
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway_s=settings.leeway_s,
        )

    def read(self, token: str, now_us: int) -> Identity:
        """Who holds this token. Raises BadToken."""
        claims = self._claims(token)
        self._check_times(claims, now_us / 1_000_000)
        self._check_issuer(claims)
        self._check_audience(claims)
        return claims.identity(self._leeway_s)

    def _claims(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN_CHARS:
            raise BadToken("token_malformed", "the token is too long to be one")
        try:
            checked = jwt.decode_complete(
                token,
                self._key.material,
                algorithms=[self.algorithm],
                options=_SIGNATURE_ONLY,
            )
        except jwt.InvalidAlgorithmError as error:
            raise BadToken(
                "token_algorithm",
                f"the token is signed in another way than this server takes ({self.algorithm})",
            ) from error
        except jwt.InvalidSignatureError as error:
            raise BadToken(
                "token_signature", "the token's signature is not good here; sign in again"
            ) from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            # Not "from error": the library's words may quote what was sent.
            raise BadToken(
                "token_malformed", f"this is not a token that can be read ({type(error).__name__})"
            ) from None
        if "crit" in checked["header"]:
            raise BadToken("token_malformed", "the token demands what this server does not know")
        return _typed(checked["payload"])

    def _check_times(self, claims: Claims, now_s: float) -> None:
        for name, value in (("exp", claims.exp), ("iat", claims.iat), ("nbf", claims.nbf)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise BadToken("token_claims", f"the token's {name} is not a time")
        if now_s >= claims.exp + self._leeway_s:
            raise BadToken("token_expired", "the sign-in has expired; sign in again")
        begins_s = max(claims.nbf or 0, claims.iat or 0)
        if begins_s > now_s + self._leeway_s:
            raise BadToken(
                "token_not_yet",
                "the token is not valid yet, or a clock is wrong: it begins "
                f"{math.ceil(min(begins_s, LAST_TIME_S) - now_s)} s from now by the server's clock",
            )

    def _check_issuer(self, claims: Claims) -> None:
        if self._issuer is not None and claims.iss != self._issuer:
            raise BadToken(
                "token_issuer", "the token was issued by someone else than this server trusts"
            )

    def _check_audience(self, claims: Claims) -> None:
        meant = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
        if self._audience is None and meant:
            # RFC 7519, 4.1.3: who does not find itself in it must refuse the token.
            raise BadToken(
                "token_audience",
                "the token names an audience (aud), and none is set on this server (jwt_audience)",
            )
        if self._audience is not None and self._audience not in meant:
            raise BadToken("token_audience", "the token was made for another service")


def _typed(payload: Any) -> Claims:
    missing = [name for name in ("sub", "exp", "spaces") if name not in payload]
    if missing:
        raise BadToken("token_claims", f"the token does not say {' and '.join(missing)}")
    try:
        return msgspec.convert(payload, Claims)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadToken(
            "token_claims", f"a claim of the token has the wrong type: {error}"
        ) from None


class TokenAuthenticator:
    """Signs in whoever shows a good token. See ``Authenticator``."""

    def __init__(self, reader: TokenReader, *, now_us: Callable[[], int]) -> None:
        self._reader = reader
        self._now_us = now_us

    async def authenticate(self, credentials: Credentials) -> Identity:
        """The token's user; over a WebSocket that has to be the user of the hello."""
        if not credentials.token:
            raise BadToken("token_missing", "no token came with it; sign in first")
        identity = self._reader.read(credentials.token, self._now_us())
        if credentials.user is not None and credentials.user != identity.user:
            raise BadToken(
                "token_user", f"this sign-in is not {credentials.user}'s; sign in as that user"
            )
        return identity
