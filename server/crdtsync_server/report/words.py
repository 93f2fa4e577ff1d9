"""What the report says, in English and Korean, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue.wording import Words, fill
from crdtsync_server.report.words_of_measures import MEASURES
from crdtsync_server.report.words_of_page import PAGE

OWN: Final[Mapping[str, Words]] = {
    "window_minutes": Words(en="the last {n} {n:minute|minutes}", ko="최근 {n}분"),
    "window_hours": Words(en="the last {n} {n:hour|hours}", ko="최근 {n}시간"),
    "window_days": Words(en="the last {n} {n:day|days}", ko="최근 {n}일"),
    "window_weeks": Words(en="the last {n} {n:week|weeks}", ko="최근 {n}주"),
    "window_one_m": Words(en="the last minute", ko="최근 1분"),
    "window_one_h": Words(en="the last hour", ko="최근 1시간"),
    "window_one_d": Words(en="the last day", ko="최근 하루"),
    "window_one_w": Words(en="the last week", ko="최근 1주"),
    "second": Words(en="{n} s", ko="{n}초"),
    "millisecond": Words(en="{n} ms", ko="{n}밀리초"),
    "minute": Words(en="{n} min", ko="{n}분"),
    "hour": Words(en="{n} h", ko="{n}시간"),
    "day": Words(en="{n} {n:day|days}", ko="{n}일"),
    # Attempts.
    "not_recorded": Words(
        en="Not recorded here: the server ran with trace = false, or the data is from an older "
        "version.",
        ko="기록이 없어요. 서버에서 추적(trace)을 꺼 두었거나 이전 버전의 데이터예요.",
    ),
    "no_attempts": Words(en="Nothing was sent in this time.", ko="이 기간에 보낸 변경이 없어요."),
    "only_newest": Words(
        en="Measured over the newest {n} requests of this time.",
        ko="이 기간의 최근 요청 {n}건으로 계산했어요.",
    ),
    "partly_recorded": Words(
        en="Of {n:,} more {n:change|changes} of this time nothing is recorded: the server ran with "
        "trace = false, could not write the record, or has trimmed it. A shorter time may be "
        "recorded whole.",
        ko="이 기간의 변경 {n:,}건은 기록이 없어요. 서버에서 추적(trace)을 꺼 두었거나, 기록하지 "
        "못했거나, 오래되어 지워졌어요. 더 짧은 기간으로 확인해 보세요.",
    ),
    "switched_off": Words(
        en="The record is switched off now (trace = false): what failed since then is not known.",
        ko="지금은 추적(trace)을 꺼 두었어요. 그 뒤의 실패는 알 수 없어요.",
    ),
    "ended_cut": Words(
        en="the connection was lost before the answer came",
        ko="답을 받기 전에 연결이 끊겼어요",
    ),
    "ended_no_answer": Words(en="no answer came", ko="답이 오지 않았어요"),
    "ended_stopped": Words(
        en="the app on the device was closed before the answer came",
        ko="답을 받기 전에 기기의 앱이 종료됐어요",
    ),
    "ended_other": Words(
        en="for a reason that this version does not know", ko="이 버전에서 모르는 이유예요"
    ),
    "ended_unlisted": Words(
        en="earlier attempts that the device counted and no longer tells one by one",
        ko="기기에서 횟수만 세고 하나씩 알리지 않은 이전 시도예요",
    ),
    # Devices.
    "devices_none": Words(en="No device has connected yet.", ko="연결한 기기가 아직 없어요."),
    "devices_fine": Words(
        en="{n} {n:device|devices}: nothing waits on any of them; {fine} {fine:is|are} fully in "
        "step.",
        ko="기기 {n}대에 기다리는 변경이 없어요. 서버와 완전히 같은 기기는 {fine}대예요.",
    ),
    "devices_waiting": Words(
        en="{ops} {ops:change waits|changes wait} on {waiting} of {n} devices.",
        ko="기기 {n}대 중 {waiting}대에서 변경 {ops}건이 기다리고 있어요.",
    ),
    "device_needs_person": Words(
        en="{n} {n:change waits|changes wait} for a person; last heard of {ago} ago.",
        ko="변경 {n}건을 사람이 확인해야 해요. 마지막 소식: {ago} 전",
    ),
    "device_waiting": Words(
        en="{n} {n:change waits|changes wait}; last heard of {ago} ago.",
        ko="변경 {n}건이 기다려요. 마지막 소식: {ago} 전",
    ),
    "device_behind": Words(
        en="Nothing waits; {behind} newer {behind:change has|changes have} not been reported as "
        "received.",
        ko="기다리는 변경이 없어요. 아직 받았다고 알리지 않은 새 변경 {behind}건",
    ),
    "device_away": Words(
        en="Nothing waits; not heard of for {ago}.",
        ko="기다리는 변경이 없어요. {ago} 동안 소식 없음",
    ),
    "device_in_step": Words(en="In step.", ko="서버와 같아요."),
    "clock_right": Words(en="right to within a minute", ko="1분 안에서 맞아요"),
    "clock_ahead": Words(en="{off} ahead", ko="{off} 빨라요"),
    "clock_behind": Words(en="{off} behind", ko="{off} 느려요"),
    # Connections.
    "close_normal": Words(en="the device was done", ko="기기에서 마쳤어요"),
    "close_too_big": Words(en="a message was too large", ko="메시지가 너무 컸어요"),
    "close_service_restart": Words(en="the server restarted", ko="서버가 다시 시작했어요"),
    "close_refused": Words(en="the connection was refused", ko="연결을 받지 않았어요"),
    "close_protocol_error": Words(
        en="the device broke the protocol", ko="기기가 통신 규칙에 맞지 않게 보냈어요"
    ),
    "close_signed_out": Words(en="the sign-in had ended", ko="로그인이 끝났어요"),
    "close_silent": Words(en="nothing was heard any more", ko="더는 소식이 없었어요"),
    "close_too_slow": Words(en="the device read too slowly", ko="기기가 너무 느리게 받았어요"),
    "close_replaced": Words(en="the same device connected again", ko="같은 기기가 다시 연결했어요"),
    "close_server_fault": Words(en="a fault of the server", ko="서버에 문제가 있었어요"),
    "close_away": Words(en="the page or app was left", ko="앱이나 페이지를 닫았어요"),
    "close_without_word": Words(
        en="the connection was closed without a word", ko="아무 말 없이 연결을 닫았어요"
    ),
    "close_cut": Words(en="the network was cut", ko="네트워크가 끊겼어요"),
    "close_unknown": Words(en="code {code}", ko="코드 {code}"),
    # Conflicts.
    "conflicts_none": Words(en="No conflict is open.", ko="열린 충돌이 없어요."),
    "conflicts_open": Words(
        en="{n} {n:conflict is|conflicts are} open, the oldest for {age}.",
        ko="열린 충돌 {n}건, 가장 오래된 것은 {age} 지났어요.",
    ),
    # Storage.
    "rows_log": Words(en="changes in the log", ko="서버 기록의 변경"),
    "rows_records": Words(en="records", ko="기록"),
    "rows_spaces": Words(en="spaces", ko="공간"),
    "storage_used": Words(en="{used} used, {free} free.", ko="{used} 사용, {free} 남음"),
    "storage_not_shown": Words(
        en="Files and free space are shown to those whose sign-in opens every space.",
        ko="파일과 남은 용량은 모든 공간에 들어갈 수 있는 사용자에게만 보여요.",
    ),
    "storage_memory": Words(en="The data is in memory only.", ko="데이터가 메모리에만 있어요."),
    # Acceptance.
    "acceptance_none": Words(
        en="No acceptance run was shown: `crdtsync acceptance --json FILE` makes one.",
        ko="인수 시험 결과가 없어요. `crdtsync acceptance --json FILE` 명령으로 만들 수 있어요.",
    ),
    "acceptance_unreadable": Words(
        en="The result of the acceptance run cannot be read ({why}).",
        ko="인수 시험 결과를 읽을 수 없어요 ({why}).",
    ),
    "acceptance_quick": Words(
        en="It was a quick run with fewer changes; decide on a full one.",
        ko="변경 수를 줄인 빠른 실행이에요. 진행 여부는 전체 실행 결과를 보고 정해 주세요.",
    ),
    "acceptance_other_version": Words(
        en="It ran on version {ran}; this server is version {now}.",
        ko="버전 {ran}에서 실행한 결과예요. 지금 서버 버전: {now}",
    ),
    "acceptance_old": Words(en="It is {age} old.", ko="{age} 지난 결과예요."),
    "acceptance_passed": Words(en="passed", ko="통과"),
    "acceptance_failed": Words(en="FAILED", ko="실패"),
    "acceptance_not_run": Words(en="not run", ko="실행 안 함"),
}

MOST_DIGITS = 4
"""Of a percentage; one failure in a million attempts is told apart from none."""

TEXTS: Final[Mapping[str, Words]] = {**OWN, **MEASURES, **PAGE}


def say(key: str, lang: str, **params: object) -> str:
    """The text of this key, filled in. Raises KeyError for an unknown key."""
    return fill(TEXTS[key].in_lang(lang), params)


def number_words(number: float) -> str:
    """A whole number, in groups of three digits."""
    return f"{round(number):,}"


def share_words(share: float) -> str:
    """A share as per cent, with as many digits as tell it from 0 and from 100."""
    percent = share * 100
    digits = 1 if 1 <= percent <= 99 else 2
    while digits < MOST_DIGITS and round(percent, digits) in (0, 100) and share not in (0, 1):
        digits += 1
    if round(percent, digits) == 0 and share:
        return f"< {10**-MOST_DIGITS:.{MOST_DIGITS}f} %"
    if round(percent, digits) == 100 and share != 1:
        return f"> {100 - 10**-MOST_DIGITS:.{MOST_DIGITS}f} %"
    return f"{f'{percent:.{digits}f}'.rstrip('0').rstrip('.')} %"


def duration_words(seconds: float, lang: str) -> str:
    """A length of time with two or three digits: ``80 ms``, ``1.2 s``, ``3 min``."""
    if 0 < seconds < 0.9995:
        return say("millisecond", lang, n=_short(seconds * 1_000))
    if seconds < 120:
        return say("second", lang, n=_short(seconds))
    return age_words(seconds, lang)


def age_words(seconds: float, lang: str) -> str:
    """A length of time in its largest fitting unit: ``45 s``, ``5 min``, ``3 h``, ``2 days``."""
    for unit, length_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length_s:
            amount = seconds / length_s
            return say(unit, lang, n=_short(amount) if amount < 10 else str(round(amount)))
    return say("second", lang, n=str(round(seconds)))


def size_words(size_bytes: float) -> str:
    """Bytes in units of 1,000: ``18 MB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{_short(size_bytes / size)} {unit}"
    return f"{round(size_bytes)} B"


def _short(number: float) -> str:
    text = f"{number:.1f}" if number < 100 else str(round(number))
    return text.removesuffix(".0")
