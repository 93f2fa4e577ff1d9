"""When to try again: exponential backoff with full jitter, bounded, obeying the server.

After Marc Brooker, *Exponential Backoff And Jitter* (AWS, 2015): the delay is
drawn evenly from zero to the exponential bound, so devices that lost the server
at one moment do not come back at one moment.
"""

from __future__ import annotations

BASE_MS = 500
CAP_MS = 60_000
RETRY_AFTER_CAP_MS = 3_600_000
"""What a server asks for is obeyed up to an hour: a mistaken one must not end sync."""
LONGEST_MS = RETRY_AFTER_CAP_MS + CAP_MS
FLOOR_MS = 50
"""Even the luckiest draw leaves a failing server this much air."""


def retry_delay_ms(failures: int, draw: float, retry_after_ms: int = 0) -> int:
    """The delay before the next attempt, in milliseconds.

    ``failures`` counts attempts that failed in a row (1 for the first), ``draw``
    is a random number in [0, 1), ``retry_after_ms`` what the server asked for:
    it is never undercut (up to ``RETRY_AFTER_CAP_MS``), and jitter comes on top so
    that replies spread.
    """
    bound_ms = min(CAP_MS, BASE_MS * 2 ** min(max(failures, 1) - 1, 20))
    asked_ms = min(max(retry_after_ms, 0), RETRY_AFTER_CAP_MS)
    return asked_ms + max(FLOOR_MS, int(bound_ms * draw))
