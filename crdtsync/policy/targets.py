"""What the product team promises itself; reports compare measurements with these."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The `[targets]` table. Every one has a default, so the table may be left out."""

    failure_rate: float = 0.01  # failed attempts / all attempts, at most
    recovery_success_rate: float = 0.99  # offline ops synced in time / all offline ops, at least
    recovery_time_s: float = 60.0  # from the connection's return: the "in time" above
    sync_latency_s: float = 2.0  # write to receipt while online, 95th percentile, at most
    average_retries: float = 0.5  # (attempts - 1) per synced op, at most
    conflict_age_s: float = 86_400.0  # age of the oldest open conflict, at most


TARGET_NAMES = tuple(item.name for item in fields(Targets))
RATES = frozenset({"failure_rate", "recovery_success_rate"})
"""Targets that are shares between 0 and 1; the others are any amount from 0 up."""
