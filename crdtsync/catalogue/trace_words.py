"""The way of a change, step by step, in words (`crdtsync trace`, `/v1/trace`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .reasons import reason
from .wording import CatalogueError, Words, fill

STEPS: Final[Mapping[str, Words]] = {
    # On the device.
    "created": Words(
        en="{user} wrote this change. Device: {device}.",
        ko="{user} 님이 이 변경을 썼어요. 기기: {device}",
    ),
    "queued": Words(
        en="It was saved on the device and waited to be sent.",
        ko="기기에 저장했고 전송을 기다렸어요.",
    ),
    "sent": Words(en="The device sent it.", ko="기기에서 보냈어요."),
    "lost": Words(
        en="The device sent it, but it did not arrive: {reason}.",
        ko="기기에서 보냈지만 서버에 도착하지 않았어요. 이유: {reason}",
    ),
    "unheard": Words(
        en="The device sent it and heard no answer: {reason}.",
        ko="기기에서 보냈지만 답을 받지 못했어요. 이유: {reason}",
    ),
    # At the server.
    "received": Words(
        en="It arrived at the server (attempt {n}).", ko="서버에 도착했어요({n}번째 전송)."
    ),
    "refused": Words(
        en="The server did not accept it: {reason}.", ko="서버에서 받지 않았어요. 이유: {reason}"
    ),
    "refused_field": Words(
        en='The server did not accept "{field}": {reason}.',
        ko="서버에서 '{field}' 항목을 받지 않았어요. 이유: {reason}",
    ),
    "held": Words(
        en="The server did not judge it yet: an earlier change of this record has to be "
        "accepted first.",
        ko="이 기록의 앞선 변경을 먼저 받아야 해서 아직 판단하지 않았어요.",
    ),
    "transient": Words(
        en="The server could not take it then: {reason}. The device tries again by itself.",
        ko="서버에서 그때는 받을 수 없었어요. 이유: {reason}. 기기에서 자동으로 다시 보내요.",
    ),
    "duplicate": Words(
        en="It arrived again. The server had it already and repeated its first answer.",
        ko="다시 도착했어요. 서버에 이미 있어서 처음과 같은 답을 보냈어요.",
    ),
    "decided": Words(en="The server accepted it. {outcomes}", ko="서버에서 받았어요. {outcomes}"),
    "committed": Words(
        en="It is saved for good, as number {seq} of {space}.",
        ko="완전히 저장했어요. 위치: {space}, 번호 {seq}",
    ),
    "broadcast": Words(
        en="It was handed out to the connected devices.", ko="연결된 기기로 보냈어요."
    ),
    "delivered": Words(
        en="This device has it: {device} ({user}).", ko="이 기기에서 받았어요: {device} ({user})"
    ),
    # Afterwards.
    "revived": Words(
        en="It brought a deleted record back.", ko="삭제됐던 기록이 이 변경으로 되살아났어요."
    ),
    "left": Words(
        en='Its value left "{field}": {reason}.',
        ko="'{field}' 항목에서 이 값이 빠졌어요. 이유: {reason}",
    ),
    "conflict_opened": Words(
        en='A conflict opened in "{field}". All values are kept until a person chooses.',
        ko="'{field}' 항목에 서로 다른 값이 생겼어요. 사람이 정할 때까지 모두 남겨 둬요.",
    ),
    "conflict_changed": Words(
        en='The values of the conflict in "{field}" changed.',
        ko="'{field}' 항목의 서로 다른 값들이 달라졌어요.",
    ),
    "conflict_resolved": Words(
        en='{user} settled the conflict in "{field}".',
        ko="{user} 님이 '{field}' 항목의 값을 정했어요.",
    ),
    "conflict_agreed": Words(
        en='The values in "{field}" became equal; the conflict is over.',
        ko="'{field}' 항목의 값들이 같아져서 정할 것이 없어졌어요.",
    ),
    "conflict_reopened": Words(
        en='A late change opened the conflict in "{field}" again.',
        ko="늦게 도착한 변경 때문에 '{field}' 항목을 다시 정해야 해요.",
    ),
}

OUTCOMES: Final[Mapping[str, Words]] = {
    "applied": Words(en='"{field}": it stands.', ko="'{field}' 항목: 반영했어요."),
    "superseded": Words(
        en='"{field}": another value stands; this one is kept in the history.',
        ko="'{field}' 항목: 다른 값이 남았고, 이 값은 이력에 있어요.",
    ),
    "conflict": Words(
        en='"{field}": it differs from another value; a person has to choose.',
        ko="'{field}' 항목: 다른 값과 달라서 사람이 정해야 해요.",
    ),
}

ENDINGS: Final[Mapping[str, Words]] = {
    "cut": Words(
        en="the connection ended before the answer came", ko="답을 받기 전에 연결이 끊겼어요"
    ),
    "no_answer": Words(en="the server did not answer in time", ko="서버에서 제때 답이 없었어요"),
    "stopped": Words(
        en="the app on the device ended before the answer came",
        ko="답을 받기 전에 기기의 앱이 끝났어요",
    ),
    "other": Words(en="the device does not say why", ko="기기에서 이유를 알려 주지 않았어요"),
}

NOTES: Final[Mapping[str, Words]] = {
    "by_device_clock": Words(
        en="the device's clock was off by {n} s; corrected here",
        ko="기기 시계가 {n}초 어긋나 있어서 여기서는 바로잡았어요",
    ),
    "record": Words(en="(the whole record)", ko="(기록 전체)"),
    "nothing_found": Words(
        en="Nothing is known of {query} here. It takes the whole number of a change or of a "
        "request, the name of a user, or collection/record. A change that never reached the "
        "server is known on its device only: crdtsync trace --replica FILE {query}",
        ko="여기에는 {query}에 관한 내용이 없어요. 변경 번호나 요청 번호 전체, 사용자 이름, 또는 "
        "종류/기록 번호로 찾을 수 있어요. 서버에 도착한 적 없는 변경은 기기에만 있어요: "
        "crdtsync trace --replica FILE {query}",
    ),
    "status_synced": Words(en="accepted as number {seq}", ko="번호 {seq}번으로 받음"),
    "status_refused": Words(en="not accepted; waits for a person", ko="받지 않음, 확인 필요"),
    "status_held": Words(en="waits for an earlier change", ko="앞선 변경을 기다림"),
    "status_transient": Words(
        en="not yet accepted; the device tries again", ko="아직 받지 못함, 기기에서 다시 보냄"
    ),
    "status_lost": Words(en="has not reached the server so far", ko="아직 서버에 도착하지 않음"),
    "status_pending": Words(en="waits on the device", ko="기기에서 기다림"),
    "status_discarded": Words(en="no longer on this device", ko="이 기기에 더는 없음"),
    "more": Words(
        en="There is more. Go on with --after {next}", ko="더 있어요. 계속 보려면: --after {next}"
    ),
    "details_gone": Words(
        en="The log's retention has ended for this change: how it was sent is no longer kept.",
        ko="보관 기간이 지나서 전송 과정은 더 남아 있지 않아요.",
    ),
    "fate_unknown": Words(
        en="What became of it later lies too far back to be listed here.",
        ko="이후의 변화는 너무 오래되어 여기에 나오지 않아요.",
    ),
}

TABLES: Final = (STEPS, OUTCOMES, ENDINGS, NOTES)


def step_words(what: str, lang: str, **params: object) -> str:
    """A step of a timeline as a sentence. Raises CatalogueError for one that is none."""
    if what not in STEPS:
        raise CatalogueError(f"{what!r} is not a step of a trace; known: {', '.join(STEPS)}")
    return fill(STEPS[what].in_lang(lang), params)


def outcome_words(outcome: str, lang: str, *, field: str) -> str:
    """What the server decided about one field."""
    return fill(OUTCOMES[outcome].in_lang(lang), {"field": field})


def note_words(key: str, lang: str, **params: object) -> str:
    """A remark beside a timeline."""
    return fill(NOTES[key].in_lang(lang), params)


def attempt_ended(ended: str, lang: str = "en") -> str:
    """How an attempt without success ended, to stand inside of a sentence.

    ``ended`` as in protocol/earlier.py; what this version does not know is told as "other".
    """
    kind, colon, code = ended.partition(":")
    if colon:
        return reason(code, lang)
    if kind == "held":
        return reason("held", lang)
    return ENDINGS.get(kind, ENDINGS["other"]).in_lang(lang)
