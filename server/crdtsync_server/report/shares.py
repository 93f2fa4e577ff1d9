"""How much of the machine measuring may take, whatever is asked for.

An answer is kept by everything that was asked, the window among it; somebody who asks for
another window each time would keep a core busy for ever. So the time itself is counted.
"""

from __future__ import annotations

import math

from crdtsync_server.access.quotas import Buckets
from crdtsync_server.problems import Problem

THOROUGH_SHARE = 0.05
"""Of one core, for the thorough reports of everybody together: one that took ten seconds is
followed by another after three minutes."""

THOROUGH_SHARE_OF_USER = 0.04
"""Less than that of all together: after each turn of somebody who asks without pause, there
is a while in which only others get one."""

SHARE_OF_USER = 0.2
"""Of one core, for the dashboards of one user: a second's work is repeated every five
seconds, and a few other windows may be looked at in a row."""

_EVERYBODY = ""


class Shares:
    """Counts the time that measurements took. Time comes in as microseconds."""

    def __init__(self) -> None:
        self._thorough = Buckets(THOROUGH_SHARE * 1_000)
        self._thorough_of = Buckets(THOROUGH_SHARE_OF_USER * 1_000)
        self._quick_of = Buckets(SHARE_OF_USER * 1_000)

    def refusal(self, user: str, *, thorough: bool, now_us: int) -> Problem | None:
        """Why nothing is measured for ``user`` now, and when it will be; None: go on."""
        own = self._thorough_of if thorough else self._quick_of
        wait_ms = own.of(user, now_us).wait_ms(now_us)
        if wait_ms:
            return _come_back(429, "rate_limited", "you asked for several reports", wait_ms)
        wait_ms = self._thorough.of(_EVERYBODY, now_us).wait_ms(now_us) if thorough else 0
        if wait_ms:
            return _come_back(503, "overloaded", "several reports were made just now", wait_ms)
        return None

    def use(self, user: str, took_s: float, *, thorough: bool, now_us: int) -> None:
        """A measurement for ``user`` took so long."""
        took_ms = max(1, round(took_s * 1_000))
        own = self._thorough_of if thorough else self._quick_of
        own.of(user, now_us).take(took_ms)
        if thorough:
            self._thorough.of(_EVERYBODY, now_us).take(took_ms)


def _come_back(status: int, code: str, why: str, wait_ms: int) -> Problem:
    seconds = math.ceil(wait_ms / 1_000)
    return Problem(
        status,
        code,
        f"{why}; the next one is measured in {seconds} s",
        headers={"Retry-After": str(seconds)},
    )
