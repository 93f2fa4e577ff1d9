"""The policy as a table for the person who signs it: plain data, rendered elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crdtsync.policy import CollectionPolicy, FieldPolicy, Policy

from .messages import MESSAGES
from .vocabulary import DELETE_RULES, MERGE_RULES, limits_words, roles_words, type_words
from .wording import Lang, Words, fill, lang_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One field, every cell in words."""

    label: str
    name: str  # as the policy file spells it
    type: str
    merge: str  # what happens when two people write it
    who_may_read: str
    who_may_write: str
    limits: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells in the order of `PolicyTable.headings`."""
        return (
            self.label,
            self.name,
            self.type,
            self.merge,
            self.who_may_read,
            self.who_may_write,
            self.limits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionTable:
    """One collection: its fields, and what holds for deleting."""

    title: str
    name: str  # as the policy file spells it
    rows: tuple[FieldRow, ...]
    delete_rule: str  # what happens when one deletes what another edits
    who_may_delete: str  # a whole line, with its heading


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedText:
    """A term and what it means, or a target and its value."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTable:
    """Everything that a product manager agrees to by signing a policy."""

    lang: Lang
    title: str
    version: str  # a line such as "Version 3"
    file_hash: str  # SHA-256 in hex: names exactly the file that was signed
    headings: tuple[str, ...]  # of the columns of every collection
    collections: tuple[CollectionTable, ...]
    once_title: str
    once: str  # the idempotency rule
    states_title: str
    states: tuple[NamedText, ...]  # the states of the queue
    targets_title: str
    targets: tuple[NamedText, ...]


_TITLE: Final = Words(en="How records are merged", ko="기록을 합치는 규칙")
_VERSION: Final = Words(en="Version {n}", ko="버전 {n}")
_HEADINGS: Final = (
    Words(en="Field", ko="항목"),
    Words(en="Name in the file", ko="파일 속 이름"),
    Words(en="Type", ko="종류"),
    Words(en="When two people change it", ko="두 사람이 바꿀 때"),
    Words(en="Who may read", ko="볼 수 있는 역할"),
    Words(en="Who may write", ko="쓸 수 있는 역할"),
    Words(en="Limits", ko="제한"),
)
_WHO_MAY_DELETE: Final = Words(
    en="Who may delete and restore: {n}", ko="삭제하고 되돌릴 수 있는 역할: {n}"
)
_ONCE_TITLE: Final = Words(en="Each change counts once", ko="변경은 한 번만 반영돼요")
_ONCE: Final = Words(
    en="Each change gets its own number (op_id) on the device where it is written. However "
    "often it is sent, the server applies it once and answers every repeat with the first "
    "receipt. The same number with other content is refused.",
    ko="변경마다 쓴 기기에서 고유 번호(op_id)를 하나 받아요. 여러 번 보내도 서버는 한 번만 "
    "반영하고, 다시 온 요청에는 처음 영수증을 그대로 돌려줘요. 같은 번호로 내용이 다르면 "
    "받지 않아요.",
)
_STATES_TITLE: Final = Words(en="The states of a change", ko="변경의 상태")
_STATES: Final = {
    "state_pending": Words(
        en="It is stored on the device and waits for its turn or for a connection.",
        ko="기기에 저장돼 있고, 차례나 연결을 기다려요.",
    ),
    "state_sending": Words(
        en="It is on its way, or the server has it and the confirmation is on its way.",
        ko="보내는 중이거나, 서버에서 받은 뒤 확인을 기다려요.",
    ),
    "state_failed": Words(
        en="It did not get through. It is sent again by itself after a pause, or, when the "
        "server refused it, waits until a person sends it again, edits it or discards it. "
        "It is never dropped by itself.",
        ko="보내지 못했어요. 잠시 뒤 자동으로 다시 보내요. 서버에서 받지 않은 변경은 사람이 "
        "다시 보내거나, 고치거나, 취소할 때까지 기다려요. 저절로 사라지지 않아요.",
    ),
    "state_synced": Words(
        en="It is stored on the server and in its history.",
        ko="서버와 이력에 저장됐어요.",
    ),
}
_TARGETS_TITLE: Final = Words(en="Targets", ko="목표")
_TARGETS: Final = {
    "failure_rate": (
        Words(en="Attempts that fail", ko="실패하는 전송 시도"),
        Words(en="at most {n} %", ko="{n}% 이하"),
    ),
    "recovery_success_rate": (
        Words(en="Offline changes that are synced in time", ko="복구 시 동기화 성공률"),
        Words(en="at least {n} %", ko="{n}% 이상"),
    ),
    "recovery_time_s": (
        Words(en="Time for that, once the connection is back", ko="연결 복구 뒤 동기화 시간"),
        Words(en="at most {n} s", ko="{n}초 이하"),
    ),
    "sync_latency_s": (
        Words(en="Time from a change to its receipt", ko="변경부터 서버 확인까지 걸리는 시간"),
        Words(en="at most {n} s", ko="{n}초 이하"),
    ),
    "average_retries": (
        Words(en="Average retries of a change", ko="변경당 평균 재시도 횟수"),
        Words(en="at most {n}", ko="{n}회 이하"),
    ),
    "conflict_age_s": (
        Words(en="Age of the oldest open conflict", ko="가장 오래된 미해결 충돌"),
        Words(en="at most {n} h", ko="{n}시간 이하"),
    ),
}


def policy_table(policy: Policy, lang: str = "en") -> PolicyTable:
    """`policy` in the words of `lang` (English for a language that is not here)."""
    return PolicyTable(
        lang=lang_of(lang),
        title=_TITLE.in_lang(lang),
        version=fill(_VERSION.in_lang(lang), {"n": policy.version}),
        file_hash=policy.hash,
        headings=tuple(words.in_lang(lang) for words in _HEADINGS),
        collections=tuple(_collection(item, lang) for item in policy.collections.values()),
        once_title=_ONCE_TITLE.in_lang(lang),
        once=_ONCE.in_lang(lang),
        states_title=_STATES_TITLE.in_lang(lang),
        states=tuple(
            NamedText(name=MESSAGES[key].in_lang(lang), text=words.in_lang(lang))
            for key, words in _STATES.items()
        ),
        targets_title=_TARGETS_TITLE.in_lang(lang),
        targets=tuple(
            NamedText(
                name=name.in_lang(lang),
                text=fill(value.in_lang(lang), {"n": _shown(key, getattr(policy.targets, key))}),
            )
            for key, (name, value) in _TARGETS.items()
        ),
    )


def _collection(collection: CollectionPolicy, lang: str) -> CollectionTable:
    who = roles_words(collection.delete, lang)
    return CollectionTable(
        title=collection.label_in(lang_of(lang)),
        name=collection.name,
        rows=tuple(_row(field, lang) for field in collection.fields.values()),
        delete_rule=DELETE_RULES[collection.on_delete_conflict].in_lang(lang),
        who_may_delete=fill(_WHO_MAY_DELETE.in_lang(lang), {"n": who}),
    )


def _row(field: FieldPolicy, lang: str) -> FieldRow:
    return FieldRow(
        label=field.label_in(lang_of(lang)),
        name=field.name,
        type=type_words(str(field.type), lang),
        merge=MERGE_RULES[field.merge].in_lang(lang),
        who_may_read=roles_words(field.read, lang),
        who_may_write=roles_words(field.write, lang),
        limits=limits_words(field, lang),
    )


def _shown(target: str, value: float) -> str:
    if target.endswith("_rate"):
        value *= 100
    elif target == "conflict_age_s":
        value /= 3_600
    return f"{value:.6g}"
