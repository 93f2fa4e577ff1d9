"""What the policy says must come out of a ward's day, computed apart from crdtsync.

The model knows who wrote what and in which phase of the day (within a phase the
devices have no network, between phases all of them are in step), and from the
server's log only the order and the times. From that it says what every field must
show: by the definition of each rule, with none of crdtsync's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FUTURE_BOUND_US = 60_000_000
"""How far ahead of the server's clock a user's time may count (README, user-latest)."""


@dataclass(frozen=True)
class Write:
    """One op as the person made it."""

    op_id: str
    device: str
    record: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class LoggedWrite:
    """Where and when an op came to stand in the log."""

    op_id: str
    seq: int
    time_us: int
    received_us: int


@dataclass(frozen=True)
class Expected:
    """What a field must show: one value, or several candidates as (value, device)."""

    value: Any
    candidates: frozenset[tuple[Any, str]]
    concurrent: bool
    """Whether devices wrote it without knowing of each other in the last phase that did."""


@dataclass(frozen=True)
class _Known:
    write: Write
    phase: int
    value: Any


class Model:
    """Collects a day's writes and says what must come of them."""

    def __init__(self) -> None:
        self._phase = 0
        self._writes: list[tuple[Write, int]] = []

    @property
    def op_ids(self) -> set[str]:
        """Everything that was written."""
        return {write.op_id for write, _ in self._writes}

    def next_phase(self) -> None:
        """All devices are in step; what comes now sees all that was before."""
        self._phase += 1

    def wrote(self, write: Write) -> None:
        """A device made an op, after all its earlier ones."""
        self._writes.append((write, self._phase))

    def expected(self, log: list[LoggedWrite]) -> dict[tuple[str, str], Expected]:
        """What (record, field) must show once all of it is in the log."""
        logged = {entry.op_id: entry for entry in log}
        history: dict[tuple[str, str], list[_Known]] = {}
        for write, phase in self._writes:
            for name, value in write.fields.items():
                history.setdefault((write.record, name), []).append(_Known(write, phase, value))
        return {place: _expected(place[1], known, logged) for place, known in history.items()}


def _expected(name: str, known: list[_Known], logged: dict[str, LoggedWrite]) -> Expected:
    last = max(one.phase for one in known)
    standing = _not_replaced(known)
    concurrent = len({one.write.device for one in known if one.phase == last}) > 1
    if name == "visits":
        return Expected(sum(one.value for one in known), frozenset(), concurrent)
    if name == "allergies":
        # Equal values count as one candidate; it is known by who wrote it first.
        first: dict[Any, _Known] = {}
        for one in sorted(standing, key=lambda o: (logged[o.write.op_id].time_us, o.write.op_id)):
            first.setdefault(one.value, one)
        held = frozenset((value, one.write.device) for value, one in first.items())
        return Expected(standing[0].value, held, concurrent)
    if name == "address":
        effective = _effective_times(known, logged)
        winner = max(standing, key=lambda o: (effective[o.write.op_id], o.write.op_id))
    else:
        winner = max(standing, key=lambda o: logged[o.write.op_id].seq)
    return Expected(winner.value, frozenset(), concurrent)


def _saw(later: _Known, earlier: _Known) -> bool:
    """Whether the writer of ``later`` had ``earlier`` on the device (both in writing order)."""
    return earlier.phase < later.phase or earlier.write.device == later.write.device


def _not_replaced(known: list[_Known]) -> list[_Known]:
    return [
        one for n, one in enumerate(known) if not any(_saw(later, one) for later in known[n + 1 :])
    ]


def _effective_times(known: list[_Known], logged: dict[str, LoggedWrite]) -> dict[str, int]:
    """min(the user's time, received + bound), but later than everything it had seen."""
    effective: dict[str, int] = {}
    for n, one in enumerate(known):
        entry = logged[one.write.op_id]
        time_us = min(entry.time_us, entry.received_us + FUTURE_BOUND_US)
        for earlier in known[:n]:
            if _saw(one, earlier):
                time_us = max(time_us, effective[earlier.write.op_id] + 1)
        effective[one.write.op_id] = time_us
    return effective
