"""What a server sends is possible, or the connection ends before it is stored."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from crdtsync.documents.ops import MAX_VALUES, SAFE_INTEGER
from crdtsync.documents.state import Entry, LogEntry, StoredRecord, StoredValue, Stub
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import Landmark, Paging, Receipt, SnapshotRow
from crdtsync.protocol.plausible import (
    MAX_SERVER_TIME_US,
    check_entries,
    check_paging,
    check_place,
    check_receipts,
    check_rows,
)

OP_ID = "00000000-0000-4000-8000-000000000000"
LOGGED = LogEntry(
    1, b"d" * 16, OP_ID, "kim", "patient", "p1", 5, 6, 7, {"r/name": ('"Kim"',)}, (), {}, 0
)
SHOWN = Entry(OP_ID, 0, '"Kim"', 5, "kim", 7, 1)


def row(updated_us: int = 9, entry: Entry = SHOWN, *, root: str = "r/name") -> SnapshotRow:
    return SnapshotRow("patient", "p1", StoredRecord.of(1, updated_us, "kim", {root: (entry,)}))


POSSIBLE: dict[str, Callable[[], None]] = {
    "the beginning": lambda: check_place(Landmark(0, b"")),
    "the last place": lambda: check_place(Landmark(SAFE_INTEGER, b"d" * 16)),
    "no paging": lambda: check_paging(None),
    "paging from above the last head": lambda: check_paging(
        Paging(SAFE_INTEGER, SAFE_INTEGER + 1, 0)
    ),
    "paging that is done": lambda: check_paging(Paging(0, 0, SAFE_INTEGER)),
    "a log entry and a stub": lambda: check_entries([LOGGED, Stub(2, b"")]),
    "the last times": lambda: check_entries(
        [
            msgspec.structs.replace(
                LOGGED,
                time_us=SAFE_INTEGER,
                received_us=MAX_SERVER_TIME_US,
                effective_us=MAX_SERVER_TIME_US,
            )
        ]
    ),
    "a record": lambda: check_rows([row()]),
    "a stub of one's own op": lambda: check_entries([Stub(2, b"", OP_ID)]),
    "as many elements as may be": lambda: check_entries(
        [logged(writes={"s/a": ("1",) * MAX_VALUES})]
    ),
    "a removal from a set": lambda: check_entries([logged(writes={"s/a": ()})]),
    "a folded counter": lambda: check_rows([shown("c/a", op_id="fold:7", value="7")]),
    "the last element of an op": lambda: check_rows([shown("s/a", n=MAX_VALUES - 1)]),
    "a receipt": lambda: check_receipts([Receipt(OP_ID, 1, 0, {})]),
    "the last receipt": lambda: check_receipts(
        [Receipt(OP_ID, SAFE_INTEGER, MAX_SERVER_TIME_US, {})]
    ),
    "a record of the last time": lambda: check_rows([row(MAX_SERVER_TIME_US)]),
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_a_server_may_send_is_taken(name: str) -> None:
    POSSIBLE[name]()


def logged(**changes: object) -> LogEntry:
    return msgspec.structs.replace(LOGGED, **changes)


def shown(root: str = "r/name", **changes: object) -> SnapshotRow:
    return row(entry=msgspec.structs.replace(SHOWN, **changes), root=root)


def of_no_op() -> SnapshotRow:
    whole = shown()
    values = {"r/name": (StoredValue(1, 0, '"a"'),)}
    return msgspec.structs.replace(
        whole, stored=msgspec.structs.replace(whole.stored, values=values)
    )


IMPOSSIBLE: dict[str, tuple[Callable[[], None], str]] = {
    "a place before the log": (
        lambda: check_place(Landmark(-1, b"")),
        r"\(seq -1, a digest of 0 bytes\) is not a place in a log",
    ),
    "a place beyond any log": (lambda: check_place(Landmark(SAFE_INTEGER + 1, b"")), "not a place"),
    "a long digest": (lambda: check_place(Stub(1, b"d" * 17)), "a digest of 17 bytes"),
    "paging to a head before the log": (
        lambda: check_paging(Paging(-1, 0, 0)),
        "head=-1, before=0, after=0",
    ),
    "paging below nothing": (lambda: check_paging(Paging(1, -1, 0)), "not a place in paging"),
    "paging after less than nothing": (
        lambda: check_paging(Paging(1, 0, -1)),
        "not a place in paging",
    ),
    "paging beyond any log": (
        lambda: check_paging(Paging(1, SAFE_INTEGER + 2, 0)),
        "not a place in paging",
    ),
    "an entry beyond any log": (lambda: check_entries([logged(seq=2**60)]), "not a place in a log"),
    "a stub with a long digest": (
        lambda: check_entries([LOGGED, Stub(2, b"d" * 17)]),
        "not a place in a log",
    ),
    "a value of an op that is not named": (
        lambda: check_rows([of_no_op()]),
        "a record names 1 ops, and a value of r/name is of op 1",
    ),
    "a sum in a field that is no counter": (
        lambda: check_rows([shown("r/name", op_id="fold:7")]),
        r"\('fold:7', 0\) does not name",
    ),
    "an op of a time that cannot be": (
        lambda: check_rows([shown(time_us=-1)]),
        "are not times of an op",
    ),
    "an entry of no op": (lambda: check_entries([logged(op_id="o")]), r"\('o', 0\) does not name"),
    "a stub of no op": (lambda: check_entries([Stub(2, b"", "")]), r"\('', 0\) does not name"),
    "too many elements": (
        lambda: check_entries([logged(writes={"s/a": ("1",) * (MAX_VALUES + 1)})]),
        r"1000\) does not name an entry",
    ),
    "a collection without a name": (
        lambda: check_entries([logged(collection="")]),
        "a record that cannot be: the collection is empty",
    ),
    "a record with a line break": (
        lambda: check_entries([logged(record="a\n")]),
        "a record that cannot be: the record id",
    ),
    "a page with a record without a name": (
        lambda: check_rows([msgspec.structs.replace(row(), record="")]),
        "a record that cannot be: the record id is empty",
    ),
    "a page with a record without a collection": (
        lambda: check_rows([msgspec.structs.replace(row(), collection="")]),
        "a record that cannot be: the collection is empty",
    ),
    "a page with a record of another collection that cannot be": (
        lambda: check_rows([row(), msgspec.structs.replace(row(), collection="a\n")]),
        "a record that cannot be: the collection",
    ),
    "a page with a record whose name is too long": (
        lambda: check_rows([row(), msgspec.structs.replace(row(), record="a" * 257)]),
        "a record that cannot be: the record id is longer",
    ),
    "a page with a record whose name has a line break": (
        lambda: check_rows([row(), msgspec.structs.replace(row(), record="a\u2028")]),
        "a record that cannot be: the record id",
    ),
    "a page with a record whose name is deleted text": (
        lambda: check_rows([row(), msgspec.structs.replace(row(), record="a\x7f")]),
        "a record that cannot be: the record id",
    ),
    "a page with an entry of no op": (lambda: check_rows([shown(op_id="o")]), "does not name"),
    "a page with an entry before the first": (lambda: check_rows([shown(n=-1)]), "not name"),
    "a page with an entry beyond the last": (
        lambda: check_rows([shown(n=MAX_VALUES)]),
        "does not name an entry",
    ),
    "a fold outside of a counter": (
        lambda: check_rows([shown("r/name", op_id="fold:7")]),
        "does not name an entry",
    ),
    "a receipt before the log": (
        lambda: check_receipts([Receipt(OP_ID, 0, 5, {})]),
        "a receipt names seq 0, which is in no log",
    ),
    "a receipt beyond any log": (
        lambda: check_receipts([Receipt(OP_ID, SAFE_INTEGER + 1, 5, {})]),
        "which is in no log",
    ),
    "a receipt before 1970": (
        lambda: check_receipts([Receipt(OP_ID, 1, -1, {})]),
        "not times of an op",
    ),
    "a receipt of the next century": (
        lambda: check_receipts([Receipt(OP_ID, 1, MAX_SERVER_TIME_US + 1, {})]),
        "not times of an op",
    ),
    "an author's time before 1970": (lambda: check_entries([logged(time_us=-1)]), "-1, 6, 7 are"),
    "an author's time too late": (
        lambda: check_entries([logged(time_us=SAFE_INTEGER + 1)]),
        "not times of an op",
    ),
    "a receive time before 1970": (
        lambda: check_entries([logged(received_us=-1)]),
        "not times of an op",
    ),
    "a receive time too late": (
        lambda: check_entries([logged(received_us=MAX_SERVER_TIME_US + 1)]),
        "not times of an op",
    ),
    "an effective time before 1970": (
        lambda: check_entries([logged(effective_us=-1)]),
        "not times of an op",
    ),
    "an effective time that no stamp can follow": (
        lambda: check_entries([logged(effective_us=MAX_SERVER_TIME_US + 1)]),
        "not times of an op",
    ),
    "a value that is no JSON": (
        lambda: check_entries([logged(writes={"s/a": ('"a"', "tru")})]),
        "a value is not JSON",
    ),
    "a value that nests too deeply": (
        lambda: check_entries([logged(writes={"r/a": ("[" * 100_000 + "]" * 100_000,)})]),
        "a value is not JSON",
    ),
    "a value with half a character": (
        lambda: check_entries([logged(writes={"r/a": ('"\ud800"',)})]),
        "a value is not JSON",
    ),
    "a record of the next century": (
        lambda: check_rows([row(), row(MAX_SERVER_TIME_US + 1)]),
        "not times of an op",
    ),
    "a record before 1970": (lambda: check_rows([row(-1)]), "not times of an op"),
    "a record's value that is no JSON": (lambda: check_rows([shown(value="")]), "is not JSON"),
    "a record's time before 1970": (lambda: check_rows([shown(time_us=-1)]), "not times of an op"),
    "a record's time that no stamp can follow": (
        lambda: check_rows([shown(effective_us=MAX_SERVER_TIME_US + 1)]),
        "not times of an op",
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_would_spoil_a_device_is_a_protocol_error_in_words(name: str) -> None:
    check, words = IMPOSSIBLE[name]
    with pytest.raises(ProtocolError, match=words):
        check()
