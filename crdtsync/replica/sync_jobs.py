"""What the sync shell asks of the store: each job is one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from crdtsync.documents.ops import SAFE_INTEGER
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
from crdtsync.replica.seeing import see_anew
from crdtsync.version import __version__

REPORT_OPS = 1_000
"""Op_ids of one report, as many as a server takes: 16 kB."""

REPORTS_AT_ONCE = 4
"""Reports that are made one right after the other; years offline take a few minutes."""


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
        view=file.text("view") or "",
    )


def greet(
    file: ReplicaFile, welcome: Welcome, user: str, now_us: int
) -> tuple[list[str], Paging | None, int, Touched]:
    """Note the welcome: (op_ids to ask for, where to page, cursor, what changed)."""
    file.welcomed()
    file.set_roles(user, welcome.roles)
    file.set_sight(welcome.roles)
    if welcome.acknowledged is not None:
        # Reports go on from what the server has: one that was lost is made again.
        file.put("reported_seq", min(max(welcome.acknowledged, 0), SAFE_INTEGER))
    # A disk that failed when the last connection ended may have left ops as sending.
    outbox.connection_lost(file)
    outbox.bring_retries_near(file, now_us)
    outbox.doubt_receipts(file)
    touched: Touched = set()
    paging = welcome.paging
    sees_anew = welcome.view != (file.text("view") or "")
    if welcome.diverged is not None:
        touched = applying.reset(file, welcome.diverged, paging, now_us)
    if sees_anew:
        touched |= see_anew(file, welcome, paging)
    if paging is not None:
        if welcome.diverged is None and not sees_anew:
            # A first sync that was cut goes on where it stopped.
            paging = file.paging or paging
            file.set_paging(paging)
    elif file.paging is not None:
        # The log is enough now (a restored server that holds nothing has no page to
        # send): what was to be paged for is over, or old records would stay for ever.
        touched |= applying.install_page(file, (), None, file.cursor, now_us)
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
    """This file is a copy of one that went on elsewhere: take a new name.

    Whatever waits here may have been sent from there.
    """
    file.become_another(replica_id, run)
    file.run("sent_elsewhere")


def apply(
    file: ReplicaFile, entries: Sequence[LogEntry | Stub], head_known: int, now_us: int
) -> Touched:
    """Advance by log entries; where that brings everything into step, remember when."""
    touched = applying.apply_entries(file, entries, now_us)
    _note_in_step(file, head_known, now_us)
    return touched


def went_live(file: ReplicaFile, head_known: int, now_us: int) -> list[AcknowledgedDigest]:
    """The connection carries changes from now on; gives what is to be reported first."""
    _note_in_step(file, head_known, now_us)
    digests = acknowledged(file)  # before old ones are forgotten
    applying.forget_old(file, now_us)
    return digests


def acknowledged(file: ReplicaFile) -> list[AcknowledgedDigest]:
    """Own ops that the log brought back since the last report, for reconciliation.

    In ranges that follow one another; what is beyond ``REPORTS_AT_ONCE`` of them goes
    with the next report.
    """
    digests: list[AcknowledgedDigest] = []
    while len(digests) < REPORTS_AT_ONCE and (digest := _next_digest(file)) is not None:
        file.put("reported_seq", digest.to_seq)
        digests.append(digest)
    return digests


def _note_in_step(file: ReplicaFile, head_known: int, now_us: int) -> None:
    if file.cursor.seq >= head_known and file.one("any_queued") is None:
        file.put("last_synced_us", now_us)


def _next_digest(file: ReplicaFile) -> AcknowledgedDigest | None:
    from_seq, to_seq = file.number("reported_seq"), file.cursor.seq
    found = file.all("accepted_within", from_seq, to_seq, REPORT_OPS + 1)
    if not found:
        return None
    if len(found) > REPORT_OPS:
        found = found[:REPORT_OPS]
        to_seq = found[-1][1]
    total, op_ids = 0, []
    for op_id, _ in found:
        total ^= int.from_bytes(hashlib.blake2b(op_id.encode(), digest_size=16).digest(), "big")
        op_ids.append(bytes.fromhex(op_id.replace("-", "")))
    digest = total.to_bytes(16, "big")
    return AcknowledgedDigest(from_seq, to_seq, len(found), digest, b"".join(op_ids))
