"""How things stand now: devices and clocks, conflicts, connections, storage."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from crdtsync.catalogue import reason
from crdtsync.documents.ops import DELETION_ROOT, EntryId
from crdtsync.protocol import close_codes
from crdtsync.protocol.messages import OutboxSummary
from crdtsync_server.report.measures import (
    CloseCode,
    Conflicts,
    Connections,
    DeviceState,
    FieldConflicts,
    LargeRecord,
    OpenConflict,
    ResolvedBy,
    Skew,
    Storage,
    StorageFile,
    StorageRows,
)
from crdtsync_server.report.measures import Devices as DevicesPart
from crdtsync_server.report.scope import OF_DEVICES, SQL, Scope, Space
from crdtsync_server.report.travel import Joined, Travel
from crdtsync_server.report.words import age_words, say, size_words
from crdtsync_server.storage.keys import position

SHOWN_DEVICES = 100
SHOWN_CLOCKS = 20
SHOWN_CONFLICTS = 20
SHOWN_PEOPLE = 20
SHOWN_RECORDS = 5
RECORDS_WEIGHED = 20_000
"""Of each space the newest records; the largest are those that are written to."""

ARRIVED_DEVICES = 500
ARRIVED_ROWS = 5_000
"""Devices whose last report said that ops wait, and log entries after it that are looked at
for each: of more, the report stands as it is."""

AWAY_S = 7 * 86_400
"""A device that was not heard of for a week is told as away, even if it holds nothing back."""

TELLING_SKEW_S = 60.0
"""As on the device itself: a clock that is off by less than a minute is not worth a word."""

OWN_NAMES = {1001: "away", 1005: "without_word", 1006: "cut"}
"""Codes that WebSocket itself gives, besides those of the protocol."""

PASSING = frozenset(
    {"server_error", "overloaded", "restarting", "disk_full", "disk_fault", "server_fault"}
)
"""Reasons that pass without a person: the device tries again by itself."""

_OUTBOX = msgspec.msgpack.Decoder(OutboxSummary)
_CANDIDATES = msgspec.msgpack.Decoder(tuple[EntryId, ...])


def read_outbox(data: bytes | None) -> OutboxSummary:
    """What a device said about its queue; an empty queue where it said nothing."""
    return OutboxSummary() if data is None else _OUTBOX.decode(data)


def waiting_in(outbox: OutboxSummary) -> int:
    """Ops in it, whoever wrote them."""
    return outbox.pending + outbox.failed


# ── devices ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Device:
    """A replica and its last report."""

    id: int
    space: int
    replica_id: str
    user: str
    name: str
    cursor_seq: int
    last_seen_us: int
    outbox: OutboxSummary
    arrived: int = 0
    """Ops of its last report that the log has meanwhile: the next report was lost."""

    @property
    def waiting(self) -> int:
        """Ops that it has not got rid of; those of who is signed out are among them."""
        return self.outbox.failed + self.pending

    @property
    def pending(self) -> int:
        """Those of them that go on by themselves."""
        return max(self.outbox.pending - self.arrived, 0)

    @property
    def needs_person(self) -> bool:
        """Whether something in it does not go on by itself."""
        if self.outbox.signed_out:
            return True
        # An older device tells no reasons: then a failure may need a person.
        known = self.outbox.reasons
        return bool(self.outbox.failed and (not known or not PASSING.issuperset(known)))

    def oldest_age_s(self, now_us: int) -> float | None:
        """Age of the oldest of them, now."""
        if not self.waiting:
            return None
        return self.outbox.oldest_age_ms / 1_000 + max(now_us - self.last_seen_us, 0) / 1e6


def read_devices(scope: Scope) -> list[Device]:
    """Every replica of the spaces, those heard of last first."""
    values = {"spaces": scope.space_ids, "most": scope.bounds.replicas}
    rows = scope.connection.execute(SQL["replicas"], values).fetchall()
    devices = [
        Device(number, space, replica_id, user, name, cursor_seq, last_seen_us, read_outbox(data))
        for number, space, replica_id, user, name, cursor_seq, last_seen_us, data in rows
        if replica_id not in OF_DEVICES
    ]
    looked_at = 0
    for place, device in enumerate(devices):
        if device.outbox.pending and looked_at < ARRIVED_DEVICES:
            looked_at += 1
            devices[place] = replace(device, arrived=_arrived(scope, device))
    return devices


def _arrived(scope: Scope, device: Device) -> int:
    """Ops of this replica in the log above its last report's cursor.

    They were in its queue when it reported, or were written later. What failed is never
    taken for arrived.
    """
    bounds = (
        position(device.space, device.cursor_seq),
        position(device.space + 1, 0) - 1,
        ARRIVED_ROWS,
        device.id,
    )
    return int(scope.connection.execute(SQL["arrived_of"], bounds).fetchone()[0])


def devices_for_people(scope: Scope, devices: list[Device]) -> DevicesPart:
    """Those that hold something back first, the oldest of it first."""
    heads = {space.id: space.seq for space in scope.spaces}
    states = [_state(scope, device, heads[device.space]) for device in devices]
    order = ("needs_person", "waiting", "behind", "away", "in_step")
    states.sort(key=lambda one: (order.index(one.state), -(one.oldest_age_s or 0)))
    waiting = [one for one in states if one.oldest_age_s is not None]
    oldest = max(waiting, key=lambda one: one.oldest_age_s or 0, default=None)
    in_step = sum(one.state == "in_step" for one in states)
    ops = sum(device.waiting for device in devices)
    key = "devices_none" if not states else "devices_waiting" if waiting else "devices_fine"
    return DevicesPart(
        total=len(states),
        in_step=in_step,
        waiting_ops=ops,
        oldest_age_s=None if oldest is None else oldest.oldest_age_s,
        oldest_device="" if oldest is None else oldest.device or oldest.user,
        listed=tuple(states[:SHOWN_DEVICES]),
        words=say(key, scope.lang, n=len(states), fine=in_step, ops=ops, waiting=len(waiting)),
    )


def _state(scope: Scope, device: Device, head_seq: int) -> DeviceState:
    outbox, space = device.outbox, scope.space_names[device.space]
    live = scope.live
    connected = None if live is None else (space, device.replica_id) in live.connected
    behind = max(head_seq - device.cursor_seq, 0)
    silent_s = max(scope.now_us - device.last_seen_us, 0) / 1e6
    if device.needs_person:
        state = "needs_person"
    elif device.waiting:
        state = "waiting"
    elif connected or silent_s < AWAY_S:
        state = "behind" if behind else "in_step"
    else:
        state = "away"
    words = say(
        f"device_{state}",
        scope.lang,
        n=device.waiting,
        behind=behind,
        ago=age_words(silent_s, scope.lang),
    )
    return DeviceState(
        replica_id=device.replica_id,
        device=device.name,
        user=device.user,
        space=space,
        connected=connected,
        last_seen_us=device.last_seen_us,
        state=state,  # type: ignore[arg-type]
        words=words,
        pending=device.pending,
        failed=outbox.failed,
        signed_out=outbox.signed_out,
        oldest_age_s=device.oldest_age_s(scope.now_us),
        behind=behind,
        reasons=outbox.reasons,
        reason_words=tuple(
            f"{reason(code, scope.lang)} ({number})" for code, number in outbox.reasons.items()
        ),
    )


def clocks_for_people(scope: Scope, travel: Travel, devices: list[Device]) -> tuple[Skew, ...]:
    """The clocks that are off, the worst first."""
    listed = []
    for device in devices:
        joined = travel.connections.get(device.id)
        if not joined:
            continue
        skew_s = joined[-1].skew_us / 1e6
        key = "clock_right" if abs(skew_s) < TELLING_SKEW_S else "clock_ahead"
        key = "clock_behind" if key == "clock_ahead" and skew_s < 0 else key
        listed.append(
            Skew(
                replica_id=device.replica_id,
                device=device.name,
                user=device.user,
                space=scope.space_names[device.space],
                skew_s=skew_s,
                at_us=joined[-1].connected_us,
                words=say(key, scope.lang, off=age_words(abs(skew_s), scope.lang)),
            )
        )
    listed.sort(key=lambda one: -abs(one.skew_s))
    return tuple(listed[:SHOWN_CLOCKS])


# ── connections ─────────────────────────────────────────────────────────────


def connections_for_people(scope: Scope, travel: Travel) -> Connections:
    """How many, and how they ended."""
    live = None if scope.live is None else len(scope.live.connected)
    if not scope.has_trace_tables or (scope.live is not None and not scope.live.trace):
        note = say("not_recorded", scope.lang)
        return Connections(open=live, recorded=False, admitted=None, closes=(), note=note)
    joined = list(_joined_within(scope, travel))
    codes = Counter(one.code for one in joined if one.ended_us is not None and one.code)
    closes = tuple(
        CloseCode(code=code, name=_close_name(code), words=_close_words(code, scope), count=count)
        for code, count in codes.most_common()
    )
    return Connections(open=live, recorded=True, admitted=len(joined), closes=closes)


def _joined_within(scope: Scope, travel: Travel) -> Iterator[Joined]:
    for known in travel.connections.values():
        for one in known:
            if one.connected_us >= scope.window.from_us:
                yield one


def _close_name(code: int) -> str:
    return OWN_NAMES.get(code) or close_codes.NAMES.get(code, str(code))


def _close_words(code: int, scope: Scope) -> str:
    name = _close_name(code)
    known = code in OWN_NAMES or code in close_codes.NAMES
    return say(f"close_{name}" if known else "close_unknown", scope.lang, code=code)


# ── conflicts ───────────────────────────────────────────────────────────────


def conflicts_for_people(scope: Scope) -> Conflicts:
    """Open ones and what happened to any in the window, of fields that the reader may read."""
    hidden_roots = sorted(f"{collection}/{root}" for collection, root in scope.seen.hidden_roots)
    values = {
        "spaces": scope.space_ids,
        "hidden_collections": msgspec.json.encode(sorted(scope.seen.hidden_collections)).decode(),
        "hidden_roots": msgspec.json.encode(hidden_roots).decode(),
        "most": scope.bounds.conflicts,
    }
    rows = scope.connection.execute(SQL["open_conflicts"], values).fetchall()
    standing = [row for row in rows if scope.seen.may_read(row[2], row[4])]
    events = [
        row
        for row in scope.within("conflict_events_within", scope.bounds.conflicts)
        if scope.seen.may_read(row[3], row[4])
    ]
    kinds = Counter(kind for kind, *_ in events)
    people = Counter(user for kind, _, user, *_ in events if kind == "resolved")
    oldest_us = standing[0][5] if standing else None
    age_s = 0.0 if oldest_us is None else max(scope.now_us - oldest_us, 0) / 1e6
    words = say(
        "conflicts_open" if standing else "conflicts_none",
        scope.lang,
        n=len(standing),
        age=age_words(age_s, scope.lang),
    )
    return Conflicts(
        open=len(standing),
        oldest_us=oldest_us,
        opened=kinds["opened"],
        resolved=kinds["resolved"],
        agreed=kinds["agreed"],
        reopened=kinds["reopened"],
        fields=_fields(scope, standing, events),
        by=tuple(ResolvedBy(user=u, count=n) for u, n in people.most_common(SHOWN_PEOPLE)),
        oldest=tuple(
            OpenConflict(
                id=number,
                space=scope.space_names[space],
                collection=collection,
                record=record,
                field=_field_name(root),
                field_label=scope.field_label(collection, root),
                opened_us=opened_us,
                candidates=len(_CANDIDATES.decode(candidates)),
            )
            for number, space, collection, record, root, opened_us, candidates in standing[
                :SHOWN_CONFLICTS
            ]
        ),
        words=words,
    )


def _field_name(root: str) -> str:
    return root if root == DELETION_ROOT else root.partition("/")[2]


def _fields(
    scope: Scope,
    standing: Iterable[tuple[int, int, str, str, str, int, bytes]],
    events: list[tuple[str, int, str, str, str]],
) -> tuple[FieldConflicts, ...]:
    opened: dict[tuple[str, str], list[int]] = defaultdict(list)
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, _, collection, _, root, opened_us, _ in standing:
        opened[collection, root].append(opened_us)
    for kind, _, _, collection, root in events:
        kinds[collection, root][kind] += 1
    found = [
        FieldConflicts(
            collection=collection,
            collection_label=scope.collection_label(collection),
            field=_field_name(root),
            field_label=scope.field_label(collection, root),
            open=len(opened.get((collection, root), ())),
            oldest_us=min(opened.get((collection, root), ()), default=None),
            opened=kinds[collection, root]["opened"],
            resolved=kinds[collection, root]["resolved"],
            agreed=kinds[collection, root]["agreed"],
        )
        for collection, root in {*opened, *kinds}
    ]
    found.sort(key=lambda one: (-one.open, -one.opened, one.collection, one.field))
    return tuple(found)


def conflict_moments(scope: Scope) -> tuple[list[int], list[int]]:
    """When conflicts opened and when they were settled, for the charts."""
    opened, settled = [], []
    for kind, at_us, _, collection, root in scope.within(
        "conflict_events_within", scope.bounds.conflicts
    ):
        if scope.seen.may_read(collection, root):
            if kind in ("opened", "reopened"):
                opened.append(at_us)
            elif kind in ("resolved", "agreed"):
                settled.append(at_us)
    return opened, settled


# ── storage ─────────────────────────────────────────────────────────────────


def storage_for_people(scope: Scope, folder: Path | None, *, whole_server: bool) -> Storage:
    """Files of the data folder (None: a database in memory), rows, the largest records.

    Files and free space are those of the whole server, which is not shown to somebody who
    may enter some of its spaces only.
    """
    shown = folder if whole_server else None
    files, free_bytes = _files(shown)
    largest: list[LargeRecord] = []
    for space in scope.spaces:
        largest += _largest(scope, space)
    largest.sort(key=lambda one: -one.size_bytes)
    used = sum(one.size_bytes for one in files)
    key = "storage_not_shown" if not whole_server else "storage_used" if shown else "storage_memory"
    words = say(key, scope.lang, used=size_words(used), free=size_words(free_bytes or 0))
    return Storage(
        files=files,
        rows=tuple(
            StorageRows(table=table, name=say(f"rows_{table}", scope.lang), rows=rows)
            for table, rows in _rows(scope)
        ),
        largest=tuple(largest[:SHOWN_RECORDS]),
        free_bytes=free_bytes,
        words=words,
    )


def _files(folder: Path | None) -> tuple[tuple[StorageFile, ...], int | None]:
    """The files of the database, and what is free beside them."""
    if folder is None:
        return (), None
    found = (
        StorageFile(name=path.name, size_bytes=path.stat().st_size)
        for path in sorted(folder.glob("crdtsync.db*"))
    )
    return tuple(found), shutil.disk_usage(folder).free


def _rows(scope: Scope) -> Iterator[tuple[str, int]]:
    yield "log", sum(space.seq for space in scope.spaces)
    if scope.seen.is_full:
        # Which of them somebody else may know of would take reading every one.
        bounds = (_bounds(space) for space in scope.spaces)
        counts = (scope.connection.execute(SQL["count_records"], one) for one in bounds)
        yield "records", sum(count.fetchone()[0] for count in counts)
    yield "spaces", len(scope.spaces)


def _bounds(space: Space) -> tuple[int, int]:
    return position(space.id, 0), position(space.id, space.seq)


def _largest(scope: Scope, space: Space) -> Iterator[LargeRecord]:
    low, high = _bounds(space)
    values = {
        "low": low,
        "high": high,
        "most": RECORDS_WEIGHED,
        "hiding": msgspec.json.encode(sorted(scope.seen.hiding)).decode(),
        "shown": SHOWN_RECORDS,
    }
    for collection, record, size_bytes in scope.connection.execute(SQL["largest_records"], values):
        yield LargeRecord(
            space=space.name, collection=collection, record=record, size_bytes=size_bytes
        )
