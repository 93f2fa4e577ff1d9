"""Measuring takes a share of one core, whoever asks and however the question is varied."""

from __future__ import annotations

from crdtsync_server.report.shares import THOROUGH_SHARE, Shares

SECOND_US = 1_000_000
TOOK_S = 2.0


def reports_within(shares: Shares, users: list[str], seconds: int) -> dict[str, int]:
    """How many reports those get who ask again every second."""
    made = dict.fromkeys(users, 0)
    for now_us in range(0, seconds * SECOND_US, SECOND_US):
        for user in users:
            if shares.refusal(user, thorough=True, now_us=now_us) is None:
                shares.use(user, TOOK_S, thorough=True, now_us=now_us)
                made[user] += 1
    return made


def test_those_who_ask_without_pause_get_no_more_than_the_share_all_together() -> None:
    made = reports_within(Shares(), ["kim", "lee", "park"], 3_600)
    assert sum(made.values()) * TOOK_S <= THOROUGH_SHARE * 3_600 + 2 * TOOK_S


def test_nobody_who_asks_without_pause_shuts_out_another() -> None:
    made = reports_within(Shares(), ["kim", "lee"], 3_600)
    assert made["lee"] >= 10


def test_dashboards_of_one_user_wait_and_those_of_others_do_not() -> None:
    shares = Shares()
    shares.use("kim", 10.0, thorough=False, now_us=0)
    refusal = shares.refusal("kim", thorough=False, now_us=0)
    assert refusal is not None
    assert refusal.headers == {"Retry-After": "41"}
    assert shares.refusal("lee", thorough=False, now_us=0) is None
    assert shares.refusal("kim", thorough=False, now_us=41 * SECOND_US) is None
