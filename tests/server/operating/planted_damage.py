"""Damage to a server's database, each with the kind of finding that it must give."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from crdtsync.documents.ops import FieldWrite, Op, content_digest
from crdtsync.documents.state import LogEntry, StoredRecord
from crdtsync_server.storage.keys import position

ENTRY = msgspec.msgpack.Decoder(LogEntry)
RECORD = msgspec.msgpack.Decoder(StoredRecord)


def change_entry(db: sqlite3.Connection, at: int, /, **fields: Any) -> LogEntry:
    place = position(1, at)
    (data,) = db.execute("SELECT entry FROM log WHERE position = ?", (place,)).fetchone()
    entry = msgspec.structs.replace(ENTRY.decode(data), **fields)
    db.execute(
        "UPDATE log SET entry = ? WHERE position = ?", (msgspec.msgpack.encode(entry), place)
    )
    return entry


def change_record(
    db: sqlite3.Connection, record: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """``change`` gets the record's fields as lists of entries."""
    (data,) = db.execute("SELECT state FROM records WHERE record = ?", (record,)).fetchone()
    stored = RECORD.decode(data)
    fields: dict[str, Any] = {root: list(entries) for root, entries in stored.fields.items()}
    change(fields)
    changed = StoredRecord.of(stored.seq, stored.updated_us, stored.updated_by, fields)
    state = msgspec.msgpack.encode(changed)
    db.execute("UPDATE records SET state = ? WHERE record = ?", (state, record))


def replace_value(fields: dict[str, Any], root: str = "r/name") -> None:
    fields[root][0] = msgspec.structs.replace(fields[root][0], value='"Somebody"')


def sql(*statements: str) -> Callable[[sqlite3.Connection], None]:
    def run(db: sqlite3.Connection) -> None:
        for statement in statements:
            assert db.execute(statement).rowcount != 0, statement

    return run


def forge_another_shape(db: sqlite3.Connection) -> None:
    """Log, digest and record tell the same, and it is nothing that a document can hold."""
    values = ('"Lee"',)
    entry = change_entry(db, 38, writes={"x/name": values}, outcomes={"x/name": "applied"})
    op = Op(
        entry.op_id,
        entry.user,
        entry.collection,
        entry.record,
        entry.time_us,
        {"x/name": FieldWrite(values)},
    )
    db.execute(
        "UPDATE log SET content_digest = ? WHERE position = ?",
        (content_digest(op), position(1, 38)),
    )
    change_record(db, "p5", lambda fields: fields.update({"x/name": fields.pop("r/name")}))


ON_ROWS: dict[str, tuple[str, Callable[[sqlite3.Connection], Any]]] = {
    "a table that is not ours": ("wrong_structure", sql("CREATE TABLE extra (x)")),
    "an index that is gone": ("wrong_structure", sql("DROP INDEX conflicts_by_field")),
    "a log row that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 7)}"),
    ),
    "the end of the log that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 38)}"),
    ),
    "log rows of no space": (
        "wrong_head",
        sql(f"UPDATE log SET position = {position(9, 1)} WHERE position = {position(2, 1)}"),
    ),
    "an entry that is garbage": (
        "unreadable_entry",
        sql(f"UPDATE log SET entry = x'c1c1' WHERE position = {position(1, 7)}"),
    ),
    "an entry that claims another seq": ("unreadable_entry", lambda db: change_entry(db, 7, seq=9)),
    "an op_id that is none": ("unreadable_entry", lambda db: change_entry(db, 7, op_id="seven")),
    "a value in the log that was changed": (
        "changed_entry",
        lambda db: change_entry(db, 38, writes={"r/name": ('"Somebody"',)}),
    ),
    "an author in the log that was changed": (
        "changed_entry",
        lambda db: change_entry(db, 3, user="lee"),
    ),
    "a digest that does not follow": (
        "broken_chain",
        lambda db: change_entry(db, 9, digest=b"x" * 16),
    ),
    "a receive time that was changed": (
        "broken_chain",
        lambda db: change_entry(db, 9, received_us=1_700_000_000_000_001),
    ),
    "times that run backwards": ("wrong_time", lambda db: change_entry(db, 9, received_us=5)),
    "a head with another digest": (
        "wrong_head",
        sql("UPDATE spaces SET digest = x'00' WHERE id = 1"),
    ),
    "a head that is too low": ("wrong_head", sql("UPDATE spaces SET seq = 30 WHERE id = 1")),
    "a log start beyond the head": (
        "wrong_head",
        sql("UPDATE spaces SET log_start = 77 WHERE id = 2"),
    ),
    "a receipt that is gone": (
        "receipt_missing",
        sql(f"DELETE FROM receipts WHERE position = {position(1, 5)}"),
    ),
    "a receipt that leads elsewhere": (
        "receipt_wrong",
        sql(f"UPDATE receipts SET position = {position(1, 6)} WHERE position = {position(1, 5)}"),
    ),
    "a receipt of an op that is not there": (
        "receipt_without_entry",
        sql(f"INSERT INTO receipts VALUES (x'00112233445566778899aabbccddeeff', {position(1, 5)})"),
    ),
    "a receipt beyond the log": (
        "receipt_without_entry",
        sql(
            f"INSERT INTO receipts VALUES (x'00112233445566778899aabbccddeeff', {position(1, 99)})"
        ),
    ),
    "a record that is gone": ("record_missing", sql("DELETE FROM records WHERE record = 'p1'")),
    "a record of before": (
        "record_behind",
        sql(f"UPDATE records SET position = {position(1, 3)} WHERE record = 'p1'"),
    ),
    "a value of a record that was changed": (
        "record_differs",
        lambda db: change_record(db, "p1", replace_value),
    ),
    "a value of a record that is gone": (
        "record_differs",
        lambda db: change_record(db, "p1", lambda fields: fields.pop("r/name")),
    ),
    "a counter that counts otherwise": (
        "record_differs",
        lambda db: change_record(db, "p0", lambda fields: fields["c/visits"].pop()),
    ),
    "a counter that is no number": (
        "record_differs",
        lambda db: change_record(db, "p0", lambda fields: replace_value(fields, "c/visits")),
    ),
    "a record that is garbage": (
        "unreadable_record",
        sql("UPDATE records SET state = x'c1' WHERE record = 'p1'"),
    ),
    "a record of no space": (
        "record_differs",
        sql("UPDATE records SET space = 9 WHERE record = 'p5'"),
    ),
    "a record at another place": (
        "wrong_position",
        sql(f"UPDATE records SET position = {position(1, 1)} WHERE record = 'p5'"),
    ),
    "a history that leads astray": ("broken_link", lambda db: change_entry(db, 38, prev_seq=7)),
    "a history with a hole": (
        "entry_unlinked",
        lambda db: change_entry(db, 28, prev_seq=0),
    ),
    "a record that no document can hold": ("document_differs", forge_another_shape),
    "a conflict that is not written down": (
        "conflict_missing",
        sql("UPDATE conflicts SET status = 'resolved' WHERE status = 'open'"),
    ),
    "a conflict that is over and said to be open": (
        "conflict_wrong",
        sql("UPDATE conflicts SET status = 'open' WHERE status = 'resolved'"),
    ),
    "a conflict with other candidates": (
        "conflict_wrong",
        sql("UPDATE conflicts SET candidates = x'90' WHERE status = 'open'"),
    ),
    "candidates that are garbage": (
        "conflict_wrong",
        sql("UPDATE conflicts SET candidates = x'c1' WHERE status = 'open'"),
    ),
    "an event of another op": (
        "conflict_wrong",
        sql("UPDATE conflict_events SET op_id = 'somebody' WHERE kind = 'resolved'"),
    ),
    "events of a conflict that is gone": (
        "conflict_wrong",
        sql("DELETE FROM conflicts WHERE status = 'resolved'"),
    ),
    "a conflict without events": ("conflict_wrong", sql("DELETE FROM conflict_events")),
    "a grave of what has arrived": (
        "grave_wrong",
        sql("UPDATE graves SET op_id = (SELECT op_id FROM receipts LIMIT 1)"),
    ),
    "a grave that nobody dug": (
        "grave_wrong",
        sql(f"UPDATE graves SET position = {position(1, 2)}"),
    ),
    "a device that is gone": ("device_missing", sql("DELETE FROM replicas")),
    "a device of no space": (
        "device_missing",
        sql(
            "INSERT INTO replicas (space, replica_id, user, first_seen_us, last_seen_us) "
            "VALUES (9, 'r', 'kim', 1, 1)"
        ),
    ),
    "a policy that was changed": (
        "wrong_policy",
        sql("UPDATE policies SET text = replace(text, 'note', 'memo')"),
    ),
    "a policy that is none": ("wrong_policy", sql("UPDATE policies SET text = 'version ='")),
    "policies that are gone": ("wrong_policy", sql("DELETE FROM policies")),
}

ON_TRIMMED_ROWS: dict[str, tuple[str, Callable[[sqlite3.Connection], Any]]] = {
    "a kept value of another op": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET op_id = x'00112233445566778899aabbccddeeff'"),
    ),
    "a kept value of no record": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET record = 999"),
    ),
    "a kept value of another field": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET root = 'r/note' WHERE root = 'r/name'"),
    ),
    "a kept value whose reason has no place": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET left_seq = NULL, why = 'lost_received'"),
    ),
    "a kept value that left elsewhere": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET left_seq = 37, why = 'lost_received'"),
    ),
    "a value of a record that is not in its log": (
        "record_differs",
        lambda db: change_record(db, "p1", _other_author),
    ),
    "a trimmed log row that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 7)}"),
    ),
    "a digest of a trimmed row": ("broken_chain", lambda db: change_entry(db, 9, digest=b"x" * 16)),
    "a receipt of a trimmed row that is gone": (
        "receipt_missing",
        sql(f"DELETE FROM receipts WHERE position = {position(1, 5)}"),
    ),
}


def _other_author(fields: dict[str, Any]) -> None:
    (entry,) = fields["r/name"]
    fields["r/name"] = [
        msgspec.structs.replace(entry, op_id="00112233-4455-4677-8899-aabbccddeeff")
    ]
