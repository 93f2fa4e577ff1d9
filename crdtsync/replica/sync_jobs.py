"""What the sync shell asks of the store: each job is one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from crdtsync.documents.state import LogEntry, Stub
from crdtsync.protocol.client_session import landmarks
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    AcknowledgedDigest,
    Hello,
    Paging,
    PushedOp,
    Welcome,
)
from crdtsync.replica import applying, outbox
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.outbox import Touched
from crdtsync.version import __version__


def hello(file: ReplicaFile, *, user: str, token: str | None, device: str, now_us: int) -> Hello:
    """The first frame of a connection."""
    identity = file.identity
    return Hello(
        protocol=PROTOCOL_VERSION,
        space=identity.space,
        user=user,
        token=token,
        replica_id=identity.replica_id,
        run=identity.run,
        previous_runs=identity.previous_runs,
        software=f"crdtsync/{__version__}",
        policy_version=file.policy.version,
        policy_hash=file.policy.hash,
        cursor=file.cursor,
        landmarks=landmarks(file.landmarks_all()),
        client_us=now_us,
        outbox=outbox.counts(file, user).summary(now_us),
        device=device,
    )


def greet(
    file: ReplicaFile, welcome: Welcome, user: str, now_us: int
) -> tuple[list[str], Paging | None, int, Touched]:
    """Note the welcome: (op_ids to ask for, where to page, cursor, what changed)."""
    file.welcomed()
    file.set_roles(user, welcome.roles)
    # A disk that failed when the last connection ended may have left ops as sending.
    outbox.connection_lost(file)
    outbox.bring_retries_near(file, now_us)
    outbox.doubt_receipts(file)
    touched: Touched = set()
    paging = welcome.paging
    if welcome.diverged is not None:
        touched = applying.reset(file, welcome.diverged, paging, now_us)
    elif paging is not None:
        # A first sync that was cut goes on where it stopped.
        paging = file.paging or paging
        file.set_paging(paging)
    elif file.paging is not None:
        # The log is enough now (a restored server that holds nothing has no page to
        # send): what was to be paged for is over, or old records would stay for ever.
        touched = applying.install_page(file, (), None, file.cursor, now_us)
    return outbox.to_ask(file, paging=paging is not None), paging, file.cursor.seq, touched


def take_ops(
    file: ReplicaFile, *, user: str, room: int, request_id: str, now_us: int, frame_bytes: int
) -> tuple[list[PushedOp], list[str]]:
    """Ops to push, marked as sent, and op_ids that a person wants back."""
    waiting = [
        row.op_id
        for (op_id,) in file.all("cancelling")
        if (row := outbox.row_of(file, op_id)) is not None and row.state != "sending"
    ]
    # Asked for on this connection only what an earlier one had sent: the hello has
    # fenced that one, so the answer stays true.
    ops = outbox.start_sending(
        file, user=user, room=room, request_id=request_id, now_us=now_us, frame_bytes=frame_bytes
    )
    return ops, waiting


def become_another(file: ReplicaFile, replica_id: str, run: str) -> None:
    """This file is a copy of one that went on elsewhere: take a new name."""
    file.become_another(replica_id, run)


def apply(
    file: ReplicaFile, entries: Sequence[LogEntry | Stub], head_known: int, now_us: int
) -> Touched:
    """Advance by log entries; where that brings everything into step, remember when."""
    touched = applying.apply_entries(file, entries, now_us)
    _note_in_step(file, head_known, now_us)
    return touched


def went_live(file: ReplicaFile, head_known: int, now_us: int) -> AcknowledgedDigest | None:
    """The connection carries changes from now on; gives what is to be reported first."""
    _note_in_step(file, head_known, now_us)
    applying.forget_old(file, now_us)
    return _acknowledged_digest(file)


def _note_in_step(file: ReplicaFile, head_known: int, now_us: int) -> None:
    if file.cursor.seq >= head_known and file.one("any_queued") is None:
        file.put("last_synced_us", now_us)


def _acknowledged_digest(file: ReplicaFile) -> AcknowledgedDigest | None:
    """Own ops that the log brought back since the last report, for reconciliation."""
    from_seq, to_seq = file.number("reported_seq"), file.cursor.seq
    found = file.connection.execute(
        "SELECT op_id FROM accepted WHERE seq > ? AND seq <= ?", (from_seq, to_seq)
    ).fetchall()
    if not found:
        return None
    total = 0
    for (op_id,) in found:
        total ^= int.from_bytes(hashlib.blake2b(op_id.encode(), digest_size=16).digest(), "big")
    file.put("reported_seq", to_seq)
    return AcknowledgedDigest(from_seq, to_seq, len(found), total.to_bytes(16, "big"))
