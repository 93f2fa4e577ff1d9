"""What people are told about the state of their changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .wording import CatalogueError, Words, fill, placeholders

MESSAGES: Final[Mapping[str, Words]] = {
    # How the device stands with the server.
    "saved_offline": Words(
        en="Saved on this device. {n} {n:change|changes} waiting to send.",
        ko="이 기기에 저장했어요. 전송 대기 {n}건",
    ),
    "offline": Words(
        en="You're offline. You can keep working; changes are saved on this device.",
        ko="오프라인이에요. 계속 쓸 수 있고, 변경 내용은 이 기기에 저장해요.",
    ),
    "connecting": Words(en="Connecting to the server…", ko="서버에 연결하는 중…"),
    "syncing": Words(en="Sending {n} {n:change|changes}…", ko="{n}건 보내는 중…"),
    "receiving": Words(
        en="Getting records: {done} of {total}", ko="기록을 받는 중: 전체 {total}건 중 {done}건"
    ),
    "synced": Words(
        en="All changes saved to the server. {time}", ko="서버에 모두 저장했어요. {time}"
    ),
    "failed_retrying": Words(
        en="Couldn't send. Your changes are safe on this device. Trying again in {n} s.",
        ko="보내지 못했어요. 변경 내용은 이 기기에 있어요. {n}초 뒤 다시 시도해요.",
    ),
    "failed_needs_person": Words(
        en="{n} {n:change wasn't|changes weren't} sent. Check {n:it|them}, then send again.",
        ko="{n}건을 보내지 못했어요. 확인한 뒤 다시 보내 주세요.",
    ),
    "signed_out": Words(
        en="You're signed out. {n} {n:change is|changes are} still on this device. "
        "Sign in to send {n:it|them}.",
        ko="로그아웃됐어요. 변경 {n}건은 이 기기에 남아 있어요. 로그인하면 보낼 수 있어요.",
    ),
    "others_wait": Words(
        en="{n} {n:change|changes} by {names} {n:waits|wait} on this device. "
        "Sign in as {names} to send {n:it|them}.",
        ko="{names} 님이 쓴 변경 {n}건이 이 기기에 남아 있어요. "
        "그 사용자로 로그인하면 보낼 수 있어요.",
    ),
    "clock_wrong": Words(
        en="This device's clock is off by {n} min. Check date and time; the server's time "
        "decides the order.",
        ko="이 기기 시계가 {n}분 어긋나 있어요. 날짜와 시간을 확인해 주세요. "
        "순서는 서버 시각을 따라요.",
    ),
    "storage_full": Words(
        en="This device is out of space. New changes can't be saved. Free up space, then try "
        "again.",
        ko="저장 공간이 부족해요. 새 변경을 저장할 수 없어요. 공간을 비운 뒤 다시 시도해 주세요.",
    ),
    "policy_updated": Words(
        en="The rules for these records changed (version {version}). Your changes are kept.",
        ko="기록의 규칙이 바뀌었어요(버전 {version}). 변경 내용은 그대로 있어요.",
    ),
    # What became of a value.
    "conflict": Words(
        en='Two different values for "{field}". Choose which is correct.',
        ko="'{field}' 항목에 서로 다른 값이 있어요. 맞는 값을 골라 주세요.",
    ),
    "another_value_arrived": Words(
        en='Another value for "{field}" arrived while you were choosing. Look at all values again.',
        ko="고르는 동안 '{field}' 항목에 다른 값이 도착했어요. 모든 값을 다시 확인해 주세요.",
    ),
    "resolved_by_other": Words(
        en='{name} chose "{value}" at {time}. View history',
        ko="{name} 님이 {time}에 '{value}' 값으로 정했어요. 이력 보기",
    ),
    "superseded": Words(
        en='{name}\'s newer value replaced yours in "{field}". View or restore',
        ko="'{field}' 항목은 {name} 님이 나중에 쓴 값으로 바뀌었어요. 이력 보기 · 되돌리기",
    ),
    "brought_back": Words(
        en="This record was deleted elsewhere while you edited it. It was kept.",
        ko="다른 곳에서 삭제한 기록이지만 수정 내용이 있어서 남겨 두었어요.",
    ),
    "refused": Words(
        en='The server didn\'t accept "{field}": {reason}. Edit it or discard your change.',
        ko="서버에서 '{field}' 항목을 받지 않았어요. 이유: {reason}. "
        "고치거나 변경을 취소해 주세요.",
    ),
    "cancelling": Words(
        en="Checking whether the server already has this change…",
        ko="서버에서 이 변경을 이미 받았는지 확인하는 중…",
    ),
    # Buttons and headings.
    "retry_button": Words(en="Try again now", ko="지금 다시 보내기"),
    "keep_all": Words(en="Keep all", ko="모두 남기기"),
    "another_value": Words(en="Enter another value", ko="다른 값 입력"),
    "details": Words(en="Details", ko="자세히"),
    # What stopped sync altogether.
    "stopped": Words(en="Sync has stopped: {reason}", ko="동기화가 멈췄어요. 이유: {reason}"),
    # What became of a value in a field's history.
    "history_pending": Words(en="waiting to be sent", ko="전송을 기다리고 있어요"),
    "history_stands": Words(en="stands", ko="지금 값이에요"),
    "history_left": Words(en="is no longer shown", ko="지금은 보이지 않아요"),
    # The four states of a change.
    "state_pending": Words(en="Waiting to send", ko="전송 대기"),
    "state_sending": Words(en="Sending", ko="보내는 중"),
    "state_failed": Words(en="Not sent", ko="보내지 못함"),
    "state_synced": Words(en="Saved to the server", ko="서버에 저장됨"),
}

MESSAGE_KEYS = frozenset(MESSAGES)


def message(key: str, lang: str = "en", **params: object) -> str:
    """The message `key` in `lang` (English for a language that is not here).

    Raises CatalogueError for an unknown key and for a missing parameter: both are
    mistakes in the program, and half a message is worse than none.
    """
    words = MESSAGES.get(key)
    if words is None:
        raise CatalogueError(
            f"There is no message {key!r}. Use one of {', '.join(sorted(MESSAGES))}."
        )
    missing = placeholders(words.en) - params.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise CatalogueError(f"The message {key!r} lacks {names}. Pass {names} by name.")
    return fill(words.in_lang(lang), params)
