"""The writer's clock: a hybrid logical clock in one integer.

After Kulkarni and others, *Logical Physical Clocks* (2014), with the logical
part in the low digits of a microsecond count: a stamp is the wall clock, or one
more than the largest effective time that was seen, whichever is larger. Since a
stamp only ever follows *effective* times, which the server bounds, one device
with a clock a year ahead cannot drag the others along.
"""

from __future__ import annotations

FUTURE_BOUND_US = 60_000_000
"""How far ahead of the server's receive time a user's time may count (1 minute).

Network delay never makes a stamp look early, so the bound only has to cover
clocks that run a little fast. A larger skew is told to the user and changes
nothing else.
"""


class HybridClock:
    """Stamps for one replica. Holds no wall clock: ``now_us`` comes in."""

    def __init__(self, last_effective_us: int = 0) -> None:
        self.last_effective_us = last_effective_us

    def stamp(self, now_us: int) -> int:
        """The time of a write made at ``now_us``."""
        return max(now_us, self.last_effective_us + 1)

    def observe(self, effective_us: int) -> None:
        """Advance past a time that the server has put into the log."""
        if effective_us > self.last_effective_us:
            self.last_effective_us = effective_us


def effective_time(time_us: int, received_us: int, superseded_us: int) -> int:
    """What counts between concurrent ``user-latest`` writes.

    ``superseded_us`` is the largest effective time among what the op replaces:
    causality beats clocks.
    """
    latest_us = received_us + FUTURE_BOUND_US
    if time_us > latest_us:
        time_us = latest_us
    return time_us if time_us > superseded_us else superseded_us + 1
