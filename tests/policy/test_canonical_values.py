"""Canonical JSON of entries: one text per value, and nothing else is accepted."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.policy import FieldPolicy, InvalidValue
from tests.policy.policies import field_of
from tests.policy.values import FIELDS, integers, json_values, typed_values


@given(typed_values)
def test_a_value_survives_the_way_to_text_and_back(case: tuple[FieldPolicy, Any]) -> None:
    field, value = case
    text = field.encode(value)
    field.check(text)
    assert field.encode(field.decode(text)) == text
    assert field.key(text) == field.key(field.encode(field.decode(text)))


@given(typed_values)
def test_text_is_what_json_writes_in_the_documented_form(case: tuple[FieldPolicy, Any]) -> None:
    field, value = case
    text = field.encode(value)
    assert text == json.dumps(
        json.loads(text),
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
        allow_nan=False,
    )


def _is_accepted(field: FieldPolicy, text: str) -> bool:
    try:
        field.check(text)
    except InvalidValue:
        return False
    return True


@given(typed_values, st.data())
def test_a_changed_text_is_refused_or_is_the_text_of_what_it_says(
    case: tuple[FieldPolicy, Any], data: st.DataObject
) -> None:
    field, value = case
    text = field.encode(value)
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 2)))
    mutated = text[:at] + data.draw(st.text('"\\[]{}:,.-+eE01 \n\tnultrue\ud800é', max_size=2))
    mutated += text[until:]
    if _is_accepted(field, mutated) and mutated != "null":
        assert field.encode(field.decode(mutated)) == mutated


@given(typed_values, st.sampled_from([" {}", "{} ", "{}\n", "\ufeff{}", "{},", "[{}", "{}]"]))
def test_space_and_trailing_text_around_a_value_are_refused(
    case: tuple[FieldPolicy, Any], frame: str
) -> None:
    field, value = case
    text = field.encode(value)
    assert _is_accepted(field, text)
    assert not _is_accepted(field, frame.format(text))


@given(json_values)
def test_json_in_any_other_spelling_is_refused(value: Any) -> None:
    field = FIELDS["map<json>"]
    text = field.encode({"k": value})
    for other in (
        json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True),
        json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True),
    ):
        assert _is_accepted(field, other) == (other == text)


@given(st.text("0123456789-+.eE", max_size=12))
def test_a_number_is_accepted_in_exactly_one_spelling(text: str) -> None:
    field = FIELDS["number"]
    if _is_accepted(field, text):
        assert field.encode(json.loads(text)) == text


@given(integers)
def test_an_integral_float_is_written_as_the_integer(value: int) -> None:
    field = FIELDS["number"]
    assert field.encode(float(value)) == field.encode(int(float(value)))


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("string", "'a'"),
        ("string", '"\\u0041"'),
        ("string", '"\\/"'),
        ("string", '"a\tb"'),
        ("string", "5"),
        ("integer", "1.0"),
        ("integer", "01"),
        ("integer", "-0"),
        ("integer", "+1"),
        ("integer", "true"),
        ("integer", '"1"'),
        ("number", "1.0"),
        ("number", "1e2"),
        ("number", "-0"),
        ("number", "NaN"),
        ("number", "1E400"),
        ("number", "0.10"),
        ("boolean", "1"),
        ("boolean", "True"),
        ("date", '"20240131"'),
        ("date", '"2024-02-30"'),
        ("date", '"2024-1-31"'),
        ("date", '"2024-W05-3"'),
        ("datetime", '"2024-01-31T00:00:00Z"'),
        ("datetime", '"2024-01-31T00:00:00.000+00:00"'),
        ("datetime", '"2024-01-31 00:00:00+00:00"'),
        ("datetime", '"2024-01-31T00:00+00:00"'),
        ("datetime", '"2024-01-31T00:00:00"'),
        ("decimal", "1.5"),
        ("decimal", '"01.5"'),
        ("decimal", '"1."'),
        ("decimal", '".5"'),
        ("decimal", '"+1"'),
        ("decimal", '"-0"'),
        ("decimal", '"1e2"'),
        ("decimal", '"1_0"'),
        ("decimal", '"１"'),
        ("decimal", '"NaN"'),
        ("set<string>", '["b","a"]'),
        ("set<string>", '["a","a"]'),
        ("set<string>", '["e\u0301","é"]'),
        ("set<decimal>", '["1.0","1.00"]'),
        ("set<string>", '{"a":1}'),
        ("list<string>", '"a"'),
        ("list<string>", "[null]"),
        ("map<integer>", '{"b":1,"a":2}'),
        ("map<integer>", '{"a":1,"a":1}'),
        ("json", '{"a":1.0}'),
        ("json", "[1, 2]"),
        ("json", ""),
    ],
)
def test_a_text_that_encode_cannot_give_is_refused(spelling: str, text: str) -> None:
    with pytest.raises(InvalidValue):
        FIELDS[spelling].check(text)


@pytest.mark.parametrize(
    ("spelling", "value", "text"),
    [
        ("string", "é\n", '"é\\n"'),
        ("string", StrEnum("Kind", {"A": "a"}).A, '"a"'),  # type: ignore[attr-defined]
        ("integer", IntEnum("Level", {"LOW": 1}).LOW, "1"),  # type: ignore[attr-defined]
        ("number", 1.0, "1"),
        ("number", -0.0, "0"),
        ("number", 0.1, "0.1"),
        ("number", 1e16, "1e+16"),
        ("number", 1e-7, "1e-07"),
        ("boolean", True, "true"),
        ("date", "2024-01-31", '"2024-01-31"'),
        ("date", date(1, 2, 3), '"0001-02-03"'),
        ("datetime", "2024-01-31T09:30:00Z", '"2024-01-31T09:30:00+00:00"'),
        ("datetime", "2024-01-31T09:30:00.5+09:00", '"2024-01-31T09:30:00.500000+09:00"'),
        ("datetime", datetime(2024, 1, 31, tzinfo=UTC), '"2024-01-31T00:00:00+00:00"'),
        (
            "datetime",
            datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=8, minutes=27, seconds=52))),
            '"1899-12-31T15:32:08+00:00"',
        ),
        ("decimal", "1.50", '"1.50"'),
        ("decimal", "-0.00", '"0.00"'),
        ("decimal", "007", '"7"'),
        ("decimal", 7, '"7"'),
        ("decimal", Decimal("1.5E+3"), '"1500"'),
        ("decimal", Decimal("1E-7"), '"0.0000001"'),
        ("set<string>", {"b", "a"}, '["a","b"]'),
        ("set<string>", ["b", "a", "b"], '["a","b"]'),
        ("set<decimal>", ("1.00", "1.0", 1), '["1"]'),
        ("set<integer>", {9, 10}, "[10,9]"),
        ("list<decimal>", ("2", 1), '["2","1"]'),
        ("map<integer>", {"b": 1, "a": 2}, '{"a":2,"b":1}'),
        ("json", {"b": [1.0, None], "a": "é"}, '{"a":"é","b":[1,null]}'),
        ("json", (), "[]"),
    ],
)
def test_values_and_their_json_spellings_have_one_text(
    spelling: str, value: Any, text: str
) -> None:
    assert FIELDS[spelling].encode(value) == text
    FIELDS[spelling].check(text)


MISFITS: list[tuple[str, Any, str]] = [
    ("string", 5, "wrong_type"),
    ("string", b"a", "wrong_type"),
    ("string", "a\x00", "bad_text"),
    ("string", "\ud800", "bad_text"),
    ("string", "x" * 65_536, "too_large"),
    ("string", "한" * 22_000, "too_large"),
    ("string", "x\x00" * 40_000, "too_large"),
    ("json", {"x" * 70_000: 1}, "too_large"),
    ("integer", True, "wrong_type"),
    ("integer", 1.0, "wrong_type"),
    ("integer", "1", "wrong_type"),
    ("integer", 2**53, "unsafe_integer"),
    ("integer", -(10**5000), "unsafe_integer"),
    ("number", float("nan"), "not_finite"),
    ("number", float("-inf"), "not_finite"),
    ("number", 2**53, "unsafe_integer"),
    ("number", False, "wrong_type"),
    ("boolean", 1, "wrong_type"),
    ("date", datetime(2024, 1, 31), "wrong_type"),
    ("date", "2024-02-30", "bad_format"),
    ("datetime", date(2024, 1, 31), "wrong_type"),
    ("datetime", datetime(2024, 1, 31), "naive_datetime"),
    ("datetime", "2024-01-31T00:00:00", "naive_datetime"),
    ("datetime", "2024-01-31T25:00:00Z", "bad_format"),
    ("datetime", "2024-01-31T00:00:00.1234567Z", "bad_format"),
    (
        "datetime",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(seconds=30))),
        "out_of_range",
    ),
    ("decimal", 1.5, "wrong_type"),
    ("decimal", True, "wrong_type"),
    ("decimal", "1,5", "bad_format"),
    ("decimal", Decimal("NaN"), "not_finite"),
    ("decimal", Decimal("Infinity"), "not_finite"),
    ("decimal", Decimal("1E+999999"), "too_many_digits"),
    ("decimal", Decimal("1E-999999"), "too_many_digits"),
    ("decimal", Decimal("0E-999999"), "too_many_digits"),
    ("decimal", 10**34, "too_many_digits"),
    ("decimal", 10**100_000, "too_many_digits"),
    ("decimal", "1" * 35, "too_many_digits"),
    ("decimal", "1" * 1000, "too_many_digits"),
    ("set<string>", "abc", "wrong_type"),
    ("set<string>", {"a": 1}, "wrong_type"),
    ("list<string>", {"a"}, "wrong_type"),
    ("list<integer>", [1] * 1001, "too_many_elements"),
    ("set<integer>", range(3), "wrong_type"),
    ("map<integer>", {1: 1}, "wrong_type"),
    ("map<integer>", {str(n): n for n in range(1001)}, "too_many_elements"),
    ("map<integer>", {"\x00": 1}, "bad_text"),
    ("json", {"a": {1}}, "wrong_type"),
    ("json", {1: "a"}, "wrong_type"),
    ("json", [2**53], "unsafe_integer"),
    ("json", ["x" * 40_000, "x" * 40_000], "too_large"),
]


@pytest.mark.parametrize(
    ("spelling", "value", "code"),
    MISFITS,
    # Some of the values are far too large to stand in a name.
    ids=[f"{spelling}-{code}" for spelling, _, code in MISFITS],
)
def test_a_value_that_does_not_fit_is_refused_with_its_code(
    spelling: str, value: Any, code: str
) -> None:
    with pytest.raises(InvalidValue) as raised:
        FIELDS[spelling].encode(value)
    assert raised.value.code == code
    assert raised.value.field == "f"


def test_a_decimal_keeps_all_its_digits_whatever_the_caller_has_set_for_arithmetic() -> None:
    with localcontext() as context:
        context.prec = 3
        assert FIELDS["decimal"].encode("1234567.8900") == '"1234567.8900"'
        assert FIELDS["decimal"].encode(Decimal("1234567E+3")) == '"1234567000"'
        assert FIELDS["decimal"].decode('"1234567.8900"') == Decimal("1234567.8900")


def test_entries_are_read_as_the_python_values_of_their_type() -> None:
    seoul = timezone(timedelta(hours=9))
    assert FIELDS["date"].decode('"2024-01-31"') == date(2024, 1, 31)
    assert FIELDS["datetime"].decode('"2024-01-31T09:00:00+09:00"') == datetime(
        2024, 1, 31, 9, tzinfo=seoul
    )
    assert str(FIELDS["decimal"].decode('"1.50"')) == "1.50"
    assert FIELDS["set<decimal>"].decode('["1","2"]') == frozenset({Decimal(1), Decimal(2)})
    assert FIELDS["list<date>"].decode('["2024-01-31"]') == [date(2024, 1, 31)]
    assert FIELDS["map<boolean>"].decode('{"a":true}') == {"a": True}
    assert FIELDS["json"].decode("null") is None
    assert FIELDS["json"].decode('{"a":[1,"2",null]}') == {"a": [1, "2", None]}


def test_null_clears_a_register_and_nothing_else() -> None:
    assert FIELDS["date"].encode(None) == "null"
    FIELDS["date"].check("null")
    assert field_of('type = "json"').encode([None]) == "[null]"
    with pytest.raises(InvalidValue, match="required and cannot be cleared") as raised:
        field_of('type = "string", required = true').encode(None)
    assert raised.value.code == "required"
    for rules in ('type = "integer", merge = "counter"', 'type = "set<string>", merge = "set"'):
        with pytest.raises(InvalidValue) as raised:
            field_of(rules).check("null")
        assert raised.value.code == "not_clearable"


def test_an_entry_of_a_counter_is_a_delta_and_one_of_a_set_is_an_element() -> None:
    visits = field_of('type = "integer", merge = "counter"')
    paid = field_of('type = "decimal", merge = "counter"')
    tags = field_of('type = "set<date>", merge = "set"')
    assert visits.encode_delta(-2) == "-2"
    assert paid.encode_delta(Decimal("1.50")) == paid.encode_delta("1.50") == '"1.50"'
    assert tags.encode_element(date(2024, 1, 31)) == '"2024-01-31"'
    assert tags.decode('"2024-01-31"') == date(2024, 1, 31)
    with pytest.raises(InvalidValue):
        tags.check('["2024-01-31"]')


def test_a_verb_of_another_merge_kind_is_refused() -> None:
    visits = field_of('type = "integer", merge = "counter"')
    for verb in (visits.encode, visits.encode_element, field_of('type = "integer"').encode_delta):
        with pytest.raises(InvalidValue) as raised:
            verb(1)
        assert raised.value.code == "wrong_shape"


@pytest.mark.parametrize(
    ("rules", "fits", "breaks", "code"),
    [
        ('type = "string", max_length = 2', "한국", "한국어", "too_long"),
        ('type = "integer", min = 1', 1, 0, "out_of_range"),
        ('type = "number", max = 1.5', 1.5, 1.6, "out_of_range"),
        ('type = "date", min = 2024-01-01', "2024-01-01", "2023-12-31", "out_of_range"),
        (
            'type = "datetime", max = 2024-01-01T00:00:00Z',
            "2024-01-01T09:00:00+09:00",
            "2024-01-01T09:00:01+09:00",
            "out_of_range",
        ),
        ('type = "string", pattern = "[0-9]+"', "12", "12\n", "pattern"),
        ('type = "string", choices = ["é"]', "e\u0301", "e", "not_in_choices"),
        ('type = "decimal", choices = ["1.5"]', "1.50", "1.51", "not_in_choices"),
        ('type = "set<string>", choices = ["a", "b"]', {"a"}, {"c"}, "not_in_choices"),
        ('type = "list<integer>", max = 3', [3], [4], "out_of_range"),
    ],
)
def test_limits_hold_for_encode_and_check_but_not_for_reading(
    rules: str, fits: Any, breaks: Any, code: str
) -> None:
    field = field_of(rules)
    field.check(field.encode(fits))
    with pytest.raises(InvalidValue) as raised:
        field.encode(breaks)
    assert raised.value.code == code
    unlimited = field_of(rules.partition(",")[0])
    text = unlimited.encode(breaks)
    with pytest.raises(InvalidValue) as raised:
        field.check(text)
    assert raised.value.code == code
    assert field.decode(text) == unlimited.decode(text)


def test_a_message_says_what_is_wrong_and_the_cure_without_the_value() -> None:
    field = field_of('type = "integer", min = 1')
    with pytest.raises(InvalidValue) as raised:
        field.encode(-7_654_321)
    assert str(raised.value) == 'Field "f" takes nothing below 1. Give at least 1.'
    assert "7654321" not in str(raised.value)


def test_an_error_comes_whole_out_of_another_process() -> None:
    error = InvalidValue("f", "too_long", limit="2", length="3")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.field, copy.code, copy.params) == ("f", "too_long", error.params)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (2, "takes one of: a0, a1. Choose"),
        (10, "takes one of: a0, a1, a2, a3, a4, a5, a6, a7, a8, a9. Choose"),
        (11, "takes one of: a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, …. Choose"),
    ],
)
def test_of_many_choices_a_message_shows_the_first_ten(count: int, shown: str) -> None:
    words = ", ".join(f'"a{n}"' for n in range(count))
    field = field_of(f'type = "string", choices = [{words}]')
    assert field.encode(f"a{count - 1}") == f'"a{count - 1}"'
    with pytest.raises(InvalidValue) as raised:
        field.encode("b")
    assert shown in str(raised.value)


AT_THE_LIMIT: list[tuple[str, Any]] = [
    ("string", "x" * (65_536 - 2)),
    ("string", "한" * ((65_536 - 2) // 3)),
    ("integer", 2**53 - 1),
    ("integer", -(2**53) + 1),
    ("number", float(2**53)),
    ("decimal", "9" * 34),
    ("decimal", "0." + "9" * 33),
    ("decimal", 10**34 - 1),
    ("decimal", Decimal("1E+33")),
    ("list<integer>", [1] * 1_000),
    ("map<integer>", {str(n): n for n in range(1_000)}),
    ("list<string>", ["x" * (65_536 - 4)]),
    ("json", ["x" * (65_536 - 4)]),
    ("json", {"a": "x" * (65_536 - 8)}),
]


@pytest.mark.parametrize(("spelling", "value"), AT_THE_LIMIT, ids=lambda value: str(value)[:12])
def test_a_value_at_its_limit_is_taken_and_checks(spelling: str, value: Any) -> None:
    field = FIELDS[spelling]
    field.check(field.encode(value))


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("string", "x" * (65_536 - 1)),
        ("decimal", "0." + "9" * 34),
        ("decimal", "1" + "0" * 34),
        ("decimal", Decimal("1E+34")),
        ("json", ["x" * 32_000, "x" * 33_533]),
        ("list<string>", ["x" * (65_536 - 3)]),
        ("json", {"a": "x" * (65_536 - 7)}),
    ],
)
def test_a_value_just_beyond_its_limit_is_refused(spelling: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        FIELDS[spelling].encode(value)
    assert raised.value.code in ("too_large", "too_many_digits")


def test_a_pattern_without_max_length_takes_texts_of_five_hundred_characters() -> None:
    field = field_of("type = \"string\", pattern = 'x*'")
    field.check(field.encode("x" * 500))
    with pytest.raises(InvalidValue) as raised:
        field.encode("x" * 501)
    assert (raised.value.code, raised.value.params["limit"]) == ("too_long", "500")
    longer = field_of("type = \"string\", pattern = 'x*', max_length = 600")
    assert longer.encode("x" * 600)


@pytest.mark.parametrize(
    ("rules", "below", "lowest", "highest", "above"),
    [
        ('type = "integer", min = 1, max = 3', 0, 1, 3, 4),
        ('type = "number", min = 0.5, max = 1', 0.25, 0.5, 1, 1.25),
        ('type = "decimal", min = "0.5", max = "1"', "0.49", "0.50", "1.00", "1.01"),
    ],
)
def test_bounds_belong_to_the_range(
    rules: str, below: Any, lowest: Any, highest: Any, above: Any
) -> None:
    field = field_of(rules)
    assert field.encode(lowest) != field.encode(highest)
    for value, told in ((below, "min"), (above, "max")):
        with pytest.raises(InvalidValue) as raised:
            field.encode(value)
        assert raised.value.code == "out_of_range"
        assert set(raised.value.params) == {told}
