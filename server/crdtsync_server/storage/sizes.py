"""How large a record may grow."""

from __future__ import annotations

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.settling import Decision
from crdtsync_server.storage.held import CachedRecord

MAX_RECORD_BYTES = 8 * 1_048_576
"""A record in its stored form. A page of snapshots has to carry at least one."""

ENTRY_BYTES = 160
"""Of an entry in a record besides its value: op_id, user, times."""

UTF8_MAX_BYTES = 4


def check_size(cached: CachedRecord, op: Op, decision: Decision) -> int:
    """How many bytes the record grows by at most. Raises InvalidOp beyond the bound."""
    added = 0
    for write in op.writes.values():
        for value in write.values:
            added += len(value) * UTF8_MAX_BYTES + ENTRY_BYTES
    if cached.size_bytes + added <= MAX_RECORD_BYTES:
        return added
    # Close to the bound it is worth counting, and a write that frees more than it adds is taken.
    exact = sum(len(v.encode()) + ENTRY_BYTES for w in op.writes.values() for v in w.values)
    state, freed = cached.opened(op.writes), 0
    for gone in decision.removed:
        entry = state.fields.get(gone.root, {}).get(EntryId(gone.op_id, gone.n))
        freed += 0 if entry is None else len(entry.value.encode())
    if cached.size_bytes + exact > MAX_RECORD_BYTES and exact > freed:
        raise InvalidOp(
            "too_large", f"the record would be larger than {MAX_RECORD_BYTES} bytes; split it"
        )
    return exact
