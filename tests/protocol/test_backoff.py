"""When to try again: grows, is bounded, spreads, and never undercuts the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.protocol.backoff import (
    CAP_MS,
    FLOOR_MS,
    LONGEST_MS,
    RETRY_AFTER_CAP_MS,
    retry_delay_ms,
)

DRAWS = st.floats(0, 1, exclude_max=True)


def test_the_bound_doubles_up_to_the_cap() -> None:
    delays = [retry_delay_ms(failures, 0.999_999) for failures in range(1, 10)]
    assert delays == [499, 999, 1_999, 3_999, 7_999, 15_999, 31_999, 59_999, 59_999]


@given(st.integers(-5, 10**6), DRAWS, st.integers(-(2**70), 2**70))
def test_it_is_bounded_whatever_comes(failures: int, draw: float, asked_ms: int) -> None:
    delay = retry_delay_ms(failures, draw, asked_ms)
    assert FLOOR_MS <= delay <= LONGEST_MS == RETRY_AFTER_CAP_MS + CAP_MS


@given(st.integers(1, 100), DRAWS, st.integers(0, RETRY_AFTER_CAP_MS))
def test_what_the_server_asks_for_is_not_undercut(
    failures: int, draw: float, asked_ms: int
) -> None:
    assert retry_delay_ms(failures, draw, asked_ms) >= asked_ms


def test_even_the_luckiest_draw_leaves_some_air() -> None:
    assert retry_delay_ms(1, 0.0) == FLOOR_MS


def test_jitter_is_full() -> None:
    delays = {retry_delay_ms(8, n / 100) for n in range(100)}
    assert len(delays) == 100
    assert max(delays) - min(delays) > CAP_MS * 0.9


@pytest.mark.parametrize(
    ("failures", "draw", "asked_ms", "delay_ms"),
    [
        (0, 0.5, 0, 250),
        (1, 0.5, 0, 250),
        (2, 0.5, 0, 500),
        (1, 0.0999, 0, 50),
        (1, 0.102, 0, 51),
        (7, 0.5, 0, 16_000),
        (8, 0.5, 0, 30_000),
        (1, 0.5, 2_000, 2_250),
        (1, 0.5, -2_000, 250),
        (1, 0.5, RETRY_AFTER_CAP_MS, RETRY_AFTER_CAP_MS + 250),
        (1, 0.5, RETRY_AFTER_CAP_MS + 1, RETRY_AFTER_CAP_MS + 250),
        (10**9, 0.5, 0, 30_000),
    ],
)
def test_the_delay_is_what_was_asked_for_and_a_share_of_the_bound(
    failures: int, draw: float, asked_ms: int, delay_ms: int
) -> None:
    assert retry_delay_ms(failures, draw, asked_ms) == delay_ms
