"""A record's visible entries in memory: at rest, following the log, and with ops on top."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from crdtsync.documents.compaction import compacted, mark_of
from crdtsync.documents.encoder import Mark
from crdtsync.documents.errors import DocumentError
from crdtsync.documents.folding import FOLD_ABOVE, add_deltas, fold_counters, sum_of_deltas
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, FieldWrite, Op
from crdtsync.documents.reading import exists, in_conflict, is_deleted, read_field
from crdtsync.documents.state import (
    Entry,
    LogEntry,
    OpsAtRest,
    RecordState,
    Removal,
    decode_stored,
    in_form_of_today,
)
from crdtsync.policy import CollectionPolicy, Policy
from tests.documents.making import PATIENT, ComparedId, op_id, register_op

DELETING = Policy.parse(
    "version = 1\n[patient]\non_delete_conflict = 'delete'\n"
    "[patient.fields]\nname = { type = 'string' }\n"
).collection("patient")


def entry(number: int, value: str, seq: int = 0) -> Entry:
    return Entry(op_id(number), 0, value, 1_000 + number, "kim", 2_000 + number, seq)


def logged(seq: int, op: Op, *removed: Removal) -> LogEntry:
    writes = {root: write.values for root, write in op.writes.items()}
    effective_us = 10 * op.time_us
    return LogEntry(
        seq, b"", op.op_id, op.user, "patient", "p1", op.time_us, 77, effective_us, writes,
        removed, {}, 0,
    )  # fmt: skip


def a_record() -> RecordState:
    state = RecordState("patient", "p1")
    state.add("r/name", entry(1, '"Kim"', 3))
    state.add("s/tags", entry(2, '"a"', 4))
    state.add("s/tags", Entry(op_id(2), 1, '"b"', 1, "lee", 2, 4))
    state.seq, state.updated_us, state.updated_by = 4, 99, "lee"
    return state


def test_a_record_comes_back_from_its_bytes_as_it_was() -> None:
    state = a_record()
    again = RecordState.decode("patient", "p1", state.encode())
    assert (again.collection, again.record) == ("patient", "p1")
    assert (again.seq, again.updated_us, again.updated_by) == (4, 99, "lee")
    assert again.fields == state.fields
    assert again.encode() == state.encode()
    assert again.pending == []


def test_a_field_without_entries_is_not_stored() -> None:
    state = a_record()
    state.fields["r/phone"] = {}
    assert set(state.stored().fields) == {"r/name", "s/tags"}


def test_a_copy_is_independent() -> None:
    state = a_record()
    state.overlay(register_op(9, '"Lee"', "r/name", [EntryId(op_id(1), 0)]))
    before = state.encode()
    copy = state.copy()
    assert (copy.encode(), copy.pending, copy.hidden) == (before, state.pending, state.hidden)
    assert (copy.updated_us, copy.updated_by) == (state.updated_us, state.updated_by)
    copy.overlay(register_op(10, '"1"', "r/phone"))
    copy.add("s/tags", entry(5, '"c"'))
    copy.hidden["r/name"].clear()
    assert state.encode() == before
    assert state.pending == [op_id(9)]
    assert state.hidden["r/name"]


def test_removing_what_is_not_there_is_no_error() -> None:
    state = a_record()
    state.remove("r/phone", EntryId(op_id(1), 0))
    state.remove("s/tags", EntryId(op_id(9), 0))
    state.remove("s/tags", EntryId(op_id(2), 1))
    assert [e.value for e in state.visible("s/tags")] == ['"a"']
    state.remove("s/tags", EntryId(op_id(2), 0))
    assert "s/tags" not in state.fields
    state.remove("r/name", EntryId(op_id(1), 0))
    assert state.is_empty


def test_a_log_entry_adds_what_it_wrote_and_removes_what_it_lists() -> None:
    state = a_record()
    op = Op(op_id(7), "lee", "patient", "p1", 5, {"r/name": FieldWrite(('"Lee"',))})
    gone = Removal("r/name", op_id(1), 0, "superseded")
    state.apply_entry(logged(4, op, gone))
    assert [e.value for e in state.visible("r/name")] == ['"Kim"']
    state.apply_entry(logged(5, op, gone, Removal("r/phone", op_id(1), 0, "superseded")))
    assert list(state.visible("r/name")) == [Entry(op_id(7), 0, '"Lee"', 5, "lee", 50, 5)]
    assert (state.seq, state.updated_us, state.updated_by) == (5, 77, "lee")
    state.apply_entry(logged(6, op, Removal("r/name", op_id(7), 0, "late")))
    assert "r/name" not in state.fields


def test_an_op_on_top_covers_what_it_replaces_and_is_named() -> None:
    state = a_record()
    op = register_op(9, '"Lee"', "r/name", [EntryId(op_id(1), 0), EntryId(op_id(8), 0)])
    state.overlay(op)
    assert list(state.visible("r/name")) == [
        Entry(op_id(9), 0, '"Lee"', op.time_us, "dr-lee", op.time_us, 0)
    ]
    assert state.hidden == {"r/name": {EntryId(op_id(1), 0): (entry(1, '"Kim"', 3), op_id(9))}}
    assert state.pending == [op_id(9)]
    assert (state.updated_us, state.updated_by) == (op.time_us, "dr-lee")
    earlier = Op(op_id(10), "kim", "patient", "p1", 1, {"r/phone": FieldWrite(('"1"',))})
    state.overlay(earlier)
    assert state.pending == [op_id(9), op_id(10)]
    assert (state.updated_us, state.updated_by) == (op.time_us, "kim")


class TestMarks:
    """Under which mark a record becomes a document."""

    def test_an_untouched_record_has_none(self) -> None:
        assert mark_of(RecordState("patient", "p1")) is None

    def test_a_confirmed_record_stands_as_of_its_seq(self) -> None:
        assert mark_of(a_record()) == Mark(4)
        emptied = RecordState("patient", "p1")
        emptied.seq = 6
        assert mark_of(emptied) == Mark(6)

    def test_one_with_anything_unconfirmed_stands_for_no_seq(self) -> None:
        shown = a_record()
        shown.overlay(register_op(9, '"1"', "r/phone"))
        assert mark_of(shown) == Mark(None)
        taken_away = RecordState("patient", "p1")
        taken_away.pending, taken_away.seq = [op_id(9)], 4
        assert mark_of(taken_away) == Mark(None)
        offline = RecordState("patient", "p1")
        offline.add("r/name", entry(1, '"Kim"'))
        assert mark_of(offline) == Mark(None)
        of_a_lost_log = RecordState("patient", "p1")
        of_a_lost_log.add("r/name", entry(1, '"Kim"', 3))
        assert mark_of(of_a_lost_log) == Mark(None)
        mixed = a_record()
        mixed.add("r/phone", entry(9, '"1"'))
        assert mark_of(mixed) == Mark(None)

    @pytest.mark.parametrize(("seq", "as_of", "fits"), [(4, 3, False), (4, 4, True), (4, 9, True)])
    def test_a_record_is_compacted_as_of_its_seq_or_later(
        self, seq: int, as_of: int, fits: bool
    ) -> None:
        state = a_record()
        if fits:
            assert compacted(state, Mark(as_of)).seq == as_of
            assert state.seq == seq
        else:
            with pytest.raises(DocumentError, match="stands as of seq 4"):
                compacted(state, Mark(as_of))

    @pytest.mark.parametrize("as_of", [0, -1])
    def test_nothing_is_compacted_as_of_before_the_log(self, as_of: int) -> None:
        with pytest.raises(DocumentError, match="cannot be compacted as of"):
            compacted(RecordState("patient", "p1"), Mark(as_of))
        assert compacted(RecordState("patient", "p1"), Mark(1)).seq == 1

    def test_unconfirmed_entries_are_counted_in_the_refusal(self) -> None:
        state = a_record()
        state.add("r/phone", entry(9, '"1"'))
        with pytest.raises(DocumentError, match="1 entries are not confirmed"):
            compacted(state, Mark(4))
        assert compacted(state, Mark(None)).encode() == state.encode()

    def test_a_counter_becomes_one_item_named_by_the_mark(self) -> None:
        state = a_record()
        state.add("c/visits", entry(5, "2", 3))
        state.add("c/balance", entry(6, '"0.10"', 4))
        state.add("c/balance", entry(7, '"0.20"', 4))
        fresh = compacted(state, Mark(9))
        assert fresh.fields["c/visits"] == {
            EntryId("fold:9", 0): Entry("fold:9", 0, "2", 0, "", 0, 9)
        }
        assert [e.value for e in fresh.visible("c/balance")] == ['"0.30"']
        assert fresh.fields["s/tags"] == state.fields["s/tags"]
        assert [e.value for e in state.visible("c/visits")] == ["2"]


class TestFolding:
    """Confirmed deltas beyond a bound become one."""

    @staticmethod
    def _counting(confirmed: int, pending: int = 0) -> RecordState:
        state = RecordState("patient", "p1")
        for number in range(1, confirmed + 1):
            state.add("c/visits", entry(number, str(number), number))
        for number in range(confirmed + 1, confirmed + pending + 1):
            state.add("c/visits", entry(number, "1000"))
        return state

    @pytest.mark.parametrize(
        ("confirmed", "pending", "left"), [(8, 0, 8), (9, 0, 1), (8, 5, 13), (9, 5, 6)]
    )
    def test_more_than_eight_confirmed_deltas_become_one(
        self, confirmed: int, pending: int, left: int
    ) -> None:
        assert FOLD_ABOVE == 8
        state = self._counting(confirmed, pending)
        before = read_field(state, PATIENT.field("visits"))
        fold_counters(state)
        assert len(list(state.visible("c/visits"))) == left
        assert read_field(state, PATIENT.field("visits")) == before

    def test_the_fold_is_named_by_the_last_seq_and_keeps_its_times(self) -> None:
        state = self._counting(9)
        fold_counters(state)
        assert list(state.visible("c/visits")) == [
            Entry("fold:9", 0, "45", 1_009, "", 2_009, 9),
        ]

    def test_one_delta_alone_stays_as_it_is(self) -> None:
        state = self._counting(1, 1)
        fold_counters(state, above=0)
        assert {e.op_id for e in state.visible("c/visits")} == {op_id(1), op_id(2)}

    def test_nothing_but_counters_is_folded(self) -> None:
        state = RecordState("patient", "p1")
        for number in range(1, 12):
            state.add("s/tags", entry(number, f'"{number}"', number))
        before = state.encode()
        fold_counters(state)
        assert state.encode() == before

    def test_integers_and_decimals_add_up_to_a_decimal(self) -> None:
        assert add_deltas(["1", "2"]) == "3"
        assert add_deltas(["1", '"0.50"']) == '"1.50"'
        assert sum_of_deltas(["1", "2"]) == 3
        assert sum_of_deltas([]) == 0
        assert str(sum_of_deltas(["-1", '"0.50"'])) == str(Decimal("-0.50"))


class TestDeleted:
    """Whether a record is there."""

    @staticmethod
    def _deleted(seq: int = 0, base: int = 0, ops: tuple[str, ...] = ()) -> RecordState:
        state = RecordState("patient", "p1")
        state.add(DELETION_ROOT, entry(1, DeleteMark(True, ops, base).text(), seq))
        return state

    def test_a_delete_alone_stands(self) -> None:
        assert is_deleted(self._deleted(), PATIENT)
        assert not is_deleted(RecordState("patient", "p1"), PATIENT)
        restored = RecordState("patient", "p1")
        restored.add(DELETION_ROOT, entry(1, DeleteMark(False).text()))
        assert not is_deleted(restored, PATIENT)

    @pytest.mark.parametrize(
        ("delete_seq", "base", "ops", "edit_seq", "kept"),
        [
            (0, 0, (), 0, True),
            (0, 0, (op_id(2),), 0, False),
            (0, 4, (), 4, False),
            (0, 4, (), 5, True),
            (6, 4, (), 5, False),
            (6, 4, (), 0, True),
        ],
    )
    def test_an_edit_outside_its_base_outweighs_it_until_the_log_has_decided(
        self, delete_seq: int, base: int, ops: tuple[str, ...], edit_seq: int, kept: bool
    ) -> None:
        state = self._deleted(delete_seq, base, ops)
        state.add("r/name", entry(2, '"Kim"', edit_seq))
        assert is_deleted(state, PATIENT) is not kept
        assert is_deleted(state, DELETING)

    def test_what_a_delete_names_is_looked_up_and_not_gone_through(self) -> None:
        """Whoever opens a list of records waits for it."""
        numbers = range(2, 102)
        state = self._deleted(ops=tuple(op_id(n) for n in numbers))
        for n in numbers:
            written = msgspec.structs.replace(entry(n, '"x"'), op_id=ComparedId(op_id(n)))
            state.add("s/tags", written)
        before = ComparedId.compared
        assert is_deleted(state, PATIENT)
        assert ComparedId.compared - before <= 3 * len(numbers)

    def test_of_two_deletes_one_that_saw_everything_suffices(self) -> None:
        state = self._deleted()
        state.add("r/name", entry(2, '"Kim"'))
        state.add(DELETION_ROOT, entry(3, DeleteMark(True, (op_id(2),)).text()))
        assert is_deleted(state, PATIENT)

    @pytest.mark.parametrize("policy", [PATIENT, DELETING])
    def test_a_record_exists_once_it_was_written_and_while_it_is_not_deleted(
        self, policy: CollectionPolicy
    ) -> None:
        assert not exists(RecordState("patient", "p1"), policy)
        assert exists(a_record(), policy)
        assert not exists(self._deleted(), policy)
        emptied = RecordState("patient", "p1")
        emptied.seq = 1
        assert exists(emptied, policy)
        removing = RecordState("patient", "p1")
        removing.pending = [op_id(1)]
        assert exists(removing, policy)
        offline = RecordState("patient", "p1")
        offline.add("r/name", entry(1, '"Kim"'))
        assert exists(offline, policy)


class TestReading:
    """What a field shows among several entries."""

    def test_own_pending_values_come_first_and_the_last_of_them(self) -> None:
        state = RecordState("patient", "p1")
        state.add("r/phone", entry(50, '"confirmed"', 3))
        phone = PATIENT.field("phone")
        state.overlay(register_op(3, '"first"'))
        assert read_field(state, phone) == "first"
        state.overlay(register_op(2, '"second"'))
        assert read_field(state, phone) == "second"

    @pytest.mark.parametrize(
        ("times", "shown"), [((5, 4), '"a"'), ((4, 5), '"b"'), ((5, 5), '"larger"')]
    )
    def test_the_largest_time_and_then_op_id_is_shown(
        self, times: tuple[int, int], shown: str
    ) -> None:
        state = RecordState("patient", "p1")
        first, second = op_id(1), op_id(2)
        for name, value, effective_us in zip((first, second), ('"a"', '"b"'), times, strict=True):
            state.add("r/phone", Entry(name, 0, value, 9 - effective_us, "kim", effective_us, 0))
        larger = "a" if first > second else "b"
        expected = larger if shown == '"larger"' else shown.strip('"')
        assert read_field(state, PATIENT.field("phone")) == expected

    @pytest.mark.parametrize(
        ("name", "seqs", "values", "opened"),
        [
            ("allergies", (0, 0), ('["a"]', '["b"]'), True),
            ("allergies", (1, 2), ('["a"]', '["b"]'), True),
            ("allergies", (1, 2), ('["a"]', '["a"]'), False),
            ("allergies", (1,), ('["a"]',), False),
            ("name", (1, 2), ('"a"', '"b"'), True),
            ("name", (1, 2), ('"a"', '"a"'), False),
            ("name", (1, 0), ('"a"', '"b"'), False),
            ("phone", (0, 0), ('"a"', '"b"'), False),
            ("visits", (1, 2), ("1", "2"), False),
            ("tags", (1, 2), ('"a"', '"b"'), False),
        ],
    )
    def test_a_conflict_is_different_values_that_nothing_settles(
        self, name: str, seqs: tuple[int, ...], values: tuple[str, ...], opened: bool
    ) -> None:
        state, field = RecordState("patient", "p1"), PATIENT.field(name)
        assert not in_conflict(state, field)
        for number, (seq, value) in enumerate(zip(seqs, values, strict=True), 1):
            state.add(field.root, entry(number, value, seq))
        assert in_conflict(state, field) is opened

    def test_candidates_come_by_their_authors_time_and_equal_ones_count_once(self) -> None:
        state = RecordState("patient", "p1")
        state.add("r/allergies", entry(3, '["b"]'))
        state.add("r/allergies", entry(2, '["a"]', 5))
        state.add("r/allergies", entry(1, '["b"]', 4))
        conflict = read_field(state, PATIENT.field("allergies"))
        first, second = conflict.candidates
        assert (first.value, first.op_id, first.pending) == (frozenset({"b"}), op_id(1), False)
        assert first.entries == (EntryId(op_id(1), 0), EntryId(op_id(3), 0))
        assert (second.value, second.op_id, second.pending) == (frozenset({"a"}), op_id(2), False)
        assert (conflict.collection, conflict.record_id, conflict.field) == (
            "patient",
            "p1",
            "allergies",
        )

    def test_a_candidate_is_pending_while_none_of_its_entries_is_confirmed(self) -> None:
        state = RecordState("patient", "p1")
        state.add("r/allergies", entry(1, '["b"]'))
        state.add("r/allergies", entry(2, '["a"]', 5))
        conflict = read_field(state, PATIENT.field("allergies"))
        assert [c.pending for c in conflict.candidates] == [True, False]


class TestTheFormOfBefore:
    """Records in which each entry names its op: read as long as they lie somewhere."""

    def test_is_read_and_leaves_in_the_form_of_today(self) -> None:
        state = a_record()
        fields = {root: tuple(entries.values()) for root, entries in state.fields.items()}
        before = msgspec.msgpack.encode([state.seq, state.updated_us, state.updated_by, fields])
        assert RecordState.decode("patient", "p1", before).stored() == state.stored()
        assert decode_stored(before).fields == fields
        assert in_form_of_today(before) == state.encode()
        assert in_form_of_today(state.encode()) == state.encode()

    def test_an_entry_of_an_op_that_is_not_there_is_damage(self) -> None:
        stored = a_record().stored()
        for place in (len(stored.ops), -1):
            values = {"r/name": [[place, 0, '"a"']]}
            data = msgspec.msgpack.encode([1, 1, "kim", stored.ops, values])
            with pytest.raises(msgspec.ValidationError):
                RecordState.decode("patient", "p1", data)


def test_a_record_that_one_op_wrote_names_it_once() -> None:
    state = RecordState("patient", "p1")
    for n in range(10):
        state.add(f"r/field{n}", entry(1, f'"{n}"', 3))
    assert state.encode().count(op_id(1).encode()) == 1
    fields = {root: tuple(entries.values()) for root, entries in state.fields.items()}
    named_in_each = [state.seq, state.updated_us, state.updated_by, fields]
    assert len(state.encode()) < len(msgspec.msgpack.encode(named_in_each)) / 2
    assert RecordState.decode("patient", "p1", state.encode()).fields == state.fields


class TestOpsAtRest:
    """The places of ops are given again, and never to two that entries are of."""

    def test_an_op_that_came_back_keeps_its_place_and_a_new_one_takes_what_is_free(self) -> None:
        ops = OpsAtRest()
        (one,) = ops.put_away([entry(1, '"a"', 1)])
        (two,) = ops.put_away([entry(2, '"b"', 2)])
        (three,) = ops.put_away([entry(3, '"c"', 3)])
        again = OpsAtRest(ops.ops, used={two.op})
        # Of the first there is nothing at rest, and it is the first that comes.
        assert again.put_away([entry(1, '"a"', 1)]) == (one,)
        assert again.put_away([entry(2, '"b"', 2)]) == (two,)
        (four,) = again.put_away([entry(4, '"d"', 4)])
        assert four.op == three.op
        assert again.free == []
        # The third comes after all, and its place is taken.
        (late,) = again.put_away([entry(3, '"c"', 3)])
        assert [op.op_id for op in again.ops] == [op_id(1), op_id(2), op_id(4), op_id(3)]
        assert again.ops[late.op].op_id == op_id(3)

    def test_entries_that_tell_an_op_otherwise_are_of_another(self) -> None:
        ops = OpsAtRest()
        one, other = ops.put_away([entry(1, '"a"', 1), entry(1, '"a"', 2)])
        assert one.op != other.op
