"""What the server sends, put into the replica's file: entries, snapshots, a reset.

A log entry, the cursor and the outbox row change in one transaction (the
caller's), so a crash between any two of them cannot happen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_DELETE_BASE,
    DeleteMark,
    EntryId,
    FieldWrite,
    Op,
)
from crdtsync.documents.redaction import redact_state
from crdtsync.documents.state import FOLD_PREFIX, LogEntry, RecordState, Stub
from crdtsync.documents.writing import inherit
from crdtsync.policy import FieldPolicy
from crdtsync.protocol.messages import Landmark, Paging, SnapshotRow
from crdtsync.replica import outbox
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.outbox import Touched, brought_back, drop_covered, offer_again
from crdtsync.replica.plain_rows import PageRows, PlainRows, check_fits
from crdtsync.replica.shown import confirmed, confirmed_row, refresh, store_confirmed

DAY_US = 24 * 3600 * 1_000_000

ACCEPTED_KEPT_US = 30 * DAY_US
"""How long own accepted ops are kept to be offered again to a restored server (30 days)."""

ACCEPTED_KEPT = 200_000
"""And at most so many of them, the newest: as many as may wait to be sent."""

NOTICES_KEPT = 1_000
"""Notices that wait to be dismissed; older ones go first."""

SEEN_KEPT = 50_000
"""Log entries kept as local history; older history is asked from the server."""

SEEN_BYTES = 64 * 1_048_576
"""And at most about so many bytes of them."""

LOST_KEPT_US = 365 * DAY_US
"""How long the copies of records are kept that a restored server no longer has (a year)."""

FORGET_EVERY = 1_000
"""Log entries between two looks at what is too old. There is one after each hello too."""

_ENTRY = msgspec.msgpack.Encoder()
_SEEN = msgspec.msgpack.Decoder(LogEntry)


def apply_entries(file: ReplicaFile, entries: Sequence[LogEntry | Stub], now_us: int) -> Touched:
    """Advance by log entries that follow the cursor without a gap."""
    cursor = file.cursor
    fresh = [entry for entry in entries if entry.seq > cursor.seq]
    if not fresh:
        return set()
    if fresh[0].seq != cursor.seq + 1 or fresh[-1].seq != cursor.seq + len(fresh):
        raise AssertionError("a gap in the log must have ended the connection")
    states: dict[tuple[str, str], RecordState] = {}
    sight = file.sight
    touched: Touched = set()
    seen_bytes = 0
    for entry in fresh:
        if entry.op_id is not None:
            touched |= brought_back(file, entry.op_id, entry.seq, now_us)
        if isinstance(entry, LogEntry):
            for root, values in entry.writes.items():
                check_fits(_field(file, entry.collection, root), root, values)
            if entry.revived:
                about = {"collection": entry.collection, "record": entry.record, "by": entry.user}
                _notice(file, now_us, "brought_back", about)
            key = (entry.collection, entry.record)
            state = states.get(key)
            if state is None:
                state = states[key] = confirmed(file, *key)
            state.apply_entry(entry)
            file.clock.observe(entry.effective_us)
            data = _ENTRY.encode(entry)
            file.run("see", entry.seq, entry.collection, entry.record, data)
            seen_bytes += len(data)
    last = fresh[-1]
    if seen_bytes:
        file.put("seen_bytes", file.number("seen_bytes") + seen_bytes)
    file.set_cursor(Landmark(last.seq, last.digest))
    file.put("last_effective_us", file.clock.last_effective_us)
    touched |= set(states) | drop_covered(file, last.seq, now_us)
    for key, state in tuple(states.items()):
        if not redact_state(state, sight):
            file.run("put_state", None, *key)
            del states[key]
    store_confirmed(file, states.values())
    for collection, record in touched - set(states):
        refresh(file, collection, record)
    if last.seq % FORGET_EVERY < len(fresh):
        forget_old(file, now_us)
    return touched


def forget_old(file: ReplicaFile, now_us: int) -> None:
    """Let go of what this device keeps for a stated time or number only.

    Local history, own accepted ops, and the copies of lost records. What waits in
    the outbox is never among it (invariant 4).
    """
    file.run("forget_accepted", now_us - ACCEPTED_KEPT_US)
    file.run("forget_accepted_beyond", ACCEPTED_KEPT)
    file.run("forget_lost", now_us - LOST_KEPT_US)
    file.run("forget_seen", file.cursor.seq - SEEN_KEPT)
    if file.number("seen_bytes") > SEEN_BYTES:
        _forget_seen_beyond(file, SEEN_BYTES * 3 // 4)


def _forget_seen_beyond(file: ReplicaFile, most_bytes: int) -> None:
    """Keep the newest entries of the local history within a number of bytes."""
    size_bytes = 0
    for seq, entry_bytes in file.all("seen_sizes"):
        if size_bytes + entry_bytes > most_bytes:
            file.run("forget_seen", seq)
            break
        size_bytes += entry_bytes
    file.put("seen_bytes", size_bytes)


def install_page(
    file: ReplicaFile,
    rows: Iterable[SnapshotRow],
    paging: Paging | None,
    head: Landmark,
    now_us: int,
) -> Touched:
    """Replace records by their snapshots; with the last page the cursor becomes ``head``."""
    return install_pages(file, [PlainRows(file.policy).page(rows)], paging, head, now_us)


def install_pages(
    file: ReplicaFile,
    pages: Iterable[PageRows],
    paging: Paging | None,
    head: Landmark,
    now_us: int,
) -> Touched:
    """``install_page`` for several pages that follow one another."""
    touched: Touched = set()
    waiting: Touched = set(file.all("records_of_outbox"))
    fitting = [
        page if page.policy is file.policy else PlainRows(file.policy).page(page.snapshots)
        for page in pages
    ]
    for page in fitting:
        names = {(row.collection, row.record) for row in page.snapshots}
        touched |= names
        if waiting & names:
            _leave_to_snapshots(file, page.snapshots, now_us)
        file.clock.observe(page.latest_us)
    gone = _nothing_left(file, fitting)
    file.put_rows(
        "put_record", chain.from_iterable(_rows_of(file, page, waiting, gone) for page in fitting)
    )
    for collection, record in gone:
        file.run("put_state", None, collection, record)
        refresh(file, collection, record)
    file.set_paging(paging)
    if head.seq:
        # Until the cursor stands, these tell a server that was restored meanwhile.
        file.run("put_landmark", head.seq, head.digest)
    if paging is None:
        file.set_cursor(head)
        beside = drop_covered(file, head.seq, now_us) | _drop_stale(file, now_us)
        forget_old(file, now_us)
        for collection, record in beside:
            refresh(file, collection, record)
        touched |= beside
    file.put("last_effective_us", file.clock.last_effective_us)
    return touched


def _leave_to_snapshots(file: ReplicaFile, rows: Iterable[SnapshotRow], now_us: int) -> None:
    """Acknowledged ops that the snapshot of their record holds leave the queue."""
    for row in rows:
        for op_id, data, created_us, seq in file.all(
            "covered_by_snapshot", row.stored.seq, row.collection, row.record
        ):
            file.run("accept", op_id, seq, data, created_us, now_us)
            file.run("drop_op", op_id)


def _nothing_left(file: ReplicaFile, pages: Iterable[PageRows]) -> Touched:
    """Records of which nothing is left that may be seen here: they go, as with a log entry.

    Where everything may be seen, an empty record is one whose sets were emptied.
    """
    hiding = file.sight.hiding
    if not hiding:
        return set()
    is_empty = {
        (row.collection, row.record): row.collection in hiding and not row.stored.values
        for page in pages
        for row in page.snapshots
    }
    return {name for name, empty in is_empty.items() if empty}


def _rows_of(
    file: ReplicaFile, page: PageRows, waiting: Touched, gone: Touched
) -> Iterator[Sequence[Any]]:
    """The records as their snapshots have them, with what waits in the queue on top."""
    for row, plain in zip(page.snapshots, page.plain, strict=True):
        is_waiting = bool(waiting) and (row.collection, row.record) in waiting
        if plain is not None and not is_waiting:
            yield plain
            continue
        if (row.collection, row.record) in gone:
            continue
        state = RecordState.from_stored(row.collection, row.record, row.stored)
        for root, entries in state.fields.items():
            field = _field(file, row.collection, root)
            check_fits(field, root, [entry.value for entry in entries.values()])
        for _, entry in state.entries():
            file.clock.observe(entry.effective_us)
        yield confirmed_row(file, state, not is_waiting)


def _field(file: ReplicaFile, collection: str, root: str) -> FieldPolicy | None:
    policy = file.policy.collections.get(collection)
    return None if policy is None else policy.by_root.get(root)


def _drop_stale(file: ReplicaFile, now_us: int) -> Touched:
    """Records that came in no page go too; a copy stays in ``lost`` if the server was restored.

    One that holds nothing but own ops is not lost: they are in the queue again. If it was
    roles that changed, what could be seen of it had been taken out by somebody meanwhile.
    """
    is_restored = file.number("recovering")
    file.put("recovering", 0)
    stale = [(collection, record) for collection, record in file.all("stale_records")]
    if not stale:
        return set()
    queued = {op_id for (op_id,) in file.all("queued_ids")}
    lost = [
        (now_us, collection, record)
        for collection, record in stale
        if is_restored
        and any(e.op_id not in queued for _, e in confirmed(file, collection, record).entries())
    ]
    if lost:
        file.many("keep_lost", lost)
        _notice(file, now_us, "records_lost", {"records": len(lost)})
    file.run("forget_stale")
    return set(stale)


def reset(file: ReplicaFile, common_seq: int, paging: Paging | None, now_us: int) -> Touched:
    """The server was restored from a backup: start over from its snapshots.

    What is shown stays until it is replaced. Own ops that the server has lost
    are queued again under their old op_ids, in their order, before the outbox.
    """
    had = file.cursor.seq
    again = offer_again(file, common_seq)
    _inherit_from_lost(file, common_seq)
    _say_anew_what_deletes_saw(file, common_seq)
    _stand_as_of(file, common_seq)
    file.put("log_generation", file.number("log_generation") + 1)
    file.run("mark_stale")
    file.put("recovering", 1)  # until the last page
    file.run("drop_landmarks_above", common_seq)
    file.run("forget_all_seen", common_seq)
    file.put("reported_seq", min(file.number("reported_seq"), common_seq))
    file.put("cursor_seq", 0)
    file.put("cursor_digest", b"")
    file.set_paging(paging)
    _notice(
        file,
        now_us,
        "server_restored",
        {"common_seq": common_seq, "had_seq": had, "own_ops_offered_again": again},
    )
    touched: Touched = {(c, r) for c, r in file.all("records_of_outbox")}
    for collection, record in touched:
        refresh(file, collection, record)
    return touched


def _inherit_from_lost(file: ReplicaFile, common_seq: int) -> None:
    """What replaced an op that the server has lost also replaces what that one had replaced.

    Otherwise values that people had replaced would come back as candidates. An op
    that another device offers again arrives already superseded, as it was.
    """
    queue = outbox.rows(file)
    own = {row.op_id for row in queue}
    for row in queue:
        seen = [
            _SEEN.decode(data)
            for (data,) in file.all("seen_of_record", row.collection, row.record, SEEN_KEPT)
        ]
        lost = [entry for entry in seen if entry.seq > common_seq and entry.op_id not in own]
        if not lost:
            continue
        values = {
            (root, EntryId(entry.op_id, n)): value
            for entry in seen
            for root, written in entry.writes.items()
            for n, value in enumerate(written)
        }
        policy = file.policy.collections.get(row.collection)
        op = row.op
        for entry in lost:  # newest first: each step may name an older one
            op = inherit(op, _op_of(entry), policy, lambda root, one: values.get((root, one)))  # noqa: B023
        file.run("set_op", _ENTRY.encode(op), row.op_id)


def _say_anew_what_deletes_saw(file: ReplicaFile, common_seq: int) -> None:
    """The base of a delete names a place in a log that is gone.

    In the new log edits that nobody saw stand at those places, so the ops that the
    person had seen there are named instead. If the server does have the op, its
    receipt is asked for first, and this content is never sent.
    """
    for row in outbox.rows(file):
        write = row.op.writes.get(DELETION_ROOT)
        if write is None:
            continue
        mark = DeleteMark.parse(write.values[0])
        if mark.seq <= common_seq:
            continue
        seen = [
            entry.op_id
            for (data,) in file.all("seen_of_record", row.collection, row.record, SEEN_KEPT)
            if common_seq < (entry := _SEEN.decode(data)).seq <= mark.seq
        ]
        ops = tuple(dict.fromkeys([*mark.ops, *seen]))[:MAX_DELETE_BASE]
        anew = FieldWrite((DeleteMark(mark.deleted, ops, common_seq).text(),), write.supersedes)
        op = msgspec.structs.replace(row.op, writes={DELETION_ROOT: anew})
        file.run("set_op", _ENTRY.encode(op), row.op_id)


def _stand_as_of(file: ReplicaFile, common_seq: int) -> None:
    """What is shown until its snapshot comes stands as of the common part of the log.

    What lies above it is named one by one then (documents/versions.py): its seqs
    belong to other ops by now, which a write that is made meanwhile has not seen.
    """
    for collection, record in file.all("confirmed_records"):
        state = confirmed(file, collection, record)
        if state.seq <= common_seq:
            continue
        state.seq = common_seq
        for root, entry in tuple(state.entries()):
            if entry.op_id.startswith(FOLD_PREFIX) and entry.seq > common_seq:
                # The sum of many deltas has no op_id that could be named.
                state.add(root, msgspec.structs.replace(entry, seq=common_seq))
        file.run("put_state", state.encode(), collection, record)
        if state.is_empty and not state.seq:
            # A set that was emptied, say: without a place in a log there is nothing to show.
            refresh(file, collection, record)


def _op_of(entry: LogEntry) -> Op:
    """The op as its log entry tells it, with what it replaced or beat."""
    writes = {
        root: FieldWrite(
            values,
            tuple(
                EntryId(gone.op_id, gone.n)
                for gone in entry.removed
                if gone.root == root and gone.op_id != entry.op_id
            ),
        )
        for root, values in entry.writes.items()
    }
    return Op(entry.op_id, entry.user, entry.collection, entry.record, entry.time_us, writes)


def _notice(file: ReplicaFile, now_us: int, kind: str, detail: Mapping[str, object]) -> None:
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    file.run("put_notice", now_us, kind, text)
    file.run("trim_notices", NOTICES_KEPT)
