"""What leaves for a reader who may not see every field.

Entries have no order among each other, so leaving some out leaves no gap. Of a
log entry that holds nothing readable only its place in the log remains, and of
a record nothing at all. A reader's own side redacts in the same way when a role
is withdrawn, so that a device and the server say the same of every record.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crdtsync.documents.state import Entry, LogEntry, RecordState, StoredRecord, Stub
from crdtsync.policy import Visibility


def redact_entry(entry: LogEntry, seen: Visibility, user: str) -> LogEntry | Stub:
    """The entry as somebody with this view may have it.

    A stub names the op to its own author only.
    """
    if entry.collection not in seen.hiding:
        return entry
    collection = entry.collection

    def is_seen(root: str) -> bool:
        return seen.may_read(collection, root)

    writes = {root: values for root, values in entry.writes.items() if is_seen(root)}
    removed = tuple(gone for gone in entry.removed if is_seen(gone.root))
    if not writes and not removed:
        return Stub(entry.seq, entry.digest, entry.op_id if entry.user == user else None)
    outcomes = {root: outcome for root, outcome in entry.outcomes.items() if is_seen(root)}
    # The place of the record's entry before this one may be that of a hidden one.
    return msgspec.structs.replace(
        entry, writes=writes, removed=removed, outcomes=outcomes, prev_seq=0
    )


def redact_record(collection: str, stored: StoredRecord, seen: Visibility) -> StoredRecord | None:
    """The record as somebody with this view may have it; None where nothing of it is left."""
    if collection not in seen.hiding:
        return stored
    fields = {
        root: entries for root, entries in stored.fields.items() if seen.may_read(collection, root)
    }
    newest = _newest(entry for entries in fields.values() for entry in entries)
    if newest is None:
        return None
    return StoredRecord.of(newest.seq, newest.effective_us, newest.user, fields)


def redact_state(state: RecordState, seen: Visibility) -> bool:
    """Take what is hidden out of a record in memory; False where nothing of it is left.

    The record then stands as of the newest entry that is left: when and by whom a
    hidden field was written is as hidden as its value.
    """
    if state.collection not in seen.hiding:
        return True
    for root in tuple(state.fields):
        if not seen.may_read(state.collection, root):
            del state.fields[root]
    newest = _newest(entry for _, entry in state.entries())
    if newest is None:
        return False
    state.seq, state.updated_us, state.updated_by = newest.seq, newest.effective_us, newest.user
    return True


def _newest(entries: Iterable[Entry]) -> Entry | None:
    return max(entries, key=lambda entry: (entry.seq, entry.op_id, entry.n), default=None)
