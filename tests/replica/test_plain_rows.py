"""Rows made straight from snapshots are those that the long way makes."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from crdtsync.documents.state import Entry, RecordState, StoredRecord
from crdtsync.policy import Policy
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import SnapshotRow
from crdtsync.replica.file import ROWS_AT_ONCE, ReplicaFile
from crdtsync.replica.plain_rows import VALUES_REMEMBERED, PlainRows
from crdtsync.replica.shown import comparable as spelled
from crdtsync.replica.shown import confirmed_row, is_own_key

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
name = { type = "string" }
born = { type = "date" }
seen = { type = "datetime", merge = "user-latest" }
dose = { type = "decimal" }
allergies = { type = "set<string>", merge = "manual" }
tags = { type = "set<string>", merge = "set" }
notes = { type = "json" }
visits = { type = "integer", merge = "counter" }
"""
)
FIELDS = POLICY.collection("patient").fields
PLAIN: dict[str, list[str]] = {
    "name": ['"Kim"', '"김민지"', r'"a \"quoted\" name"', "null", '""', '"\u1100\u1161"', '"@5"'],
    "born": ['"2018-03-29"', "null"],
    "seen": ['"2024-01-31T10:00:00Z"', '"2024-01-31T19:00:00+09:00"'],
    "dose": ['"1.50"', '"1.5"'],
    "allergies": ["[]", '["latex","peanut"]', "null"],
    "notes": ['{"a":[1,2]}', "7"],
    "visits": ["3", "-1"],
}


def op_id(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


def snapshot(fields: dict[str, Sequence[str]], record: str = "p1") -> SnapshotRow:
    number = itertools.count(1)
    stored = {
        root: tuple(Entry(op_id(n := next(number)), 0, v, n, "kim", n + 10, n) for v in values)
        for root, values in fields.items()
    }
    return SnapshotRow("patient", record, StoredRecord.of(9, 9, "kim", stored))


def by_the_long_way(row: SnapshotRow) -> list[Any]:
    file = ReplicaFile.__new__(ReplicaFile)
    file.policy = POLICY
    state = RecordState.from_stored(row.collection, row.record, row.stored)
    return list(confirmed_row(file, state, True))


def comparable(row: Sequence[Any]) -> list[Any]:
    """A row with its view read: the order of its fields means nothing."""
    return [*row[:3], json.loads(row[3]), *row[4:]]


@pytest.mark.parametrize(
    ("name", "values"),
    [(name, [value]) for name, several in PLAIN.items() for value in several]
    + [("tags", ['"a"']), ("tags", ['"b"', '"a"', '"b"']), ("visits", ["1", "2", "-5"])],
)
def test_a_plain_row_is_the_one_that_the_long_way_makes(name: str, values: list[str]) -> None:
    row = snapshot({"r/name": ['"Kim"'], FIELDS[name].root: values})
    page = PlainRows(POLICY).page([row])
    (plain,) = page.plain
    assert plain is not None
    assert comparable(plain) == comparable(by_the_long_way(row))
    assert page.latest_us == max(e.effective_us for es in row.stored.fields.values() for e in es)


@pytest.mark.parametrize("text", ['"2018-03-29"', '"0001-01-01"', '"2024-02-29"'])
def test_a_day_is_plainly_its_own_comparable_form(text: str) -> None:
    field = FIELDS["born"]
    assert is_own_key(field, text)
    assert spelled(field, text) == text


@pytest.mark.parametrize(
    "text",
    [
        '"20180329"',
        '"2018-W13-4"',
        '"2018-02-30"',
        '"2018-03-29',
        '"2018-03-2\\u0039"',
        '"',
        "null",
    ],
)
def test_anything_else_in_the_field_of_a_day_is_looked_at_closely(text: str) -> None:
    assert not is_own_key(FIELDS["born"], text)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"r/name": ()},
        {"r/name": ('"a"', '"b"')},
        {"r/allergies": ('["a"]', '["b"]')},
        {"c/visits": ("1",) * 9},
        {"d/": ('{"deleted":true,"ops":[],"seq":3}',)},
        {"r/of_a_newer_policy": ("1",)},
        {"c/name": ("1",)},
    ],
    ids=str,
)
def test_a_record_with_more_to_it_takes_the_long_way(fields: dict[str, Sequence[str]]) -> None:
    assert PlainRows(POLICY).page([snapshot(fields)]).plain == [None]


def test_so_does_an_entry_that_is_named_twice_and_a_collection_of_a_newer_policy() -> None:
    row = snapshot({"s/tags": ['"a"', '"b"']})
    first = row.stored.values["s/tags"][0]
    row.stored.values["s/tags"] = (first, first)
    other = SnapshotRow("ward", "w1", snapshot({"r/name": ['"a"']}).stored)
    assert PlainRows(POLICY).page([row, other]).plain == [None, None]


@pytest.mark.parametrize(
    ("root", "value"),
    [("r/born", '"yesterday"'), ("r/name", "5"), ("s/tags", "5"), ("c/visits", '"x"')],
)
def test_a_value_of_another_type_is_refused(root: str, value: str) -> None:
    with pytest.raises(ProtocolError, match="cannot hold"):
        PlainRows(POLICY).page([snapshot({root: [value]})])


def test_what_is_remembered_of_a_field_is_bounded_and_makes_no_difference() -> None:
    plain = PlainRows(POLICY)
    for n in [*range(VALUES_REMEMBERED + 5), *range(5)]:
        (row,) = plain.page([snapshot({"c/visits": [str(n)]})]).plain
        assert row is not None
        assert json.loads(row[3]) == {"visits": [n]}


@pytest.mark.parametrize("many", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 3])
def test_rows_are_written_alike_however_many_there_are(many: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE landmarks (seq INTEGER PRIMARY KEY, digest BLOB NOT NULL)")
    file = ReplicaFile.__new__(ReplicaFile)
    file.connection = connection
    file.put_rows("put_landmark", ((n, b"%d" % n) for n in range(many)))
    found = connection.execute("SELECT seq, digest FROM landmarks ORDER BY seq").fetchall()
    connection.close()
    assert found == [(n, b"%d" % n) for n in range(many)]
