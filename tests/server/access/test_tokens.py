"""What makes a token good, and every way in which one is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crdtsync_server.access.keys import CheckingKey, checking_key, private_key
from crdtsync_server.access.settings import AccessSettings, BadAccessSettings
from crdtsync_server.access.tokens import BadToken, TokenAuthenticator, TokenReader
from crdtsync_server.authentication import Credentials
from tests.server.access.signing import (
    OTHER_SECRET,
    SECRET,
    ec_key,
    private_pem,
    public_pem,
    rsa_key,
    token,
)


def now_us() -> int:
    return time.time_ns() // 1_000


def reader(**options: Any) -> TokenReader:
    return TokenReader(CheckingKey("HS256", SECRET.encode()), **options)


def code_of(token: str, by: TokenReader | None = None) -> str:
    """Why the token is refused; its words never hold the token itself."""
    with pytest.raises(BadToken) as refused:
        (by or reader()).read(token, now_us())
    for part in token.split("."):
        assert not part or len(part) < 8 or part not in str(refused.value)
    return refused.value.code


def test_a_good_token_says_who_it_is_and_what_they_may() -> None:
    exp = int(time.time()) + 60
    identity = reader().read(token(spaces=["a", "b"], roles=["x"], exp=exp, iat=1_000), now_us())
    assert (identity.user, identity.roles) == ("kim", frozenset({"x"}))
    assert identity.spaces == frozenset({"a", "b"})
    assert identity.may_enter("a")
    assert not identity.may_enter("c")
    assert identity.expires_us == exp * 1_000_000
    assert (identity.token_id, identity.issued_us) == ("token of kim", 1_000_000_000)


def test_a_star_opens_every_space_and_an_empty_list_none() -> None:
    assert reader().read(token(spaces="*"), now_us()).may_enter("anything")
    assert not reader().read(token(spaces=[]), now_us()).may_enter("*")


def test_without_roles_nobody_has_one() -> None:
    assert reader().read(token(roles=None), now_us()).roles == frozenset()


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "....", "\x00", "é.é.é", "[" * 8_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    assert code_of(text) == "token_malformed"


def test_a_token_that_is_too_long_is_not_even_read() -> None:
    assert code_of(token(spaces=["a" * 200] * 60)) == "token_malformed"


def test_a_signature_by_another_key_is_refused() -> None:
    assert code_of(token(key=OTHER_SECRET)) == "token_signature"


def test_a_changed_claim_breaks_the_signature() -> None:
    head, body, signature = token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "lee"}).encode()).rstrip(b"=")
    assert code_of(f"{head}.{forged.decode()}.{signature}") == "token_signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_refused(algorithm: str) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=").decode()
    body = token().split(".")[1]
    assert code_of(f"{head}.{body}.") == "token_algorithm"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_only_the_algorithm_of_the_key_is_taken(algorithm: str) -> None:
    assert code_of(token(key="x" * 64, algorithm=algorithm)) == "token_algorithm"


def test_a_public_key_is_never_a_secret(tmp_path: Path) -> None:
    """Algorithm confusion: everyone has the public key, and HS256 would sign with it."""
    pem = public_pem(rsa_key())
    (tmp_path / "key.pem").write_bytes(pem)
    by = TokenReader(checking_key(AccessSettings(jwt_public_key=tmp_path / "key.pem")))
    assert by.algorithm == "RS256"
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    body = token().split(".")[1]
    mac = hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert code_of(forged, by) == "token_algorithm"
    for setting in ("jwt_secret", "jwt_secret_file"):
        value: Any = pem.decode() if setting == "jwt_secret" else tmp_path / "key.pem"
        with pytest.raises(BadAccessSettings, match="PEM"):
            checking_key(AccessSettings(**{setting: value}))


@pytest.mark.parametrize(("key", "algorithm"), [(rsa_key(), "RS256"), (ec_key(), "ES256")])
def test_tokens_by_key_pair(tmp_path: Path, key: Any, algorithm: str) -> None:
    (tmp_path / "public.pem").write_bytes(public_pem(key))
    (tmp_path / "private.pem").write_bytes(private_pem(key))
    by = TokenReader(checking_key(AccessSettings(jwt_public_key=tmp_path / "public.pem")))
    made = private_key(tmp_path / "private.pem")
    assert (by.algorithm, made.algorithm) == (algorithm, algorithm)
    good = token(key=made.material, algorithm=algorithm)
    assert by.read(good, now_us()).user == "kim"
    assert code_of(token(), by) == "token_algorithm"


def test_a_header_that_demands_or_brings_its_own_key_changes_nothing() -> None:
    claims = {"sub": "kim", "spaces": "*", "exp": time.time() + 60}
    critical = jwt.encode(claims, SECRET, "HS256", headers={"crit": ["b64"]})
    assert code_of(critical) == "token_malformed"
    own = {"jwk": {"kty": "oct", "k": "AAAA"}, "jku": "http://evil.example", "kid": "../../x"}
    assert code_of(jwt.encode(claims, OTHER_SECRET, "HS256", headers=own)) == "token_signature"


def test_time_is_the_servers_and_leeway_counts_both_ways() -> None:
    at_s = 2_000_000_000
    made = token(iat=at_s - 60, exp=at_s)
    by = reader(leeway_s=10)
    assert by.read(made, (at_s + 9) * 1_000_000).expires_us == (at_s + 10) * 1_000_000
    for moment, code in ((at_s + 10, "token_expired"), (at_s - 80, "token_not_yet")):
        with pytest.raises(BadToken) as refused:
            by.read(made, moment * 1_000_000)
        assert refused.value.code == code
    assert by.read(made, (at_s - 65) * 1_000_000).user == "kim"


def test_not_before_is_obeyed() -> None:
    assert code_of(token(nbf=time.time() + 100)) == "token_not_yet"


@pytest.mark.parametrize("name", ["sub", "exp", "spaces"])
def test_a_token_without_a_needed_claim_is_refused(name: str) -> None:
    without: dict[str, Any] = {name: None}
    with pytest.raises(BadToken, match=name) as refused:
        reader().read(token(**without), now_us())
    assert refused.value.code == "token_claims"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"iat": -1},
        {"iat": "x"},
        {"nbf": []},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 300},
        {"spaces": "ward-3"},
        {"spaces": [1]},
        {"spaces": ["a\x00"]},
        {"spaces": {}},
        {"roles": "nurse"},
        {"roles": [""]},
        {"roles": ["r"] * 300},
        {"jti": "j" * 300},
        {"jti": 7},
        {"aud": {"a": 1}},
        {"iss": 7},
    ],
)
def test_claims_of_the_wrong_kind_are_refused(claims: dict[str, Any]) -> None:
    said = {"sub": "kim", "roles": [], "spaces": "*", "exp": time.time() + 60} | claims
    body = json.dumps(said).encode()  # PyJWT would not write some of them
    assert code_of(jwt.api_jws.encode(body, SECRET, "HS256")) == "token_claims"


def test_a_token_for_ever_ends_in_the_year_9999() -> None:
    assert reader().read(token(exp=10**30), now_us()).expires_us == 253_402_300_799_000_000


def test_issuer_and_audience_are_checked_where_they_are_set() -> None:
    by = reader(issuer="https://id.example", audience="crdtsync")
    good: dict[str, Any] = {"iss": "https://id.example", "aud": ["other", "crdtsync"]}
    assert by.read(token(**good), now_us()).user == "kim"
    assert code_of(token(**good | {"iss": "https://evil.example"}), by) == "token_issuer"
    assert code_of(token(**good | {"iss": None}), by) == "token_issuer"
    assert code_of(token(**good | {"aud": "other"}), by) == "token_audience"
    assert code_of(token(**good | {"aud": None}), by) == "token_audience"


def test_a_token_for_another_service_is_refused_even_where_no_audience_is_set() -> None:
    assert code_of(token(aud="billing")) == "token_audience"
    assert reader().read(token(aud=[]), now_us()).user == "kim"


async def test_the_authenticator_wants_a_token_of_the_user_who_speaks() -> None:
    authenticator = TokenAuthenticator(reader(), now_us=now_us)
    assert (await authenticator.authenticate(Credentials(token()))).user == "kim"
    assert (await authenticator.authenticate(Credentials(token(), "kim"))).user == "kim"
    for credentials, code in (
        (Credentials(None, "kim"), "token_missing"),
        (Credentials(""), "token_missing"),
        (Credentials(token("lee"), "kim"), "token_user"),
    ):
        with pytest.raises(BadToken) as refused:
            await authenticator.authenticate(credentials)
        assert refused.value.code == code


def test_keys_that_are_not_safe_are_refused_with_the_cure(tmp_path: Path) -> None:
    def refused(setting: str, content: bytes, words: str) -> None:
        file = tmp_path / "file"
        file.write_bytes(content)
        with pytest.raises(BadAccessSettings, match=words):
            checking_key(AccessSettings(**{setting: file}))  # type: ignore[arg-type]

    refused("jwt_secret_file", b"short\n", "at least 32.*new-secret")
    refused("jwt_public_key", b"nonsense", "PEM")
    refused("jwt_public_key", private_pem(ec_key()), "private key.*-pubout")
    refused("jwt_public_key", public_pem(rsa_key(1_024)), "1024 bits")
    refused("jwt_public_key", public_pem(ec_key("P-384")), "P-256")
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    refused("jwt_public_key", pem, "neither")
    refused("jwt_secret_file", b"x" * 100_000, "too large")
    with pytest.raises(BadAccessSettings, match="missing"):
        checking_key(AccessSettings(jwt_secret_file=tmp_path / "missing"))
    with pytest.raises(BadAccessSettings, match="32"):
        checking_key(AccessSettings(jwt_secret="short"))
    with pytest.raises(BadAccessSettings, match="no key"):
        checking_key(AccessSettings())
    (tmp_path / "file").write_bytes(b"nonsense")
    with pytest.raises(BadAccessSettings, match="private key"):
        private_key(tmp_path / "file")


def test_a_secret_that_everyone_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    key = checking_key(AccessSettings(jwt_secret_file=file))
    assert "chmod 600" in caplog.text
    assert key.material == SECRET.encode()
    assert SECRET not in caplog.text + repr(key)


def test_secrets_are_not_in_the_text_of_settings() -> None:
    shown = repr(AccessSettings(jwt_secret=SECRET, metrics_token="scraper"))
    assert SECRET not in shown
    assert "scraper" not in shown
    assert token() not in repr(Credentials(token(), "kim"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jwt_secret": SECRET, "jwt_public_key": Path("x")}, "one key"),
        ({"connections": 0}, "connections"),
        ({"ops_per_s_per_user": float("nan")}, "ops_per_s_per_user"),
        ({"ops_per_s_per_space": 0.5}, "ops_per_s_per_space"),
        ({"leeway_s": 3_600}, "leeway_s"),
        ({"origins": ("app.example.org",)}, "origin"),
        ({"origins": ("https://a.example/path",)}, "origin"),
        ({"origins": ("https://*.example",)}, "origin"),
        ({"origins": ("https://A.example",)}, "lower case"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadAccessSettings, match=words):
        AccessSettings(**changes).check()


def test_sensible_settings_pass() -> None:
    AccessSettings(jwt_secret=SECRET, origins=("https://a.example:8443",)).check()
    assert AccessSettings(jwt_secret=SECRET).authenticates
    assert not AccessSettings().authenticates
