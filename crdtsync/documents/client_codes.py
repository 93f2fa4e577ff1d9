"""Client ids as Yjs writes them: varints, 7 bits to a byte, the lowest first.

Nearly every id of ours takes eight bytes, because it is a hash of 53 bits. So the
7-bit groups of an id are moved to their places at once, by halves, quarters and
eighths; and those of many ids in one step, in lanes of one long integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

CLIENT_ID_MASK = 2**53 - 1
"""Yjs client ids are JavaScript numbers; beyond 53 bits pycrdt aliases them."""

_EIGHT_BYTES = 1 << 49
_ONE_BYTE = [bytes((number,)) for number in range(0x80)]

_LANES = 64
"""Ids that are moved in one step: enough to spread its cost, and masks stay small."""

_FEW = 4
"""Up to here one at a time is faster than lanes."""


def varint(number: int) -> bytes:
    """An unsigned number in LEB128, the shortest form."""
    if number < 0x80:
        return _ONE_BYTE[number]
    if _EIGHT_BYTES <= number <= CLIENT_ID_MASK:
        # As in ``_in_lanes``, for one.
        number = number & 0xFFFFFFF | number >> 28 << 32
        number = number & 0x3FFF00003FFF | (number & 0xFFFC0000FFFC000) << 2
        number = number & 0x7F007F007F007F | (number & 0x3F803F803F803F80) << 1
        return (number | 0x80808080808080).to_bytes(8, "little")
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


client_code = lru_cache(maxsize=65_536)(varint)
"""The varint of a client id. The same few come again in sections and short delete sets."""


def codes_with(ordered: Sequence[int], tail: bytes) -> bytes:
    """The varint of each of these client ids with ``tail`` after it. In descending order."""
    count = len(ordered)
    if count <= _FEW:
        return b"".join([client_code(number) + tail for number in ordered])
    # The ids of fewer than eight bytes are the smallest: one of sixteen, at the end.
    long = count
    while long and ordered[long - 1] < _EIGHT_BYTES:
        long -= 1
    parts = [
        _in_lanes(ordered[start : min(start + _LANES, long)], tail)
        for start in range(0, long, _LANES)
    ]
    parts += [varint(number) + tail for number in ordered[long:]]
    return b"".join(parts)


def _in_lanes(numbers: Sequence[int], tail: bytes) -> bytes:
    """The same for at most ``_LANES`` ids of eight bytes."""
    lanes = _lanes(len(numbers), tail)
    group = int.from_bytes(lanes.struct.pack(*numbers), "little")
    group = group & lanes.low_28 | (group & lanes.high_28) << 4
    group = group & lanes.low_14 | (group & lanes.high_14) << 2
    group = group & lanes.low_7 | (group & lanes.high_7) << 1
    return (group | lanes.fixed).to_bytes(lanes.struct.size, "little")


def number_of(code: bytes) -> int:
    """The client id of a varint of at most eight bytes: the way back of ``varint``."""
    number = int.from_bytes(code, "little") & 0x7F7F7F7F7F7F7F7F
    number = number & 0x7F007F007F007F | (number & 0x7F007F007F007F00) >> 1
    number = number & 0x3FFF00003FFF | (number & 0x3FFF00003FFF0000) >> 2
    return number & 0xFFFFFFF | number >> 32 << 28


def long_numbers(data: bytes, place: int, count: int, tail: bytes) -> list[int] | None:
    """The client ids of so many varints of eight bytes, each with ``tail`` after it.

    None where something else stands among them, which has to be read one by one.
    """
    found: list[int] = []
    width = 8 + len(tail)
    for start in range(0, count, _LANES):
        lanes = _lanes(min(count - start, _LANES), tail)
        at = place + start * width
        group = int.from_bytes(data[at : at + lanes.struct.size], "little")
        if group & lanes.checked != lanes.fixed:
            return None
        group = group & lanes.low_7 | (group & lanes.high_7 << 1) >> 1
        group = group & lanes.low_14 | (group & lanes.high_14 << 2) >> 2
        group = group & lanes.low_28 | (group & lanes.high_28 << 4) >> 4
        found += lanes.struct.unpack(group.to_bytes(lanes.struct.size, "little"))
    # One that is smaller is not in its shortest form.
    return found if not found or min(found) >= _EIGHT_BYTES else None


class _Lanes(NamedTuple):
    """What is the same for every group of so many ids: a mask has its bits in each lane."""

    struct: Struct
    low_28: int
    high_28: int
    low_14: int
    high_14: int
    low_7: int
    high_7: int
    fixed: int
    """The bits that say "more follows", and the tail."""
    checked: int
    """The bits of which an eighth byte can have none, and where those of ``fixed`` are."""


@lru_cache(maxsize=4 * _LANES)
def _lanes(count: int, tail: bytes) -> _Lanes:
    masks = (
        0xFFFFFFF,
        0x1FFFFFF0000000,
        0x3FFF00003FFF,
        0xFFFC0000FFFC000,
        0x7F007F007F007F,
        0x3F803F803F803F80,
        0x80808080808080,
        0xF080808080808080,
    )
    tails = [bytes(len(tail))] * 6 + [tail, b"\xff" * len(tail)]
    whole = [
        int.from_bytes((mask.to_bytes(8, "little") + end) * count, "little")
        for mask, end in zip(masks, tails, strict=True)
    ]
    return _Lanes(Struct("<" + f"Q{len(tail)}x" * count), *whole)
