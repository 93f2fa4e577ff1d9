"""What ``crdtsync token`` says, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill

TEXTS: Final[Mapping[str, Words]] = {
    "no_user": Words(
        en="Say for whom the token is: --user NAME. (Or use new-secret, check or revoke.)",
        ko="누구의 토큰인지 --user NAME 옵션으로 적어 주세요. "
        "(또는 new-secret, check, revoke 명령을 써 주세요.)",
    ),
    "no_spaces": Words(
        en='Say which spaces the token opens: --spaces ward-3,ward-4, or --spaces "*" for all.',
        ko='토큰으로 들어갈 공간을 적어 주세요. 예: --spaces ward-3,ward-4. 모두라면 --spaces "*".',
    ),
    "one_key": Words(
        en="Name one key: --secret-file FILE (HS256) or --private-key FILE (RS256, ES256).",
        ko="키를 하나만 적어 주세요: --secret-file FILE (HS256) 또는 "
        "--private-key FILE (RS256, ES256).",
    ),
    "bad_duration": Words(
        en="{text} is not a duration. Write it like 30m, 8h or 7d; a year is the longest.",
        ko="기간을 읽을 수 없어요: {text}. 30m, 8h, 7d 형식으로 쓰고, 1년까지 돼요.",
    ),
    "secret_exists": Words(
        en="{file} is there already and was left as it is: replacing a secret ends every "
        "sign-in. Name another file.",
        ko="이미 있는 파일이라 그대로 두었어요: {file}. 비밀 키를 바꾸면 모든 로그인이 "
        "끝나니 다른 파일 이름을 적어 주세요.",
    ),
    "secret_written": Words(
        en="Wrote a new secret to {file}. Only you can read it. Start the server with "
        "--jwt-secret-file {file}",
        ko="새 비밀 키를 저장했어요: {file}. 이 파일은 본인만 읽을 수 있어요. "
        "서버 시작 옵션: --jwt-secret-file {file}",
    ),
    "not_a_token": Words(
        en="This is not a token: it has no parts that can be read.",
        ko="토큰이 아니에요. 읽을 수 있는 내용이 없어요.",
    ),
    "holder": Words(en="User", ko="사용자"),
    "roles": Words(en="Roles", ko="역할"),
    "spaces": Words(en="Spaces", ko="공간"),
    "every_space": Words(en="every one", ko="모든 공간"),
    "nothing": Words(en="none", ko="없음"),
    "issued": Words(en="Issued", ko="발급"),
    "ends": Words(en="Ends", ko="만료"),
    "never_said": Words(en="not said", ko="적혀 있지 않음"),
    "token_number": Words(en="Token id (jti)", ko="토큰 번호 (jti)"),
    "issuer": Words(en="Issuer (iss)", ko="발급자 (iss)"),
    "audience": Words(en="Audience (aud)", ko="대상 (aud)"),
    "algorithm": Words(en="Signed with", ko="서명 방식"),
    "good": Words(en="The token is good.", ko="쓸 수 있는 토큰이에요."),
    "bad": Words(en="The token is not good: {reason}", ko="쓸 수 없는 토큰이에요. 이유: {reason}"),
    "unchecked": Words(
        en="Whether it is good was not checked: name the key with --secret-file or --public-key.",
        ko="쓸 수 있는지 확인하지 않았어요. --secret-file 또는 --public-key 옵션으로 키를 "
        "적어 주세요.",
    ),
    "one_thing": Words(
        en="Say what to take back: a token (or its jti), or --user NAME.",
        ko="무엇을 취소할지 적어 주세요: 토큰(또는 jti)이나 --user NAME.",
    ),
    "before_of_user": Words(
        en="--before goes with --user: it says which of that user's tokens end.",
        ko="--before 옵션은 --user 옵션과 함께 써요. 그 사용자의 어떤 토큰을 끝낼지 정해요.",
    ),
    "no_token_number": Words(
        en="This token has no id (jti), so it cannot be taken back alone. "
        "Take back those of its user: --user {user} --before now",
        ko="번호(jti)가 없는 토큰이라 따로 취소할 수 없어요. 사용자의 토큰을 취소해 주세요: "
        "--user {user} --before now",
    ),
    "revoked": Words(
        en="Added to {file}: {line}. A server that watches this file obeys within seconds.",
        ko="추가했어요: {line} (파일: {file}). 이 파일을 보는 서버에는 몇 초 안에 적용돼요.",
    ),
    # Why a token is not good, by code of tokens.BadToken.
    "token_malformed": Words(
        en="it cannot be read, or demands what this version does not know",
        ko="읽을 수 없거나, 이 버전에서 모르는 기능이 필요한 토큰이에요",
    ),
    "token_algorithm": Words(
        en="it is signed in another way than this key",
        ko="이 키와 다른 방식으로 서명했어요",
    ),
    "token_signature": Words(
        en="it was not signed with this key", ko="이 키로 서명한 토큰이 아니에요"
    ),
    "token_claims": Words(
        en="a claim is missing or has the wrong form",
        ko="빠졌거나 형식이 잘못된 항목이 있어요",
    ),
    "token_expired": Words(en="it has expired", ko="기한이 지났어요"),
    "token_not_yet": Words(
        en="it is not valid yet, or a clock is wrong",
        ko="아직 쓸 수 있는 시간이 아니거나, 시계가 맞지 않아요",
    ),
    "token_issuer": Words(en="it was issued by someone else", ko="다른 곳에서 발급한 토큰이에요"),
    "token_audience": Words(
        en="it was made for another service", ko="다른 서비스를 위한 토큰이에요"
    ),
    "token_revoked": Words(en="it was taken back", ko="취소된 토큰이에요"),
}


def tell(key: str, lang: str, **params: object) -> str:
    """The text ``key`` in ``lang``."""
    return fill(TEXTS[key].in_lang(lang), params)
