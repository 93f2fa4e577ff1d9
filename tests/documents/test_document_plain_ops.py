"""Ops and items in the form that most have take a shorter way, to the same result."""

from __future__ import annotations

import pytest

from crdtsync.documents import decoder, items, ops
from crdtsync.documents.client_codes import varint
from crdtsync.documents.decoder import decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import encode_document
from crdtsync.documents.errors import BadDocument, DocumentError, InvalidOp
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.documents.state import Entry
from tests.documents.making import (
    PATIENT,
    assert_index_equals_doc,
    doc_of,
    op_id,
    patient,
    reading,
    register_op,
)

FIRST = register_op(1, '"1"')
SECOND = register_op(2, '"둘"', supersedes=[EntryId(op_id(1), 0)])
THIRD = register_op(3, '"three \\"3\\""', supersedes=[EntryId(op_id(2), 0)])
ADDED = Op(op_id(4), "kim", "patient", "p1", 4, {"s/tags": FieldWrite(('"a"', '"b"'))})
REMOVED = Op(
    op_id(5), "kim", "patient", "p1", 5, {"s/tags": FieldWrite((), (EntryId(op_id(4), 1),))}
)
OPS = [FIRST, SECOND, THIRD, ADDED, REMOVED]


def with_doc() -> RecordDocument:
    """A document whose Doc is there from the start: its ops go step by step."""
    document = patient()
    doc_of(document)
    return document


def test_ops_end_alike_one_by_one_all_at_once_and_step_by_step() -> None:
    short, at_once, steps = patient(), patient(), with_doc()
    assert [short.apply(op) for op in OPS] == [True] * 5
    assert at_once.apply_many(OPS) == 5
    assert [steps.apply(op) for op in OPS] == [True] * 5
    assert short.encode() == at_once.encode() == steps.encode()
    assert short.state() == steps.state()
    assert short.tombstones == steps.tombstones == 3
    assert reading(short) == reading(steps)
    for document in (short, at_once, steps):
        assert_index_equals_doc(document)
        assert [document.apply(op) for op in OPS] == [False] * 5
        assert RecordDocument.open(document.encode(), document.policy, "p1").encode() == (
            document.encode()
        )


def test_two_that_replace_the_same_entry_stand_beside_each_other_however_they_come() -> None:
    other = register_op(6, '"other"', supersedes=[EntryId(op_id(1), 0)])
    one, both, steps = patient(), patient(), with_doc()
    assert [one.apply(op) for op in (FIRST, SECOND, other)] == [True] * 3
    assert both.apply(FIRST)
    assert both.apply_many([other, SECOND]) == 2
    assert steps.apply_many([FIRST, SECOND, other]) == 3
    assert one.encode() == both.encode() == steps.encode()
    assert sum(held.visible for held in one.history()) == 2


def test_ops_of_which_one_is_refused_leave_nothing_behind() -> None:
    document = patient()
    document.apply(FIRST)
    before = document.encode()
    with pytest.raises(InvalidOp) as raised:
        document.apply_many([SECOND, register_op(7, '"half')])
    assert raised.value.code == "not_json"
    assert document.encode() == before
    assert document.apply_many([SECOND, SECOND]) == 1


def test_a_difference_brings_the_deletion_of_what_is_here() -> None:
    ahead, behind = patient(), patient()
    for document in (ahead, behind):
        document.apply(FIRST)
    ahead.apply(SECOND)
    assert behind.merge(ahead.encode(since=behind.state()))
    assert behind["phone"] == "둘"
    assert behind.encode() == ahead.encode()
    assert not behind.merge(ahead.encode(since=behind.state()))
    assert_index_equals_doc(behind)


def test_another_entry_under_an_item_id_that_is_taken_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (items, decoder):
        monkeypatch.setattr(module, "item_id", lambda root, op_id, n: 7)
    here, there = patient(), patient()
    here.apply(FIRST)
    there.apply(register_op(9, '"9"'))
    with pytest.raises(InvalidOp) as raised:
        here.merge(there.encode())
    assert raised.value.code == "id_collision"
    with pytest.raises(InvalidOp) as raised:
        here.apply(register_op(9, '"9"'))
    assert raised.value.code == "id_collision"


def test_a_section_in_the_plain_form_is_ours_only_to_the_last_byte() -> None:
    document = patient()
    document.apply(FIRST)
    data = document.encode()
    (item,) = decode_update(data).items
    assert item.entry == Entry(op_id(1), 0, '"1"', 1_001, "dr-lee", 1_001, 0)
    content = data.index(b"[")
    size = bytes((data[content - 1] + 1,))
    spoiled = {
        "a length of the field": data.replace(b"\x07r/phone", b"\x08r/phone"),
        "a length of the content": data[: content - 1] + size + data[content:],
        "another client id": data.replace(varint(item.number), varint(item.number ^ 1)),
        "another field": data.replace(b"r/phone", b"r/phona"),
        "another author of the key": data.replace(
            f'"{op_id(1)}"'.encode(), b'"' + b"0" * 36 + b'"'
        ),
        "a time beyond 2^53": data.replace(b",1001,", b",9999999999999999,").replace(
            data[content - 1 : content + 1], bytes((data[content - 1] + 12,)) + b"["
        ),
    }
    for what, bytes_ in spoiled.items():
        assert bytes_ != data, what
        with pytest.raises(BadDocument):
            decode_update(bytes_)


def test_half_a_character_in_a_name_is_refused_before_anything_is_kept() -> None:
    entry = Entry(op_id(1), 0, '"1"', 1, "k\ud800m", 1, 0)
    with pytest.raises(InvalidOp, match="half a character"):
        items.claim("r/phone", EntryId(op_id(1), 0), entry)


def test_what_an_op_replaces_is_checked_where_it_is_here_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = patient()
    here.apply_many([FIRST, ADDED])
    phone, tags = EntryId(op_id(1), 0), (EntryId(op_id(4), 0), EntryId(op_id(4), 1))
    two = Op(op_id(5), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"c"',), tags)})
    before = here.encode()
    for op, words in (
        (register_op(8, '"8"', supersedes=[phone, phone]), "superseded twice"),
        (register_op(8, '"8"', supersedes=[EntryId("1", 0)]), "not an entry's id"),
        (register_op(8, '"8"', supersedes=[EntryId(op_id(8), 0)]), "supersede itself"),
    ):
        for apply in (here.apply, lambda op: here.apply_many([SECOND, op])):
            with pytest.raises(InvalidOp, match=words) as raised:
                apply(op)
            assert raised.value.code == "bad_supersedes"
            assert here.encode() == before
    for module in (items, ops):
        monkeypatch.setattr(module, "MAX_SUPERSEDES", 1)
    with pytest.raises(InvalidOp, match="too many elements"):
        here.apply(two)
    monkeypatch.undo()
    assert here.apply(two)
    assert here["tags"] == {"c"}


def test_an_op_cannot_replace_an_entry_of_its_own_that_came_in_a_document() -> None:
    entry = Entry(op_id(9), 1, '"b"', 9, "kim", 9, 0)
    here = RecordDocument.open(encode_document([("s/tags", entry)]), PATIENT, "p1")
    with pytest.raises(InvalidOp, match="supersede itself"):
        here.apply(
            Op(op_id(9), "kim", "patient", "p1", 9, {"s/tags": FieldWrite(('"a"',), (entry.id,))})
        )
    assert here["tags"] == {"b"}


def test_a_difference_may_empty_a_field() -> None:
    ahead, behind, steps = patient(), patient(), with_doc()
    added = Op(op_id(4), "kim", "patient", "p1", 4, {"s/tags": FieldWrite(('"a"',))})
    removal = FieldWrite((), (EntryId(op_id(4), 0),))
    for document in (ahead, behind, steps):
        document.apply(added)
    ahead.apply(Op(op_id(5), "kim", "patient", "p1", 5, {"s/tags": removal}))
    for document in (behind, steps):
        assert document.merge(ahead.encode(since=document.state()))
        assert document["tags"] == frozenset()
        assert document.encode() == ahead.encode()
        assert not document.merge(ahead.encode(since=document.state()))
        assert_index_equals_doc(document)


def test_a_difference_is_merged_step_by_step_while_an_op_waits() -> None:
    ahead, behind = patient(), patient()
    for document in (ahead, behind):
        document.apply(FIRST)
    waiting = register_op(7, '"7"', supersedes=[EntryId(op_id(2), 0)])
    assert not behind.apply(waiting)
    ahead.apply(SECOND)
    assert behind.merge(ahead.encode(since=behind.state()))
    assert behind["phone"] == "7"
    assert not behind.waiting
    assert ahead.apply(waiting)
    assert behind.encode() == ahead.encode()


def test_a_difference_that_would_make_the_document_too_large_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead, behind = patient(), patient()
    for document in (ahead, behind):
        document.apply(FIRST)
    ahead.apply(SECOND)
    before, difference = behind.encode(), ahead.encode(since=behind.state())
    monkeypatch.setattr(items, "MAX_DOCUMENT_BYTES", len(before))
    with pytest.raises(DocumentError, match="compact it"):
        behind.merge(difference)
    assert behind.encode() == before
    monkeypatch.undo()
    assert behind.merge(difference)


def test_a_doc_that_is_there_takes_many_ops_and_differences_in_one_update_each() -> None:
    ahead, behind = patient(), with_doc()
    ahead.apply_many(OPS)
    updates: list[bytes] = []
    subscription = doc_of(behind).observe(lambda event: updates.append(event.update))
    assert behind.apply_many(OPS[:2]) == 2
    assert behind.merge(ahead.encode(since=behind.state()))
    doc_of(behind).unobserve(subscription)
    assert len(updates) == 2
    assert behind.encode() == ahead.encode()
    assert_index_equals_doc(behind)
