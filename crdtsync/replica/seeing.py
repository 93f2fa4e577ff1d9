"""What this device may hold: roles changed, so records are seen in another way from now on.

What may no longer be read goes at once, in the transaction of the welcome; what may be
read now comes with the paging that the server has asked for. The outbox, and what this
device's own people wrote, stay (invariant 4).
"""

from __future__ import annotations

import msgspec

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, FieldWrite, Op
from crdtsync.documents.redaction import redact_entry, redact_state
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import Visibility
from crdtsync.protocol.messages import Paging, Welcome
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.queue_rows import Touched
from crdtsync.replica.shown import confirmed, refresh

_ENTRY_ENCODER = msgspec.msgpack.Encoder()
_ENTRY_DECODER = msgspec.msgpack.Decoder(LogEntry)


def see_anew(file: ReplicaFile, welcome: Welcome, paging: Paging | None) -> Touched:
    """Adopt the welcome's way of seeing: hidden fields go, and all records are paged anew.

    What is still shown stays until its snapshot comes.
    """
    if file.text("view"):
        # A version tells by a place in the log what a person had seen. What was hidden from
        # them lies below it too, and may be shown now (invariant 6).
        file.put("log_generation", file.number("log_generation") + 1)
    file.put("view", welcome.view)
    touched = _forget_hidden(file, file.sight)
    if paging is not None:
        file.run("mark_stale")
        file.put("cursor_seq", 0)
        file.put("cursor_digest", b"")
        file.set_paging(paging)
    return touched


def _forget_hidden(file: ReplicaFile, sight: Visibility) -> Touched:
    """Take what may not be read out of records, local history, and copies of lost records."""
    touched: Touched = set()
    for collection in sorted(sight.hiding):
        for (record,) in file.all("confirmed_of_collection", collection):
            state = confirmed(file, collection, record)
            data = state.encode() if redact_state(state, sight) else None
            file.run("put_state", data, collection, record)
            refresh(file, collection, record)
            touched.add((collection, record))
        for seq, data in file.all("seen_of_collection", collection):
            entry = redact_entry(_ENTRY_DECODER.decode(data), sight, "")
            if isinstance(entry, LogEntry):
                file.run("see", seq, collection, entry.record, _ENTRY_ENCODER.encode(entry))
            else:
                file.run("forget_one_seen", seq)
        for row, record, data in file.all("lost_of_collection", collection):
            state = RecordState.decode(collection, record, data)
            if redact_state(state, sight):
                file.run("put_lost", state.encode(), row)
            else:
                file.run("drop_lost", row)
    return touched


def delete_what_is_known(file: ReplicaFile, op: Op) -> Op:
    """A delete whose base takes in what this device could not see.

    A write to a hidden field that the log had before is no edit that nobody knew of,
    else whoever may not see every field could never delete. Only where nothing visible
    came since the base: else the record comes back anyway.
    """
    write = op.writes.get(DELETION_ROOT)
    if write is None or op.collection not in file.sight.hiding:
        return op
    mark = DeleteMark.parse(write.values[0])
    known = confirmed(file, op.collection, op.record).seq
    if not mark.deleted or known > mark.seq or file.cursor.seq <= mark.seq:
        return op
    further = DeleteMark(True, mark.ops, file.cursor.seq).text()
    return msgspec.structs.replace(
        op, writes={DELETION_ROOT: FieldWrite((further,), write.supersedes)}
    )
