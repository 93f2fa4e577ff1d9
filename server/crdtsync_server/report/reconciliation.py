"""Losses and duplicates, proved: what devices saw acknowledged against what the log holds.

A device names the ops of its queue that the log brought back, with their digest, in
ranges of the log (protocol/PROTOCOL.md, Reconciliation). Each of them has to be in the
log of its space, once, within its range. Under which replica the server knows it plays no
part: a file that was copied sends the same ops from two replicas, and the second gets the
receipt of the first. What a device does not name proves nothing, because it keeps its own
accepted ops for a stated time only, and an older copy of its file knows less.

Ranges whose names are gone (folded ones, and those of older devices) are compared by their
digest over the ops that the log has under this replica. More ops in the log than the device
counted is no loss.

Besides, the log is held against itself: its places follow one another, each digest follows
from the one before, each receipt leads to its op and no op stands twice.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from crdtsync_server.report.measures import Check, Finding, Mood, Reconciliation
from crdtsync_server.report.present import Device
from crdtsync_server.report.scope import SQL, Scope, Space, entry_of
from crdtsync_server.report.words import say
from crdtsync_server.storage.acknowledged import Range, is_within, split_keys, xor
from crdtsync_server.storage.keys import chain, position, seq_of, uuid_bytes, uuid_text

NAMED_SCHEMA = 4
"""The migration from which on devices' reports name their op_ids."""

SLICE_ROWS = 2_000
SHOWN_FINDINGS = 50
SHOWN_OPS = 20
NOTHING = bytes(16)


def digest_of(op_ids: Iterable[str]) -> bytes:
    """What a device's report says of these ops: XOR of blake2b-128 over each op_id's text."""
    total = NOTHING
    for op_id in op_ids:
        total = xor(total, hashlib.blake2b(op_id.encode(), digest_size=16).digest())
    return total


@dataclass(slots=True)
class Findings:
    """What was compared, and what does not agree."""

    ops: int = 0
    ranges: int = 0
    replicas: set[int] = field(default_factory=set)
    unproved: int = 0
    """Ops in ranges that could be compared neither by name nor by digest."""
    not_compared: int = 0
    """Ops beyond the bound of one report."""
    entries: int = 0
    whole: bool = True
    """Whether every log was read from its beginning."""
    found: list[Finding] = field(default_factory=list)

    @property
    def proved(self) -> int:
        """Ops of which it is known whether the log has them."""
        return self.ops - self.unproved

    @property
    def not_shown(self) -> int:
        """Ops that devices saw acknowledged and that nobody looked for one by one."""
        return self.unproved + self.not_compared

    def kinds(self, *kinds: str) -> int:
        """How many findings are of these kinds."""
        return sum(one.kind in kinds for one in self.found)


def reconcile(scope: Scope, devices: list[Device], accepted: int = 0) -> Reconciliation:
    """Compare, and say it in words. ``accepted``: ops that were synced in the window."""
    found = Findings()
    _compare_devices(scope, {device.id: device for device in devices}, found)
    for space in scope.spaces:
        _LogWalk(scope, space, found).walk()
    if scope.bounds.whole_log:
        _receipts_without_log(scope, found)
    return _in_words(scope, found, accepted)


# ── devices against the log ─────────────────────────────────────────────────


def _compare_devices(scope: Scope, devices: dict[int, Device], found: Findings) -> None:
    if "acknowledged" not in scope.tables:
        return
    old = scope.schema < NAMED_SCHEMA
    name = "old_acknowledged_within" if old else "acknowledged_within"
    left = scope.bounds.named_ops
    for replica, *columns, space_id in scope.within(name, scope.bounds.ranges):
        one = Range(*columns)
        device = devices.get(replica)
        if device is None:
            continue
        keys = split_keys(one.op_ids)
        if left <= 0 or len(keys) > left:
            found.not_compared += one.count
            continue
        left -= len(keys)
        found.ranges += 1
        found.replicas.add(replica)
        found.ops += one.count
        if keys or one.missing:
            _compare_names(scope, device, space_id, one, keys, found)
        if not keys:
            left -= _compare_digest(scope, device, space_id, one, found)


def _compare_names(
    scope: Scope,
    device: Device,
    space_id: int,
    one: Range,
    keys: list[bytes],
    found: Findings,
) -> None:
    """Each op that the device saw acknowledged, by name."""
    keys = [*keys, *split_keys(one.missing)]
    places = dict(scope.by_op_ids("places", keys))
    missing = [key for key in keys if not is_within(places.get(key), space_id, one)]
    if missing:
        found.found.append(
            _finding(
                scope,
                "missing",
                device,
                one,
                tuple(uuid_text(key) for key in missing[:SHOWN_OPS]),
                n=len(missing),
            )
        )


def _compare_digest(
    scope: Scope, device: Device, space_id: int, one: Range, found: Findings
) -> int:
    """All ops of a range at once; how many log rows were read for it."""
    if not one.digest or one.to_seq - one.from_seq > scope.bounds.log_rows:
        found.unproved += one.count
        return 0
    bounds = (position(space_id, one.from_seq), position(space_id, one.to_seq))
    own: list[str] = []
    read = 0
    for _, data, replica in scope.connection.execute(
        SQL["log_slice"], (*bounds, scope.bounds.log_rows)
    ):
        read += 1
        entry = entry_of(data) if replica == device.id else None
        if entry is not None:
            own.append(entry.op_id)
    if digest_of(own) != one.digest:
        if len(own) > one.count or one.missing:
            # More than the device counted, or a difference that has its own finding.
            found.unproved += one.count
        else:
            lacks = one.count - len(own)
            kind = "different" if not lacks else "fewer"
            found.found.append(_finding(scope, kind, device, one, (), n=lacks))
    return read


def _finding(
    scope: Scope, kind: str, device: Device, one: Range, op_ids: tuple[str, ...], *, n: int
) -> Finding:
    name = device.name or device.replica_id[:8]
    space = scope.space_names[device.space]
    words = say(
        f"finding_{kind}",
        scope.lang,
        device=name,
        user=device.user,
        space=space,
        first=one.from_seq + 1,
        last=one.to_seq,
        n=n,
        count=one.count,
    )
    return Finding(
        kind=kind,
        space=space,
        device=device.name,
        user=device.user,
        replica_id=device.replica_id,
        from_seq=one.from_seq,
        to_seq=one.to_seq,
        words=words,
        op_ids=op_ids,
    )


# ── the log against itself ──────────────────────────────────────────────────


class _LogWalk:
    """Reads a space's newest log entries, oldest first, and notes what is wrong."""

    def __init__(self, scope: Scope, space: Space, found: Findings) -> None:
        self._scope = scope
        self._space = space
        self._found = found
        self._seq = max(space.seq - scope.bounds.log_rows, 0)
        self._digest: bytes | None = b"" if self._seq == 0 else self._entry_digest(self._seq)
        self._seen: dict[bytes, int] = {}
        found.whole = found.whole and self._seq == 0

    def walk(self) -> None:
        """Read to the head."""
        for rows in self._slices():
            for place, data in rows:
                self._step(seq_of(place), data)
            self._check_receipts(rows)
        self._check_head()

    def _slices(self) -> Iterator[list[tuple[int, bytes]]]:
        low, high = position(self._space.id, self._seq), position(self._space.id + 1, 0) - 1
        while True:
            rows = [
                (place, data)
                for place, data, _ in self._scope.connection.execute(
                    SQL["log_slice"], (low, high, SLICE_ROWS)
                )
            ]
            if not rows:
                return
            yield rows
            low = rows[-1][0]

    def _step(self, seq: int, data: bytes) -> None:
        if seq != self._seq + 1:
            self._note("gap", self._seq + 1, seq - 1, first=self._seq + 1, last=seq - 1)
            self._digest = None
        entry = entry_of(data)
        if entry is None:
            self._note("unreadable", seq, seq, seq=seq)
            self._digest, self._seq = None, seq
            return
        key = uuid_bytes(entry.op_id)
        if self._digest is not None:
            expected = chain(self._digest, key, entry.received_us)
            if expected != entry.digest:
                self._note("chain", seq, seq, (entry.op_id,), seq=seq)
        self._digest, self._seq = entry.digest, seq
        earlier = self._seen.setdefault(key, seq)
        if earlier != seq:
            self._doubled(entry.op_id, earlier, seq)
        self._found.entries += 1

    def _check_receipts(self, rows: list[tuple[int, bytes]]) -> None:
        entries = ((place, entry_of(data)) for place, data in rows)
        keys = [(place, uuid_bytes(entry.op_id)) for place, entry in entries if entry is not None]
        receipts = dict(self._scope.by_op_ids("receipt_places", (key for _, key in keys)))
        for place, key in keys:
            known, op_id, seq = receipts.get(key), uuid_text(key), seq_of(place)
            if known is None:
                self._note("receipt", seq, seq, (op_id,), seq=seq, op_id=op_id)
            elif known != place and self._seen.get(key) == seq:
                # Its receipt leads elsewhere: the same op stands there as well.
                self._doubled(op_id, seq_of(known), seq)

    def _check_head(self) -> None:
        space = self._space
        if self._seq < space.seq:
            self._note("gap", self._seq + 1, space.seq, first=self._seq + 1, last=space.seq)
        elif self._seq > space.seq or (self._digest is not None and self._digest != space.digest):
            self._note("head", space.seq, self._seq, seq=self._seq, head=space.seq)

    def _doubled(self, op_id: str, first: int, second: int) -> None:
        self._note("doubled", first, second, (op_id,), op_id=op_id, first=first, last=second)

    def _note(
        self, kind: str, from_seq: int, to_seq: int, op_ids: tuple[str, ...] = (), **words: object
    ) -> None:
        key = f"finding_{kind}"
        if kind == "gap":
            op_ids = self._ops_of_gap(from_seq, to_seq)
            key = "finding_gap_one" if from_seq == to_seq else key
        space = self._space.name
        self._found.found.append(
            Finding(
                kind=kind,
                space=space,
                device="",
                user="",
                replica_id="",
                from_seq=from_seq - 1,
                to_seq=to_seq,
                words=say(key, self._scope.lang, space=space, **words),
                op_ids=op_ids,
            )
        )

    def _ops_of_gap(self, first: int, last: int) -> tuple[str, ...]:
        """Receipts have no index by place; where one leads to the gap, it names the op."""
        bounds = (position(self._space.id, first), position(self._space.id, last), SHOWN_OPS)
        rows = self._scope.connection.execute(SQL["receipts_of_places"], bounds)
        return tuple(uuid_text(key) for (key,) in rows)

    def _entry_digest(self, seq: int) -> bytes | None:
        row = self._scope.connection.execute(
            SQL["entry_at"], (position(self._space.id, seq),)
        ).fetchone()
        entry = None if row is None else entry_of(row[0])
        return None if entry is None else entry.digest


def _receipts_without_log(scope: Scope, found: Findings) -> None:
    """Receipts whose op is gone: told by place, unless the gap was found already."""
    known = {op_id for one in found.found for op_id in one.op_ids}
    by_space: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for key, place in scope.connection.execute(SQL["receipts_without_log"], (SHOWN_FINDINGS,)):
        if uuid_text(key) not in known:
            by_space[place >> 40].append((seq_of(place), uuid_text(key)))
    for space in scope.spaces:
        for seq, op_id in by_space.get(space.id, ()):
            found.found.append(
                Finding(
                    kind="receipt",
                    space=space.name,
                    device="",
                    user="",
                    replica_id="",
                    from_seq=seq - 1,
                    to_seq=seq,
                    words=say("finding_log", scope.lang, space=space.name, seq=seq, op_id=op_id),
                    op_ids=(op_id,),
                )
            )


# ── in words ────────────────────────────────────────────────────────────────


def _in_words(scope: Scope, found: Findings, accepted: int) -> Reconciliation:
    lang = scope.lang
    devices = len(found.replicas)
    bad = bool(found.found)
    mood: Mood = "bad" if bad else "good" if found.proved else "unknown"
    numbers = {"ops": found.proved, "ranges": found.ranges, "devices": devices}
    key = {"bad": "reconciled_bad", "good": "reconciled_good", "unknown": "reconciled_nothing"}
    words = say(key[mood], lang, findings=len(found.found), **numbers)
    if mood == "unknown" and found.not_shown:
        words = say("reconciled_not_shown", lang, n=found.not_shown)
    elif mood == "good" and found.not_shown:
        words += " " + say("reconciled_but", lang, n=found.not_shown)
    return Reconciliation(
        mood=mood,
        words=" ".join((words, found.found[0].words)) if bad else words,
        ops=found.proved,
        ranges=found.ranges,
        devices=devices,
        checks=(
            _devices_check(found, accepted, lang),
            _own_check(found, "order", ("gap", "head"), lang),
            _own_check(found, "chain", ("chain", "unreadable"), lang),
            _own_check(found, "receipts", ("receipt",), lang),
            _own_check(found, "doubled", ("doubled",), lang),
        ),
        findings=tuple(found.found[:SHOWN_FINDINGS]),
    )


def _devices_check(found: Findings, accepted: int, lang: str) -> Check:
    wrong = found.kinds("missing", "different", "fewer")
    mood: Mood = "bad" if wrong else "good" if found.proved else "unknown"
    words = say(
        "check_devices_none" if mood == "unknown" and found.ops else f"check_devices_{mood}",
        lang,
        ops=found.proved,
        ranges=found.ranges,
        devices=len(found.replicas),
        wrong=wrong,
    )
    if found.ops and accepted > found.ops:
        words += " " + say("check_not_reported", lang, n=accepted - found.ops)
    if found.unproved:
        words += " " + say("check_unproved", lang, n=found.unproved)
    if found.not_compared:
        words += " " + say("check_not_compared", lang, n=found.not_compared)
    return Check(key="devices", name=say("check_devices", lang), mood=mood, words=words)


def _own_check(found: Findings, key: str, kinds: tuple[str, ...], lang: str) -> Check:
    wrong = found.kinds(*kinds)
    mood: Mood = "bad" if wrong else "good" if found.entries else "unknown"
    words = say(f"check_own_{mood}", lang, n=found.entries, wrong=wrong)
    if not found.whole and mood == "good":
        words += " " + say("check_newest", lang)
    return Check(key=key, name=say(f"check_{key}", lang), mood=mood, words=words)
