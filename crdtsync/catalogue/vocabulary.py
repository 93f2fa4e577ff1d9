"""Types, merge kinds and limits of the policy in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.policy import FieldPolicy, MergeKind, ValueType
from crdtsync.policy.value_types import BadType

from .wording import Words, fill

TYPES: Final[Mapping[str, Words]] = {
    "string": Words(en="text", ko="글"),
    "integer": Words(en="whole number", ko="정수"),
    "number": Words(en="number", ko="숫자"),
    "boolean": Words(en="yes or no", ko="예/아니요"),
    "date": Words(en="date", ko="날짜"),
    "datetime": Words(en="date and time", ko="날짜와 시각"),
    "decimal": Words(en="exact decimal number", ko="소수(정확한 값)"),
    "json": Words(en="structured value", ko="구조가 있는 값"),
    "list": Words(en="list, in order ({item})", ko="순서 있는 목록({item})"),
    "set": Words(en="list without order ({item})", ko="순서 없는 목록({item})"),
    "map": Words(en="named values ({item})", ko="이름 붙은 값 모음({item})"),
}

MERGE_NAMES: Final[Mapping[MergeKind, Words]] = {
    MergeKind.SERVER_LATEST: Words(en="last to reach the server", ko="서버에 늦게 도착한 값"),
    MergeKind.USER_LATEST: Words(en="last to be written", ko="나중에 쓴 값"),
    MergeKind.MANUAL: Words(en="a person decides", ko="사람이 결정"),
    MergeKind.COUNTER: Words(en="sum of changes", ko="변경의 합계"),
    MergeKind.SET: Words(en="all added elements", ko="추가한 항목 모두"),
}

MERGE_RULES: Final[Mapping[MergeKind, Words]] = {
    MergeKind.SERVER_LATEST: Words(
        en="If two people change it, the change that reaches the server last wins. "
        "The other value stays in the history and can be restored.",
        ko="두 사람이 바꾸면 서버에 더 늦게 도착한 값이 남아요. "
        "다른 값은 이력에 남아 있어서 되돌릴 수 있어요.",
    ),
    MergeKind.USER_LATEST: Words(
        en="If two people change it without having seen each other's value, the one written "
        "last wins; a clock that runs ahead gains only a bounded advantage. "
        "The other value stays in the history and can be restored.",
        ko="서로의 값을 보지 못하고 두 사람이 바꾸면 더 나중에 쓴 값이 남아요. "
        "기기 시계가 앞서 있어도 정해진 범위까지만 인정해요. "
        "다른 값은 이력에 남아 있어서 되돌릴 수 있어요.",
    ),
    MergeKind.MANUAL: Words(
        en="If two people write different values, all of them are kept and shown until a "
        "person chooses.",
        ko="두 사람이 서로 다른 값을 쓰면 모두 남겨서 보여 주고, 사람이 골라서 정해요.",
    ),
    MergeKind.COUNTER: Words(
        en="Every change is added up; none is lost.",
        ko="모든 변경을 더해요. 빠지는 변경은 없어요.",
    ),
    MergeKind.SET: Words(
        en="What anyone adds is kept. A removal takes away only what the person saw.",
        ko="누가 추가하든 모두 남아요. 삭제하면 그 사람이 본 항목만 빠져요.",
    ),
}

DELETE_RULES: Final[Mapping[str, Words]] = {
    "keep": Words(
        en="If someone deletes a record while another person edits it, the record is kept "
        "and people are told.",
        ko="한 사람이 삭제하는 동안 다른 사람이 수정하면 기록을 남기고 알려 줘요.",
    ),
    "delete": Words(
        en="If someone deletes a record while another person edits it, the record is deleted.",
        ko="한 사람이 삭제하는 동안 다른 사람이 수정해도 기록을 삭제해요.",
    ),
}

_REQUIRED = Words(en="required", ko="필수")
_MAX_LENGTH = Words(en="up to {n} {n:character|characters}", ko="최대 {n}자")
_MIN = Words(en="at least {n}", ko="{n} 이상")
_MAX = Words(en="at most {n}", ko="{n} 이하")
_PATTERN = Words(en="form {n}", ko="형식 {n}")
_CHOICES = Words(en="one of: {n}", ko="다음 중 하나: {n}")
_EACH = Words(en="each value: {n}", ko="각 값: {n}")
_NO_LIMITS = Words(en="none", ko="없음")
_EVERYONE = Words(en="everyone", ko="모두")
_NOBODY = Words(en="nobody", ko="아무도 없음")


def type_words(spelling: str, lang: str) -> str:
    """A type of the policy in words; an unknown spelling comes back as it is."""
    try:
        return _words_of(ValueType.parse(spelling), lang)
    except BadType:
        return spelling


def _words_of(value_type: ValueType, lang: str) -> str:
    words = TYPES[value_type.kind].in_lang(lang)
    if value_type.item is None:
        return words
    return fill(words, {"item": _words_of(value_type.item, lang)})


def merge_name(spelling: str, lang: str) -> str:
    """A merge kind in two or three words; an unknown spelling comes back as it is."""
    try:
        return MERGE_NAMES[MergeKind(spelling)].in_lang(lang)
    except ValueError:
        return spelling


def roles_words(roles: frozenset[str] | None, lang: str) -> str:
    """Who may do something; None stands for every role."""
    if roles is None:
        return _EVERYONE.in_lang(lang)
    return ", ".join(sorted(roles)) or _NOBODY.in_lang(lang)


def limits_words(field: FieldPolicy, lang: str) -> str:
    """All limits of a field in one line."""
    choices = None if field.choices is None else ", ".join(str(item) for item in field.choices)
    limits = [
        fill(words.in_lang(lang), {"n": value})
        for words, value in (
            (_MAX_LENGTH, field.max_length),
            (_MIN, field.min),
            (_MAX, field.max),
            (_PATTERN, field.pattern),
            (_CHOICES, choices),
        )
        if value is not None
    ]
    text = "; ".join(limits)
    if text and field.type.item is not None:
        text = fill(_EACH.in_lang(lang), {"n": text})
    if field.required:
        text = "; ".join(part for part in (_REQUIRED.in_lang(lang), text) if part)
    return text or _NO_LIMITS.in_lang(lang)
