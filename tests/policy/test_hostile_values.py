"""Texts of strangers: refused cleanly and soon, whatever they hold (invariant 9)."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.policy import VALUE_CODES, FieldPolicy, InvalidValue, UnknownField
from tests.policy.policies import field_of
from tests.policy.values import FIELDS

HOSTILE = {
    "deep arrays": "[" * 100_000,
    "deep arrays under the size limit": "[" * 60_000,
    "deep arrays that close": "[" * 30_000 + "]" * 30_000,
    "deep objects": '{"a":' * 12_000,
    "33 levels": "[" * 33 + "]" * 33,
    "a huge text": '"' + "x" * 10_000_000 + '"',
    "a text without an end": '"' + "x" * 60_000,
    "quotes behind backslashes": "[" * 40 + '\\"' * 30_000,
    "a string of backslashes": "[" * 40 + '"' + "\\" * 60_001,
    "many digits": "1" * 60_000,
    "many digits inside": "[" + "1" * 60_000 + "]",
    "many digits of a fraction": "0." + "1" * 60_000,
    "a huge exponent": "1e999999999",
    "many elements": "[" + "1," * 30_000 + "1]",
    "many names": "{" + ",".join(f'"{n}":1' for n in range(6_000)) + "}",
    "one name twice": '{"a":1,"a":2}',
    "one name twice by escapes": '{"a":1,"\\u0061":2}',
    "a lone surrogate": '"\ud800"',
    "a lone surrogate as an escape": '"\\ud800"',
    "NUL": '"\x00"',
    "NUL as an escape": '"\\u0000"',
    "a byte order mark": '\ufeff"a"',
    "NaN": "NaN",
    "Infinity": "[-Infinity]",
    "nothing": "",
    "a date beyond the calendar": '"9999-99-99"',
    "an offset beyond the clock": '"2024-01-01T00:00:00+99:99"',
    "decimal digits": '"' + "1" * 60_000 + '"',
    "digits of another script": '"٣"',
}


# A number or text that is hostile to one type is an ordinary value of another.
LEGAL = {
    ("decimal digits", "string"),
    ("decimal digits", "json"),
    ("a date beyond the calendar", "string"),
    ("a date beyond the calendar", "json"),
    ("an offset beyond the clock", "string"),
    ("an offset beyond the clock", "json"),
    ("digits of another script", "string"),
    ("digits of another script", "json"),
    ("many elements", "json"),
}


@pytest.mark.timeout(60)  # each takes milliseconds, and hours if it were not for the limits
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("spelling", sorted(FIELDS))
def test_a_hostile_text_is_refused_soon_and_with_a_known_code(spelling: str, name: str) -> None:
    if (name, spelling) in LEGAL:
        FIELDS[spelling].check(HOSTILE[name])
    else:
        with pytest.raises(InvalidValue) as raised:
            FIELDS[spelling].check(HOSTILE[name])
        assert raised.value.code in VALUE_CODES


def code_of(field: FieldPolicy, text: str) -> str | None:
    """Why `text` is refused, or None when it is accepted."""
    try:
        field.check(text)
    except InvalidValue as error:
        return error.code
    return None


@given(st.text('[]{}",:\\0123456789.eE-+ntruefalsé\x00\ud800 ', max_size=60))
def test_any_text_is_accepted_or_refused_but_raises_nothing_else(text: str) -> None:
    for field in FIELDS.values():
        code = code_of(field, text)
        assert code is None or code in VALUE_CODES
        field.key(text)


def test_depth_is_judged_before_the_stack_is_used() -> None:
    def on_a_full_stack(levels: int) -> str:
        if levels:
            return on_a_full_stack(levels - 1)
        with pytest.raises(InvalidValue) as raised:
            FIELDS["json"].check("[" * 30_000 + "]" * 30_000)
        return raised.value.code

    assert on_a_full_stack(sys.getrecursionlimit() // 3) == "too_deep"


def test_exactly_the_deepest_allowed_value_is_taken_by_encode_and_check() -> None:
    for spelling, levels in (("json", 32), ("list<json>", 32)):
        field = FIELDS[spelling]
        deepest: Any = []
        for _ in range(levels - 1):
            deepest = [deepest]
        field.check(field.encode(deepest))
        with pytest.raises(InvalidValue, match="32 levels"):
            field.encode([deepest])


def test_brackets_inside_of_a_text_are_not_levels() -> None:
    text = FIELDS["json"].encode(['[{"' * 100])
    FIELDS["json"].check(text)


def test_many_brackets_beside_each_other_are_not_deep() -> None:
    FIELDS["json"].check(f"[{','.join(['[]'] * 40)}]")
    deepest = "[" * 31 + "[],[],{}" + "]" * 31
    FIELDS["json"].check(deepest)
    with pytest.raises(InvalidValue) as raised:
        FIELDS["json"].check(deepest.replace("{}", "[{}]"))
    assert raised.value.code == "too_deep"


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("string", '"a"b"'),
        ("string", '"a","b"'),
        ("string", '"'),
        ("string", '"a\\"'),
        ("integer", "1 2"),
        ("json", "{}[]"),
        ("json", "[1]]"),
    ],
)
def test_a_text_that_is_more_or_less_than_one_value_is_no_json(spelling: str, text: str) -> None:
    for use in (FIELDS[spelling].check, FIELDS[spelling].decode):
        with pytest.raises(InvalidValue) as raised:
            use(text)
        assert raised.value.code == "not_json"


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.extend([loop] * 1000)
    with pytest.raises(InvalidValue, match="levels"):
        FIELDS["json"].encode(loop)


def test_a_value_of_shared_parts_is_refused_before_it_fills_the_memory() -> None:
    shared: Any = "x" * 60_000
    for _ in range(6):
        shared = [shared] * 900
    with pytest.raises(InvalidValue, match="65536 bytes"):
        FIELDS["json"].encode(shared)


def test_a_message_of_an_error_from_afar_needs_no_params() -> None:
    for code in sorted(VALUE_CODES):
        assert str(InvalidValue("dose", code)).startswith('Field "dose" ')
    assert "newer_rule" in str(InvalidValue("dose", "newer_rule"))


def test_a_field_name_is_quoted_in_messages() -> None:
    with pytest.raises(InvalidValue, match='Field "f" has the type string'):
        field_of('type = "string"').encode(1)
    assert "no field 'x'" in str(UnknownField("c", "x", ["f"]))


def test_an_error_of_a_newer_version_is_shown_whatever_its_code_holds() -> None:
    for code in ("newer_rule", "{limit}", "{", "a}"):
        told = str(InvalidValue("dose", code, limit="3"))
        assert told == f'Field "dose" refused the value ({code}).'


def test_the_most_telling_sentence_whose_blanks_are_filled_is_used() -> None:
    assert "at most 3 characters, but the text has 4" in str(
        InvalidValue("dose", "too_long", limit="3", length="4")
    )
    assert "text that is too long" in str(InvalidValue("dose", "too_long", limit="3"))
    assert "Give at most 5" in str(InvalidValue("dose", "out_of_range", max="5"))
    assert "out of its range" in str(InvalidValue("dose", "out_of_range"))
