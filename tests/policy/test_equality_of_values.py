"""Equality by type: what counts as the same value, and thus not as a conflict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.policy import InvalidValue
from tests.policy.policies import field_of
from tests.policy.values import FIELDS, SCALARS, json_values, texts, values_of


def meaning(value: Any) -> Any:
    """An independent statement of equality: Python's own, on these stand-ins."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, str):
        return normalize("NFC", value)
    if isinstance(value, list | tuple):
        return [meaning(item) for item in value]
    if isinstance(value, set | frozenset):
        return {meaning(item) for item in value}
    if isinstance(value, dict):
        return {normalize("NFC", name): meaning(item) for name, item in value.items()}
    return value


def other_spelling(value: Any, data: st.DataObject) -> Any:
    """A value that means the same and may be written differently."""
    if isinstance(value, str):
        return normalize(data.draw(st.sampled_from(["NFC", "NFD"])), value)
    if isinstance(value, Decimal):
        return value.quantize(Decimal((0, (1,), min(-1, int(value.as_tuple().exponent)))))
    if isinstance(value, datetime):
        if not 2 < value.year < 9998:
            return value
        return value.astimezone(timezone(timedelta(hours=data.draw(st.integers(-12, 12)))))
    if isinstance(value, list):
        return [other_spelling(item, data) for item in value]
    if isinstance(value, frozenset):
        return frozenset(other_spelling(item, data) for item in value)
    if isinstance(value, dict):
        return {name: other_spelling(item, data) for name, item in value.items()}
    return value


spellings = st.sampled_from(sorted(FIELDS))


@given(spellings, st.data())
def test_two_spellings_of_one_value_have_one_key(spelling: str, data: st.DataObject) -> None:
    field = FIELDS[spelling]
    value = data.draw(values_of(spelling))
    other = other_spelling(value, data)
    assert field.key(field.encode(value)) == field.key(field.encode(other))


@given(spellings, st.data())
def test_keys_agree_with_equality_in_python(spelling: str, data: st.DataObject) -> None:
    field = FIELDS[spelling]
    one, other = data.draw(values_of(spelling)), data.draw(values_of(spelling))
    same = field.key(field.encode(one)) == field.key(field.encode(other))
    assert same == (meaning(one) == meaning(other))


@given(st.lists(texts, max_size=3), st.lists(texts, max_size=3))
def test_texts_inside_of_json_are_compared_like_texts(one: list[str], other: list[str]) -> None:
    field = FIELDS["json"]
    same = field.key(field.encode({"t": one})) == field.key(field.encode({"t": other}))
    assert same == (meaning(one) == meaning(other))


@given(json_values)
def test_the_key_of_json_does_not_depend_on_the_order_of_its_names(value: Any) -> None:
    field = FIELDS["json"]
    text = field.encode({"z": value, "é": 1, "a": 2})
    other = field.encode({"e\u0301": 1, "a": 2, "z": value})
    assert field.key(text) == field.key(other)


@pytest.mark.parametrize(
    ("spelling", "one", "other"),
    [
        ("decimal", "1.0", "1.00"),
        ("decimal", "100", Decimal("1E+2")),
        ("string", "é", "e\u0301"),
        ("string", "\u212a", "K"),
        ("number", 1, 1.0),
        ("set<string>", ["a", "b"], ["b", "a"]),
        ("set<decimal>", ["1.0", "2"], ["2.0", "1"]),
        ("set<string>", ["é", "z"], ["z", "e\u0301"]),
        ("datetime", "2024-01-31T09:00:00+09:00", "2024-01-31T00:00:00Z"),
        (
            "datetime",
            datetime(1, 1, 1, 9, tzinfo=timezone(timedelta(hours=9))),
            datetime(1, 1, 1, tzinfo=UTC),
        ),
        ("json", {"a": [1.0]}, {"a": [1]}),
        ("list<map<set<decimal>>>", [{"a": ["1.0"]}], [{"a": ["1"]}]),
    ],
)
def test_these_are_the_same_value(spelling: str, one: Any, other: Any) -> None:
    field = FIELDS[spelling]
    assert field.key(field.encode(one)) == field.key(field.encode(other))


@pytest.mark.parametrize(
    ("spelling", "one", "other"),
    [
        ("list<string>", ["a", "b"], ["b", "a"]),
        ("string", "a", "A"),
        ("string", "", "null"),
        ("json", [True], [1]),
        ("json", [False], [0]),
        ("json", ["1"], [1]),
        ("json", "null", [None]),
        ("json", {}, []),
        ("decimal", "0.1", "0.10000000000000000000001"),
        ("datetime", "2024-01-31T09:00:00+09:00", "2024-01-31T09:00:00Z"),
        ("map<string>", {"a": "b"}, {"b": "a"}),
    ],
)
def test_these_are_different_values(spelling: str, one: Any, other: Any) -> None:
    field = FIELDS[spelling]
    assert field.key(field.encode(one)) != field.key(field.encode(other))


@pytest.mark.parametrize("spelling", sorted(FIELDS))
def test_a_cleared_field_equals_only_a_cleared_field(spelling: str) -> None:
    field = FIELDS[spelling]
    assert field.key("null") == field.key(field.encode(None))
    assert field.key("null") != field.key('"null"')


@pytest.mark.parametrize("spelling", sorted(SCALARS))
def test_a_text_of_another_type_equals_itself_only(spelling: str) -> None:
    # A field that had another type once still holds such entries.
    field = FIELDS[spelling]
    assert field.key('{"a":1}') == field.key('{"a":1}')
    assert field.key('{"a":1}') != field.key('{"a":2}')


EXAMPLES: dict[str, tuple[Any, Any]] = {
    "string": ("\u00e9", "e\u0301"),
    "integer": (7, 7),
    "number": (1, 1.0),
    "boolean": (True, True),
    "date": ("2024-01-31", "2024-01-31"),
    "datetime": ("2024-01-31T09:00:00+09:00", "2024-01-31T00:00:00Z"),
    "decimal": ("1.50", "1.5"),
}
OTHERS: dict[str, Any] = {
    "string": "e",
    "integer": 8,
    "number": 1.5,
    "boolean": False,
    "date": "2024-02-01",
    "datetime": "2024-01-31T09:00:00Z",
    "decimal": "1.51",
}


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("around", ["map<%s>", "list<map<%s>>"])
def test_values_under_names_that_are_spelt_differently_are_compared_by_type(
    around: str, scalar: str
) -> None:
    field = field_of(f'type = "{around % scalar}"')

    def key(name: str, value: Any) -> Any:
        held = {name: value}
        return field.key(field.encode([held] if around.startswith("list") else held))

    one, other = EXAMPLES[scalar]
    assert key("\u00e9", one) == key("e\u0301", other)
    assert key("\u00e9", one) != key("\u00e9", OTHERS[scalar])
    assert key("\u00e9", one) != key("e", one)


def test_names_are_put_in_order_after_they_were_made_equal() -> None:
    field = field_of('type = "map<integer>"')
    # Composed, the first name stands behind "z"; decomposed, before it.
    composed, decomposed = field.encode({"\u00e9": 1, "f": 2}), field.encode({"e\u0301": 1, "f": 2})
    assert field.key(composed) == field.key(decomposed)


def test_json_is_compared_by_its_parts() -> None:
    field = FIELDS["json"]
    one = {"\u00e9": ["\u00e9", 1, 1.5, True, None, {"a": "e\u0301"}]}
    other = {"e\u0301": ["e\u0301", 1.0, 1.5, True, None, {"a": "\u00e9"}]}
    assert field.key(field.encode(one)) == field.key(field.encode(other))
    assert field.key(field.encode("\u00e9")) == field.key(field.encode("e\u0301"))
    for place, different in enumerate(["e", 2, 1.25, False, 0, {"a": "e"}]):
        changed = [*one["\u00e9"]]
        changed[place] = different
        assert field.key(field.encode({"\u00e9": changed})) != field.key(field.encode(one))


# One text that is not of the type, in ASCII and beyond it, for every type but json.
FOREIGN = {
    "string": ('["\u00e9"]', '["e\u0301"]'),
    "integer": ('"\u00e9"', '"e\u0301"'),
    "number": ('"\u00e9"', '"e\u0301"'),
    "boolean": ('"\u00e9"', '"e\u0301"'),
    "date": ('"\u00e9"', '"e\u0301"'),
    "datetime": ('"\u00e9"', '"e\u0301"'),
    "decimal": ('"\u00e9"', '"e\u0301"'),
    "list<decimal>": ('{"\u00e9":1}', '{"e\u0301":1}'),
    "set<decimal>": ('{"\u00e9":1}', '{"e\u0301":1}'),
    "map<decimal>": ('["\u00e9"]', '["e\u0301"]'),
}


@pytest.mark.parametrize("spelling", FOREIGN)
def test_a_text_of_another_type_is_compared_as_text_and_cannot_be_read(spelling: str) -> None:
    field = FIELDS[spelling]
    one, other = FOREIGN[spelling]
    assert field.key(one) == field.key(other) != field.key(one.replace("\u00e9", "x"))
    for text in (one, one.replace("\u00e9", "x")):
        with pytest.raises(InvalidValue) as raised:
            field.decode(text)
        assert raised.value.code in ("wrong_type", "bad_format")
