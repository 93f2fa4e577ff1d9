"""Canonical JSON: one text per value, and a reader that hostile texts cannot hurt.

The form is `json.dumps` with `ensure_ascii=False`, `separators=(",", ":")`,
`sort_keys=True`, and with integral numbers written without a fraction. Two
devices that mean the same value write the same text, so texts can be compared,
hashed and signed.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Final, NoReturn

from .errors import InvalidValue
from .limits import MAX_JSON_DEPTH, MAX_SAFE_INTEGER, MAX_VALUE_BYTES

NULL: Final = "null"

_UNSAFE_INTEGER_CHARS = len(str(-MAX_SAFE_INTEGER))
# A closing quote may be missing, and every part is possessive: the scan looks at
# each character once, whatever the text is.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?+|[\[\]{}]', re.DOTALL)


class _DuplicateKey(Exception):
    pass


class _UnsafeInteger(Exception):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _DuplicateKey
    return made


def _integer(digits: str) -> int:
    # Converting is quadratic in the number of digits, so the length comes first.
    if len(digits) > _UNSAFE_INTEGER_CHARS:
        raise _UnsafeInteger
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


_scan = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
).raw_decode


def read(text: str, field: str) -> object:
    """Parse one JSON value that fills `text` wholly. Safe for texts of strangers.

    The result is plain Python (str, int, float, bool, None, list, dict); it is not
    yet checked against a type. Raises InvalidValue for `field`.
    """
    check_size(text, field)
    if text[:1] in ("[", "{"):
        _check_depth(text, field)
    try:
        value, end = _scan(text)
    except _DuplicateKey:
        raise InvalidValue(field, "duplicate_key") from None
    except _UnsafeInteger:
        raise InvalidValue(field, "unsafe_integer") from None
    except (ValueError, RecursionError):
        raise InvalidValue(field, "not_json") from None
    if end != len(text):
        raise InvalidValue(field, "not_json")
    return value


def check_size(text: str, field: str) -> None:
    """Raise InvalidValue when `text` is over MAX_VALUE_BYTES as UTF-8 or is not text."""
    size_bytes = len(text)
    if size_bytes <= MAX_VALUE_BYTES and not text.isascii():
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError:
            raise InvalidValue(field, "bad_text") from None
    if size_bytes > MAX_VALUE_BYTES:
        raise InvalidValue(field, "too_large", limit=str(MAX_VALUE_BYTES))


def _check_depth(text: str, field: str) -> None:
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        first = found[0][0]
        if first in "[{":
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise InvalidValue(field, "too_deep", limit=str(MAX_JSON_DEPTH))
        elif first != '"':
            depth -= 1


def string_text(value: str, field: str) -> str:
    """Canonical text of a string; refuses what not every language can carry."""
    if len(value) > MAX_VALUE_BYTES:
        raise InvalidValue(field, "too_large", limit=str(MAX_VALUE_BYTES))
    if "\x00" in value:
        raise InvalidValue(field, "bad_text")
    text: str = encode_basestring(value)
    check_size(text, field)
    return text


def integer_text(value: int, field: str) -> str:
    """Canonical text of an integer within what browsers hold exactly."""
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise InvalidValue(field, "unsafe_integer")
    return int.__repr__(value)


def number_text(value: float, field: str) -> str:
    """Canonical text of an int or float: 1 and 1.0 give "1", -0.0 gives "0".

    Other floats are the shortest digits that read back as the same double, in
    Python's spelling: an exponent of at least two digits from 1e16 up and below
    1e-4 ("1e+16", "1e-05").
    """
    if isinstance(value, int):
        return integer_text(value, field)
    if not math.isfinite(value):
        raise InvalidValue(field, "not_finite")
    if value.is_integer() and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return int.__repr__(int(value))
    return float.__repr__(value)


def array_text(parts: list[str]) -> str:
    return f"[{','.join(parts)}]"


def object_text(pairs: Iterable[tuple[str, str]]) -> str:
    """Object of (canonical key text, canonical value text), already in order."""
    return f"{{{','.join(f'{key}:{text}' for key, text in pairs)}}}"


def equal_text(text: str) -> str:
    """`text` in NFC: canonically equivalent texts become one.

    Of a whole JSON text this is the same as normalising each string in it: no
    character composes with a quote, and none decomposes into a quote, a
    backslash or a control character.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)
