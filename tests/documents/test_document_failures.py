"""What happens when pycrdt, or the size of a record, fails."""

from __future__ import annotations

from typing import Any

import pytest
from pycrdt import Doc

from crdtsync.documents import items
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import encode_ops
from crdtsync.documents.errors import DocumentError
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from tests.documents.making import (
    PATIENT,
    assert_index_equals_doc,
    doc_of,
    op_id,
    patient,
    register_op,
)


class PanicException(BaseException):
    """As pyo3 raises it: not an Exception."""


class BreakingDoc(Doc[Any]):
    """Applies half of an update, then fails, as pycrdt does at its worst."""

    failure: BaseException | None = None

    def apply_update(self, update: bytes) -> None:
        super().apply_update(update)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> type[BreakingDoc]:
    monkeypatch.setattr(items, "Doc", BreakingDoc)
    monkeypatch.setattr(BreakingDoc, "failure", None)
    return BreakingDoc


@pytest.mark.parametrize("failure", [PanicException("index out of bounds"), ValueError("no")])
def test_a_doc_that_failed_is_dropped_and_made_anew(
    breaking: type[BreakingDoc], failure: BaseException
) -> None:
    document = patient()
    document.apply(register_op(1, '"1"'))
    before, suspect = document.encode(), doc_of(document)
    breaking.failure = failure
    with pytest.raises(DocumentError, match="pycrdt refused") as caught:
        document.apply(register_op(2, '"2"'))
    assert caught.value.__cause__ is failure
    breaking.failure = None
    assert doc_of(document) is not suspect
    assert document.encode() == before
    assert_index_equals_doc(document)
    assert document.apply(register_op(2, '"2"'))
    assert_index_equals_doc(document)


def test_an_interrupt_of_the_person_is_not_turned_into_an_error(
    breaking: type[BreakingDoc],
) -> None:
    document = patient()
    doc_of(document)
    breaking.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        document.apply(register_op(1, '"1"'))
    breaking.failure = None
    assert document.encode() == b""
    assert document.apply(register_op(1, '"1"'))
    assert_index_equals_doc(document)


def test_waiting_ops_still_wait_after_a_failure(breaking: type[BreakingDoc]) -> None:
    document = patient()
    first = register_op(1, '"1"')
    second = register_op(2, '"2"', supersedes=[EntryId(first.op_id, 0)])
    assert not document.apply(second)
    doc_of(document)
    breaking.failure = PanicException()
    with pytest.raises(DocumentError):
        document.apply(first)
    breaking.failure = None
    assert len(document.waiting) == 1
    assert document.apply(first)
    assert document["phone"] == "2"


def test_a_document_that_would_not_open_again_cannot_come_into_being(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(items, "MAX_DOCUMENT_BYTES", 2_000)
    document = patient()
    for number in range(1, 10):
        document.apply(register_op(number, '"x"'))
    with pytest.raises(DocumentError, match="compact"):
        document.apply_many(register_op(number, '"x"') for number in range(10, 20))
    assert len(document.encode()) <= 2_000
    assert RecordDocument.open(document.encode(), PATIENT, "p1").encode() == document.encode()


def test_what_makes_a_full_document_smaller_is_always_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = patient()
    added = Op(op_id(1), "kim", "patient", "p1", 1, {"s/tags": FieldWrite(('"a"',))})
    document.apply(added)
    monkeypatch.setattr(items, "MAX_DOCUMENT_BYTES", len(document.encode()))
    with pytest.raises(DocumentError, match="compact it"):
        document.apply(register_op(2, '"x"'))
    removal = FieldWrite((), (EntryId(op_id(1), 0),))
    assert document.apply(Op(op_id(3), "kim", "patient", "p1", 3, {"s/tags": removal}))
    assert document["tags"] == frozenset()


def test_a_document_may_grow_exactly_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside the sections an update has one byte each for their count and for the deletions'.
    sections_bytes = len(encode_ops([register_op(n, '"x"') for n in (1, 2, 3)])) - 2
    monkeypatch.setattr(items, "MAX_DOCUMENT_BYTES", sections_bytes)
    document = patient()
    for number in (1, 2, 3):
        assert document.apply(register_op(number, '"x"'))
    with pytest.raises(DocumentError, match="compact it"):
        document.apply(register_op(4, '"x"'))
    assert len(document.history("phone")) == 3
