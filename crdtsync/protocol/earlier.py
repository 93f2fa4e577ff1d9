"""Attempts of an op that had no success, as its device tells of them.

A server never sees the attempts that were lost on the way; the device remembers the
newest few and sends them along with the next one, so that a trace shows every
attempt (invariant 11). They are told, not proved: nothing is decided by them, and what
a hostile device writes here is cut to something short and harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from crdtsync.documents.ops import SAFE_INTEGER, is_op_id
from crdtsync.protocol.messages import EarlierAttempt, OutboxSummary

MAX_EARLIER = 8
"""Attempts that are remembered per op, the newest ones: 500 bytes at most."""

MAX_REASONS = 8
"""Codes that an outbox summary counts, the most frequent ones."""

CUT = "cut"
"""The connection ended before the answer came."""

NO_ANSWER = "no_answer"
"""The connection stood, and nothing came over it until the device gave it up."""

STOPPED = "stopped"
"""The program on the device ended before the answer came."""

HELD = "held"
"""The server waits for an earlier op of this device; not counted as an attempt."""

OTHER = "other"
"""An ending that this version does not know."""

_ENDED = re.compile(r"cut|no_answer|stopped|held|(?:transient|refused):[a-z][a-z_]{0,39}")
_CODE = re.compile(r"[a-z][a-z_]{0,39}")


def transient(reason: str) -> str:
    """The server answered that a fault of its own will pass."""
    return f"transient:{code_of(reason)}"


def refused(code: str) -> str:
    """The server judged it and did not accept it."""
    return f"refused:{code_of(code)}"


def code_of(text: str) -> str:
    """A code as it may be stored and counted; ``other`` for anything that is none."""
    return text if _CODE.fullmatch(text) else OTHER


def remember(
    earlier: Iterable[EarlierAttempt], attempt: EarlierAttempt
) -> tuple[EarlierAttempt, ...]:
    """``earlier`` with one more, the newest ``MAX_EARLIER``; the same attempt stands once."""
    kept = [one for one in earlier if one.request_id != attempt.request_id]
    return (*kept, attempt)[-MAX_EARLIER:]


def plausible_earlier(told: tuple[EarlierAttempt, ...]) -> tuple[EarlierAttempt, ...]:
    """What a server keeps of what a device tells: at most ``MAX_EARLIER``, in known words."""
    kept: dict[str, EarlierAttempt] = {}
    for one in told[-MAX_EARLIER:]:
        if is_op_id(one.request_id) and 0 <= one.sent_us <= SAFE_INTEGER:
            ended = one.ended if _ENDED.fullmatch(one.ended) else OTHER
            kept[one.request_id] = EarlierAttempt(one.request_id, one.sent_us, ended)
    return tuple(kept.values())


def plausible_summary(told: OutboxSummary) -> OutboxSummary:
    """A summary of an outbox whose numbers count something, with at most ``MAX_REASONS`` codes."""
    reasons = {
        code: number
        for code, number in list(told.reasons.items())[:MAX_REASONS]
        if _CODE.fullmatch(code) and 0 < number <= SAFE_INTEGER
    }
    return OutboxSummary(
        _count(told.pending),
        _count(told.failed),
        _count(told.oldest_age_ms),
        _count(told.signed_out),
        reasons,
    )


def _count(number: int) -> int:
    return min(max(number, 0), SAFE_INTEGER)
