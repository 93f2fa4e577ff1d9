"""``where``: a filter over the JSON views, answered by SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from crdtsync.documents.errors import UsageError
from crdtsync.documents.writing import field_named
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.replica.shown import comparable

MAX_LIMIT = 2**63 - 1
"""What SQLite counts to."""

EXACT_DECIMAL = "exact_decimal"
"""The collation that tells decimals apart which are one floating point number."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to find. Every field must match."""

    fields: Mapping[str, object]
    order_by: str | None
    descending: bool
    limit: int | None


def query(policy: CollectionPolicy, wanted: Filter) -> tuple[str, list[Any]]:
    """The SELECT of the matching ids, and its values."""
    parts = ["SELECT id FROM records WHERE collection = ? AND deleted = 0 AND view <> ''"]
    values: list[Any] = [policy.name]
    for name, value in wanted.fields.items():
        text, more = _match(field_named(policy, name), value)
        parts.append(f"AND {text}")
        values.extend(more)
    parts.append("ORDER BY " + ", ".join(_order(policy, wanted)))
    if wanted.limit is not None:
        if not isinstance(wanted.limit, int) or not 0 <= wanted.limit <= MAX_LIMIT:
            raise UsageError(f"limit counts records; it cannot be {wanted.limit!r}")
        parts.append("LIMIT ?")
        values.append(int(wanted.limit))
    return " ".join(parts), values


def add_collation(connection: sqlite3.Connection) -> None:
    """Teach a connection what ``query`` needs."""
    connection.create_collation(EXACT_DECIMAL, _compare_decimals)


def _match(field: FieldPolicy, value: object) -> tuple[str, list[Any]]:
    each = f"SELECT 1 FROM json_each(view, '{_path(field)}') e"
    text = _text(field, value)
    if text == "null":
        return f"(NOT EXISTS ({each}) OR EXISTS ({each} WHERE e.type = 'null'))", []
    if field.merge is MergeKind.COUNTER and comparable(field, text) in ("0", '"0"'):
        # A counter that nobody ever touched reads 0.
        return f"(NOT EXISTS ({each}) OR EXISTS ({each} WHERE e.value = json_extract(?, '$')))", [
            comparable(field, text)
        ]
    return f"EXISTS ({each} WHERE e.value = json_extract(?, '$'))", [comparable(field, text)]


def _text(field: FieldPolicy, value: object) -> str:
    if field.merge is MergeKind.SET:
        return field.encode_element(value)  # a set matches when it holds the element
    if field.merge is MergeKind.COUNTER:
        return field.encode_delta(value)
    if value is None:
        return "null"
    return field.encode(value)


def _order(policy: CollectionPolicy, wanted: Filter) -> list[str]:
    direction = "DESC" if wanted.descending else "ASC"
    if wanted.order_by is None:
        return [f"id {direction}"]
    field = field_named(policy, wanted.order_by)
    first = f"json_extract(view, '{_path(field)}[0]')"
    if field.type.kind != "decimal":
        return [f"{first} {direction}", "id"]
    exact = f"{first} COLLATE {EXACT_DECIMAL} {direction}"
    return [f"CAST({first} AS REAL) {direction}", exact, "id"]


def _compare_decimals(left: str, right: str) -> int:
    try:
        one, other = Decimal(left), Decimal(right)
    except InvalidOperation:
        return (left > right) - (left < right)
    return (one > other) - (one < other)


def _path(field: FieldPolicy) -> str:
    # Field names are identifiers (the policy loader holds that); quotes are taken
    # out all the same, because this becomes part of a statement.
    name = field.name.replace("'", "").replace('"', "")
    return f'$."{name}"'
