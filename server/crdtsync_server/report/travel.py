"""How ops travelled: written when, on which connection, received and saved when, seen when.

A device's clock is corrected by its skew as of the connection that delivered the op.
An op was written offline where it was created before that connection began. Both are told
by the same clock, so this is exact: the skew puts the hello at the connection's begin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from crdtsync_server.report.scope import OF_DEVICES, SQL, Scope, Space, entry_of
from crdtsync_server.storage.keys import position, seq_of

EDGE_US = 60_000_000
"""A push is received before its ops get their time; at the window's edge the one may lie
outside and the other within."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One push that the server received."""

    id: int
    space: int
    replica: int
    received_us: int
    first_seq: int | None
    last_seq: int | None
    accepted: int
    duplicate: int
    refused: int
    held: int
    transient: int
    committed_us: int | None


@dataclass(frozen=True, slots=True)
class Joined:
    """One connection."""

    replica: int
    connected_us: int
    ended_us: int | None
    code: int | None
    skew_us: int
    outbox: bytes | None


@dataclass(slots=True)
class Delivered:
    """One op that entered the log in the window."""

    space: int
    seq: int
    replica: int
    attempts: int
    at_us: int
    """When it was saved, and so acknowledged."""
    written_us: int | None
    """By the server's clock; None: by a thin client, whose clock nobody knows."""
    connected_us: int | None

    @property
    def offline(self) -> bool:
        """Whether it was written before its connection began."""
        return (
            self.written_us is not None
            and self.connected_us is not None
            and self.written_us < self.connected_us
        )

    @property
    def latency_s(self) -> float | None:
        """Receipt minus write."""
        if self.written_us is None:
            return None
        return max(self.at_us - self.written_us, 0) / 1e6

    @property
    def recovery_s(self) -> float | None:
        """Receipt minus the connection's return."""
        if self.connected_us is None:
            return None
        return max(self.at_us - self.connected_us, 0) / 1e6


@dataclass(slots=True)
class Travel:
    """Everything about the ways of ops in the window."""

    recorded: bool
    pushes: list[Pushed] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    connections: dict[int, list[Joined]] = field(default_factory=dict)
    """By replica, oldest first; the last one before the window too, where it matters."""
    visible_s: list[float] = field(default_factory=list)
    counted_from_us: int = 0
    """Pushes and attempts before are not counted, neither those that failed nor the others:
    a share of which one part were cut would be another share."""
    unrecorded: int = 0
    """Ops that the log got in this time by pushes of which nothing is recorded: the record was
    switched off meanwhile, could not be written, or was trimmed. What failed then is not known."""
    switched_off: bool = False
    """The running server records nothing now: what failed since then is not known either."""
    cut_at_us: int | None = None
    """What lies before was not looked at: there was too much."""

    def connection_at(self, replica: int, at_us: int) -> Joined | None:
        """The replica's connection that stood at a moment."""
        known = self.connections.get(replica, [])
        place = bisect_right(known, at_us, key=lambda one: one.connected_us)
        return known[place - 1] if place else None


def read_travel(scope: Scope) -> Travel:
    """Read the window's pushes, their ops and connections."""
    if not scope.has_trace_tables:
        return Travel(recorded=False)
    pushes = [Pushed(*row) for row in scope.within("requests_within", scope.bounds.pushes)]
    newest = max((space.received_us for space in scope.spaces), default=0)
    # Ops arrived in the window, and no push was recorded: the record is switched off.
    switched_off = scope.live is not None and not scope.live.trace
    recorded = bool(pushes) or not (switched_off or newest >= scope.window.from_us)
    travel = Travel(recorded=recorded, pushes=pushes, switched_off=switched_off)
    cut_at_us = _cut(scope, pushes)
    if cut_at_us is not None:
        travel.cut_at_us = travel.counted_from_us = cut_at_us
        travel.pushes = pushes = [one for one in pushes if one.received_us >= cut_at_us]
    if recorded:
        travel.unrecorded = _unrecorded(scope, travel)
    travel.connections = _connections(scope, pushes)
    _read_ops(scope, travel)
    travel.visible_s = _visible(scope, travel.delivered)
    return travel


def _cut(scope: Scope, pushes: list[Pushed]) -> int | None:
    """From when on all is looked at; None: from the window's beginning."""
    cuts = [pushes[-1].received_us] if len(pushes) == scope.bounds.pushes else []
    for name in ("attempt_beyond", "told_beyond"):
        # The push that was cut in the middle is not counted at all.
        cuts += [at_us + 1 for (at_us,) in scope.within(name, scope.bounds.attempts)]
    return max(cuts, default=None)


def _unrecorded(scope: Scope, travel: Travel) -> int:
    """Ops of the logs in this time that no push accounts for."""
    from_us = max(scope.window.from_us, travel.counted_from_us) + EDGE_US
    of_space: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for push in travel.pushes:
        if push.first_seq is not None and push.last_seq is not None:
            of_space[push.space].append((push.first_seq, push.last_seq))
    unrecorded = 0
    for space in scope.spaces:
        first = _first_since(scope, space, from_us)
        last = _first_since(scope, space, scope.window.to_us) - 1
        recorded = sum(
            max(min(end, last) - max(begin, first) + 1, 0) for begin, end in of_space[space.id]
        )
        unrecorded += max(last - first + 1 - recorded, 0)
    return unrecorded


def _first_since(scope: Scope, space: Space, at_us: int) -> int:
    """The first place of the log that was received at this time or later; its times never run
    backwards. An entry that is not there or cannot be read is taken for an earlier one."""
    low, high = 1, space.seq + 1
    while low < high:
        middle = (low + high) // 2
        row = scope.connection.execute(SQL["entry_at"], (position(space.id, middle),)).fetchone()
        entry = None if row is None else entry_of(row[0])
        if entry is not None and entry.received_us >= at_us:
            high = middle
        else:
            low = middle + 1
    return low


def _connections(scope: Scope, pushes: Iterable[Pushed]) -> dict[int, list[Joined]]:
    rows = scope.within("connections_within", scope.bounds.connections)
    found: dict[int, list[Joined]] = defaultdict(list)
    for row in reversed(rows):
        found[row[0]].append(Joined(*row))
    first_push: dict[int, int] = {}
    for push in pushes:  # newest first, so the oldest one stays
        first_push[push.replica] = push.received_us
    for replica, at_us in first_push.items():
        known = found[replica]
        if known and known[0].connected_us <= at_us:
            continue
        before_us = known[0].connected_us if known else scope.window.to_us
        row = scope.connection.execute(SQL["connection_before"], (replica, before_us)).fetchone()
        if row is not None:
            known.insert(0, Joined(*row))
    return dict(found)


def _read_ops(scope: Scope, travel: Travel) -> None:
    thin = _thin_clients(scope)
    for push in travel.pushes:
        if push.first_seq is None or push.last_seq is None:
            continue
        if len(travel.delivered) >= scope.bounds.ops:
            travel.cut_at_us = push.received_us
            return
        joined = None
        if push.replica not in thin:
            joined = travel.connection_at(push.replica, push.received_us)
        bounds = (position(push.space, push.first_seq), position(push.space, push.last_seq))
        at_us = push.committed_us or push.received_us
        for place, attempts, created_us in scope.connection.execute(SQL["ops_within"], bounds):
            travel.delivered.append(
                Delivered(
                    push.space,
                    seq_of(place),
                    push.replica,
                    attempts,
                    at_us,
                    None if joined is None else created_us - joined.skew_us,
                    None if joined is None else joined.connected_us,
                )
            )


def _thin_clients(scope: Scope) -> frozenset[int]:
    marks = ",".join("?" * len(OF_DEVICES))
    rows = scope.connection.execute(
        f"SELECT id FROM replicas WHERE replica_id IN ({marks})", OF_DEVICES
    )
    return frozenset(number for (number,) in rows)


def _visible(scope: Scope, delivered: Iterable[Delivered]) -> list[float]:
    """Per op that was written online: seconds until the first other replica held it."""
    reports: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for replica, seq, at_us, space in scope.within("cursors_within", scope.bounds.cursors):
        reports[space].append((seq, at_us, replica))
    ops: dict[int, list[Delivered]] = defaultdict(list)
    for op in delivered:
        if op.written_us is not None and not op.offline:
            ops[op.space].append(op)
    found: list[float] = []
    for space, written in ops.items():
        found += _first_elsewhere(written, reports.get(space, []))
    return found


def _first_elsewhere(
    written: list[Delivered], reports: list[tuple[int, int, int]]
) -> Iterable[float]:
    """From the newest op downwards, knowing the earliest reports of two different replicas."""
    reports.sort(reverse=True)
    earliest: dict[int, int] = {}
    place = 0
    for op in sorted(written, key=lambda one: one.seq, reverse=True):
        while place < len(reports) and reports[place][0] >= op.seq:
            _, at_us, replica = reports[place]
            earliest[replica] = min(earliest.get(replica, at_us), at_us)
            place += 1
            if len(earliest) > 2:
                # A third replica can never be the first one elsewhere.
                del earliest[max(earliest, key=earliest.__getitem__)]
        others = [at_us for replica, at_us in earliest.items() if replica != op.replica]
        if others and op.written_us is not None:
            yield max(min(others) - op.written_us, 0) / 1e6
