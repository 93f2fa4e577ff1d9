"""Client ids as varints: many at once are the same as one by one."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.documents.client_codes import (
    CLIENT_ID_MASK,
    codes_with,
    long_numbers,
    number_of,
    varint,
)

TAILS = (b"\x01", b"\x01\x00\x01")
SMALLEST_LONG = 1 << 49


def ids(count: int, *, bits: tuple[int, ...]) -> list[int]:
    """Client ids in descending order, of these sizes by turns."""
    draw = Random(count)
    return sorted(
        {draw.getrandbits(bits[n % len(bits)]) or 1 for n in range(count)} | {CLIENT_ID_MASK},
        reverse=True,
    )


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("count", [1, 4, 5, 13, 63, 64, 65, 130, 200])
@pytest.mark.parametrize("bits", [(53,), (53, 49), (49, 7), (53, 49, 42, 14, 7)])
def test_many_codes_are_those_of_each(count: int, bits: tuple[int, ...], tail: bytes) -> None:
    numbers = ids(count, bits=bits)
    written = codes_with(numbers, tail)
    assert written == b"".join(varint(number) + tail for number in numbers)
    assert [number_of(varint(number)) for number in numbers] == numbers
    long = [number for number in numbers if number >= SMALLEST_LONG]
    assert long_numbers(b"before" + written, 6, len(long), tail) == long


def test_no_codes_are_no_bytes() -> None:
    assert codes_with([], b"\x01") == b""
    assert long_numbers(b"", 0, 0, b"\x01") == []


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("at", [0, 63, 64, 99])
def test_a_code_of_another_form_among_long_ones_is_seen(at: int, tail: bytes) -> None:
    codes = [varint(SMALLEST_LONG + n) + tail for n in range(100)]
    assert long_numbers(b"".join(codes), 0, 100, tail) is not None
    for other in (
        b"\x80" * 7 + b"\x00" + tail,
        b"\x80" * 7 + b"\x10" + tail,
        b"\x80" * 6 + b"\x01\x01" + tail,
        b"\x80" * 7 + b"\x01" + b"\x02" * len(tail),
    ):
        spoiled = [*codes[:at], other, *codes[at + 1 :]]
        assert long_numbers(b"".join(spoiled), 0, 100, tail) is None
    assert long_numbers(b"".join(codes)[:-1], 0, 100, tail) is None
