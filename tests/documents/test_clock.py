"""Stamps follow the wall clock and effective times, and no clock drags another along."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.documents.clock import FUTURE_BOUND_US, HybridClock, effective_time

TIMES = st.integers(0, 2**52)


def test_a_stamp_is_the_wall_clock_where_that_is_ahead() -> None:
    assert HybridClock().stamp(1_000) == 1_000
    assert HybridClock(999).stamp(1_000) == 1_000


@pytest.mark.parametrize("now_us", [0, 4_999, 5_000])
def test_a_stamp_comes_right_after_the_largest_time_that_was_seen(now_us: int) -> None:
    assert HybridClock(5_000).stamp(now_us) == 5_001


def test_stamping_alone_does_not_advance_the_clock() -> None:
    clock = HybridClock(5_000)
    assert [clock.stamp(0), clock.stamp(0)] == [5_001, 5_001]
    clock.stamp(9_000_000)
    assert clock.stamp(0) == 5_001


def test_only_later_effective_times_are_followed() -> None:
    clock = HybridClock()
    clock.observe(7_000)
    clock.observe(6_999)
    assert clock.last_effective_us == 7_000
    assert clock.stamp(0) == 7_001


@pytest.mark.parametrize(
    ("time_us", "superseded_us", "effective_us"),
    [
        (500, 0, 500),
        (1_000 + FUTURE_BOUND_US, 0, 1_000 + FUTURE_BOUND_US),
        (1_001 + FUTURE_BOUND_US, 0, 1_000 + FUTURE_BOUND_US),
        (500, 499, 500),
        (500, 500, 501),
        (500, 9 * FUTURE_BOUND_US, 9 * FUTURE_BOUND_US + 1),
    ],
)
def test_a_time_counts_up_to_a_minute_ahead_and_always_after_what_it_replaces(
    time_us: int, superseded_us: int, effective_us: int
) -> None:
    assert effective_time(time_us, 1_000, superseded_us) == effective_us


@given(st.lists(TIMES, max_size=20), TIMES)
def test_a_stamp_is_later_than_every_effective_time_that_was_seen(
    seen: list[int], now_us: int
) -> None:
    clock = HybridClock()
    for effective_us in seen:
        clock.observe(effective_us)
    assert clock.stamp(now_us) > max(seen, default=-1)
    assert clock.stamp(now_us) in (now_us, max(seen, default=0) + 1)
