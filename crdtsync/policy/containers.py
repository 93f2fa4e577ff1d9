"""Codecs of values that hold other values: json, list, set and map."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from .canonical import (
    array_text,
    check_size,
    equal_text,
    number_text,
    object_text,
    string_text,
)
from .codec import Codec
from .errors import InvalidValue
from .limits import MAX_ELEMENTS, MAX_JSON_DEPTH, MAX_VALUE_BYTES


@dataclass(slots=True)
class JsonCodec(Codec):
    """Any JSON value without further rules."""

    depth: int = 0  # lists and maps of the type around this value

    def text(self, value: object) -> str:
        text = self._text(value, self.depth)
        check_size(text, self.field)
        return text

    def python(self, plain: object) -> object:
        return plain

    def key(self, plain: object) -> str:
        if isinstance(plain, str):
            return equal_text(string_text(plain, self.field))
        if isinstance(plain, list):
            return array_text([self.key(item) for item in plain])
        if isinstance(plain, dict):
            return _object_key({name: self.key(item) for name, item in plain.items()}, self.field)
        return self._text(plain, 0)

    def _text(self, value: object, depth: int) -> str:
        if isinstance(value, str):
            return string_text(value, self.field)
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return number_text(value, self.field)
        if depth == MAX_JSON_DEPTH:
            raise InvalidValue(self.field, "too_deep", limit=str(MAX_JSON_DEPTH))
        if isinstance(value, list | tuple):
            gathered = _Gathered(self.field)
            for item in value:
                gathered.add(self._text(item, depth + 1))
            return array_text(gathered.parts)
        if isinstance(value, dict):
            pairs = _sorted_items(value, self)
            gathered = _Gathered(self.field)
            for name, item in pairs:
                gathered.add(self._text(item, depth + 1), len(name))
            names = [string_text(name, self.field) for name, _ in pairs]
            return object_text(zip(names, gathered.parts, strict=True))
        raise self.wrong_type(value)


@dataclass(slots=True)
class _Container(Codec):
    item: Codec

    @property
    def ascii_is_key(self) -> bool:
        return self.item.ascii_is_key

    def _gather(self, values: list[object] | tuple[object, ...]) -> list[str]:
        _check_count(values, self.field)
        gathered = _Gathered(self.field)
        for value in values:
            gathered.add(self.item.text(value))
        return gathered.parts


class ListCodec(_Container):
    """Elements of one type in order."""

    def text(self, value: object) -> str:
        if not isinstance(value, list | tuple):
            raise self.wrong_type(value)
        text = array_text(self._gather(value))
        check_size(text, self.field)
        return text

    def python(self, plain: object) -> object:
        if not isinstance(plain, list):
            raise self.wrong_type(plain)
        return [self.item.python(element) for element in plain]

    def key(self, plain: object) -> str:
        if not isinstance(plain, list):
            raise self.wrong_type(plain)
        return array_text([self.item.key(element) for element in plain])


class SetCodec(_Container):
    """Scalars without order: an array sorted by text, one element of each key."""

    def text(self, value: object) -> str:
        if not isinstance(value, set | frozenset | list | tuple):
            raise self.wrong_type(value)
        chosen: dict[str, str] = {}
        for element in sorted(self._gather(list(value))):
            # Of equal elements the first by text stays, on every device the same.
            chosen.setdefault(self.item.text_key(element), element)
        text = array_text(list(chosen.values()))
        check_size(text, self.field)
        return text

    def python(self, plain: object) -> object:
        if not isinstance(plain, list):
            raise self.wrong_type(plain)
        return frozenset(self.item.python(element) for element in plain)

    def key(self, plain: object) -> str:
        if not isinstance(plain, list):
            raise self.wrong_type(plain)
        return array_text(sorted({self.item.key(element) for element in plain}))


class MapCodec(_Container):
    """Texts to values of one type."""

    def text(self, value: object) -> str:
        if not isinstance(value, dict):
            raise self.wrong_type(value)
        pairs = _sorted_items(value, self)
        _check_count(pairs, self.field)
        keys = [string_text(name, self.field) for name, _ in pairs]
        values = self._gather([element for _, element in pairs])
        text = object_text(zip(keys, values, strict=True))
        check_size(text, self.field)
        return text

    def python(self, plain: object) -> object:
        if not isinstance(plain, dict):
            raise self.wrong_type(plain)
        return {name: self.item.python(element) for name, element in plain.items()}

    def key(self, plain: object) -> str:
        if not isinstance(plain, dict):
            raise self.wrong_type(plain)
        keys = {name: self.item.key(element) for name, element in plain.items()}
        return _object_key(keys, self.field)


class _Gathered:
    """Texts of elements, bounded while they come: shared references in a Python value
    can stand for far more text than memory holds."""

    def __init__(self, field: str) -> None:
        self.parts: list[str] = []
        self._field = field
        self._left_bytes = MAX_VALUE_BYTES

    def add(self, text: str, extra: int = 0) -> None:
        self._left_bytes -= len(text) + extra
        if self._left_bytes < 0:
            raise InvalidValue(self._field, "too_large", limit=str(MAX_VALUE_BYTES))
        self.parts.append(text)


def _check_count(values: Sized, field: str) -> None:
    if len(values) > MAX_ELEMENTS:
        raise InvalidValue(
            field, "too_many_elements", limit=str(MAX_ELEMENTS), count=str(len(values))
        )


def _sorted_items(value: dict[object, object], codec: Codec) -> list[tuple[str, object]]:
    names = []
    for name in value:
        if not isinstance(name, str):
            raise codec.wrong_type(name)
        names.append(name)
    return [(name, value[name]) for name in sorted(names)]


def _object_key(keys: dict[str, str], field: str) -> str:
    # Sorted after normalising, because NFC may change the order of names.
    pairs = sorted((equal_text(name), key) for name, key in keys.items())
    return object_text([(string_text(name, field), key) for name, key in pairs])
