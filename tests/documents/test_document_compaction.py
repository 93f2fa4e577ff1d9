"""Compaction changes bytes, never readings; marks keep what was dropped from returning."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import CompactedDocument, DocumentError
from crdtsync.documents.folding import add_deltas, fold_counters
from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import Entry, RecordState
from tests.documents.devices_with_server import Server
from tests.documents.making import (
    PATIENT,
    QUICK,
    Author,
    assert_index_equals_doc,
    op_id,
    patient,
    reading,
    register_op,
)
from tests.documents.test_document_convergence import Devices, read
from tests.documents.test_document_convergence import steps as offline_steps
from tests.documents.test_document_log import World, document_reading
from tests.documents.test_document_log import steps as log_steps


@QUICK
@given(offline_steps)
def test_a_document_without_a_log_reads_the_same_after_compaction(program: list[Any]) -> None:
    devices = Devices()
    devices.run(program)
    for document in devices.documents:
        if document.waiting:
            with pytest.raises(DocumentError, match="wait"):
                document.compact(as_of=None)
            continue
        before = read(document), reading(document), document.version
        document.compact(as_of=None)
        assert (read(document), reading(document), document.version) == before
        assert document.tombstones == 0
        assert_index_equals_doc(document)
        again = RecordDocument.open(document.encode(), PATIENT, "p1")
        assert read(again) == before[0]
        assert again.encode() == document.encode()


@QUICK
@given(log_steps, st.integers(0, 2**16))
def test_compaction_anywhere_in_the_log_gives_equal_readings_and_in_the_end_equal_bytes(
    program: list[Any], seed: int
) -> None:
    world = World()
    world.run(program)
    world.settle()
    chance = random.Random(seed)
    never, often, stored = patient(), patient(), patient()
    for entry in world.server.log:
        for document in (never, often, stored):
            assert document.apply_entry(entry)
        if chance.random() < 0.4:
            often.compact(as_of=entry.seq)
        if chance.random() < 0.4:
            stored.compact(as_of=entry.seq)
            stored = RecordDocument.open(stored.encode(), PATIENT, "p1")
        assert document_reading(often) == document_reading(never) == document_reading(stored)
        assert_index_equals_doc(often)
    if world.server.log:
        for document in (never, often, stored):
            document.compact(as_of=len(world.server.log))
        assert never.encode() == often.encode() == stored.encode()
        assert not never.merge(often.encode())


def test_documents_at_one_mark_merge_and_a_counter_is_not_doubled() -> None:
    server, author = Server(), Author()
    source = patient()
    for _ in range(12):
        op = source.increment({"visits": 1, "balance": Decimal("0.10")}, **author())
        server.accept(op, 5)
    early, late = patient(), patient()
    for entry in server.log:
        early.apply_entry(entry)
        late.apply_entry(entry)
        if entry.seq == 10:
            early.compact(as_of=10)
    early.compact(as_of=12)
    late.compact(as_of=12)
    assert early.encode() == late.encode()
    assert [held.op_id for held in early.history("visits")] == ["fold:12"]
    next_op = source.increment({"visits": 5}, **author())
    server.accept(next_op, 5)
    early.apply_entry(server.log[-1])
    assert late.merge(early.encode())
    assert late["visits"] == early["visits"] == 17
    assert late["balance"] == Decimal("1.20")
    late.apply_entry(server.log[-1])
    assert late["visits"] == 17
    late.compact(as_of=13)
    early.compact(as_of=13)
    assert late.encode() == early.encode()


def test_documents_with_different_marks_do_not_merge() -> None:
    server = Server()
    server.accept(register_op(1, '"1"'), 5)
    at_one, at_nine, never = (patient() for _ in range(3))
    for document in (at_one, at_nine, never):
        document.apply_entry(server.log[0])
    at_one.compact(as_of=1)
    at_nine.compact(as_of=9)
    for one, other in ((at_one, at_nine), (at_one, never), (never, at_one), (patient(), at_one)):
        with pytest.raises(CompactedDocument):
            one.merge(other.encode())
    assert not at_one.merge(at_one.encode())


def test_two_documents_compacted_without_a_seq_do_not_merge() -> None:
    first = patient()
    first.apply(register_op(1, '"1"'))
    second = RecordDocument.open(first.encode(), PATIENT, "p1")
    second.apply(register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)]))
    first.compact(as_of=None)
    second.compact(as_of=None)
    with pytest.raises(CompactedDocument, match="would return"):
        second.merge(first.encode())
    assert second["phone"] == "2"


deltas = st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=40)
decimals = st.lists(
    st.decimals(allow_nan=False, allow_infinity=False, places=6).filter(
        lambda d: len(d.as_tuple().digits) <= 34
    ),
    min_size=1,
    max_size=40,
)


@QUICK
@given(deltas)
def test_integers_are_summed_exactly(numbers: list[int]) -> None:
    assert int(add_deltas([str(number) for number in numbers])) == sum(numbers)


@QUICK
@given(decimals)
def test_decimals_are_summed_exactly(numbers: list[Decimal]) -> None:
    total = add_deltas([f'"{number:f}"' for number in numbers])
    assert Fraction(total[1:-1]) == sum(map(Fraction, numbers))
    assert '"' == total[0] == total[-1]
    assert "E" not in total


@QUICK
@given(deltas, st.integers(0, 40), st.integers(0, 10))
def test_folding_keeps_the_sum_and_what_is_pending(
    numbers: list[int], confirmed: int, above: int
) -> None:
    state = RecordState("patient", "p1")
    for place, number in enumerate(numbers):
        seq = place + 1 if place < confirmed else 0
        state.add("c/visits", Entry(op_id(place), 0, str(number), place, "kim", place, seq))
    fold_counters(state, above=above)
    entries = list(state.visible("c/visits"))
    assert sum(int(entry.value) for entry in entries) == sum(numbers)
    pending = {entry.op_id for entry in entries if not entry.seq}
    assert pending == {op_id(place) for place in range(confirmed, len(numbers))}
    assert sum(1 for entry in entries if entry.seq) <= max(above, 1)


def test_a_counter_whose_sum_outgrew_one_delta_is_stored_and_read() -> None:
    server, author, document = Server(), Author(), patient()
    most = Decimal("9" * 34)
    for _ in range(300):
        op = document.increment({"visits": 2**53 - 1, "balance": most}, **author())
        server.accept(op, 5)
    for entry in server.log:
        document.apply_entry(entry)
    assert document["visits"] == 300 * (2**53 - 1)
    document.compact(as_of=300)
    again = RecordDocument.open(document.encode(), PATIENT, "p1")
    assert again["visits"] == document["visits"] == 300 * (2**53 - 1)
    assert Fraction(again["balance"]) == 300 * Fraction(most)
    assert [held.value for held in again.history("visits")] == [300 * (2**53 - 1)]
