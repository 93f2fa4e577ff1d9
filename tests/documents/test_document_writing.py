"""Making ops: what a write supersedes, and what it refuses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crdtsync.documents import writing
from crdtsync.documents.conflict import Candidate, Conflict
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import (
    ConflictChanged,
    DocumentError,
    InvalidOp,
    NotPermitted,
    RecordDeleted,
    UnresolvedConflict,
    UsageError,
)
from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_DELETE_BASE,
    DeleteMark,
    EntryId,
    FieldWrite,
    Op,
)
from crdtsync.documents.state import Entry, RecordState
from crdtsync.documents.waiting import MAX_WAITING
from crdtsync.policy import InvalidValue, Policy
from tests.documents.making import (
    PATIENT,
    Author,
    assert_index_equals_doc,
    op_id,
    patient,
    register_op,
)

kim, lee = Author("nurse-kim", 100), Author("dr-lee", 200)


def copy_of(document: RecordDocument) -> RecordDocument:
    return RecordDocument.open(document.encode(), PATIENT, "p1")


def test_a_form_saved_late_supersedes_only_what_it_showed() -> None:
    document = patient()
    document.update({"allergies": {"nut"}}, **kim())
    form = document.version
    document.update({"allergies": {"latex"}}, **lee())
    saved = document.update({"allergies": {"egg"}}, **kim(based_on=form))
    assert saved is not None
    conflict = document["allergies"]
    assert isinstance(conflict, Conflict)
    assert conflict.union() == {"latex", "egg"}


def test_two_forms_open_at_once_keep_both_values() -> None:
    document = patient()
    first, second = str(document.version), str(document.version)
    document.update({"allergies": {"nut"}, "name": "Kim"}, **kim(based_on=first))
    document.update({"allergies": {"latex"}, "name": "Kim M."}, **lee(based_on=second))
    assert document.conflicts().keys() == {"allergies"}
    assert document["allergies"].union() == {"nut", "latex"}
    assert document["name"] == "Kim M."


def test_a_resolution_replaces_what_the_person_saw_and_no_more() -> None:
    here = patient()
    there = copy_of(here)
    here.update({"allergies": {"nut"}}, **kim())
    there.update({"allergies": {"latex"}}, **lee())
    here.merge(there.encode())
    seen = here["allergies"]
    arrived = copy_of(patient()).update({"allergies": {"egg"}}, **lee())
    assert arrived is not None
    here.apply(arrived)
    with pytest.raises(ConflictChanged):
        here.resolve("allergies", {"nut"}, conflict=seen, if_unchanged=True, **kim())
    here.resolve("allergies", {"nut", "latex"}, conflict=seen, **kim())
    assert {c.value for c in here["allergies"].candidates} == {
        frozenset({"nut", "latex"}),
        frozenset({"egg"}),
    }
    here.resolve("allergies", {"nut"}, **kim())
    assert here["allergies"] == {"nut"}
    assert here.conflicts() == {}


def test_equal_values_are_no_conflict_and_are_replaced_together() -> None:
    here, there = patient(), patient()
    here.update({"allergies": {"nut", "egg"}}, **kim())
    there.update({"allergies": ["egg", "nut"]}, **lee())
    here.merge(there.encode())
    assert here["allergies"] == {"nut", "egg"}
    here.update({"allergies": {"nut"}}, **kim())
    assert here["allergies"] == {"nut"}
    assert here.tombstones == 2


def test_a_field_in_conflict_is_not_written_over_by_accident() -> None:
    here, there = patient(), patient()
    here.update({"allergies": {"nut"}}, **kim())
    there.update({"allergies": {"egg"}}, **lee())
    here.merge(there.encode())
    before = here.encode()
    with pytest.raises(UnresolvedConflict, match="resolve"):
        here.update({"allergies": {"nut"}}, **kim())
    with pytest.raises(UnresolvedConflict):
        bool(here["allergies"] == {"nut"})
    assert here.encode() == before


def test_two_resolutions_at_once_are_a_new_conflict() -> None:
    here, there = patient(), patient()
    here.update({"allergies": {"nut"}}, **kim())
    there.update({"allergies": {"egg"}}, **lee())
    here.merge(there.encode())
    there.merge(here.encode())
    here.resolve("allergies", {"nut"}, **kim())
    there.resolve("allergies", {"egg"}, **lee())
    here.merge(there.encode(since=here.state()))
    assert len(here["allergies"].candidates) == 2


def test_clearing_writes_null_and_a_concurrent_value_stands_beside_it() -> None:
    here = patient()
    here.update({"allergies": {"nut"}, "tags": {"a"}}, **kim())
    there = copy_of(here)
    here.clear("allergies", "tags", **kim())
    assert here["allergies"] is None
    assert here["tags"] == frozenset()
    there.update({"allergies": {"egg"}}, **lee())
    here.merge(there.encode())
    assert {c.value for c in here.conflicts()["allergies"].candidates} == {None, frozenset({"egg"})}


def test_the_add_of_a_set_wins_over_a_concurrent_removal() -> None:
    here = patient()
    here.add("tags", ["a"], **kim())
    there = copy_of(here)
    here.remove("tags", ["a"], **kim())
    there.add("tags", ["a"], **lee())
    assert here["tags"] == frozenset()
    here.merge(there.encode())
    assert here["tags"] == {"a"}


def test_nothing_to_change_makes_no_op() -> None:
    document = patient()
    document.update({"tags": {"a"}}, **kim())
    before = document.encode()
    assert document.update({"tags": {"a"}}, **kim()) is None
    assert document.remove("tags", ["z"], **kim()) is None
    assert document.encode() == before


def test_deleting_and_restoring() -> None:
    document = patient()
    document.update({"name": "Kim"}, **kim())
    document.delete(**kim())
    assert document.deleted
    with pytest.raises(RecordDeleted, match="restore"):
        document.update({"name": "Lee"}, **kim())
    for write in (document.add, document.remove):
        with pytest.raises(RecordDeleted):
            write("tags", ["a"], **kim())
    with pytest.raises(RecordDeleted):
        document.increment({"visits": 1}, **kim())
    document.restore(**kim())
    assert not document.deleted
    assert document["name"] == "Kim"


def test_an_edit_that_the_deleter_had_not_seen_brings_the_record_back() -> None:
    here = patient()
    here.update({"name": "Kim"}, **kim())
    there, form = copy_of(here), here.version
    here.delete(**kim())
    there.update({"phone": "1"}, **lee())
    here.merge(there.encode())
    assert not here.deleted
    alone = copy_of(patient())
    alone.update({"name": "Kim"}, **kim())
    form = alone.version
    alone.delete(**kim())
    # A form that was open while the record was deleted is concurrent too.
    assert alone.update({"phone": "2"}, **lee(based_on=form)) is not None
    assert not alone.deleted


def test_the_same_op_id_is_not_used_for_another_write() -> None:
    document, author = patient(), kim()
    document.update({"name": "Kim"}, **author)
    with pytest.raises(InvalidOp):
        document.update({"name": "Lee"}, **author)
    with pytest.raises(InvalidOp):
        document.update({"name": "Lee"}, **{**author, "based_on": "0"})
    op = register_op(1, '"1"')
    assert document.apply(op)
    assert not document.apply(op)
    with pytest.raises(InvalidOp, match="another write") as caught:
        document.apply(register_op(1, '"2"'))
    assert caught.value.code == "op_id_reused"
    other = patient()
    other.apply(register_op(1, '"2"'))
    with pytest.raises(InvalidOp, match="another write"):
        document.merge(other.encode())
    assert document["phone"] == "1"
    assert_index_equals_doc(document)


def test_misuse_is_named_and_changes_nothing() -> None:
    document = patient()
    document.update({"name": "Kim"}, **kim())
    before = document.encode()
    with pytest.raises(UsageError, match="increment"):
        document.update({"visits": 3}, **kim())
    with pytest.raises(UsageError, match="knows"):
        document.update({"nmae": "x"}, **kim())
    with pytest.raises(InvalidValue):
        document.update({"name": 3}, **kim())
    with pytest.raises(UsageError, match="settles by itself"):
        document.resolve("name", "x", **kim())
    for version in ("yesterday", "9" * 5_000, "1:yesterday"):
        with pytest.raises(UsageError, match="version"):
            document.update({"name": "x"}, **kim(based_on=version))
    with pytest.raises(InvalidOp, match="UUID"):
        document.update({"name": "x"}, **{**kim(), "op_id": "1"})
    with pytest.raises(KeyError, match="no field"):
        document["nmae"]
    assert "nmae" not in document
    assert document.get("nmae", "-") == "-"
    assert document.encode() == before


def test_a_role_that_may_not_write_is_refused_only_once_roles_are_known() -> None:
    policy = Policy.parse(
        "version = 1\n[ward]\n[ward.fields]\n"
        'dose = { type = "string", merge = "manual", write = ["doctor"] }\n'
    ).collection("ward")
    document = RecordDocument(policy, "w1")
    assert document.update({"dose": "1 mg"}, **kim()) is not None
    with pytest.raises(NotPermitted, match="ward/w1: your role may not write dose"):
        document.update({"dose": "2 mg"}, **kim(roles={"nurse"}))
    document.update({"dose": "3 mg"}, **kim(roles={"doctor"}))
    assert document["dose"] == "3 mg"


def test_counters_take_decimals_and_read_them_back() -> None:
    document = patient()
    document.increment({"balance": Decimal("0.10"), "visits": 2}, **kim())
    document.increment({"balance": Decimal("-0.30")}, **kim())
    assert document["balance"] == Decimal("-0.20")
    assert document["visits"] == 2


def test_an_op_waits_for_what_it_supersedes_and_is_shown_meanwhile() -> None:
    document = patient()
    first = register_op(1, '"1"')
    second = register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)])
    third = register_op(3, '"3"', supersedes=[EntryId(op_id(2), 0)])
    assert not document.apply(third)
    assert not document.apply(second)
    assert not document.apply(second)
    assert {op.op_id for op in document.waiting} == {second.op_id, third.op_id}
    assert document["phone"] is None
    assert document.encode() == b""
    assert document.apply(first)
    assert document.waiting == ()
    assert document["phone"] == "3"
    late = patient()
    late.apply(third)
    giver = patient()
    giver.apply_many([first, second])
    assert late.merge(giver.encode())
    assert late["phone"] == "3"
    assert late.encode() == document.encode()


def test_too_many_waiting_ops_are_refused_and_nothing_changes() -> None:
    document = patient()
    missing = EntryId(op_id(0), 0)
    ops = [register_op(n, '"x"', supersedes=[missing]) for n in range(1, MAX_WAITING + 2)]
    assert document.apply_many(ops[:-1]) == 0
    with pytest.raises(DocumentError, match="wait"):
        document.apply(ops[-1])
    assert len(document.waiting) == MAX_WAITING
    assert document.apply(register_op(0, '"0"'))
    assert document.waiting == ()
    assert len([e for e in document.history("phone") if e.visible]) == MAX_WAITING


def test_ops_are_applied_all_or_none() -> None:
    document = patient()
    good, bad = register_op(1, '"1"'), register_op(2, "not json")
    with pytest.raises(InvalidOp):
        document.apply_many([good, bad])
    assert document.encode() == b""
    assert document.apply_many([good]) == 1


def test_history_says_what_is_held_and_only_names_what_left() -> None:
    document = patient()
    first = document.update({"name": "Kim"}, **kim())
    second = document.update({"name": "Lee"}, **lee())
    assert first is not None
    assert second is not None
    shown, left = document.history("name")
    assert (shown.op_id, shown.value, shown.user, shown.visible) == (
        second.op_id,
        "Lee",
        "dr-lee",
        True,
    )
    assert (left.op_id, left.value, left.user, left.visible) == (first.op_id, None, None, False)
    assert len(document.history()) == 2


def test_fields_of_a_newer_policy_are_carried_along_untouched() -> None:
    newer = Op(op_id(1), "kim", "patient", "p1", 1, {"r/blood": FieldWrite(('"0+"',))})
    document = patient()
    document.apply(newer)
    document.update({"name": "Kim"}, **kim())
    again = copy_of(document)
    assert again.encode() == document.encode()
    assert ("r/blood", '"0+"') in {(held.field, held.value) for held in again.history()}
    assert "blood" not in again


def test_a_difference_made_for_another_state_is_refused() -> None:
    giver = patient()
    giver.apply_many(
        [register_op(1, '"1"'), register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)])]
    )
    difference = giver.encode(since=giver.state())
    with pytest.raises(DocumentError, match="another state"):
        patient().merge(difference)
    assert not giver.merge(difference)


def test_a_document_is_a_mapping_that_is_only_equal_to_itself() -> None:
    document = patient()
    assert list(document) == list(PATIENT.fields)
    assert dict(document)["visits"] == 0
    assert document != copy_of(document)
    assert len({document, document}) == 1
    assert "patient/p1" in repr(document)


@pytest.mark.parametrize("value", [3, "nut", b"nut"[0], {"nut": 1}])
def test_a_set_is_assigned_from_a_set_of_values(value: object) -> None:
    with pytest.raises(UsageError, match="tags is a set; pass a set of values"):
        patient().update({"tags": value}, **kim())


def test_a_set_is_assigned_as_the_difference_to_what_was_seen() -> None:
    document = patient()
    document.update({"tags": ["a", "b"]}, **kim())
    form = document.version
    document.add("tags", ["c"], **lee())
    op = document.update({"tags": ("b", "d")}, **kim(based_on=form))
    assert op is not None
    assert op.writes["s/tags"].values == ('"d"',)
    assert document["tags"] == {"b", "c", "d"}


def test_adding_an_element_again_replaces_the_add_that_was_seen() -> None:
    document = patient()
    first = document.add("tags", ["a", "b"], **kim())
    second = document.add("tags", ["b"], **kim())
    assert first is not None
    assert second is not None
    assert second.writes["s/tags"] == FieldWrite(('"b"',), (EntryId(first.op_id, 1),))
    third = document.remove("tags", ["b"], **kim())
    assert third is not None
    assert third.writes["s/tags"] == FieldWrite((), (EntryId(second.op_id, 0),))


def test_an_element_is_not_added_and_removed_at_once() -> None:
    author = writing.Authorship(op_id(1), "kim", 5)
    state = patient().to_state()
    with pytest.raises(UsageError, match="both added and removed"):
        writing.change_set(state, PATIENT, "tags", author, add=["é"], remove=["e\u0301"])
    op = writing.change_set(state, PATIENT, "tags", author, add=["a"], remove=["b"])
    assert op is not None
    assert op.writes["s/tags"].values == ('"a"',)


def test_a_verb_of_another_kind_names_the_right_one() -> None:
    document = patient()
    for field in ("name", "tags"):
        with pytest.raises(UsageError, match=f"{field} is not a counter .*; use update"):
            document.increment({field: 1}, **kim())
    for field in ("name", "allergies", "visits"):
        with pytest.raises(UsageError, match=f"{field} is not a set that merges by element"):
            document.add(field, ["a"], **kim())
    with pytest.raises(UsageError, match="nothing to write; name at least one field"):
        document.update({}, **kim())
    assert document.encode() == b""


def test_a_delete_names_the_unsent_changes_up_to_a_bound() -> None:
    state = RecordState("patient", "p1")
    state.pending = [op_id(number) for number in range(2, MAX_DELETE_BASE + 2)]
    author = writing.Authorship(op_id(1), "kim", 5)
    op = writing.delete(state, PATIENT, author)
    mark = DeleteMark.parse(op.writes[DELETION_ROOT].values[0])
    assert (mark.deleted, mark.seq, len(mark.ops)) == (True, 0, MAX_DELETE_BASE)
    state.pending.append(op_id(0))
    with pytest.raises(UsageError, match="too many unsent changes; sync before deleting it"):
        writing.delete(state, PATIENT, author)


def test_a_form_that_showed_less_deletes_only_what_it_showed() -> None:
    here = patient()
    here.update({"name": "Kim"}, **kim())
    form = str(here.version)
    here.update({"phone": "1"}, **lee())
    assert here.delete(**kim(based_on=form)).is_delete
    assert not here.deleted
    here.delete(**kim())
    assert here.deleted


def test_the_same_increment_under_the_same_op_id_is_told_and_not_doubled() -> None:
    document, author = patient(), kim()
    document.increment({"visits": 2}, **author)
    with pytest.raises(InvalidOp, match="in this document already") as raised:
        document.increment({"visits": 2}, **author)
    assert raised.value.code == "op_id_reused"
    assert document["visits"] == 2


def test_a_conflict_is_resolved_in_the_record_and_field_that_it_was_read_from() -> None:
    here, there = patient(), patient()
    here.update({"allergies": {"nut"}}, **kim())
    there.update({"allergies": {"egg"}}, **lee())
    here.merge(there.encode())
    read = here["allergies"]
    for place in (("visit", "p1", "allergies"), ("patient", "p2", "allergies"),
                  ("patient", "p1", "name")):  # fmt: skip
        other = Conflict(*place, read.candidates)
        with pytest.raises(UsageError, match="not read from patient/p1/allergies"):
            here.resolve("allergies", {"nut"}, conflict=other, **kim())
    here.resolve("allergies", {"nut"}, conflict=read, if_unchanged=True, **kim())
    assert here["allergies"] == {"nut"}


def test_a_conflict_that_outlived_its_merge_kind_is_resolved_too() -> None:
    """Invariant 6: a field that settles by itself now still holds a choice for a person."""
    state = RecordState("patient", "p1")
    for number in (1, 2):
        state.add("r/name", Entry(op_id(number), 0, f'"{number}"', number, "kim", number, number))
    author = writing.Authorship(op_id(3), "kim", 5)
    with pytest.raises(UnresolvedConflict, match="patient/p1: the field 'name'"):
        writing.update(state, PATIENT, {"name": "x"}, author)
    seen = [EntryId(op_id(1), 0), EntryId(op_id(2), 0), EntryId(op_id(1), 0)]
    op = writing.resolve(state, PATIENT, "name", "x", seen, author)
    assert op.writes["r/name"] == FieldWrite(('"x"',), tuple(seen[:2]))


def test_a_write_of_several_fields_is_one_op_and_leaves_out_what_does_not_change() -> None:
    document = patient()
    document.update({"tags": {"a"}}, **kim())
    op = document.update({"tags": {"a"}, "name": "Kim", "phone": None}, **kim())
    assert op is not None
    assert set(op.writes) == {"r/name", "r/phone"}
    assert op.writes["r/phone"].values == ("null",)


def test_an_edited_op_names_the_one_that_it_replaces() -> None:
    author = writing.Authorship(op_id(1), "kim", 5)
    state = patient().to_state()
    op = writing.update(state, PATIENT, {"name": "Kim"}, author, replaces=op_id(2))
    assert op is not None
    assert (op.replaces, op.user, op.time_us) == (op_id(2), "kim", 5)
    assert (op.collection, op.record) == ("patient", "p1")


def test_a_document_knows_its_policy_and_record() -> None:
    document = patient()
    assert document.policy is PATIENT
    assert document.record_id == "p1"
    assert (document.as_of, document.is_compacted, document.tombstones) == (None, False, 0)


def test_a_state_that_was_never_stored_is_dated_by_its_latest_entry() -> None:
    document = patient()
    assert document.to_state().updated_us == 0
    document.apply(register_op(5, '"x"', root="r/name"))
    document.apply(Op(op_id(2), "kim", "patient", "p1", 9_999, {"r/phone": FieldWrite(('"1"',))}))
    state = document.to_state()
    assert (state.updated_us, state.updated_by) == (9_999, "kim")
    state.updated_us, state.updated_by = 7, "lee"
    again = RecordDocument.from_state(state, PATIENT).to_state()
    assert (again.updated_us, again.updated_by) == (7, "lee")


def test_an_entry_that_two_ops_remove_at_once_leaves_once() -> None:
    document = patient()
    added = document.add("tags", ["a"], **kim())
    assert added is not None
    gone = FieldWrite((), (EntryId(added.op_id, 0),))
    removals = [Op(op_id(n), "kim", "patient", "p1", 5, {"s/tags": gone}) for n in (1, 2)]
    assert document.apply_many(removals) == 1
    assert document["tags"] == frozenset()
    assert_index_equals_doc(document)


def test_a_candidate_that_left_meanwhile_is_no_reason_to_choose_again() -> None:
    here = patient()
    ops = [register_op(n, f'["{n}"]', "r/allergies") for n in (1, 2, 3)]
    here.apply_many(ops)
    read = here["allergies"]
    assert len(read.candidates) == 3
    here.resolve("allergies", {"4"}, conflict=read, **kim())
    with pytest.raises(ConflictChanged):
        here.resolve("allergies", {"5"}, conflict=read, if_unchanged=True, **kim())
    now = here.history("allergies")[0]
    seen = Candidate(
        {"4"}, now.user or "", read.candidates[0].at, now.op_id, True, (EntryId(now.op_id, 0),)
    )
    wider = Conflict("patient", "p1", "allergies", [*read.candidates, seen])
    here.resolve("allergies", {"5"}, conflict=wider, if_unchanged=True, **kim())
    assert here["allergies"] == {"5"}
