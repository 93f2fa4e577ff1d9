"""What the policy says of one field and of one collection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from .canonical import NULL, read
from .codec import Codec
from .containers import JsonCodec, ListCodec, MapCodec, SetCodec
from .errors import InvalidValue, UnknownField
from .merge import MergeKind
from .patterns import safe_pattern
from .scalars import (
    BooleanCodec,
    DateCodec,
    DatetimeCodec,
    DecimalCodec,
    IntegerCodec,
    Limits,
    NumberCodec,
    StringCodec,
)
from .value_types import ValueType

_SCALARS: Mapping[str, Callable[[str, str, Limits | None], Codec]] = {
    "string": StringCodec,
    "integer": IntegerCodec,
    "number": NumberCodec,
    "boolean": BooleanCodec,
    "date": DateCodec,
    "datetime": DatetimeCodec,
    "decimal": DecimalCodec,
}
_CONTAINERS: Mapping[str, Callable[[str, str, Codec], Codec]] = {
    "list": ListCodec,
    "set": SetCodec,
    "map": MapCodec,
}

Bound = int | float | Decimal | date | datetime
Choice = str | int | float | Decimal | date | datetime


def codec_for(
    value_type: ValueType, field_name: str, limits: Limits | None = None, depth: int = 0
) -> Codec:
    """The codec of `value_type`; `limits` hold for its innermost scalars."""
    spelling = str(value_type)
    if value_type.item is not None:
        item = codec_for(value_type.item, field_name, limits, depth + 1)
        return _CONTAINERS[value_type.kind](field_name, spelling, item)
    if value_type.kind == "json":
        return JsonCodec(field_name, spelling, depth)
    return _SCALARS[value_type.kind](field_name, spelling, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPolicy:
    """The rules of one field.

    `max_length`, `min`, `max`, `pattern` and `choices` speak about one scalar; in a
    list, set or map they hold for each of its innermost values.

    An *entry* is what one op puts into the field: the whole value in the register
    kinds (null when it is cleared), one element in a `set`, one delta in a `counter`.
    """

    collection: str
    name: str
    type: ValueType
    merge: MergeKind = MergeKind.SERVER_LATEST
    label: Mapping[str, str] = attribute(default_factory=dict, hash=False)
    required: bool = False  # may not be cleared
    max_length: int | None = None  # code points
    min: Bound | None = None  # inclusive
    max: Bound | None = None  # inclusive
    pattern: str | None = None  # regular expression for the whole text
    choices: tuple[Choice, ...] | None = None
    write: frozenset[str] | None = None  # roles that may write; None: every role
    read: frozenset[str] | None = None  # roles that may read; None: every role
    root: str = attribute(init=False)  # name of the field's root in a document
    _codec: Codec = attribute(init=False, repr=False, compare=False)
    _takes_null: bool = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shape = self.merge.shape
        entry_type = self.type
        if shape == "s" and self.type.item is not None:
            entry_type = self.type.item
        plain = codec_for(self.type.leaf, self.name)
        choices = None
        if self.choices is not None:
            choices = {plain.text_key(plain.text(item)): str(item) for item in self.choices}
        limits = Limits(
            max_length=self.max_length,
            min=self.min,
            max=self.max,
            pattern=None if self.pattern is None else safe_pattern(self.pattern, self.max_length),
            choices=choices,
        )
        codec = codec_for(entry_type, self.name, None if limits == Limits() else limits)
        object.__setattr__(self, "root", f"{shape}/{self.name}")
        object.__setattr__(self, "_codec", codec)
        object.__setattr__(self, "_takes_null", shape == "r" and not self.required)

    def encode(self, value: object) -> str:
        """Canonical text of a register value; None gives "null", which clears the field.

        Takes Python values and their JSON spelling ("2024-01-31" for a date, "1.50"
        for a decimal), and any set, list or tuple for a set<T>. Raises InvalidValue.
        """
        if self.root[0] != "r":
            raise self._wrong_shape("value")
        if value is None:
            self._check_null()
            return NULL
        return self._codec.text(value)

    def encode_element(self, value: object) -> str:
        """Canonical text of one element of a `merge = "set"` field. Raises InvalidValue."""
        if self.root[0] != "s":
            raise self._wrong_shape("element")
        return self._codec.text(value)

    def encode_delta(self, value: object) -> str:
        """Canonical text of one delta of a counter: int or Decimal. Raises InvalidValue."""
        if self.root[0] != "c":
            raise self._wrong_shape("delta")
        return self._codec.text(value)

    def check(self, text: str) -> None:
        """Check an entry that another wrote: it must be what the encode methods give.

        Safe for any text, however large or deep. Raises InvalidValue.
        """
        if text == NULL:
            self._check_null()
        else:
            self._codec.check(text)

    def decode(self, text: str) -> object:
        """The Python value of an entry that was checked when it was written.

        Limits are not enforced again, so tightening one leaves older values readable.
        Raises InvalidValue for a text of another type.
        """
        if text == NULL:
            return None
        return self._codec.python(read(text, self.name))

    def key(self, text: str) -> Hashable:
        """Equal for entries that mean the same: decimals by value, datetimes by instant,
        text by NFC, sets without order, lists with order, booleans apart from numbers."""
        return self._codec.text_key(text)

    def label_in(self, lang: str) -> str:
        """The label in `lang`, else in English, else the name."""
        return label_in(self.label, lang, self.name)

    def may_write(self, roles: Collection[str] | None) -> bool:
        """Whether someone with `roles` may write. None means that the roles are not
        known yet (before the first sign-in): nothing is refused then, the server decides."""
        return roles is None or self.write is None or not self.write.isdisjoint(roles)

    def may_read(self, roles: Collection[str] | None) -> bool:
        """Whether someone with `roles` may read; None: not known yet, as for writing."""
        return roles is None or self.read is None or not self.read.isdisjoint(roles)

    def _check_null(self) -> None:
        if self._takes_null:
            return
        if self.merge.shape == "r":
            raise InvalidValue(self.name, "required")
        raise InvalidValue(self.name, "not_clearable", merge=self.merge.value)

    def _wrong_shape(self, asked: str) -> InvalidValue:
        return InvalidValue(self.name, "wrong_shape", merge=self.merge.value, asked=asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPolicy:
    """The rules of one collection of records."""

    name: str
    label: Mapping[str, str] = attribute(default_factory=dict, hash=False)
    fields: Mapping[str, FieldPolicy] = attribute(hash=False)
    on_delete_conflict: Literal["keep", "delete"] = "keep"
    delete: frozenset[str] | None = None  # roles that may delete and restore; None: every role
    read: frozenset[str] | None = None  # roles that may read fields without a list of their own
    by_root: Mapping[str, FieldPolicy] = attribute(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        roots = {rules.root: rules for rules in self.fields.values()}
        object.__setattr__(self, "by_root", MappingProxyType(roots))

    def field(self, name: str) -> FieldPolicy:
        """The field of that name. Raises UnknownField naming the known ones."""
        try:
            return self.fields[name]
        except KeyError:
            raise UnknownField(self.name, name, self.fields) from None

    def label_in(self, lang: str) -> str:
        """The label in `lang`, else in English, else the name."""
        return label_in(self.label, lang, self.name)

    def may_delete(self, roles: Collection[str] | None) -> bool:
        """Whether someone with `roles` may delete and restore; None: not known yet."""
        return roles is None or self.delete is None or not self.delete.isdisjoint(roles)


def label_in(label: Mapping[str, str], lang: str, name: str) -> str:
    return label.get(lang) or label.get("en") or name
