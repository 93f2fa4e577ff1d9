"""The key by which tokens are signed and checked, and the one algorithm that goes with it."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from crdtsync_server.access.settings import MIN_SECRET_BYTES, AccessSettings, BadAccessSettings

logger = logging.getLogger("crdtsync.server.access")

MIN_RSA_BITS = 2_048
MAX_KEY_FILE_BYTES = 65_536
"""A larger file is something else than a key."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class CheckingKey:
    """What tokens are checked with. The algorithm is never taken from a token (RFC 8725, 3.1)."""

    algorithm: str
    material: bytes | PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What tokens are made with."""

    algorithm: str
    material: bytes | PrivateKey = field(repr=False)


def checking_key(settings: AccessSettings) -> CheckingKey:
    """The key that tokens are checked with. Raises BadAccessSettings where there is none good."""
    if settings.jwt_public_key is not None:
        return public_key(settings.jwt_public_key)
    if settings.jwt_secret_file is not None:
        return secret_file(settings.jwt_secret_file)
    if settings.jwt_secret is not None:
        return _secret(settings.jwt_secret.encode(), "jwt_secret")
    raise BadAccessSettings("no key for tokens is set")


def secret_file(path: Path) -> CheckingKey:
    """The HS256 secret in a file (a line feed at its end does not belong to it)."""
    data = _read(path, "the secret")
    if os.name == "posix" and path.stat().st_mode & stat.S_IROTH:
        logger.warning("%s can be read by everyone on this machine; chmod 600 it", path)
    return _secret(data.rstrip(b"\r\n"), str(path))


def _secret(secret: bytes, where: str) -> CheckingKey:
    if b"-----BEGIN" in secret:
        # A public key used as a secret would let everyone sign (RFC 8725, 2.1).
        raise BadAccessSettings(
            f"{where} holds a key in PEM form, not a secret. For RS256 or ES256 name the public "
            "key as jwt_public_key"
        )
    if len(secret) < MIN_SECRET_BYTES:
        raise BadAccessSettings(
            f"{where} holds {len(secret)} bytes; a secret has at least {MIN_SECRET_BYTES}. "
            "Make a good one with: crdtsync token new-secret FILE"
        )
    return CheckingKey("HS256", secret)


def public_key(path: Path) -> CheckingKey:
    """The public key in a PEM file. RSA is RS256, P-256 is ES256, and nothing else is taken."""
    data = _read(path, "the public key")
    if b"PRIVATE KEY" in data:
        raise BadAccessSettings(
            f"{path} holds a private key, which belongs to whoever signs tokens and not on this "
            f"server. Extract the public one: openssl pkey -in {path} -pubout"
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadAccessSettings(
            f"{path} is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)"
        ) from error
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return CheckingKey(_algorithm(key, path), key)
    raise _wrong_kind(path)


def private_key(path: Path) -> SigningKey:
    """The private key in a PEM file, for making tokens. Raises BadAccessSettings."""
    data = _read(path, "the private key")
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise BadAccessSettings(f"{path} is encrypted with a password; decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadAccessSettings(
            f"{path} is not a private key in PEM form (-----BEGIN PRIVATE KEY-----)"
        ) from error
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return SigningKey(_algorithm(key, path), key)
    raise _wrong_kind(path)


def _algorithm(key: PublicKey | PrivateKey, path: Path) -> str:
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise BadAccessSettings(
                f"{path} is an RSA key of {key.key_size} bits; it needs at least {MIN_RSA_BITS}"
            )
        return "RS256"
    if not isinstance(key.curve, ec.SECP256R1):
        raise _wrong_kind(path)
    return "ES256"


def _wrong_kind(path: Path) -> BadAccessSettings:
    return BadAccessSettings(
        f"{path} is neither an RSA key (RS256) nor one on the curve P-256 (ES256)"
    )


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise BadAccessSettings(
            f"{what} cannot be read: {path}: {error.strerror or error}"
        ) from error
    if len(data) > MAX_KEY_FILE_BYTES:
        raise BadAccessSettings(f"{path} is too large to be a key")
    return data
