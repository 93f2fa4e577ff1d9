"""Reasons of refusals that only thin clients meet, for people: they stand inside of a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue import Lang, reason
from crdtsync.catalogue.wording import Words

_REASONS: Final[Mapping[str, Words]] = {
    "conflict": Words(
        en="it has several values, and a person has to choose",
        ko="서로 다른 값이 있어서 사람이 골라야 해요",
    ),
    "stale_version": Words(
        en="someone changed it since you opened it", ko="연 뒤에 다른 사람이 바꿨어요"
    ),
    "record_exists": Words(
        en="there is a record under this id already", ko="같은 번호의 기록이 이미 있어요"
    ),
    "record_deleted": Words(
        en="the record is deleted and has to be brought back first",
        ko="삭제한 기록이라서 먼저 되돌려야 해요",
    ),
    "not_deleted": Words(en="the record is not deleted", ko="삭제한 기록이 아니에요"),
    "unknown_record": Words(en="there is no such record", ko="그런 기록이 없어요"),
    "field_twice": Words(en="it is named twice", ko="같은 항목을 두 번 적었어요"),
    "bad_value": Words(en="the value does not fit the field", ko="항목에 맞지 않는 값이에요"),
    "nothing_to_write": Words(en="nothing was to be written", ko="쓸 내용이 없어요"),
    "bad_version": Words(
        en="it does not say which version was read", ko="어떤 판을 읽었는지 알 수 없어요"
    ),
    "left": Words(en="another value took its place", ko="다른 값으로 바뀌었어요"),
    "partly": Words(
        en="some of the elements were taken out later", ko="일부 항목은 나중에 빠졌어요"
    ),
    "stands": Words(en="it stands", ko="지금도 남아 있어요"),
}


def words_of(code: str, lang: Lang, **params: object) -> str:
    """The reason behind a code, in words."""
    own = _REASONS.get(code)
    return reason(code, lang, **params) if own is None else own.in_lang(lang)
