"""Texts that people type or put into a file, turned into values of a field's type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from crdtsync.catalogue.wording import Words
from crdtsync.cli.failures import Failure
from crdtsync.cli.texts import say
from crdtsync.documents.errors import UsageError
from crdtsync.policy import CollectionPolicy, FieldPolicy, InvalidValue, MergeKind, ValueType
from crdtsync.policy.limits import MAX_JSON_DEPTH

SEPARATOR = ";"
"""Stands between the elements of a list or set in one cell."""

_INTEGER = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_YES = frozenset({"true", "yes", "y", "1", "예", "네"})
_NO = frozenset({"false", "no", "n", "0", "아니요", "아니오"})

CONFLICT_CELL = Words(
    en="it holds several values that nobody has chosen from (an exported conflict); "
    "resolve it where it came from, or put one value here",
    ko="아직 아무도 고르지 않은 여러 값이 들어 있어요(내보낸 충돌). "
    "원래 있던 곳에서 고르거나 값 하나만 넣어 주세요",
)


class ConflictCell(UsageError):
    """A cell holds an exported conflict, which is never one value."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field}: {CONFLICT_CELL.en}")
        self.field = field


def value_of(field: FieldPolicy, text: str) -> object:
    """The value that ``text`` means for this field. Raises InvalidValue or ConflictCell.

    Limits are not checked here: writing does that. For a set that merges by element
    this is the whole set, for a counter the number.
    """
    refuse_conflict(field, text)
    with _bounded(field):
        return _typed(field, field.type, text)


def element_of(field: FieldPolicy, text: str) -> list[object]:
    """Elements for ``field+=text``: one, or several with a separator or as JSON."""
    found = _typed(field, field.type, text)
    return found if isinstance(found, list) else [found]


def plain_value(field: FieldPolicy, value: object) -> object:
    """A value read from JSON, for this field; decimals kept exact. Raises ConflictCell."""
    if _is_exported_conflict(value):
        raise ConflictCell(field.name)
    with _bounded(field):
        return _unboxed(field.type, value)


@contextmanager
def _bounded(field: FieldPolicy) -> Iterator[None]:
    """Nesting that the interpreter gives up on is far beyond what a value may have."""
    try:
        yield
    except RecursionError:
        raise InvalidValue(field.name, "too_deep", limit=str(MAX_JSON_DEPTH)) from None


def refuse_conflict(field: FieldPolicy, text: str) -> None:
    """Refuse a cell that ``export`` wrote for a field in conflict."""
    if text.lstrip().startswith('{"conflict"'):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return
        if _is_exported_conflict(found):
            raise ConflictCell(field.name)


def _is_exported_conflict(value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"conflict"}
        and isinstance(value["conflict"], list)
        and all(isinstance(item, dict) and "value" in item for item in value["conflict"])
    )


def _typed(field: FieldPolicy, kind: ValueType, text: str) -> object:
    match kind.kind:
        case "string":
            return text
        case "integer":
            return int(_matched(field, kind, _INTEGER, text))
        case "number":
            plain = _matched(field, kind, _NUMBER, text)
            return int(plain) if _INTEGER.fullmatch(plain) else float(plain)
        case "boolean":
            return _truth(field, text)
        case "json" | "map":
            return _unboxed(kind, _json(field, kind, text))
        case "list" | "set":
            return _elements(field, kind, text)
        case _:  # date, datetime and decimal are read by the field itself
            return text.strip()


def _matched(field: FieldPolicy, kind: ValueType, form: re.Pattern[str], text: str) -> str:
    plain = text.strip()
    if not form.fullmatch(plain):
        raise InvalidValue(field.name, "wrong_type", expected=str(kind), got="text")
    return plain


def _truth(field: FieldPolicy, text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise InvalidValue(field.name, "not_in_choices", choices="true, false")
    return word in _YES


def _elements(field: FieldPolicy, kind: ValueType, text: str) -> list[object]:
    assert kind.item is not None
    if text.lstrip().startswith("["):
        found = _unboxed(kind, _json(field, kind, text))
        if not isinstance(found, list):
            raise InvalidValue(field.name, "wrong_type", expected=str(kind), got="text")
        return found
    parts = (part.strip() for part in text.split(SEPARATOR))
    return [_typed(field, kind.item, part) for part in parts if part]


def _json(field: FieldPolicy, kind: ValueType, text: str) -> object:
    try:
        return read_json(text)
    except (ValueError, RecursionError):
        raise InvalidValue(field.name, "wrong_type", expected=str(kind), got="text") from None


def read_json(text: str) -> Any:
    """JSON with decimals kept exact and without NaN or doubled names. Raises ValueError."""
    return json.loads(
        text, parse_float=_exact, parse_constant=_no_constant, object_pairs_hook=_object
    )


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent of twenty digits
        raise ValueError(f"{text[:80]} is not a number that can be kept") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands in it twice")
    return made


def _unboxed(kind: ValueType, value: object) -> object:
    """Exact decimals of ``read_json`` become floats where the type does not want them."""
    if isinstance(value, Decimal):
        return value if kind.leaf.kind == "decimal" else float(value)
    inner = kind.item or kind
    if isinstance(value, list):
        return [_unboxed(inner, item) for item in value]
    if isinstance(value, dict):
        return {name: _unboxed(inner, item) for name, item in value.items()}
    return value


# ── field=value on the command line ─────────────────────────────────────────


def assignments(
    policy: CollectionPolicy, texts: list[str], clear: list[str], lang: str
) -> dict[str, object]:
    """``field=value`` arguments and ``--clear`` as one mapping for ``update``."""
    wanted: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Failure(say("not_an_assignment", lang, text=text))
        field = field_of(policy, name, lang)
        if field.merge is MergeKind.COUNTER:
            raise Failure(say("counter_assigned", lang, field=name))
        _once(wanted, name, lang)
        wanted[name] = value_of(field, value)
    for name in clear:
        field = field_of(policy, name, lang)
        if field.merge is MergeKind.COUNTER:
            raise Failure(say("counter_assigned", lang, field=name))
        _once(wanted, name, lang)
        wanted[name] = None
    return wanted


def field_of(policy: CollectionPolicy, name: str, lang: str) -> FieldPolicy:
    """The field, or a Failure that names the ones there are."""
    field = policy.fields.get(name)
    if field is None:
        raise Failure(
            say(
                "no_such_field",
                lang,
                collection=policy.name,
                field=name,
                known=_list(policy.fields),
            )
        )
    return field


def _once(wanted: Mapping[str, object], name: str, lang: str) -> None:
    if name in wanted:
        raise Failure(say("field_twice", lang, field=name))


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)
