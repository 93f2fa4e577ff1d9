"""What stands beside log and records: the life of conflicts, kept values, graves, devices."""

from __future__ import annotations

import sqlite3

import msgspec

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync_server.operating.checking.book import Book
from crdtsync_server.operating.checking.findings import Progress, step
from crdtsync_server.storage.keys import SEQ_BITS, seq_of, uuid_text


def check_conflict_events(book: Book, progress: Progress) -> None:
    """Each event of a conflict is of the log entry that it names; each conflict has one."""
    connection, add = book.connection, book.findings.add
    (total,) = connection.execute("SELECT count(*) FROM conflict_events").fetchone()
    with step("conflicts", total, progress) as reached:
        rows = connection.execute(
            "SELECT conflict_events.conflict, conflict_events.seq, conflict_events.op_id, "
            "conflicts.space, conflicts.collection, conflicts.record "
            "FROM conflict_events LEFT JOIN conflicts ON conflicts.id = conflict_events.conflict"
        )
        for conflict, seq, op_id, space_id, collection, record in rows:
            reached.count()
            if space_id is None:
                add("conflict_wrong", f"conflict {conflict}", "an event of a conflict that is gone")
                continue
            entry = book.entry(space_id, seq)
            if entry is None or (entry.op_id, entry.collection, entry.record) != (
                op_id,
                collection,
                record,
            ):
                add(
                    "conflict_wrong",
                    f"{book.place(space_id, seq)} {collection}/{record}",
                    f"its conflict tells of {op_id}, which is not there",
                )
        for conflict, space_id, collection, record in connection.execute(
            "SELECT id, space, collection, record FROM conflicts WHERE NOT EXISTS "
            "(SELECT 1 FROM conflict_events WHERE conflict_events.conflict = conflicts.id) "
            "OR NOT EXISTS (SELECT 1 FROM records WHERE records.space = conflicts.space "
            "AND records.collection = conflicts.collection AND records.record = conflicts.record)"
        ):
            add(
                "conflict_wrong",
                f"{book.place(space_id, 0)} {collection}/{record}",
                f"conflict {conflict} has no event, or its record is not there",
            )


def check_kept_values(book: Book, progress: Progress) -> None:
    """Each kept value is of an op whose own detail was trimmed, and which wrote that field."""
    (total,) = book.connection.execute("SELECT count(*) FROM kept_values").fetchone()
    with step("kept values", total, progress) as reached:
        rows = book.connection.execute(
            "SELECT kept_values.root, kept_values.op_id, kept_values.position, kept_values.why, "
            "kept_values.left_seq, records.space, records.collection, records.record, "
            "records.state FROM kept_values LEFT JOIN records ON records.id = kept_values.record"
        )
        for root, key, place, why, left_seq, *record in rows:
            reached.count()
            wrong = _kept_value_is_wrong(book, root, key, place, (why, left_seq), record)
            if wrong:
                where = f"{book.place(place >> SEQ_BITS, seq_of(place))} {root}"
                book.findings.add("kept_value_wrong", where, wrong)


def _kept_value_is_wrong(
    book: Book,
    root: str,
    key: bytes,
    place: int,
    left: tuple[str | None, int | None],
    record: list[object],
) -> str | None:
    space_id, collection, name, data = record
    if not isinstance(space_id, int) or place >> SEQ_BITS != space_id:
        return "a value of a record that is not there"
    op_id = uuid_text(key) if len(key) == 16 else key.hex()
    entry = book.entry(space_id, seq_of(place))
    if not _wrote(entry, op_id, collection, name, root):
        return f"a value of {op_id}, and that op did not write it"
    space = book.spaces.get(space_id)
    if space is not None and seq_of(place) >= space.log_start:
        return f"the value of {op_id} is still in the log"
    assert isinstance(data, bytes)
    if _shows(collection, name, data, root, op_id):
        return f"the record still shows the value of {op_id}"
    why, left_seq = left
    if (why is None) != (left_seq is None):
        return f"the value of {op_id} left for a reason without a place, or the other way round"
    if left_seq is not None:
        remover = book.entry(space_id, left_seq)
        if remover is None or (remover.collection, remover.record) != (collection, name):
            return f"the value of {op_id} is said to have left with seq {left_seq}, which is not so"
    return None


def _wrote(
    entry: LogEntry | None, op_id: str, collection: object, record: object, root: str
) -> bool:
    return (
        entry is not None
        and entry.op_id == op_id
        and (entry.collection, entry.record) == (collection, record)
        and root in entry.outcomes
    )


def _shows(collection: object, record: object, data: bytes, root: str, op_id: str) -> bool:
    try:
        state = RecordState.decode(str(collection), str(record), data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False  # told where records are checked
    return EntryId(op_id, 0) in state.fields.get(root, {})


def check_graves(book: Book, progress: Progress) -> None:
    """A grave is of an op that has not arrived, and was dug by a log entry of its own record."""
    (total,) = book.connection.execute("SELECT count(*) FROM graves").fetchone()
    with step("graves", total, progress) as reached:
        rows = book.connection.execute(
            "SELECT op_id, space, collection, record, position, "
            "EXISTS (SELECT 1 FROM receipts WHERE receipts.op_id = graves.op_id) FROM graves"
        )
        for key, space_id, collection, record, place, arrived in rows:
            reached.count()
            where = f"{book.place(space_id, seq_of(place))} {collection}/{record}"
            if arrived:
                book.findings.add("grave_wrong", where, f"{key.hex()} has arrived meanwhile")
            entry = book.entry(place >> SEQ_BITS, seq_of(place))
            named = (place >> SEQ_BITS, collection, record)
            if entry is None or (space_id, entry.collection, entry.record) != named:
                book.findings.add("grave_wrong", where, "it was dug by no entry of its record")


def check_devices(book: Book, progress: Progress) -> None:
    """What the log and the devices' rows say of each other."""
    with step("devices", 0, progress):
        (count,) = book.connection.execute(
            "SELECT count(*) FROM log WHERE NOT EXISTS "
            "(SELECT 1 FROM replicas WHERE replicas.id = log.replica)"
        ).fetchone()
        if count:
            book.findings.add(
                "device_missing", "replicas", f"{count} log rows came from devices not listed"
            )
        _check_reports(book)


def _check_reports(book: Book) -> None:
    rows: sqlite3.Cursor = book.connection.execute(
        "SELECT replicas.replica_id, replicas.space FROM replicas "
        "WHERE NOT EXISTS (SELECT 1 FROM spaces WHERE spaces.id = replicas.space)"
    )
    for replica_id, space_id in rows:
        book.findings.add("device_missing", f"device {replica_id}", f"no space {space_id} is there")
