"""Compaction: a record rebuilt from what is visible, so that tombstones do not pile up.

Two documents with one as-of mark may be merged, state against state, so what a
mark stands for must not depend on when and how often each side was compacted
before. Entries keep their items; the confirmed deltas of a counter, one alone
included, become the single item that the field and the mark name.
"""

from __future__ import annotations

from crdtsync.documents.encoder import Mark
from crdtsync.documents.errors import DocumentError
from crdtsync.documents.folding import add_deltas
from crdtsync.documents.state import FOLD_PREFIX, Entry, RecordState


def mark_of(state: RecordState) -> Mark | None:
    """The mark under which a record at rest is made a document.

    A record that shows ops which the log has not brought back is not confirmed:
    its document can be read and kept, but takes no more ops.
    """
    if state.is_empty and not state.seq and not state.pending:
        return None
    confirmed = not state.pending and all(entry.seq for _, entry in state.entries())
    return Mark(state.seq if confirmed and state.seq else None)


def compacted(state: RecordState, mark: Mark) -> RecordState:
    """A copy of ``state`` as it stands under ``mark``.

    Raises DocumentError if the mark names a seq that the state cannot stand for.
    """
    fresh = state.copy()
    if mark.as_of is None:
        return fresh
    if mark.as_of < max(state.seq, 1):
        raise DocumentError(
            f"this record stands as of seq {state.seq}; it cannot be compacted as of {mark.as_of}"
        )
    pending = sum(not entry.seq for _, entry in state.entries())
    if pending:
        raise DocumentError(
            f"{pending} entries are not confirmed by the log; only what is may be compacted "
            "under a seq"
        )
    fresh.seq = mark.as_of
    for root, entries in fresh.fields.items():
        if root.startswith("c/"):
            total = add_deltas([entry.value for entry in entries.values()])
            fold = Entry(f"{FOLD_PREFIX}{mark.as_of}", 0, total, 0, "", 0, mark.as_of)
            fresh.fields[root] = {fold.id: fold}
    return fresh
