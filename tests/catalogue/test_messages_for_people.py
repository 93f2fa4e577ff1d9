"""The catalogue is whole in both languages and reads as UX.md asks."""

from __future__ import annotations

import importlib
import re
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.catalogue import (
    LANGS,
    MESSAGE_KEYS,
    REASON_CODES,
    CatalogueError,
    lang_of,
    message,
    reason,
    reason_told,
    trace_words,
    vocabulary,
)
from crdtsync.catalogue.messages import MESSAGES
from crdtsync.catalogue.reasons import REASONS
from crdtsync.catalogue.wording import Words, placeholders
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import VALUE_CODES, FieldPolicy, InvalidValue, ValueType

STATES_OF_UX = {
    "saved_offline", "syncing", "synced", "failed_retrying", "failed_needs_person",
    "retry_button", "conflict", "resolved_by_other", "superseded", "brought_back",
    "clock_wrong", "signed_out", "refused", "storage_full", "offline", "connecting",
}  # fmt: skip
REFUSALS = {
    "unknown_collection", "unknown_field", "not_permitted", "op_id_reused", "id_collision",
    "too_many_candidates", "wrong_shape", "bad_supersedes", "too_large", "policy_mismatch",
    "policy_ahead", "unauthorized", "protocol_version", "held", "server_error", "overloaded",
    "not_the_author", "bad_record_id", "bad_op", "bad_delete",
}  # fmt: skip
DEPARTURES = {"superseded", "lost_received", "lost_user_time", "late", "revived"}

# Particles whose form depends on the sound before them, and a variable before them,
# with or without a quote or bracket in between.
PARTICLE_AFTER_VARIABLE = re.compile(
    r"\}['\"’”」)]?(?:을|를|이|가|은|는|와|과|로|으로|이나|나|아|야|이에요|예요|랑|이랑)"
    r"(?=[\s.,!?…·)]|$)"
)


def _module_words(module: object) -> Iterator[tuple[str, Words]]:
    for name, value in vars(module).items():
        if isinstance(value, Words):
            yield name, value
        elif isinstance(value, dict):
            for key, item in value.items():
                for words in item if isinstance(item, tuple) else (item,):
                    if isinstance(words, Words):
                        yield f"{name}.{key}", words
        elif isinstance(value, tuple):
            yield from ((name, words) for words in value if isinstance(words, Words))


def all_words() -> list[tuple[str, Words]]:
    """Every text of the catalogue with the name of its place."""
    # The function of the same name hides the module from an ordinary import.
    table = importlib.import_module("crdtsync.catalogue.policy_table")
    found = [(f"message {key}", words) for key, words in MESSAGES.items()]
    found += [(f"reason {code}", words) for code, every in REASONS.items() for words in every]
    found += [*_module_words(vocabulary), *_module_words(table), *_module_words(trace_words)]
    return found


ALL = all_words()
EVERY = pytest.mark.parametrize("words", [words for _, words in ALL], ids=[name for name, _ in ALL])


def test_every_state_that_people_see_has_a_message() -> None:
    assert STATES_OF_UX <= MESSAGE_KEYS


def test_every_code_has_words() -> None:
    assert VALUE_CODES | REFUSALS | DEPARTURES <= REASON_CODES
    assert len(ALL) > 90


@EVERY
def test_both_languages_say_something_with_the_same_placeholders(words: Words) -> None:
    assert words.en.strip()
    assert words.ko.strip()
    assert placeholders(words.en) == placeholders(words.ko)


@EVERY
def test_no_particle_that_depends_on_the_sound_follows_a_variable(words: Words) -> None:
    assert not PARTICLE_AFTER_VARIABLE.search(words.ko)


def test_the_search_for_particles_finds_them() -> None:
    for text in ("{field}을 골라", "'{field}'를", "{n}은 {m}", "값은 {value}로", "({name})이"):
        assert PARTICLE_AFTER_VARIABLE.search(text)
    for text in ("{n}건을 보내", "{time}에 '{value}' 값으로", "{name} 님이", "{n}이상한"):
        assert not PARTICLE_AFTER_VARIABLE.search(text)


@EVERY
def test_korean_is_written_in_korean_and_polite(words: Words) -> None:
    assert re.search("[가-힣]", re.sub(r"\{[^}]*\}", "", words.ko)) or words.ko == "{n}"
    assert not re.search(r"(합니다|습니다|하세요|십시오|한다|된다)[.!?]?$", words.ko)


@pytest.mark.parametrize("code", sorted(REASON_CODES))
@pytest.mark.parametrize("lang", LANGS)
def test_a_reason_fits_into_the_sentence_of_a_refusal(code: str, lang: str) -> None:
    words = reason(code, lang)
    assert not words.endswith((".", "요."))
    assert words[0] == words[0].lower()
    assert words in message("refused", lang, field="Phone", reason=words)


@pytest.mark.parametrize("code", sorted(REASON_CODES))
def test_a_reason_needs_no_parameters(code: str) -> None:
    assert not placeholders(REASONS[code][-1].en)
    assert "{" not in reason(code) + reason(code, "ko")


@pytest.mark.parametrize(
    ("key", "n", "text"),
    [
        ("saved_offline", 1, "Saved on this device. 1 change waiting to send."),
        ("saved_offline", 2, "Saved on this device. 2 changes waiting to send."),
        ("saved_offline", 0, "Saved on this device. 0 changes waiting to send."),
        ("syncing", 1, "Sending 1 change…"),
        ("failed_needs_person", 1, "1 change wasn't sent. Check it, then send again."),
        ("failed_needs_person", 3, "3 changes weren't sent. Check them, then send again."),
        (
            "signed_out",
            1,
            "You're signed out. 1 change is still on this device. Sign in to send it.",
        ),
        (
            "signed_out",
            2,
            "You're signed out. 2 changes are still on this device. Sign in to send them.",
        ),
    ],
)
def test_english_counts_correctly(key: str, n: int, text: str) -> None:
    assert message(key, n=n) == text
    assert message(key, n=str(n)) == text


def test_korean_messages_read_as_in_the_table_of_states() -> None:
    assert message("saved_offline", "ko", n=2) == "이 기기에 저장했어요. 전송 대기 2건"
    assert (
        message("resolved_by_other", "ko", name="김하나", value="페니실린", time="09:30")
        == "김하나 님이 09:30에 '페니실린' 값으로 정했어요. 이력 보기"
    )
    assert message("refused", "ko", field="전화", reason=reason("too_long", "ko", limit="20")) == (
        "서버에서 '전화' 항목을 받지 않았어요. 이유: 20자까지 쓸 수 있어요. "
        "고치거나 변경을 취소해 주세요."
    )


def test_a_reason_says_as_much_as_it_is_told() -> None:
    assert reason("out_of_range", min="1") == "it is below 1"
    assert reason("out_of_range", max="9") == "it is above 9"
    assert reason("out_of_range") == "it is out of range"
    assert reason("wrong_type", expected="set<date>", got="int") == (
        "it takes a value of this kind: list without order (date)"
    )
    assert "날짜" in reason("wrong_type", "ko", expected="date", got="int")
    assert reason("too_long", limit="1") == "it is longer than 1 character"
    assert "a person decides" in reason("wrong_shape", merge="manual", asked="delta")


def test_words_of_the_server_are_told_by_their_code_in_another_language() -> None:
    words = "your sign-in does not open the space 'k'"
    assert reason_told("no_access", words) == words
    assert reason_told("no_access", words, "ko-KR") == reason("no_access", "ko")
    assert reason_told("no_access", "") == reason("no_access")
    for code in (None, "of a newer server"):
        assert reason_told(code, words, "ko") == words


def test_an_invalid_value_gives_its_reason_with_its_own_parameters() -> None:
    field = FieldPolicy(collection="c", name="f", type=ValueType("string"), max_length=2)
    with pytest.raises(InvalidValue) as raised:
        field.encode("abc")
    error = raised.value
    assert reason(error.code, "ko", **error.params) == "2자까지 쓸 수 있어요"


def test_a_code_of_a_newer_server_is_shown_as_it_is() -> None:
    assert "quota_exceeded" in reason("quota_exceeded")
    assert "quota_exceeded" in reason("quota_exceeded", "ko", limit="3")


@pytest.mark.parametrize(
    ("tag", "lang"), [("ko", "ko"), ("ko-KR", "ko"), ("KO_kr", "ko"), ("fr", "en"), ("", "en")]
)
def test_an_unknown_language_falls_back_to_english(tag: str, lang: str) -> None:
    assert lang_of(tag) == lang
    assert message("retry_button", tag) == message("retry_button", lang)
    assert reason("held", tag) == reason("held", lang)


def test_a_mistake_of_the_program_is_told_to_the_programmer() -> None:
    with pytest.raises(CatalogueError, match=r"no message 'savd'\. Use one of .*saved_offline"):
        message("savd")
    with pytest.raises(CrdtsyncError, match=r"lacks name, time\."):
        message("resolved_by_other", value="x")


@given(st.text())
def test_braces_inside_of_a_value_stay_as_they_are(value: str) -> None:
    assert message("conflict", field=value) == (
        f'Two different values for "{value}". Choose which is correct.'
    )


def test_the_template_language_has_no_attribute_access() -> None:
    for _, words in ALL:
        for template in (words.en, words.ko):
            names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
            assert all(name.isidentifier() for name in names)
