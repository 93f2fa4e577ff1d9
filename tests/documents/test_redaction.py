"""What leaves for a reader who may not see every field."""

from __future__ import annotations

import msgspec

from crdtsync.documents.redaction import redact_entry, redact_record, redact_state
from crdtsync.documents.state import Entry, LogEntry, RecordState, Removal, StoredRecord, Stub
from crdtsync.policy import Policy
from tests.documents.making import op_id

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
name  = { type = "string" }
notes = { type = "string", read = ["doctor"], write = ["doctor"] }
[secret]
read = ["doctor"]
write = ["doctor"]
[secret.fields]
code = { type = "string" }
[menu.fields]
soup = { type = "string" }
"""
)
NURSE = POLICY.visibility({"nurse"})
DOCTOR = POLICY.visibility({"doctor"})


def entry(collection: str = "patient", user: str = "lee", **changes: object) -> LogEntry:
    whole = LogEntry(
        9,
        b"d" * 16,
        op_id(9),
        user,
        collection,
        "p1",
        5,
        6,
        7,
        {"r/name": ('"Kim"',), "r/notes": ('"frail"',)},
        (
            Removal("r/name", op_id(3), 0, "superseded"),
            Removal("r/notes", op_id(4), 0, "superseded"),
        ),
        {"r/name": "applied", "r/notes": "conflict"},
        4,
    )
    return msgspec.structs.replace(whole, **changes)


def test_who_may_read_everything_gets_the_entry_itself() -> None:
    one = entry()
    assert redact_entry(one, DOCTOR, "kim") is one
    soup = entry("menu", writes={"r/soup": ('"pea"',)}, removed=(), outcomes={"r/soup": "applied"})
    assert redact_entry(soup, NURSE, "kim") is soup


def test_hidden_fields_leave_no_value_no_name_no_outcome_and_no_place() -> None:
    shown = redact_entry(entry(), NURSE, "kim")
    assert isinstance(shown, LogEntry)
    assert shown.writes == {"r/name": ('"Kim"',)}
    assert [gone.root for gone in shown.removed] == ["r/name"]
    assert shown.outcomes == {"r/name": "applied"}
    assert shown.prev_seq == 0
    assert (shown.seq, shown.digest, shown.op_id) == (9, b"d" * 16, op_id(9))
    assert b"notes" not in msgspec.msgpack.encode(shown)


def test_an_entry_with_nothing_readable_is_a_stub_that_names_the_op_to_its_author_only() -> None:
    hidden = entry(writes={"r/notes": ('"frail"',)}, removed=(), outcomes={"r/notes": "applied"})
    assert redact_entry(hidden, NURSE, "kim") == Stub(9, b"d" * 16, None)
    assert redact_entry(hidden, NURSE, "lee") == Stub(9, b"d" * 16, op_id(9))
    assert redact_entry(entry("secret"), NURSE, "kim") == Stub(9, b"d" * 16, None)


def test_a_hidden_write_that_brings_a_record_back_shows_the_return_only() -> None:
    revival = entry(
        writes={"r/notes": ('"frail"',)},
        removed=(Removal("d/", op_id(2), 0, "revived"),),
        outcomes={"r/notes": "applied"},
        revived=True,
    )
    shown = redact_entry(revival, NURSE, "kim")
    assert isinstance(shown, LogEntry)
    assert shown.revived
    assert not shown.writes
    assert [gone.root for gone in shown.removed] == ["d/"]


def value(number: int, text: str, user: str = "lee", seq: int = 0) -> Entry:
    return Entry(op_id(number), 0, f'"{text}"', number, user, number + 100, seq or number)


def test_a_record_stands_as_of_the_newest_value_that_is_left() -> None:
    stored = StoredRecord.of(
        9,
        999,
        "dr-park",
        {"r/name": (value(3, "Kim"),), "r/notes": (value(9, "frail", "dr-park"),)},
    )
    assert redact_record("patient", stored, NURSE) == StoredRecord.of(
        3, 103, "lee", {"r/name": (value(3, "Kim"),)}
    )
    assert redact_record("patient", stored, DOCTOR) is stored
    assert redact_record("secret", stored, NURSE) is None
    only_hidden = StoredRecord.of(9, 999, "dr-park", {"r/notes": (value(9, "frail"),)})
    assert redact_record("patient", only_hidden, NURSE) is None


def test_a_device_redacts_what_it_holds_as_the_server_does() -> None:
    stored = StoredRecord.of(
        9,
        999,
        "dr-park",
        {"r/name": (value(3, "Kim"),), "r/notes": (value(9, "frail", "dr-park"),)},
    )
    state = RecordState.from_stored("patient", "p1", stored)
    assert redact_state(state, NURSE)
    assert state.stored() == redact_record("patient", stored, NURSE)
    untouched = RecordState.from_stored("patient", "p1", stored)
    assert redact_state(untouched, DOCTOR)
    assert untouched.stored() == stored
    secret = RecordState.from_stored("secret", "s1", stored)
    assert not redact_state(secret, NURSE)
    assert secret.is_empty
