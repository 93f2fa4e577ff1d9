"""Why the server refused a change, and why a value left: words for every code.

A reason stands inside of a sentence ("The server didn't accept "Phone": …. Edit it"),
so it starts in lower case and ends without a full stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .vocabulary import merge_name, type_words
from .wording import Words, fill, first_that_fits, lang_of

# Per code the most telling words first; the first whose parameters are all known is
# used. The last one needs none, because a refusal from afar may come without them.
VALUE_REASONS: Final[Mapping[str, tuple[Words, ...]]] = {
    "wrong_type": (
        Words(en="it takes a value of this kind: {expected}", ko="필요한 값의 종류: {expected}"),
        Words(en="the value is of the wrong type", ko="값의 종류가 맞지 않아요"),
    ),
    "bad_format": (
        Words(
            en="it takes a value of this kind: {expected}, written like {example}",
            ko="필요한 값의 종류: {expected} (예: {example})",
        ),
        Words(en="the value is not written in the right form", ko="값의 형식이 맞지 않아요"),
    ),
    "too_long": (
        Words(
            en="it is longer than {limit} {limit:character|characters}",
            ko="{limit}자까지 쓸 수 있어요",
        ),
        Words(en="it is too long", ko="글이 너무 길어요"),
    ),
    "too_large": (
        Words(en="it is larger than {limit} bytes", ko="크기가 {limit}바이트보다 커요"),
        Words(en="it is too large", ko="크기가 너무 커요"),
    ),
    "too_many_elements": (
        Words(
            en="it has more than {limit} {limit:element|elements}",
            ko="항목은 {limit}개까지 넣을 수 있어요",
        ),
        Words(en="it has too many elements", ko="항목 수가 너무 많아요"),
    ),
    "too_many_digits": (
        Words(
            en="the number has more than {limit} {limit:digit|digits}",
            ko="숫자는 {limit}자리까지 쓸 수 있어요",
        ),
        Words(en="the number has too many digits", ko="숫자의 자릿수가 너무 많아요"),
    ),
    "too_deep": (
        Words(
            en="it is nested deeper than {limit} {limit:level|levels}",
            ko="{limit}단계까지만 겹쳐 쓸 수 있어요",
        ),
        Words(en="it is nested too deeply", ko="너무 깊게 겹쳐 있어요"),
    ),
    "out_of_range": (
        Words(en="it is below {min}", ko="{min} 이상이어야 해요"),
        Words(en="it is above {max}", ko="{max} 이하여야 해요"),
        Words(en="it is out of range", ko="허용 범위를 벗어났어요"),
    ),
    "not_in_choices": (
        Words(en="it is not one of: {choices}", ko="고를 수 있는 값: {choices}"),
        Words(en="it is not one of the choices", ko="고를 수 있는 값이 아니에요"),
    ),
    "pattern": (Words(en="it is not in the expected form", ko="정해진 형식과 달라요"),),
    "required": (Words(en="it cannot be left empty", ko="비워 둘 수 없는 항목이에요"),),
    "not_clearable": (Words(en="it cannot be cleared", ko="값을 지울 수 없는 항목이에요"),),
    "unsafe_integer": (
        Words(
            en="the number is too large to be kept exactly",
            ko="숫자가 너무 커서 정확히 저장할 수 없어요",
        ),
    ),
    "not_finite": (Words(en="it is not a finite number", ko="유한한 숫자가 아니에요"),),
    "bad_text": (
        Words(
            en="the text has characters that cannot be stored",
            ko="저장할 수 없는 문자가 들어 있어요",
        ),
    ),
    "naive_datetime": (Words(en="the time zone is missing", ko="시간대가 빠져 있어요"),),
    "duplicate_key": (Words(en="a name stands in it twice", ko="같은 이름이 두 번 들어 있어요"),),
    "not_json": (
        Words(
            en="the app sent it in a form the server cannot read",
            ko="앱에서 보낸 형식을 서버에서 읽을 수 없어요",
        ),
    ),
    "not_canonical": (
        Words(
            en="the app sent it in a form the server does not take",
            ko="앱에서 보낸 형식을 서버에서 받지 않아요",
        ),
    ),
    "wrong_shape": (
        Words(
            en="it merges by the rule {merge}, which does not allow this kind of change",
            ko="병합 규칙 때문에 이런 변경은 할 수 없어요 (규칙: {merge})",
        ),
        Words(
            en="this kind of change is not possible here", ko="이 항목에는 할 수 없는 변경이에요"
        ),
    ),
}

REFUSAL_REASONS: Final[Mapping[str, tuple[Words, ...]]] = {
    "unknown_collection": (
        Words(
            en="the server does not know this kind of record",
            ko="서버에서 모르는 종류의 기록이에요",
        ),
    ),
    "unknown_field": (
        Words(en="the server does not know this field", ko="서버에서 모르는 항목이에요"),
    ),
    "not_permitted": (Words(en="your role may not change it", ko="지금 역할로는 바꿀 수 없어요"),),
    "op_id_reused": (
        Words(
            en="another change was already sent under the same number",
            ko="같은 번호로 다른 변경을 이미 보냈어요",
        ),
    ),
    "id_collision": (
        Words(
            en="its number is already taken, and it has to be written anew",
            ko="번호가 이미 쓰이고 있어서 다시 써야 해요",
        ),
    ),
    "too_many_candidates": (
        Words(
            en="{limit} different values already wait for a decision",
            ko="서로 다른 값 {limit}개가 이미 결정을 기다리고 있어요",
        ),
        Words(
            en="too many different values already wait for a decision",
            ko="결정을 기다리는 값이 이미 너무 많아요",
        ),
    ),
    "bad_supersedes": (
        Words(
            en="it replaces a value that is not part of this field",
            ko="이 항목에 없는 값을 바꾸려고 해요",
        ),
    ),
    "policy_mismatch": (
        Words(
            en="the rules on this device differ from those on the server",
            ko="이 기기의 규칙과 서버의 규칙이 달라요",
        ),
    ),
    "policy_ahead": (
        Words(
            en="this device has newer rules than the server",
            ko="이 기기의 규칙이 서버보다 새로워요",
        ),
    ),
    "unauthorized": (
        Words(en="your sign-in is not valid here", ko="로그인 정보를 확인할 수 없어요"),
    ),
    "no_access": (
        Words(
            en="your sign-in does not open this space",
            ko="이 로그인으로는 이 공간에 들어갈 수 없어요",
        ),
    ),
    "too_many_connections": (
        Words(
            en="too many devices are connected right now",
            ko="지금 연결된 기기가 너무 많아요",
        ),
    ),
    "rate_limited": (
        Words(
            en="too many changes came in a short time; the rest follows by itself",
            ko="짧은 시간에 변경이 너무 많이 와서, 나머지는 잠시 뒤에 저절로 보내요",
        ),
    ),
    "space_full": (
        Words(
            en="this space holds as many records as it may; ask whoever runs the server",
            ko="이 공간의 기록 수가 한도에 닿았으니 서버 운영자에게 문의해 주세요",
        ),
    ),
    "too_many_unseen": (
        Words(
            en="it replaces values that the server has never received, and too many such "
            "are waiting already",
            ko="서버에 아직 오지 않은 값을 바꾸는 변경이 너무 많아요",
        ),
    ),
    "protocol_version": (
        Words(
            en="this app and the server do not speak the same version; update the app",
            ko="앱과 서버의 버전이 맞지 않으니 앱을 업데이트해 주세요",
        ),
    ),
    "held": (
        Words(
            en="an earlier change of this record has to be sent first",
            ko="이 기록의 앞선 변경을 먼저 보내야 해요",
        ),
    ),
    "server_error": (Words(en="the server had a problem of its own", ko="서버에 문제가 생겼어요"),),
    "overloaded": (Words(en="the server is busy", ko="서버가 지금 바빠요"),),
    "restarting": (Words(en="the server is restarting", ko="서버가 다시 시작하는 중이에요"),),
    "disk_full": (Words(en="the server has no space left", ko="서버의 저장 공간이 부족해요"),),
    "disk_fault": (
        Words(en="the server cannot save right now", ko="서버에서 지금 저장할 수 없어요"),
    ),
    "server_fault": (Words(en="the server had a problem of its own", ko="서버에 문제가 생겼어요"),),
    "bad_hello": (
        Words(
            en="this app introduced itself in a way that the server does not accept",
            ko="앱이 보낸 연결 정보가 올바르지 않아요",
        ),
    ),
    "replica_copied": (
        Words(
            en="this device's data was copied or restored; it goes on as a new device",
            ko="복사하거나 되돌린 데이터라서 새 기기로 이어서 동기화해요",
        ),
    ),
    "sign_in_unavailable": (
        Words(en="sign-in cannot be checked right now", ko="지금은 로그인을 확인할 수 없어요"),
    ),
    "not_the_author": (
        Words(
            en="it was written by someone else and needs their sign-in",
            ko="다른 사람이 쓴 변경이라 그 사람이 로그인해야 보낼 수 있어요",
        ),
    ),
    "bad_record_id": (Words(en="the record's id is not valid", ko="기록 번호가 올바르지 않아요"),),
    "bad_op": (
        Words(
            en="the app sent a change that the server cannot read",
            ko="앱에서 보낸 변경을 서버에서 읽을 수 없어요",
        ),
    ),
    "bad_delete": (
        Words(
            en="the deletion does not say what the person had seen",
            ko="삭제할 때 본 내용이 함께 오지 않았어요",
        ),
    ),
}

DEPARTURE_REASONS: Final[Mapping[str, tuple[Words, ...]]] = {
    "superseded": (
        Words(en="{name} saw it and replaced it", ko="{name} 님이 이 값을 보고 새 값으로 바꿨어요"),
        Words(
            en="someone saw it and replaced it", ko="다른 사람이 이 값을 보고 새 값으로 바꿨어요"
        ),
    ),
    "lost_received": (
        Words(
            en="another value reached the server later", ko="다른 값이 서버에 더 나중에 도착했어요"
        ),
    ),
    "lost_user_time": (
        Words(en="another value was written later", ko="다른 값이 더 나중에 쓰였어요"),
    ),
    "late": (
        Words(
            en="the value that replaces it had already arrived",
            ko="이 값을 바꾼 새 값이 먼저 도착해 있었어요",
        ),
    ),
    "revived": (
        Words(
            en="the record was edited elsewhere, so the deletion does not hold",
            ko="다른 곳에서 수정한 기록이라 삭제되지 않았어요",
        ),
    ),
}

REASONS: Final[Mapping[str, tuple[Words, ...]]] = {
    **VALUE_REASONS,
    **REFUSAL_REASONS,
    **DEPARTURE_REASONS,
}
REASON_CODES = frozenset(REASONS)

_UNKNOWN = Words(
    en='the server gave a reason that this app does not know ("{code}")',
    ko="이 앱에서 모르는 이유예요 ({code})",
)


def reason_told(code: str | None, words: str, lang: str = "en") -> str:
    """Why the server ended something: it sent a code, and words of its own in English.

    The words are the more exact ones; for a reader of another language the code speaks,
    as far as it is known here.
    """
    if code in REASON_CODES and (not words or lang_of(lang) != "en"):
        return reason(str(code), lang)
    return words


def reason(code: str, lang: str = "en", **params: object) -> str:
    """Words for `code` in `lang`, to stand inside of a sentence.

    `params` are those of the error or refusal; fewer give plainer words. A code of a
    newer server is shown as it is, so this never raises.
    """
    words = first_that_fits(REASONS.get(code, ()), params)
    if words is None:
        return fill(_UNKNOWN.in_lang(lang), {"code": code})
    spoken = dict(params)
    if "expected" in params:
        spoken["expected"] = type_words(str(params["expected"]), lang)
    if "merge" in params:
        spoken["merge"] = merge_name(str(params["merge"]), lang)
    return fill(words.in_lang(lang), spoken)
