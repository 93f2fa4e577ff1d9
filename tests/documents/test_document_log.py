"""The server's decisions against a plain model, and documents that follow its log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.documents import identity, items
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import Mark, encode_document
from crdtsync.documents.errors import CompactedDocument, DocumentError, InvalidOp
from crdtsync.documents.folding import fold_counters
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.documents.settling import MAX_CANDIDATES
from crdtsync.documents.state import LogEntry, RecordState, Removal
from tests.documents.devices_with_server import Device, Server, state_reading
from tests.documents.making import (
    PATIENT,
    QUICK,
    assert_index_equals_doc,
    op_id,
    patient,
    register_op,
)
from tests.documents.test_document_convergence import writes

DEVICES = 3
device = st.integers(0, DEVICES - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), device, writes),
        st.tuples(st.just("write"), device, writes),
        st.tuples(st.just("open form"), device, st.none()),
        st.tuples(st.just("save form"), device, writes),
        st.tuples(st.just("push"), device, st.integers(1, 3)),
        st.tuples(st.just("pull"), device, st.integers(0, 9)),
        st.tuples(st.just("discard"), device, st.tuples(st.integers(0, 9), st.booleans())),
        st.tuples(st.just("late"), device, st.none()),
        st.tuples(st.just("compact"), device, st.none()),
    ),
    max_size=30,
)


class World:
    """Three devices and a server, one step at a time."""

    def __init__(self) -> None:
        self.server = Server()
        self.devices = [Device(number) for number in range(DEVICES)]
        self.discarded: list[Op] = []
        self.numbers = iter(range(1, 10_000))
        self.received_us = 0

    def push(self, source: Device, count: int) -> None:
        for op in source.outbox[:count]:
            self.accept(op)

    def accept(self, op: Op) -> None:
        self.received_us += 5
        self.server.accept(op, self.received_us)
        self.server.check()

    def step(self, action: str, at: int, argument: Any) -> None:
        source = self.devices[at]
        if action in ("write", "save form"):
            kind, value = argument
            source.write(kind, value, next(self.numbers), form=action == "save form")
        elif action == "open form":
            source.open_form()
        elif action == "push":
            self.push(source, argument)
        elif action == "pull":
            source.pull(self.server.log, source.confirmed.seq + argument)
        elif action == "discard":
            self.discard(source, *argument)
        elif action == "late" and self.discarded:
            self.accept(self.discarded.pop())
        elif action == "compact" and source.confirmed.seq:
            source.document.compact(as_of=source.confirmed.seq)

    def discard(self, source: Device, place: int, arrives_late: bool) -> None:
        known = [n for n, op in enumerate(source.outbox) if op.op_id not in self.server.ops]
        if known:
            gone = source.discard(known[place % len(known)])
            if arrives_late:
                self.discarded.append(gone)

    def run(self, program: list[Any]) -> None:
        for action, at, argument in program:
            self.step(action, at, argument)
            self.check(self.devices[at])

    def check(self, source: Device) -> None:
        assert_index_equals_doc(source.document)
        assert document_reading(source.document) == state_reading(source.confirmed)

    def settle(self) -> None:
        for source in self.devices:
            self.push(source, len(source.outbox))
        for source in self.devices:
            source.pull(self.server.log, len(self.server.log))


def document_reading(document: RecordDocument) -> dict[str, Any]:
    return state_reading(document.to_state())


@QUICK
@given(steps)
def test_the_servers_decisions_are_those_of_the_plain_model(program: list[Any]) -> None:
    World().run(program)


@QUICK
@given(steps)
def test_replicas_at_one_cursor_with_empty_outboxes_read_alike(program: list[Any]) -> None:
    world = World()
    world.run(program)
    world.settle()
    server = state_reading(world.server.state)
    for source in world.devices:
        # What is left was refused for too many candidates, and waits for a person.
        source.outbox.clear()
        assert state_reading(source.shown()) == server
        assert document_reading(source.document) == server
        assert_index_equals_doc(source.document)
    at_rest = RecordDocument.from_state(world.server.state, PATIENT)
    assert document_reading(at_rest) == server
    folded = world.server.state.copy()
    fold_counters(folded, above=1)
    assert RecordDocument.from_state(folded, PATIENT).encode() == at_rest.encode()
    if world.server.log:
        seq = world.server.state.seq
        for source in world.devices:
            source.document.compact(as_of=seq)
        assert {source.document.encode() for source in world.devices} == {at_rest.encode()}
        again = RecordDocument.open(at_rest.encode(), PATIENT, "p1")
        assert document_reading(again) == server


@QUICK
@given(steps)
def test_a_person_who_looks_at_the_outbox_sees_no_manual_value_vanish(program: list[Any]) -> None:
    world = World()
    world.run(program)
    world.settle()
    accepted = world.server.ops.values()
    named = {
        seen
        for op in accepted
        if "r/allergies" in op.writes
        for seen in op.writes["r/allergies"].supersedes
    }
    shown = {entry.id for entry in world.server.state.visible("r/allergies")}
    for op in accepted:
        if "r/allergies" in op.writes:
            assert EntryId(op.op_id, 0) in shown | named


def entry_of(op: Op, seq: int, *removed: Any) -> LogEntry:
    return LogEntry(
        seq,
        b"",
        op.op_id,
        op.user,
        op.collection,
        op.record,
        op.time_us,
        seq,
        op.time_us,
        {root: write.values for root, write in op.writes.items()},
        removed,
        {},
        seq - 1,
    )


def test_an_entry_at_or_below_the_seq_is_skipped() -> None:
    document = patient()
    entry = entry_of(register_op(1, '"1"'), 4)
    assert document.apply_entry(entry)
    assert not document.apply_entry(entry)
    document.compact(as_of=9)
    assert not document.apply_entry(entry_of(register_op(2, '"2"'), 9))
    beaten = Removal("r/phone", entry.op_id, 0, "lost_user_time")
    assert document.apply_entry(entry_of(register_op(3, '"3"'), 10, beaten))
    assert document["phone"] == "3"


def test_a_local_op_and_its_log_entry_are_one_item() -> None:
    document = patient()
    op = register_op(1, '"1"')
    document.apply(op)
    before = document.encode()
    assert document.version.ops == (op.op_id,)
    assert document.apply_entry(entry_of(op, 1))
    assert document.encode() == before
    assert document.version == (1, ())


def test_a_log_entry_whose_item_id_lies_under_a_tombstone_appears_after_compaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    document = patient()
    first = register_op(1, '"1"')
    second = register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)])
    for op in (first, second):
        server.accept(op, 10)
    for entry in server.log:
        document.apply_entry(entry)
    assert document.tombstones == 1
    taken = identity.item_id("r/phone", op_id(1), 0)
    genuine = identity.item_id

    def colliding(root: str, writer: str, n: int) -> int:
        return taken if writer == op_id(3) else genuine(root, writer, n)

    monkeypatch.setattr(items, "item_id", colliding)
    third = register_op(3, '"Kim"', root="r/name")
    assert document.apply_entry(entry_of(third, 3))
    assert document["name"] == "Kim"
    assert document["phone"] == "2"
    assert document.as_of == 2
    assert document.tombstones == 0
    other = patient()
    other.apply_many([first, second])
    with pytest.raises(InvalidOp, match="same item id"):
        other.apply(third)


def test_a_document_without_a_seq_takes_neither_ops_nor_log_entries() -> None:
    document = patient()
    document.apply(register_op(1, '"1"'))
    document.compact(as_of=None)
    with pytest.raises(CompactedDocument):
        document.apply(register_op(2, '"2"'))
    with pytest.raises(CompactedDocument):
        document.apply_entry(entry_of(register_op(2, '"2"'), 1))
    with pytest.raises(CompactedDocument):
        document.compact(as_of=3)
    assert document["phone"] == "1"


def test_what_the_log_has_not_confirmed_cannot_be_compacted_under_a_seq() -> None:
    document = patient()
    document.apply_entry(entry_of(register_op(1, '"1"'), 1))
    document.apply(register_op(2, '"Kim"', root="r/name"))
    with pytest.raises(DocumentError, match="not confirmed"):
        document.compact(as_of=1)
    document.apply_entry(entry_of(register_op(2, '"Kim"', root="r/name"), 2))
    with pytest.raises(DocumentError, match="stands as of seq 2"):
        document.compact(as_of=1)
    document.compact(as_of=2)
    assert document["name"] == "Kim"


def test_a_state_that_shows_pending_ops_becomes_a_document_without_a_seq() -> None:
    state = RecordState("patient", "p1")
    state.apply_entry(entry_of(register_op(1, '"1"'), 1))
    assert RecordDocument.from_state(state, PATIENT).as_of == 1
    state.overlay(register_op(2, '"Kim"', root="r/name"))
    document = RecordDocument.from_state(state, PATIENT)
    assert document.is_compacted
    assert document.as_of is None
    assert document["name"] == "Kim"
    assert not RecordDocument.from_state(RecordState("patient", "p1"), PATIENT).is_compacted


def test_an_entry_of_another_record_is_refused() -> None:
    op = Op(op_id(1), "kim", "patient", "p2", 1, {"r/name": FieldWrite(('"x"',))})
    with pytest.raises(InvalidOp, match="patient/p2 is not patient/p1"):
        patient().apply_entry(entry_of(op, 1))
    with pytest.raises(InvalidOp, match="patient/p2 is not patient/p1"):
        patient().apply(op)


def test_a_folded_counter_does_not_bring_a_deleted_record_back() -> None:
    source = Device(0)
    server = Server()
    for number in range(1, 10):
        source.write("visits", 1, number)
    source.write("delete", None, 10)
    for op in source.outbox:
        server.accept(op, 5)
    source.pull(server.log, 10)
    assert source.document.deleted
    source.document.compact(as_of=10)
    assert source.document.deleted
    assert source.document["visits"] == 9
    again = RecordDocument.open(source.document.encode(), PATIENT, "p1")
    assert again.deleted


def test_causality_beats_clocks_between_user_latest_writes() -> None:
    world = World()
    right, ahead, backwards = world.devices
    ahead.write("phone", "far ahead", 1)
    world.push(ahead, 1)
    right.pull(world.server.log, 1)
    right.write("phone", "after it", 2)
    backwards.write("phone", "beside both", 3)
    assert right.outbox[0].time_us < backwards.outbox[0].time_us
    world.push(right, 1)
    world.push(backwards, 1)
    assert [entry.value for entry in world.server.state.visible("r/phone")] == ['"after it"']
    assert [(gone.why, gone.op_id) for gone in world.server.log[-1].removed] == [
        ("lost_user_time", op_id(3))
    ]


def test_candidates_stay_bounded_where_equal_values_are_replaced_one_by_one() -> None:
    """Who replaces one of two equal values takes no candidate away (invariant 9)."""
    server, root = Server(), "r/allergies"
    for number in range(1, MAX_CANDIDATES + 1):
        server.accept(register_op(number, f'["a{number}"]', root), number)
    server.accept(register_op(50, '["a1"]', root), 50)
    further = register_op(51, '["new"]', root, [EntryId(op_id(50), 0)])
    assert not server.accept(further, 51), "it was not refused"
    assert server.accept(register_op(52, '["new"]', root, [EntryId(op_id(2), 0)]), 52)
    assert len({entry.value for entry in server.state.visible(root)}) == MAX_CANDIDATES


def test_a_log_entry_that_says_something_else_than_the_op_here_is_refused() -> None:
    document = patient()
    document.apply(register_op(1, '"1"'))
    before = document.encode()
    with pytest.raises(InvalidOp, match="another write") as raised:
        document.apply_entry(entry_of(register_op(1, '"2"'), 1))
    assert raised.value.code == "op_id_reused"
    assert document.encode() == before
    assert not document.is_compacted
    assert document.version.seq == 0


def test_a_document_whose_ops_wait_is_not_compacted() -> None:
    document = patient()
    document.apply(register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)]))
    for as_of in (None, 4):
        with pytest.raises(DocumentError, match="1 ops wait; compaction would lose them"):
            document.compact(as_of=as_of)
    assert len(document.waiting) == 1
    document.apply(register_op(1, '"1"'))
    document.compact(as_of=None)
    assert document["phone"] == "2"


def test_a_log_entry_releases_the_op_that_waited_for_it() -> None:
    document = patient()
    document.apply(register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)]))
    document.apply_entry(entry_of(register_op(1, '"1"'), 1))
    assert document.waiting == ()
    assert document["phone"] == "2"
    assert_index_equals_doc(document)


def test_a_difference_of_a_compacted_document_carries_its_mark() -> None:
    here, there = patient(), patient()
    for document in (here, there):
        document.apply_entry(entry_of(register_op(1, '"1"'), 1))
        document.compact(as_of=1)
    assert here.encode(since=there.state()) == b""
    here.apply_entry(entry_of(register_op(2, '"Kim"', root="r/name"), 2))
    difference = here.encode(since=there.state())
    with pytest.raises(CompactedDocument, match="compacted as of 1 cannot be merged"):
        patient().merge(difference)
    assert there.merge(difference)
    assert there["name"] == "Kim"
    assert [entry.seq for _, entry in there.to_state().entries()] == [1, 1]
    assert not there.merge(b"")
    assert not there.merge(difference)


def test_entries_of_an_opened_compacted_document_count_as_confirmed() -> None:
    document = patient()
    document.apply_entry(entry_of(register_op(1, '"1"'), 4))
    uncompacted = RecordDocument.open(document.encode(), PATIENT, "p1")
    assert uncompacted.version == (0, (op_id(1),))
    document.compact(as_of=9)
    opened = RecordDocument.open(document.encode(), PATIENT, "p1")
    assert opened.version == (9, ())
    opened.compact(as_of=9)
    without = RecordDocument.open(encode_document([], mark=Mark(None)), PATIENT, "p1")
    assert (without.is_compacted, without.as_of, without.version.seq) == (True, None, 0)


def test_two_entries_at_rest_with_one_item_id_make_no_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = RecordState("patient", "p1")
    state.apply_entry(entry_of(register_op(1, '"1"'), 1))
    state.apply_entry(entry_of(register_op(2, '"Kim"', root="r/name"), 2))
    assert RecordDocument.from_state(state, PATIENT)["name"] == "Kim"
    monkeypatch.setattr(items, "item_id", lambda root, op_id, n: 7)
    with pytest.raises(InvalidOp, match="one item id") as raised:
        RecordDocument.from_state(state, PATIENT)
    assert raised.value.code == "id_collision"


def test_a_document_says_how_it_stands_when_it_refuses() -> None:
    document = patient()
    document.apply_entry(entry_of(register_op(1, '"1"'), 1))
    other = patient()
    other.apply_entry(entry_of(register_op(1, '"1"'), 1))
    document.compact(as_of=3)
    with pytest.raises(CompactedDocument, match="is compacted as of 3 and takes no"):
        document.apply(register_op(2, '"2"'))
    with pytest.raises(CompactedDocument, match="compacted as of 3 and that were never compacted"):
        document.merge(other.encode())
    other.compact(as_of=None)
    with pytest.raises(CompactedDocument, match="compacted without a seq cannot be merged"):
        document.merge(other.encode())


@pytest.mark.parametrize(
    ("root", "op", "user", "words"),
    [
        ("x/phone", op_id(1), "kim", "'x/phone' is not the root of a field"),
        ("r/", op_id(1), "kim", "'r/' is not the root of a field"),
        ("r/a\n", op_id(1), "kim", "control character"),
        ("r/\ud800", op_id(1), "kim", "surrogates"),
        ("m/", op_id(1), "kim", "'m/' is no field"),
        ("r/phone", "p1", "kim", "is not the key of an entry"),
        ("r/phone", "fold:7", "kim", "is not the key of an entry"),
        ("r/phone", op_id(1), "", "the user is empty"),
    ],
)
def test_an_entry_of_the_log_that_no_document_could_hold_is_refused(
    root: str, op: str, user: str, words: str
) -> None:
    document = patient()
    fine = Op(op_id(1), "kim", "patient", "p1", 5, {"r/phone": FieldWrite(('"1"',))})
    broken = Op(op, user, "patient", "p1", 5, {root: FieldWrite(('"1"',))})
    with pytest.raises(InvalidOp, match=words):
        document.apply_entry(entry_of(broken, 1))
    assert document.encode() == b""
    assert document.version.seq == 0
    assert document.apply_entry(entry_of(fine, 1))
    assert RecordDocument.open(document.encode(), PATIENT, "p1")["phone"] == "1"
