"""The words of the fuzzer: texts, numbers, ids and raw msgpack that break programs."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

Tree = Any
"""A message as msgpack tells it: lists, dicts, texts, numbers, bytes, and ``msgspec.Raw``."""

TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\r\n",
    "\x1b[31mred",
    "\x7f\x85",
    "\u2028",
    "\u202eabc\u202c",
    "\u200f\u061c",
    "\ufeff",
    "\ufffe\uffff",
    "é",
    "e\u0301",
    "\uac00",
    "\u1100\u1161",
    "김민지",
    "😀",
    "👩‍👩‍👧‍👦",
    "\U0010ffff",
    "a" * 257,
    "가" * 100,
    "x" * 65_536,
    "__proto__",
    "constructor",
    "toString",
    "null",
    "None",
    "true",
    "../../etc/passwd",
    "a/b",
    "r/name",
    "d/",
    "m/",
    "fold:1",
    "'; DROP TABLE log;--",
    "%s%n{0}",
    "\\ud800",
    "\\",
    '"',
    '["a"]',
    "{}",
    "NaN",
    "-0",
    "1e400",
)

SMALL_NUMBERS = (0, 1, -1, 2, 7, 15, 16, 17, 31, 32, 999, 1_000, 1_001, 4_000, 4_001)
LARGE_NUMBERS = (
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**40,
    2**52,
    2**52 + 1,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -(2**53),
    -(2**63),
)
FLOATS = (0.0, -0.0, 0.5, 1.0, 1e308, -1e-308, float("nan"), float("inf"), float("-inf"))

TIMES_US = (
    0,
    1,
    -1,
    1_700_000_000_000_000,
    1_700_000_060_000_001,
    4_102_444_800_000_000,
    2**52,
    2**53 - 1,
    2**53,
    2**63 - 1,
    2**64 - 1,
)

# What msgspec's encoder would never write: cut, lying, forbidden or deep.
RAW = tuple(
    msgspec.Raw(data)
    for data in (
        b"\xc1",  # the one byte that msgpack never uses
        b"\xa3\xed\xa0\x80",  # a lone surrogate
        b"\xa2\xff\xfe",  # no UTF-8
        b"\xa1\x00",
        b"\xd9\x05ab",  # a text that is shorter than it says
        b"\xdb\xff\xff\xff\xffab",
        b"\xc6\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xdf\x7f\xff\xff\xff",
        b"\xdd\x00\x10\x00\x00",
        b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
        b"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xc7\x00\x05",
        b"\xd4\x01\x00",
        b"\x82\xa1a\x01\xa1a\x02",  # one key twice
        b"\x81\x01\x02",  # a key that is no text
        b"\x81\xc0\xc0",
        b"\x81\x91\x01\x02",
        b"\x91" * 100 + b"\x90",
        b"\x91" * 2_000 + b"\x90",
        b"\x81\xa1a" * 2_000 + b"\xc0",
        b"\x91" * 60_000,
        b"\xdc\xff\xff" + b"\xc0" * 65_535,
    )
)


def new_id(draw: Random) -> str:
    """A seeded UUID v4."""
    text = f"{draw.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def bad_id(draw: Random, like: str) -> str:
    """What looks like an op_id and is none, or is not written as one."""
    return draw.choice(
        (
            like.upper(),
            like.replace("-", ""),
            "{" + like + "}",
            f"urn:uuid:{like}",
            like[:-1],
            like + "0",
            like[:14] + "1" + like[15:],
            like[:19] + "c" + like[20:],
            " " + like,
            like + "\n",
            like.replace("0", "٠"),
            like * 50,
            "",
            "0" * 36,
            "g" + like[1:],
            f"fold:{draw.randrange(9)}",
        )
    )


def number(draw: Random) -> int:
    """A number at some limit."""
    return draw.choice(SMALL_NUMBERS if draw.random() < 0.5 else LARGE_NUMBERS)


def text(draw: Random) -> str:
    """A text that somebody did not think of."""
    if draw.random() < 0.1:
        return "".join(chr(draw.choice((draw.randrange(32), draw.randrange(0xD800)))) for _ in "12")
    return draw.choice(TEXTS)


def anything(draw: Random, depth: int = 0) -> Tree:
    """Any value that msgpack can tell, and some that it cannot."""
    kind = draw.randrange(12 if depth < 3 else 8)
    match kind:
        case 0 | 1:
            return text(draw)
        case 2 | 3:
            return number(draw)
        case 4:
            return draw.choice(FLOATS)
        case 5:
            return draw.choice((None, True, False))
        case 6:
            return draw.randbytes(draw.choice((0, 1, 15, 16, 17, 300)))
        case 7:
            return draw.choice(RAW)
        case 8 | 9:
            return [anything(draw, depth + 1) for _ in range(draw.randrange(4))]
        case 10:
            return {text(draw): anything(draw, depth + 1) for _ in range(draw.randrange(3))}
        case _:
            return [[]] * draw.choice((10, 1_000))
