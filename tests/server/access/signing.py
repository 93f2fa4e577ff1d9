"""Keys and tokens for tests, and a server that takes them."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from crdtsync.protocol.messages import Hello
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.service import RunningServer
from tests.server.serving import SPACE, hello_of, serving

SECRET = "a secret of the tests, long enough for HS256"
OTHER_SECRET = "another secret, which no server of the tests knows"


def token(user: str = "kim", **claims: Any) -> str:
    """A token that is good for an hour, with other claims in place or (None) left out."""
    now_s = time.time()
    said: dict[str, Any] = {
        "sub": user,
        "roles": ["nurse"],
        "spaces": [SPACE],
        "iat": now_s,
        "exp": now_s + 3_600,
        "jti": f"token of {user}",
    }
    key = claims.pop("key", SECRET)
    algorithm = claims.pop("algorithm", "HS256")
    said = {name: value for name, value in (said | claims).items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm)


def signed_hello(user: str = "kim", /, **changes: Any) -> Hello:
    """A hello with a good token, unless another is given."""
    return hello_of(user, **({"token": token(user)} | changes))


def secured(folder: Path, **options: Any) -> RunningServer:
    """A server that asks for tokens. Options of AccessSettings, or ``other`` of the server."""
    other = options.pop("other", {})
    chosen: dict[str, Any] = {"jwt_secret": SECRET, "leeway_s": 0.0}
    access = AccessSettings(**(chosen | options))
    return serving(folder, dev=False, access=access, **other)


@cache
def rsa_key(bits: int = 2_048) -> rsa.RSAPrivateKey:
    """A key for RS256, made once."""
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """A key for ES256, made once."""
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    return ec.generate_private_key(curves[curve])


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The private key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as a file holds it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
