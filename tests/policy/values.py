"""Hypothesis strategies: a field of every type, with Python values for it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from crdtsync.policy import FieldPolicy
from tests.policy.policies import field_of

SAFE = 2**53 - 1

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30
) | st.sampled_from(["é", "e\u0301", "각", "각", "\u212a", "K", "a\n\u0303", '"\\', "\u2028"])
integers = st.integers(-SAFE, SAFE)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0)
decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=15).map(tuple),
    st.integers(-15, 10),
)
_offsets = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
datetimes = st.datetimes(
    min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=_offsets
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "integer": integers,
    "number": numbers,
    "boolean": st.booleans(),
    "date": st.dates(),
    "datetime": datetimes,
    "decimal": decimals,
}
FIELDS: dict[str, FieldPolicy] = {
    spelling: field_of(f'type = "{spelling}", merge = "manual"')
    for scalar in SCALARS
    for spelling in (scalar, f"list<{scalar}>", f"set<{scalar}>", f"map<{scalar}>")
} | {
    spelling: field_of(f'type = "{spelling}"')
    for spelling in ("json", "list<json>", "map<json>", "list<map<set<decimal>>>")
}


def values_of(spelling: str) -> st.SearchStrategy[Any]:
    """Python values of the type that is spelt so."""
    if spelling in SCALARS:
        return SCALARS[spelling]
    if spelling == "json":
        # A bare null clears the field, whatever its type.
        return json_values.filter(lambda value: value is not None)
    head, inner = spelling.rstrip(">").split("<", 1) if spelling.count("<") == 1 else ("", "")
    if not head:
        head, inner = spelling[:-1].split("<", 1)
    items = json_values if inner == "json" else values_of(inner)
    if head == "set":
        return st.frozensets(items, max_size=6)
    if head == "list":
        return st.lists(items, max_size=6)
    return st.dictionaries(texts, items, max_size=5)


typed_values = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda spelling: st.tuples(st.just(FIELDS[spelling]), values_of(spelling))
)
"""(a field, a value of its type)."""
