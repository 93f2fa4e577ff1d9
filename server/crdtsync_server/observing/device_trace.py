"""What a device's own file knows of one of its changes: the part that no server has seen."""

from __future__ import annotations

from pathlib import Path

from crdtsync.catalogue import attempt_ended, note_words, reason
from crdtsync.cli.failures import NEEDS_PERSON, Failure
from crdtsync.documents.ops import DELETION_ROOT, Op
from crdtsync.protocol.messages import EarlierAttempt
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import Row, row_of
from crdtsync.replica.shown import read_op
from crdtsync.replica.store import ReplicaStore
from crdtsync_server.observing.timeline import Timeline
from crdtsync_server.observing.trace_types import Status, Trace, TracedOp
from crdtsync_server.observing.words import say
from crdtsync_server.storage.keys import uuid_bytes

SERVER = "server"


async def read_device_trace(path: Path, query: str, lang: str) -> Trace:
    """The change whose number begins like ``query``. Works beside a running replica.

    Raises Failure, StorageError and NotAReplica.
    """
    store = await ReplicaStore.open_to_read(str(path), space=None)
    try:
        op = await store.look(_trace, _number(query), lang)
    finally:
        await store.close()
    return Trace(query=query, kind="op", ops=[op], next=None)


def _number(query: str) -> str:
    return query.strip().removeprefix("op:").lower()


def _trace(file: ReplicaFile, query: str, lang: str) -> TracedOp:
    op_id = _find(file, query, lang)
    row = row_of(file, op_id)
    timeline = Timeline(lang)
    seq: int | None
    if row is not None:
        op, seq, status = row.op, row.seq, _status(row)
        _tell_queued(timeline, file, row)
    else:
        data, seq, created_us, accepted_us = file.connection.execute(
            "SELECT op, seq, created_us, accepted_us FROM accepted WHERE op_id = ?", (op_id,)
        ).fetchone()
        op, status = read_op(data), "synced"
        _tell_written(timeline, file, op, created_us)
        _tell_committed(timeline, file, accepted_us, seq)
    return _told(file, op, status, seq, timeline, lang)


def _find(file: ReplicaFile, query: str, lang: str) -> str:
    found = file.connection.execute(
        "SELECT op_id FROM outbox WHERE substr(op_id, 1, ?2) = ?1 "
        "UNION SELECT op_id FROM accepted WHERE substr(op_id, 1, ?2) = ?1 LIMIT 2",
        (query, len(query)),
    ).fetchall()
    if not found or not query:
        raise Failure(say("no_op_here", lang, op_id=query), NEEDS_PERSON)
    if len(found) > 1:
        raise Failure(say("several_ops", lang, op_id=query))
    return str(found[0][0])


def _told(
    file: ReplicaFile, op: Op, status: Status, seq: int | None, timeline: Timeline, lang: str
) -> TracedOp:
    names = [
        note_words("record", lang) if root == DELETION_ROOT else root.partition("/")[2]
        for root in op.writes
    ]
    return TracedOp(
        op_id=op.op_id,
        user=op.user,
        device=_device(file),
        replica_id=file.identity.replica_id,
        space=file.identity.space,
        collection=op.collection,
        record=op.record,
        fields=names,
        status=status,
        status_words=note_words(f"status_{status}", lang, seq=seq),
        seq=seq,
        timeline=timeline.in_order(),
    )


def _device(file: ReplicaFile) -> str:
    return file.identity.replica_id[:8]


def _status(row: Row) -> Status:
    if row.state == "acknowledged" and row.seq is not None:
        return "synced"
    if row.state == "failed":
        return "refused" if row.needs_person else "transient"
    return "pending"


def _tell_written(timeline: Timeline, file: ReplicaFile, op: Op, created_us: int) -> None:
    device = _device(file)
    timeline.add("created", created_us, op.user, user=op.user, device=device)
    timeline.add("queued", created_us, device)


def _tell_queued(timeline: Timeline, file: ReplicaFile, row: Row) -> None:
    _tell_written(timeline, file, row.op, row.created_us)
    for one in row.earlier:
        _tell_attempt(timeline, file, one)
    told = {one.request_id for one in row.earlier}
    if row.request_id is not None and row.sent_us is not None and row.request_id not in told:
        key = uuid_bytes(row.request_id)
        timeline.add("sent", row.sent_us, _device(file), request_id=key)
    if row.seq is not None:
        _tell_committed(timeline, file, row.received_us or row.created_us, row.seq)


def _tell_attempt(timeline: Timeline, file: ReplicaFile, one: EarlierAttempt) -> None:
    kind, _, code = one.ended.partition(":")
    key = uuid_bytes(one.request_id)
    answered = kind in ("held", "transient", "refused")
    why = attempt_ended(one.ended, timeline.lang)
    what = "sent" if answered else "unheard"
    timeline.add(what, one.sent_us, _device(file), request_id=key, reason=why)
    if answered:
        # When the answer came is not kept; it is told right after the sending.
        words = reason(code or kind, timeline.lang)
        timeline.add(kind, one.sent_us, SERVER, request_id=key, reason=words)


def _tell_committed(timeline: Timeline, file: ReplicaFile, at_us: int, seq: int | None) -> None:
    timeline.add(
        "committed", at_us, SERVER, detail={"seq": seq}, seq=seq, space=file.identity.space
    )
