"""The time that is measured: how it is asked for, and the buckets of its charts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crdtsync.errors import CrdtsyncError
from crdtsync_server.report.measures import Window
from crdtsync_server.report.words import say

SECOND_US = 1_000_000

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_WORDS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

MAX_WINDOW_S = 366 * 86_400
"""A year. The log's detail is kept for a stated time that is usually shorter."""

BUCKETS = 48
"""About so many points has a chart: enough for a line, few enough for the table under it."""

_STEPS_S = (60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 7 * 86_400, 31 * 86_400)


class BadWindow(CrdtsyncError):
    """A window that nobody can measure; the message says how to write one."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Equal parts of a window; the last may be shorter."""

    from_us: int
    to_us: int
    width_us: int

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each begins."""
        return tuple(range(self.from_us, self.to_us, self.width_us))

    def of(self, at_us: int) -> int:
        """The bucket of a moment; one outside of the window falls into the first or last."""
        within = min(max(at_us, self.from_us), self.to_us - 1)
        return (within - self.from_us) // self.width_us


def parse_window(text: str) -> float:
    """Seconds of ``90m``, ``24h``, ``7d`` or ``4w``. Raises BadWindow."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    length_s = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < length_s <= MAX_WINDOW_S:
        raise BadWindow(say("bad_window", "en", text=text))
    return float(length_s)


def window_of(text: str, now_us: int, lang: str) -> tuple[Window, Buckets]:
    """The window that ends now. Raises BadWindow."""
    length_s = parse_window(text)
    width_s = next((step for step in _STEPS_S if length_s / step <= BUCKETS), _STEPS_S[-1])
    from_us = now_us - round(length_s * SECOND_US)
    many = int(text[:-1])
    words = say(f"window_{_WORDS[text[-1]]}", lang, n=many)
    if many == 1:
        words = say(f"window_one_{text[-1]}", lang)
    # "Now" is part of it: what was recorded in this very microsecond counts.
    to_us = now_us + 1
    return (
        Window(name=text, words=words, from_us=from_us, to_us=to_us, bucket_s=float(width_s)),
        Buckets(from_us, to_us, width_s * SECOND_US),
    )
