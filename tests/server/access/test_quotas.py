"""Allowances: what is served, who waits, and that waiting ends."""

from __future__ import annotations

from itertools import pairwise

import pytest

from crdtsync_server.access import quotas
from crdtsync_server.access.access import MAX_WAITING, Access
from crdtsync_server.access.quotas import (
    BURST_S,
    LONGEST_WAIT_MS,
    MAX_BUCKETS,
    Bucket,
    Buckets,
    Quotas,
    client_name,
)
from crdtsync_server.access.settings import AccessSettings

SECOND = 1_000_000


def small(**changes: float) -> Quotas:
    settings = {
        "ops_per_s_per_connection": 10.0,
        "ops_per_s_per_user": 20.0,
        "ops_per_s_per_space": 40.0,
        "requests_per_s_per_client": 5.0,
    }
    return Quotas(AccessSettings(**(settings | changes)))  # type: ignore[arg-type]


def test_a_full_bucket_serves_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(10.0, 0)
    served = 0
    for now_us in range(0, 20 * SECOND, SECOND // 100):
        if not bucket.wait_ms(now_us):
            bucket.take(1)
            served += 1
    assert served == pytest.approx(10 * (BURST_S + 20), abs=2)


def test_a_push_larger_than_what_is_left_is_served_whole_and_paid_back() -> None:
    bucket = Bucket(10.0, 0)
    assert bucket.wait_ms(0) == 0
    bucket.take(1_000)
    assert bucket.wait_ms(0) == round((1 + 900) / 10 * 1_000)
    assert bucket.wait_ms(90 * SECOND) > 0
    assert bucket.wait_ms(91 * SECOND) == 0


def test_those_who_are_sent_away_get_one_time_each() -> None:
    bucket = Bucket(100.0, 0)
    bucket.take(1_000)
    waits = [bucket.appoint(100, 0) for _ in range(5)]
    assert [later - one for one, later in pairwise(waits)] == [1_000] * 4


def test_nobody_is_sent_away_for_longer_than_the_longest_time() -> None:
    bucket = Bucket(1.0, 0)
    bucket.take(10**9)
    assert [bucket.appoint(10**6, 0) for _ in range(3)] == [LONGEST_WAIT_MS] * 3


def test_who_comes_at_the_appointed_time_is_served() -> None:
    bucket = Bucket(100.0, 0)
    bucket.take(1_100)
    for wait_ms in sorted(bucket.appoint(50, 0) for _ in range(8)):
        assert bucket.wait_ms(wait_ms * 1_000) == 0
        bucket.take(50)


def test_a_clock_that_is_set_back_neither_gives_nor_takes_for_ever() -> None:
    bucket = Bucket(10.0, 100 * SECOND)
    bucket.take(100)
    bucket.appoint(100, 100 * SECOND)
    assert bucket.wait_ms(0) > 0
    assert bucket.wait_ms(1 * SECOND) == 0
    bucket.take(1_000)
    assert bucket.appoint(1, 1 * SECOND) <= LONGEST_WAIT_MS


def test_the_narrowest_allowance_speaks_first_and_nothing_is_used_by_a_refusal() -> None:
    limits = small()
    flooding = limits.connection(0)
    assert limits.ops(flooding, "kim", "ward", 150, 0) == 0
    for _ in range(50):
        assert limits.ops(flooding, "kim", "ward", 200, 0) > 0
    # The user's other connection and the space go on.
    assert limits.ops(limits.connection(0), "kim", "ward", 40, 0) == 0
    assert limits.ops(limits.connection(0), "lee", "ward", 100, 0) == 0


def test_a_user_with_many_connections_has_one_allowance_and_so_has_a_space() -> None:
    limits = small()
    assert limits.ops(limits.connection(0), "kim", "a", 100, 0) == 0
    assert limits.ops(limits.connection(0), "kim", "b", 100, 0) == 0
    assert limits.ops(limits.connection(0), "kim", "c", 1, 0) > 0
    assert limits.ops(None, "lee", "a", 199, 0) == 0
    assert limits.ops(None, "han", "a", 101, 0) == 0
    assert limits.ops(None, "park", "a", 1, 0) > 0


def test_requests_are_counted_by_client() -> None:
    limits = small()
    waits = [limits.request("1.2.3.4", 0) for _ in range(60)]
    assert waits.count(0) == 50
    assert limits.request("user kim", 0) == 0


def test_the_state_is_bounded_and_idle_buckets_go() -> None:
    buckets = Buckets(10.0)
    for number in range(1_000):
        buckets.of(f"user {number}", number * SECOND).take(1)
    assert len(buckets) < 100
    for number in range(MAX_BUCKETS * 2):
        buckets.of(f"busy {number}", 10_000 * SECOND).take(1)
    assert len(buckets) <= MAX_BUCKETS


def test_seats_are_counted_in_all_by_user_and_by_space_and_given_back() -> None:
    seats = Quotas(
        AccessSettings(connections=3, connections_per_user=2, connections_per_space=2)
    ).seats
    assert seats.take("kim", "a") is None
    assert seats.take("kim", "b") is None
    too_many = seats.take("kim", "c")
    assert too_many is not None
    assert "kim is connected 2 times" in too_many.words
    assert seats.take("lee", "a") is None
    for user, space, words in (("han", "b", "this server takes 3"),):
        refused = seats.take(user, space)
        assert refused is not None
        assert words in refused.words
    seats.leave("kim", "b")
    refused = seats.take("han", "a")
    assert refused is not None
    assert "this space" in refused.words
    assert seats.take("kim", "c") is None
    for user, space in (("kim", "a"), ("kim", "c"), ("lee", "a")):
        seats.leave(user, space)
    assert (seats.taken, seats._users, seats._spaces) == (0, {}, {})


def test_of_those_who_say_nothing_the_oldest_goes_first() -> None:
    class Silent:
        cut_off = 0

        def cut(self) -> None:
            Silent.cut_off += 1

    settings = AccessSettings(connections=3)
    access = Access(settings, now_us=lambda: 0, revoked=lambda covers: None)
    for user in ("kim", "lee", "han"):
        access.quotas.seats.take(user, "ward")
    first = Silent()
    access.wait(first)
    for _ in range(MAX_WAITING + 9):
        access.wait(Silent())
    assert (Silent.cut_off, access.waiting) == (10, MAX_WAITING)
    access.waited(first)  # long gone
    assert access.waiting == MAX_WAITING


def test_as_many_as_there_are_seats_may_come_back_at_one_moment() -> None:
    class Honest:
        cut_off = 0

        def cut(self) -> None:
            Honest.cut_off += 1

    settings = AccessSettings(connections=2 * MAX_WAITING)
    access = Access(settings, now_us=lambda: 0, revoked=lambda covers: None)
    back = [Honest() for _ in range(settings.connections)]
    for one in back:
        access.wait(one)
    assert (Honest.cut_off, access.waiting) == (0, settings.connections)
    for number, one in enumerate(back[1:]):
        assert access.quotas.seats.take(f"user {number}", f"ward {number}") is None
        access.waited(one)
    # With the seats taken, those who wait have no more room than ever.
    for _ in range(MAX_WAITING + 7):
        access.wait(Honest())
    assert (Honest.cut_off, access.waiting) == (7, MAX_WAITING + 1)
    access.quotas.seats.take("the last", "ward")
    access.wait(Honest())
    assert (Honest.cut_off, access.waiting) == (9, MAX_WAITING)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("testclient", "?"),
        (None, "?"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(host: str | None, name: str) -> None:
    assert client_name(host) == name


def test_the_defaults_are_generous() -> None:
    """A device that comes back with 10,000 changes is served at once."""
    limits = Quotas(AccessSettings())
    connection = limits.connection(0)
    assert all(limits.ops(connection, "kim", "ward", 200, 0) == 0 for _ in range(50))
    assert quotas.BURST_S * AccessSettings().ops_per_s_per_connection >= 10_000
