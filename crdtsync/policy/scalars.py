"""Codecs of single values, and the limits that a policy puts on them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from .canonical import equal_text, integer_text, number_text, string_text
from .codec import Codec
from .errors import InvalidValue
from .limits import MAX_DECIMAL_DIGITS, MAX_PATTERN_TEXT_CHARS, MAX_VALUE_BYTES

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_DECIMAL = re.compile(r"-?\d{1,64}(?:\.\d{1,64})?", re.ASCII)
_SHOWN_CHOICES = 10  # of the choices in a message; more would not be read
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the policy asks of every scalar of a field, whatever list, set or map it is in."""

    max_length: int | None = None  # code points of a text
    min: Any = None  # inclusive; a Python value of the field's own type
    max: Any = None  # inclusive
    pattern: re.Pattern[str] | None = None  # must match the whole text
    choices: dict[str, str] | None = None  # equality key of each choice -> its words
    longest_text: int | None = field(init=False)  # code points after which a text is refused

    def __post_init__(self) -> None:
        longest = self.max_length
        if longest is None and self.pattern is not None:
            longest = MAX_PATTERN_TEXT_CHARS
        object.__setattr__(self, "longest_text", longest)


@dataclass(slots=True)
class ScalarCodec(Codec):
    """A codec with limits. Subclasses call `_limited` with the value and its text."""

    limits: Limits | None = field(default=None)

    def _limited(self, value: Any, text: str) -> str:
        limits = self.limits
        if limits is None:
            return text
        if limits.min is not None and value < limits.min:
            raise InvalidValue(self.field, "out_of_range", min=str(limits.min))
        if limits.max is not None and value > limits.max:
            raise InvalidValue(self.field, "out_of_range", max=str(limits.max))
        if limits.choices is not None and self.text_key(text) not in limits.choices:
            shown = list(limits.choices.values())[:_SHOWN_CHOICES]
            if len(shown) < len(limits.choices):
                shown.append("…")
            raise InvalidValue(self.field, "not_in_choices", choices=", ".join(shown))
        return text


class StringCodec(ScalarCodec):
    """Text. Equal when equal in NFC; kept as it was written."""

    def text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.wrong_type(value)
        # A subclass, such as a StrEnum, may format itself differently.
        chars = value if type(value) is str else str.__str__(value)
        return self._limited_text(chars, string_text(chars, self.field))

    def check(self, text: str) -> None:
        # The texts of most fields on the server's hot path need no parser: printable
        # characters without quote and backslash stand in JSON for themselves.
        if (
            len(text) <= MAX_VALUE_BYTES // 4
            and text.isprintable()
            and text[:1] == text[-1:] == '"'
            and text.count('"') == 2
            and "\\" not in text
        ):
            if self.limits is not None:
                self._limited_text(text[1:-1], text)
        else:
            ScalarCodec.check(self, text)

    def _limited_text(self, chars: str, text: str) -> str:
        limits = self.limits
        if limits is None:
            return text
        longest = limits.longest_text
        if longest is not None and len(chars) > longest:
            raise InvalidValue(self.field, "too_long", limit=str(longest), length=str(len(chars)))
        if limits.pattern is not None and limits.pattern.fullmatch(chars) is None:
            raise InvalidValue(self.field, "pattern", pattern=limits.pattern.pattern)
        return self._limited(chars, text)

    def python(self, plain: object) -> object:
        if not isinstance(plain, str):
            raise self.wrong_type(plain)
        return plain

    def key(self, plain: object) -> str:
        if not isinstance(plain, str):
            raise self.wrong_type(plain)
        return equal_text(string_text(plain, self.field))


class IntegerCodec(ScalarCodec):
    """Whole numbers that browsers hold exactly. True is not 1."""

    def text(self, value: object) -> str:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong_type(value)
        return self._limited(value, integer_text(value, self.field))

    def python(self, plain: object) -> object:
        if not isinstance(plain, int) or isinstance(plain, bool):
            raise self.wrong_type(plain)
        return plain

    def key(self, plain: object) -> str:
        self.python(plain)
        return integer_text(plain, self.field)  # type: ignore[arg-type]


class NumberCodec(ScalarCodec):
    """Doubles; integral ones read back as int, which Python compares as equal."""

    def text(self, value: object) -> str:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong_type(value)
        return self._limited(value, number_text(value, self.field))

    def python(self, plain: object) -> object:
        if not isinstance(plain, int | float) or isinstance(plain, bool):
            raise self.wrong_type(plain)
        return plain

    def key(self, plain: object) -> str:
        self.python(plain)
        return number_text(plain, self.field)  # type: ignore[arg-type]


class BooleanCodec(ScalarCodec):
    """True and False, and nothing that merely behaves like them."""

    def text(self, value: object) -> str:
        if not isinstance(value, bool):
            raise self.wrong_type(value)
        return "true" if value else "false"

    def python(self, plain: object) -> object:
        if not isinstance(plain, bool):
            raise self.wrong_type(plain)
        return plain

    def key(self, plain: object) -> str:
        return self.text(plain)


class DateCodec(ScalarCodec):
    """Calendar days, "2024-01-31"."""

    def text(self, value: object) -> str:
        day = self._day(value)
        return self._limited(day, f'"{date.isoformat(day)}"')

    def check(self, text: str) -> None:
        # As for strings, no parser is needed: a day that exists has one spelling only.
        if self.limits is None and text[:1] == text[-1:] == '"' and _DATE.fullmatch(text[1:-1]):
            self._day(text[1:-1])
        else:
            ScalarCodec.check(self, text)

    def python(self, plain: object) -> object:
        return self._day(plain)

    def key(self, plain: object) -> str:
        return f'"{date.isoformat(self._day(plain))}"'

    def _day(self, value: object) -> date:
        if isinstance(value, str):
            try:
                if _DATE.fullmatch(value):
                    return date.fromisoformat(value)
            except ValueError:
                pass
            raise InvalidValue(
                self.field, "bad_format", expected=self.expected, example="2024-01-31"
            )
        # A datetime is a date to Python, but its day depends on the time zone.
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.wrong_type(value)
        return value


class DatetimeCodec(ScalarCodec):
    """Instants with their offset, RFC 3339. Equal when they are the same instant.

    Offsets are kept; one with seconds (zones before about 1910) becomes UTC,
    because RFC 3339 cannot write it.
    """

    @property
    def ascii_is_key(self) -> bool:
        return False

    def text(self, value: object) -> str:
        moment = self._moment(value)
        return self._limited(moment, f'"{datetime.isoformat(moment)}"')

    def python(self, plain: object) -> object:
        return self._moment(plain)

    def key(self, plain: object) -> str:
        # An integer, because the UTC form of the first and last hours does not exist.
        return f"@{(self._moment(plain) - _EPOCH) // _MICROSECOND}"

    def _moment(self, value: object) -> datetime:
        if isinstance(value, str):
            value = self._read(value)
        if not isinstance(value, datetime):
            raise self.wrong_type(value)
        offset = value.utcoffset()
        if offset is None:
            raise InvalidValue(self.field, "naive_datetime")
        if offset % timedelta(minutes=1):
            try:
                return value.astimezone(UTC)
            except OverflowError:
                raise InvalidValue(self.field, "out_of_range") from None
        return value

    def _read(self, text: str) -> datetime:
        found = _DATETIME.fullmatch(text)
        if found is not None:
            if found[1] is None:
                raise InvalidValue(self.field, "naive_datetime")
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                pass
        raise InvalidValue(
            self.field,
            "bad_format",
            expected=self.expected,
            example="2024-01-31T09:30:00+09:00",
        )


class DecimalCodec(ScalarCodec):
    """Exact decimal numbers that keep their scale: 1.50 stays 1.50 and equals 1.5."""

    @property
    def ascii_is_key(self) -> bool:
        return False

    def text(self, value: object) -> str:
        number = self._number(value)
        return self._limited(number, f'"{number:f}"')

    def python(self, plain: object) -> object:
        return self._number(plain)

    def key(self, plain: object) -> str:
        text = f"{self._number(plain):f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return f'"{text}"'

    def _number(self, value: object) -> Decimal:
        if isinstance(value, str):
            if len(value) > 2 * MAX_DECIMAL_DIGITS:
                raise InvalidValue(self.field, "too_many_digits", limit=str(MAX_DECIMAL_DIGITS))
            if not _DECIMAL.fullmatch(value):
                raise InvalidValue(self.field, "bad_format", expected=self.expected, example="1.50")
            number = Decimal(value)
        elif isinstance(value, Decimal):
            number = value
        elif isinstance(value, int) and not isinstance(value, bool):
            # Converting a huge int is slow, and its digits would be refused anyway.
            if abs(value) >= 10**MAX_DECIMAL_DIGITS:
                raise InvalidValue(self.field, "too_many_digits", limit=str(MAX_DECIMAL_DIGITS))
            number = Decimal(value)
        else:
            raise self.wrong_type(value)
        return self._bounded(number)

    def _bounded(self, number: Decimal) -> Decimal:
        if not number.is_finite():
            raise InvalidValue(self.field, "not_finite")
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int)
        scale = max(-exponent, 0)
        whole = max(len(digits) + exponent, 1) if any(digits) else 1
        if whole + scale > MAX_DECIMAL_DIGITS:
            raise InvalidValue(self.field, "too_many_digits", limit=str(MAX_DECIMAL_DIGITS))
        # A negative zero has no spelling of its own. Built from digits: arithmetic
        # would round to the caller's context.
        return number if number else Decimal((0, (0,), -scale))
