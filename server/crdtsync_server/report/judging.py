"""The measures: values, targets, and whether the ones meet the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crdtsync_server.report.failing import Failing
from crdtsync_server.report.measures import (
    Conflicts,
    Latency,
    Measure,
)
from crdtsync_server.report.present import Device, read_outbox, waiting_in
from crdtsync_server.report.scope import SQL, Scope
from crdtsync_server.report.travel import Delivered, Joined, Travel
from crdtsync_server.report.words import (
    duration_words,
    number_words,
    say,
    share_words,
)

# ── what was written offline ────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Recovery:
    """Ops that were written offline, and what became of them."""

    in_time: int
    late: int
    waiting: int
    """On devices whose connection returned longer ago than the target time."""
    fresh: int
    """On devices whose connection has just returned: not judged yet."""
    unheard: int
    """On devices that have not returned since they were written, as far as they had told."""

    @property
    def all(self) -> int:
        """What the rate is measured over."""
        return self.in_time + self.late + self.waiting


def recovery_of(scope: Scope, travel: Travel, devices: list[Device]) -> Recovery:
    """Count them. What still waits on a device never counts as a success."""
    target_s = scope.policy.targets.recovery_time_s
    offline = [op for op in travel.delivered if op.offline]
    in_time = sum((op.recovery_s or 0.0) <= target_s for op in offline)
    waiting = fresh = unheard = 0
    for device in devices:
        if not device.waiting:
            continue
        last = _last_connection(scope, travel, device)
        if last is None:
            unheard += device.waiting
            continue
        # What it brought when it connected was written offline; the rest came later.
        held_back = min(device.waiting, waiting_in(read_outbox(last.outbox)))
        since_s = (scope.now_us - last.connected_us) / 1e6
        if since_s > target_s:
            waiting += held_back
        else:
            fresh += held_back
        if not (
            _stands(scope, device, last) and (device.oldest_age_s(scope.now_us) or 0) <= target_s
        ):
            unheard += device.waiting - held_back
    return Recovery(in_time, len(offline) - in_time, waiting, fresh, unheard)


def _last_connection(scope: Scope, travel: Travel, device: Device) -> Joined | None:
    joined = travel.connections.get(device.id)
    if joined:
        return joined[-1]
    if not scope.has_trace_tables:
        return None
    row = scope.connection.execute(
        SQL["connection_before"], (device.id, scope.window.to_us)
    ).fetchone()
    return None if row is None else Joined(*row)


def _stands(scope: Scope, device: Device, last: Joined) -> bool:
    """Whether the device is connected: its ops are on their way."""
    if scope.live is None:
        return last.ended_us is None
    return (scope.space_names[device.space], device.replica_id) in scope.live.connected


# ── measures ────────────────────────────────────────────────────────────────


def percentile(sorted_values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of all do not exceed; None without values."""
    if not sorted_values:
        return None
    return sorted_values[max(math.ceil(share * len(sorted_values)) - 1, 0)]


def measures_of(
    scope: Scope,
    travel: Travel,
    failing: Failing,
    recovery: Recovery,
    conflicts: Conflicts,
) -> tuple[Measure, ...]:
    """The five measures that have targets."""
    made = _Maker(scope, travel)
    online = sorted(
        op.latency_s for op in travel.delivered if not op.offline and op.latency_s is not None
    )
    synced = failing.accepted
    retries = sum(max(op.attempts - 1, 0) for op in travel.delivered) + failing.extra_retries
    if len(travel.delivered) < synced and travel.delivered:
        # More ops than were looked at: the share of those that were.
        synced = len(travel.delivered)
    oldest_s = 0.0 if conflicts.oldest_us is None else (scope.now_us - conflicts.oldest_us) / 1e6
    return (
        made.share("failure_rate", failing.failed, failing.attempts),
        made.share(
            "recovery_success_rate", recovery.in_time, recovery.all, _waits(scope, recovery)
        ),
        made.plain(
            "average_retries",
            "retries",
            retries / synced if synced else None,
            retries,
            synced,
        ),
        made.plain("sync_latency", "seconds", percentile(online, 0.95), None, len(online)),
        made.plain(
            "conflict_age",
            "seconds",
            max(oldest_s, 0.0),
            None,
            conflicts.open,
            recorded=True,
            value_words="" if conflicts.open else say("nothing_open", scope.lang),
        ),
    )


def _waits(scope: Scope, recovery: Recovery) -> str:
    parts = [
        say(f"recovery_{key}", scope.lang, n=n)
        for key, n in (
            ("waiting", recovery.waiting),
            ("fresh", recovery.fresh),
            ("unheard", recovery.unheard),
        )
        if n
    ]
    return " ".join(parts)


class _Maker:
    """Builds measures: value, target, and whether the one meets the other."""

    def __init__(self, scope: Scope, travel: Travel) -> None:
        self._scope = scope
        self._lang = scope.lang
        self._travel = travel

    def share(self, key: str, part: int, whole: int, note: str = "") -> Measure:
        """A share of something."""
        return self.plain(key, "share", part / whole if whole else None, part, whole, note)

    def plain(
        self,
        key: str,
        unit: str,
        value: float | None,
        part: float | None,
        whole: int,
        note: str = "",
        *,
        recorded: bool = False,
        value_words: str = "",
    ) -> Measure:
        """Any measure; ``recorded``: known without a record of attempts."""
        target = getattr(self._scope.policy.targets, f"{key}{'_s' if unit == 'seconds' else ''}")
        lower = key != "recovery_success_rate"
        known = recorded or self._travel.recorded
        value = value if known else None
        notes = [note] if known else [say("not_recorded", self._lang)]
        if known and value is None:
            notes.append(say(f"no_data_{key}", self._lang))
        if known and self._travel.cut_at_us is not None and not recorded:
            notes.append(say("only_newest", self._lang, n=number_words(len(self._travel.pushes))))
        partly = [] if recorded or not known else self._gaps()
        notes += partly
        met = None
        if value is not None:
            met = value <= target if lower else value >= target
        if met and partly:
            met = None  # what failed in the rest of this time is not known
        return Measure(
            key=key,
            name=say(f"measure_{key}", self._lang),
            unit=unit,  # type: ignore[arg-type]
            value=value,
            value_words=value_words or self._words(unit, value),
            target=target,
            target_words=say(f"target_{key}", self._lang, target=self._words(unit, target)),
            better="lower" if lower else "higher",
            met=met,
            numerator=part if known and whole else None,
            denominator=whole if known and whole else None,
            fraction_words=self._fraction(key, part, whole) if known else "",
            formula=say(
                f"formula_{key}",
                self._lang,
                time=duration_words(self._scope.policy.targets.recovery_time_s, self._lang),
            ),
            note=" ".join(filter(None, notes)),
        )

    def _gaps(self) -> list[str]:
        """What is not recorded of this time, in words."""
        found = []
        if self._travel.unrecorded:
            found.append(say("partly_recorded", self._lang, n=self._travel.unrecorded))
        if self._travel.switched_off:
            found.append(say("switched_off", self._lang))
        return found

    def _words(self, unit: str, value: float | None) -> str:
        if value is None:
            return say("no_data", self._lang)
        if unit == "share":
            return share_words(value)
        if unit == "seconds":
            return duration_words(value, self._lang)
        return f"{value:.2f}".rstrip("0").rstrip(".")

    def _fraction(self, key: str, part: float | None, whole: int) -> str:
        if not whole:
            return ""
        return say(
            f"fraction_{key}",
            self._lang,
            part=number_words(round(part or 0)),
            whole=number_words(whole),
            n=whole,
        )


def latencies_of(scope: Scope, travel: Travel) -> tuple[Latency, ...]:
    """Panel 4."""
    server = [
        max(push.committed_us - push.received_us, 0) / 1e6
        for push in travel.pushes
        if push.committed_us is not None
    ]
    online = [op for op in travel.delivered if not op.offline]
    offline = [op for op in travel.delivered if op.offline]
    return (
        _latency(scope, travel, "server", server),
        _latency(scope, travel, "end_to_end", _known(op.latency_s for op in online)),
        _latency(scope, travel, "visible", travel.visible_s),
        _latency(scope, travel, "offline", _known(op.recovery_s for op in offline)),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _latency(scope: Scope, travel: Travel, key: str, values: list[float]) -> Latency:
    ordered = sorted(values)
    note = ""
    if not travel.recorded:
        note = say("not_recorded", scope.lang)
    elif not ordered:
        note = say(f"no_data_{key}", scope.lang)
    return Latency(
        key=key,
        name=say(f"latency_{key}", scope.lang),
        p50_s=percentile(ordered, 0.50),
        p95_s=percentile(ordered, 0.95),
        p99_s=percentile(ordered, 0.99),
        count=len(ordered),
        formula=say(f"formula_{key}", scope.lang),
        note=note,
    )


def moments(delivered: Iterable[Delivered]) -> list[tuple[int, float]]:
    """(when, end-to-end seconds) of the ops that were written online."""
    return [
        (op.at_us, op.latency_s) for op in delivered if not op.offline and op.latency_s is not None
    ]
