"""Where a replica stands: its status, made from the queue and the connection."""

from __future__ import annotations

from crdtsync.catalogue import message
from crdtsync.documents.conflict import moment
from crdtsync.replica.errors import NeedsAttention, SignedOut
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.progress import Progress
from crdtsync.replica.queue_rows import Counts, counts, rows
from crdtsync.replica.queue_view import items
from crdtsync.replica.status import Status, SyncState

ATTENTION_DETAILS = 3
"""Refused changes that an error names; the queue has them all."""


def status_of(
    view: ReplicaFile,
    user: str,
    progress: Progress,
    *,
    storage_full: bool,
    last_synced_us: int,
    now_us: int,
) -> Status:
    """How sync stands now."""
    queue = counts(view, user)
    next_us = progress.next_attempt_us or (queue.next_retry_us if progress.wanted else None)
    last_synced_us = max(last_synced_us, view.number("last_synced_us"))
    oldest_us = queue.oldest_created_us
    return Status(
        state=_state(queue, progress),
        pending=queue.pending,
        sending=queue.sending,
        failed=queue.retrying + queue.refused,
        needs_person=queue.refused,
        conflicts=view.one("conflicted_count")[0],
        signed_out_ops=queue.other_authors,
        last_synced=moment(last_synced_us) if last_synced_us else None,
        next_retry=None if next_us is None else moment(next_us),
        oldest_pending=None if oldest_us is None else moment(oldest_us),
        behind=progress.behind if progress.live else 0,
        first_sync_done=progress.first_sync_done,
        first_sync_total=progress.first_sync_total,
        clock_skew_s=progress.clock_skew_us / 1_000_000,
        storage_full=storage_full or progress.storage_full,
        problem=progress.problem,
        problem_code=None if progress.stopped is None else progress.stopped.reason,
        now=moment(now_us),
    )


def raise_what_needs_a_person(status: Status, view: ReplicaFile) -> None:
    """Waiting is pointless: raise NeedsAttention or SignedOut with the status."""
    if status.state is SyncState.NEEDS_ATTENTION:
        refused = [item for item in items(rows(view)) if item.needs_person]
        details = "; ".join(
            f"{item.collection}/{item.record_id}: {item.last_error}"
            for item in refused[:ATTENTION_DETAILS]
        )
        raise NeedsAttention(f"{status.message()} {details}".strip(), status)
    if status.state is SyncState.SIGNED_OUT:
        raise SignedOut(status.message(), status)
    if status.signed_out_ops and status.signed_out_ops == status.waiting:
        # All that waits is by others, so whoever wrote any of it is one of them.
        authors = tuple(sorted({str(row[1]) for row in view.all("outbox_counts")}))
        words = message("others_wait", n=status.signed_out_ops, names=", ".join(authors))
        raise SignedOut(words, status, authors)


def _state(queue: Counts, progress: Progress) -> SyncState:
    if queue.refused or (progress.stopped is not None and not progress.signed_out):
        return SyncState.NEEDS_ATTENTION
    if progress.signed_out:
        return SyncState.SIGNED_OUT
    if progress.live:
        in_step = not queue.total and not progress.behind
        return SyncState.SYNCED if in_step else SyncState.SYNCING
    if progress.first_sync_total is not None:
        return SyncState.SYNCING
    if not progress.wanted:
        return SyncState.OFFLINE
    return SyncState.CONNECTING if progress.connecting else SyncState.OFFLINE
