"""Invariant 9: a record is bounded by what it holds, however often and by whomever it is edited."""

from __future__ import annotations

import random
import uuid

import pytest

from crdtsync.documents import settling
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.folding import FOLD_ABOVE, fold_counters
from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_SUPERSEDES,
    DeleteMark,
    EntryId,
    FieldWrite,
    Op,
    check_op,
)
from crdtsync.documents.reading import is_deleted, read_field
from crdtsync.documents.settling import MAX_ALIKE, MAX_DELETE_MARKS, decide, log_entry
from crdtsync.documents.state import RecordState
from crdtsync.policy import Policy

PATIENT = Policy.parse(
    """
version = 1
[patient.fields]
name      = { type = "string" }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
"""
).collection("patient")
START_US = 1_700_000_000_000_000


def op(root: str, *values: str, seen: tuple[EntryId, ...] = (), time_us: int = START_US) -> Op:
    """An op on one field; ``values`` are canonical texts."""
    return Op(str(uuid.uuid4()), "kim", "patient", "p1", time_us, {root: FieldWrite(values, seen)})


def delete(*named: str, seen: tuple[EntryId, ...] = (), seq: int = 0) -> Op:
    return op(DELETION_ROOT, DeleteMark(True, named, seq).text(), seen=seen)


class Record:
    """A record as the server goes through its log."""

    def __init__(self) -> None:
        self.state = RecordState("patient", "p1")

    def accept(self, one: Op) -> None:
        check_op(one)
        seq = self.state.seq + 1
        received_us = START_US + seq
        decision = decide(self.state, one, PATIENT, received_us=received_us)
        self.state.apply_entry(
            log_entry(one, decision, seq=seq, digest=b"", received_us=received_us, prev_seq=seq - 1)
        )
        fold_counters(self.state)

    def shown(self, root: str) -> tuple[EntryId, ...]:
        return tuple(entry.id for entry in self.state.visible(root))


def test_what_a_record_holds_does_not_depend_on_how_often_it_was_written() -> None:
    draw, record, sizes = random.Random(4), Record(), []
    for n in range(3_000):
        root = draw.choice(["r/name", "r/phone", "c/visits", "s/tags", "r/allergies"])
        seen = record.shown(root)
        if root == "c/visits":
            record.accept(op(root, "1"))
        elif root == "s/tags":
            gone = tuple(one for one in seen if draw.random() < 0.6)
            record.accept(op(root, f'"{n % 5}"', seen=gone))
        elif root == "r/allergies":
            # Not always seen: then it is a conflict until the next one chooses.
            record.accept(op(root, f'["{n % 3}"]', seen=seen if n % 2 else seen[:0]))
        else:
            sees = draw.random() < 0.5
            record.accept(op(root, f'"{n}"', seen=seen if sees else (), time_us=START_US + n))
        sizes.append(len(record.state.encode()))
        assert all(len(record.shown(f"r/{name}")) == 1 for name in ("name", "phone") if n > 50)
        assert len(record.shown("c/visits")) <= FOLD_ABOVE
    assert max(sizes[:300]) * 2 > max(sizes[300:])
    assert read_field(record.state, PATIENT.fields["visits"]) > 500


def test_a_set_whose_elements_were_all_removed_leaves_nothing() -> None:
    record = Record()
    record.accept(op("r/name", '"Kim"'))
    before = len(record.state.encode())
    for n in range(200):
        record.accept(op("s/tags", f'"{n}"', '"more"'))
    assert len(record.state.encode()) > 10 * before
    record.accept(op("s/tags", seen=record.shown("s/tags")))
    # The seq takes two bytes more by now.
    assert len(record.state.encode()) <= before + 4


def test_equal_values_of_a_manual_field_are_bounded_too_and_a_full_field_can_be_chosen_for() -> (
    None
):
    record = Record()
    for _ in range(MAX_ALIKE):
        record.accept(op("r/allergies", '["latex"]'))
    with pytest.raises(InvalidOp, match="read it and choose") as refused:
        record.accept(op("r/allergies", '["latex"]'))
    assert (refused.value.code, refused.value.field) == ("too_many_candidates", "allergies")
    assert len(record.shown("r/allergies")) == MAX_ALIKE < MAX_SUPERSEDES
    # Who has read the field may write it: all of it, or the part that was seen.
    record.accept(op("r/allergies", '["nuts"]', seen=record.shown("r/allergies")[:3]))
    record.accept(op("r/allergies", '["milk"]', seen=record.shown("r/allergies")))
    assert read_field(record.state, PATIENT.fields["allergies"]) == {"milk"}
    assert len(record.shown("r/allergies")) == 1


def test_a_field_that_is_over_the_bound_already_may_be_brought_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = Record()
    for _ in range(10):
        record.accept(op("r/allergies", '["latex"]'))
    monkeypatch.setattr(settling, "MAX_ALIKE", 4)
    record.accept(op("r/allergies", '["latex"]', seen=record.shown("r/allergies")[:1]))
    assert len(record.shown("r/allergies")) == 10
    with pytest.raises(InvalidOp):
        record.accept(op("r/allergies", '["latex"]'))


def test_deletes_that_did_not_see_each_other_are_bounded_and_the_record_stays_deleted() -> None:
    record = Record()
    record.accept(op("r/name", '"Kim"'))
    named = [str(uuid.uuid4()) for _ in range(MAX_DELETE_MARKS + 50)]
    for n, one in enumerate(named):
        record.accept(delete(one, seq=1))
        assert len(record.shown(DELETION_ROOT)) == min(n + 1, MAX_DELETE_MARKS)
        assert is_deleted(record.state, PATIENT)
    # The newest stand; who deletes again replaces all that are shown.
    marks = [DeleteMark.parse(entry.value) for entry in record.state.visible(DELETION_ROOT)]
    assert [mark.ops[0] for mark in marks] == named[-MAX_DELETE_MARKS:]
    record.accept(delete(seen=record.shown(DELETION_ROOT), seq=1))
    assert len(record.shown(DELETION_ROOT)) == 1
    # Whatever nobody had seen brings the record back, and leaves no mark behind.
    record.accept(op("r/name", '"Lee"'))
    assert record.shown(DELETION_ROOT) == ()
