"""``where``: a filter over the JSON views, answered by SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crdtsync.documents.errors import UsageError
from crdtsync.documents.writing import field_named
from crdtsync.policy import CollectionPolicy, FieldPolicy, MergeKind
from crdtsync.replica.shown import CONFLICT_KEY


@dataclass(frozen=True, slots=True)
class Filter:
    """What to find. Every field must match."""

    fields: Mapping[str, object]
    order_by: str | None
    descending: bool
    limit: int | None


def query(policy: CollectionPolicy, wanted: Filter) -> tuple[str, list[Any]]:
    """The SELECT of the matching ids, and its values."""
    parts = ["SELECT id FROM records WHERE collection = ? AND deleted = 0"]
    values: list[Any] = [policy.name]
    for name, value in wanted.fields.items():
        text, more = _match(field_named(policy, name), value)
        parts.append(f"AND {text}")
        values.extend(more)
    if wanted.order_by is not None:
        field = field_named(policy, wanted.order_by)
        direction = "DESC" if wanted.descending else "ASC"
        extract = f"json_extract(view, '{_path(field)}')"
        if field.type.kind == "decimal":
            extract = f"CAST({extract} AS REAL)"
        parts.append(f"ORDER BY {extract} {direction}, id")
    else:
        parts.append("ORDER BY id DESC" if wanted.descending else "ORDER BY id")
    if wanted.limit is not None:
        if wanted.limit < 0:
            raise UsageError("limit counts records; it cannot be negative")
        parts.append("LIMIT ?")
        values.append(wanted.limit)
    return " ".join(parts), values


def _match(field: FieldPolicy, value: object) -> tuple[str, list[Any]]:
    path = _path(field)
    if field.merge is MergeKind.SET:
        # A set matches when it holds the element.
        text = field.encode_element(value)
        return (
            f"EXISTS (SELECT 1 FROM json_each(view, '{path}') e "
            "WHERE json_quote(e.value) = json_quote(json_extract(?, '$')))",
            [text],
        )
    if field.merge is MergeKind.COUNTER:
        return f"coalesce(json_extract(view, '{path}'), 0) = json_extract(?, '$')", [
            field.encode_delta(value)
        ]
    text = field.encode(value)
    if text == "null":
        return f"json_extract(view, '{path}') IS NULL", []
    return (
        f"(json_extract(view, '{path}') = json_extract(?, '$') OR EXISTS (SELECT 1 FROM "
        f"json_each(view, '{path}.\"{CONFLICT_KEY}\"') e "
        "WHERE e.value = json_extract(?, '$')))",
        [text, text],
    )


def _path(field: FieldPolicy) -> str:
    # Field names are identifiers (the policy loader holds that); quotes are
    # doubled all the same, because this becomes part of a statement.
    name = field.name.replace("'", "''").replace('"', "")
    return f'$."{name}"'
