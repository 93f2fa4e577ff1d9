"""``crdtsync token``: what it makes, what it says, and what it refuses."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from crdtsync.catalogue.wording import placeholders
from crdtsync_server.access import making
from crdtsync_server.access.checking import claims_of
from crdtsync_server.access.keys import checking_key
from crdtsync_server.access.revocation import parse_revoked
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.access.tokens import TokenReader
from crdtsync_server.access.words import TEXTS
from crdtsync_server.authentication import Identity
from tests.cli.command_line import Done, crdtsync
from tests.cli.test_cli_texts import PARTICLE_AFTER_VARIABLE
from tests.server.access.signing import (
    SECRET,
    ec_key,
    private_pem,
    public_pem,
    rsa_key,
    secured,
    token,
)
from tests.server.serving import Wire, hello_of


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    done = crdtsync("token", "new-secret", file)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert f"--jwt-secret-file {file}" in done.stderr.replace("\n", "")
    return file


def made(*args: object) -> str:
    """The token that a command printed, and nothing else."""
    done = crdtsync("token", *args)
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 1
    return done.stdout.strip()


def said(token: str) -> dict[str, Any]:
    read = claims_of(token)
    assert read is not None
    return read[1]


def test_a_new_secret_is_good_nobody_elses_and_never_replaces_another(secret: Path) -> None:
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    before = secret.read_text()
    assert len(before.strip()) == 64
    for lang, words in (("en", "left as it is"), ("ko", "그대로 두었어요")):
        done = crdtsync("token", "new-secret", secret, "--lang", lang)
        assert done.exit_code == 2
        assert words in done.stderr
    assert secret.read_text() == before
    checking_key(AccessSettings(jwt_secret_file=secret))


def test_a_token_says_what_was_asked_for(secret: Path) -> None:
    claims = said(
        made(
            "--user",
            "kim",
            "--roles",
            "nurse, clinician",
            "--spaces",
            "ward-3,ward-4",
            "--expires",
            "30m",
            "--secret-file",
            secret,
            "--issuer",
            "i",
            "--audience",
            "a",
        )
    )
    assert claims["sub"] == "kim"
    assert claims["roles"] == ["nurse", "clinician"]
    assert claims["spaces"] == ["ward-3", "ward-4"]
    assert claims["exp"] - claims["iat"] == 1_800
    assert (claims["iss"], claims["aud"]) == ("i", "a")
    assert claims["jti"]
    assert said(made("-u", "kim", "--spaces", "*", "--secret-file", secret))["spaces"] == "*"


@pytest.mark.parametrize(("key", "algorithm"), [(rsa_key(), "RS256"), (ec_key(), "ES256")])
def test_tokens_by_a_private_key(tmp_path: Path, key: Any, algorithm: str) -> None:
    (tmp_path / "private.pem").write_bytes(private_pem(key))
    (tmp_path / "public.pem").write_bytes(public_pem(key))
    made_token = made("--user", "kim", "--spaces", "*", "--private-key", tmp_path / "private.pem")
    assert jwt.get_unverified_header(made_token)["alg"] == algorithm
    done = crdtsync("token", "check", made_token, "--public-key", tmp_path / "public.pem")
    assert (done.exit_code, "good" in done.stdout) == (0, True)


async def test_a_server_takes_the_token(tmp_path: Path, secret: Path) -> None:
    shown = made("--user", "kim", "--spaces", "ward-3", "--secret-file", secret)
    async with (
        secured(tmp_path / "data", jwt_secret=None, jwt_secret_file=secret) as server,
        await Wire.open(server.url) as wire,
    ):
        assert (await wire.greet(hello_of(token=shown))).user == "kim"


@pytest.mark.parametrize(
    ("args", "en", "ko"),
    [
        (["--spaces", "*"], "--user", "누구의 토큰"),
        (["--user", "kim"], "--spaces", "공간"),
        (["--user", "kim", "--spaces", "a"], "--secret-file", "키를 하나만"),
        (["--user", "kim", "--spaces", "a", "--secret-file", "S", "--private-key", "S"],
         "Name one key", "키를 하나만"),
        (["--user", "kim", "--spaces", "a", "--secret-file", "S", "--expires", "soon"],
         "soon is not a duration", "soon"),
        (["--user", "kim", "--spaces", "a", "--secret-file", "S", "--expires", "400d"],
         "a year", "1년"),
        (["--user", "kim", "--spaces", "a", "--secret-file", "nothing"],
         "cannot be read", "자세히"),
        (["--user", "k\nim", "--spaces", "a", "--secret-file", "S"], "control", "자세히"),
        (["check", "nonsense", "--secret-file", "S"], "not a token", "토큰이 아니에요"),
        (["revoke", "--file", "R"], "--user NAME", "무엇을 취소할지"),
        (["revoke", "x", "--before", "now", "--file", "R"], "goes with --user", "함께"),
        (["revoke", "--user", "kim", "--before", "x", "--file", "R"], "not a time", "자세히"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said(
    tmp_path: Path, secret: Path, args: list[str], en: str, ko: str
) -> None:
    args = [str(secret) if arg == "S" else arg for arg in args]
    args = [str(tmp_path / arg) if arg in ("R", "nothing") else arg for arg in args]
    for lang, words in (("en", en), ("ko", ko)):
        done = crdtsync("token", *args, "--lang", lang) if args[0] in ("check", "revoke") else (
            crdtsync("token", "--lang", lang, *args)
        )  # fmt: skip
        assert done.exit_code == 2
        assert done.stdout == ""
        assert words in done.stderr


def checked(*args: object) -> Done:
    return crdtsync("token", "check", *args)


def test_check_says_what_is_in_a_token_and_whether_it_is_good(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    good = checked(token(roles=["nurse"], spaces=["ward-3"]), "--secret-file", file)
    assert good.exit_code == 0
    for words in ("kim", "nurse", "ward-3", "token of kim", "UTC", "HS256", "The token is good."):
        assert words in good.stdout
    assert SECRET not in good.stdout
    for bad, en, ko in (
        (token(exp=1), "expired", "기한이 지났어요"),
        (token(key="x" * 40), "signature", "이 키로 서명한 토큰이 아니에요"),
        (token(aud="other"), "audience", "다른 서비스"),
        (token(spaces=None), "does not say spaces", "빠졌거나"),
    ):
        for lang, words in (("en", en), ("ko", ko)):
            done = checked(bad, "--secret-file", file, "--lang", lang)
            assert done.exit_code == 1
            assert words in done.stdout.replace("\n", " ")


def test_check_without_a_key_says_that_it_did_not_check() -> None:
    done = crdtsync("token", "check", "-", given=f"Bearer {token()}\n")
    assert done.exit_code == 1
    assert "kim" in done.stdout
    assert "not checked" in done.stderr


def test_check_never_breaks_on_what_somebody_put_into_a_token() -> None:
    odd = token(exp=10**400, iat="x", roles={"a": 1}, spaces=7, sub="\x1b[31mred", jti=[1])
    done = checked(odd)
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout


def test_revoke_adds_lines_that_a_server_obeys(tmp_path: Path, secret: Path) -> None:
    file = tmp_path / "revoked"
    shown = made("--user", "kim", "--spaces", "*", "--secret-file", secret)
    assert crdtsync("token", "revoke", shown, "--file", file).exit_code == 0
    assert shown not in file.read_text()
    file.write_text(file.read_text().rstrip("\n"))  # an editor left the last line open
    assert crdtsync("token", "revoke", "--user", "Lee Sora", "--file", file).exit_code == 0
    assert (
        crdtsync("token", "revoke", "-u", "han", "--before", "now", "--file", file).exit_code == 0
    )
    revoked = parse_revoked(file.read_text(), "file")
    assert revoked.tokens == {said(shown)["jti"]}
    assert revoked.users == {"Lee Sora"}
    assert revoked.covers(Identity("han", frozenset(), issued_us=time.time_ns() // 1_000))
    later = Identity("han", frozenset(), issued_us=time.time_ns() // 1_000 + 2_000_000)
    assert not revoked.covers(later)
    done = checked(shown, "--secret-file", secret, "--revoked", file)
    assert (done.exit_code, "taken back" in done.stdout) == (1, True)


def test_a_token_without_a_number_is_revoked_by_its_user(tmp_path: Path) -> None:
    done = crdtsync("token", "revoke", token(jti=None), "--file", tmp_path / "revoked")
    assert done.exit_code == 2
    assert "--user kim --before now" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "revoked").exists()


def test_revoke_tells_of_a_mistake_that_is_in_the_file_already(tmp_path: Path) -> None:
    file = tmp_path / "revoked"
    file.write_text("nonsense\n")
    done = crdtsync("token", "revoke", "--user", "kim", "--file", file)
    assert done.exit_code == 2
    assert "line 1" in done.stderr
    assert "user kim" in file.read_text()


def test_durations() -> None:
    assert [making.parse_duration_s(text) for text in ("90s", "30m", "8h", "7d", "366d")] == [
        90, 1_800, 28_800, 604_800, 366 * 86_400,
    ]  # fmt: skip
    assert {making.parse_duration_s(text) for text in ("", "0h", "8", "h", "-1h", "367d")} == {None}
    reader = TokenReader(checking_key(AccessSettings(jwt_secret=SECRET)))
    assert reader.algorithm == "HS256"


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same_things(key: str) -> None:
    words = TEXTS[key]
    assert placeholders(words.en) == placeholders(words.ko)
    assert not PARTICLE_AFTER_VARIABLE.search(words.ko)
    assert not any("가" <= letter <= "힣" for letter in words.en)
