"""The server's decision, case by case: who leaves and why, and what people must choose."""

from __future__ import annotations

from typing import Any

import pytest

from crdtsync.documents import settling
from crdtsync.documents.clock import FUTURE_BOUND_US
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.identity import (
    ID_BYTES,
    client_id,
    holds_id,
    item_ids_of,
    packed_id,
    packed_ids,
)
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, FieldWrite, Op
from crdtsync.documents.settling import (
    MAX_CANDIDATES,
    ConflictChange,
    Decision,
    ItemIds,
    check_against_policy,
    decide,
    log_entry,
)
from crdtsync.documents.state import Entry, RecordState, Removal
from crdtsync.policy import CollectionPolicy, InvalidValue, Policy
from tests.documents.making import PATIENT, ComparedId, op_id, register_op

ALLERGIES, PHONE, NAME = "r/allergies", "r/phone", "r/name"
RESTRICTED = Policy.parse(
    "version = 1\n[patient]\ndelete = ['doctor']\n[patient.fields]\n"
    "name = { type = 'string', write = ['nurse'] }\nvisits = { type = 'string' }\n"
).collection("patient")
DELETING = Policy.parse(
    "version = 1\n[patient]\non_delete_conflict = 'delete'\n"
    "[patient.fields]\nname = { type = 'string' }\n"
).collection("patient")


def seen(*numbers: int) -> tuple[EntryId, ...]:
    return tuple(EntryId(op_id(number), 0) for number in numbers)


def holding(root: str, *values: tuple[int, str], time_us: int = 0) -> RecordState:
    """A record whose field shows these values, each accepted under its number as seq."""
    state = RecordState("patient", "p1")
    for number, value in values:
        effective_us = time_us or 1_000 + number
        entry = Entry(op_id(number), 0, value, 1_000 + number, "kim", effective_us, number)
        state.add(root, entry)
        state.seq = max(state.seq, number)
    return state


def decided(
    state: RecordState, op: Op, policy: CollectionPolicy = PATIENT, **more: Any
) -> Decision:
    return decide(state, op, policy, **{"received_us": 5_000, **more})


def reasons(decision: Decision) -> list[tuple[str, str]]:
    return [(gone.op_id, gone.why) for gone in decision.removed]


class TestServerLatest:
    """The op that is received last wins."""

    def test_it_replaces_what_it_saw_and_beats_what_it_did_not(self) -> None:
        state = holding(NAME, (1, '"a"'))
        blind = decided(state, register_op(3, '"c"', NAME))
        assert reasons(blind) == [(op_id(1), "lost_received")]
        knowing = decided(state, register_op(3, '"c"', NAME, seen(1)))
        assert reasons(knowing) == [(op_id(1), "superseded")]
        equal = holding(NAME, (1, '"a"'), (2, '"a"'))
        both = decided(equal, register_op(3, '"c"', NAME, seen(2)))
        assert reasons(both) == [(op_id(2), "superseded"), (op_id(1), "lost_received")]
        for decision in (blind, knowing, both):
            assert decision.outcomes == {NAME: "applied"}
            assert decision.conflicts == ()

    def test_a_value_that_was_replaced_before_it_came_beats_nothing(self) -> None:
        state = holding(NAME, (2, '"b"'))
        decision = decided(state, register_op(1, '"a"', NAME), graves={(NAME, seen(1)[0])})
        assert reasons(decision) == [(op_id(1), "late")]
        assert decision.outcomes == {NAME: "superseded"}


class TestUserLatest:
    """The largest effective time wins, and causality beats time."""

    def test_the_later_time_wins_whoever_comes_first(self) -> None:
        state = holding(PHONE, (5, '"a"'))
        lost = decided(state, register_op(4, '"b"', PHONE))
        assert reasons(lost) == [(op_id(4), "lost_user_time")]
        assert lost.outcomes == {PHONE: "superseded"}
        won = decided(state, register_op(6, '"b"', PHONE))
        assert reasons(won) == [(op_id(5), "lost_user_time")]
        assert won.outcomes == {PHONE: "applied"}

    @pytest.mark.parametrize("newcomer", [3, 4])
    def test_between_equal_times_the_larger_op_id_wins(self, newcomer: int) -> None:
        held = {3: 4, 4: 3}[newcomer]
        state = holding(PHONE, (held, '"a"'), time_us=1_000 + newcomer)
        decision = decided(state, register_op(newcomer, '"b"', PHONE))
        loser = min(op_id(3), op_id(4))
        assert reasons(decision) == [(loser, "lost_user_time")]

    def test_a_time_far_ahead_counts_only_up_to_the_bound(self) -> None:
        op = register_op(2 * FUTURE_BOUND_US, '"b"', PHONE)
        assert decided(RecordState("patient", "p1"), op).effective_us == 5_000 + FUTURE_BOUND_US

    def test_it_is_later_than_everything_that_it_replaces(self) -> None:
        state = holding(PHONE, (1, '"a"'), (2, '"b"'), time_us=9_000)
        state.add(PHONE, Entry(op_id(2), 0, '"b"', 1, "kim", 9_500, 2))
        decision = decided(state, register_op(3, '"c"', PHONE, seen(1, 2)))
        assert decision.effective_us == 9_501
        turned = decided(state, register_op(3, '"c"', PHONE, seen(2, 1)))
        assert turned.effective_us == 9_501

    def test_a_value_that_was_replaced_before_it_came_takes_no_part(self) -> None:
        graves = {(PHONE, seen(9)[0])}
        alone = decided(RecordState("patient", "p1"), register_op(9, '"a"', PHONE), graves=graves)
        assert reasons(alone) == [(op_id(9), "late")]
        assert alone.outcomes == {PHONE: "superseded"}
        state = holding(PHONE, (2, '"b"'))
        beside = decided(state, register_op(9, '"a"', PHONE), graves=graves)
        assert reasons(beside) == [(op_id(9), "late")]
        assert beside.outcomes == {PHONE: "superseded"}


class TestManual:
    """Nothing leaves but what a person replaced, and every change of a conflict is told."""

    @pytest.mark.parametrize(
        ("held", "value", "replaced", "outcome", "kind"),
        [
            ([], '["a"]', (), "applied", None),
            (['["a"]'], '["b"]', (1,), "applied", None),
            (['["a"]'], '["a"]', (), "applied", None),
            (['["a"]'], '["b"]', (), "conflict", "opened"),
            (['["a"]', '["b"]'], '["c"]', (), "conflict", "changed"),
            (['["a"]', '["b"]'], '["c"]', (1,), "conflict", "changed"),
            (['["a"]', '["b"]'], '["c"]', (1, 2), "applied", "resolved"),
            (['["a"]', '["b"]'], '["b"]', (1,), "applied", "agreed"),
            (['["a"]', '["b"]', '["c"]'], '["c"]', (1, 2), "applied", "resolved"),
            (['["a"]', '["b"]', '["a"]'], '["b"]', (1, 3), "applied", "agreed"),
        ],
    )
    def test_a_conflict_opens_changes_is_resolved_or_agreed(
        self, held: list[str], value: str, replaced: tuple[int, ...], outcome: str, kind: str | None
    ) -> None:
        state = holding(ALLERGIES, *enumerate(held, 1))
        decision = decided(state, register_op(9, value, ALLERGIES, seen(*replaced)))
        assert reasons(decision) == [(op_id(number), "superseded") for number in replaced]
        assert decision.outcomes == {ALLERGIES: outcome}
        before = seen(*range(1, len(held) + 1))
        after = tuple(one for one in before if one not in seen(*replaced)) + seen(9)
        expected = () if kind is None else (ConflictChange(ALLERGIES, before, after, kind),)
        assert decision.conflicts == expected

    def test_a_value_that_was_replaced_before_it_came_opens_nothing(self) -> None:
        state = holding(ALLERGIES, (1, '["a"]'))
        graves = {(ALLERGIES, seen(2)[0])}
        decision = decided(state, register_op(2, '["b"]', ALLERGIES), graves=graves)
        assert reasons(decision) == [(op_id(2), "late")]
        assert decision.outcomes == {ALLERGIES: "superseded"}
        assert decision.conflicts == ()

    def test_one_value_more_than_people_can_compare_is_refused(self) -> None:
        values = [(number, f'["a{number}"]') for number in range(1, MAX_CANDIDATES + 1)]
        state = holding(ALLERGIES, *values[:-1])
        assert decided(state, register_op(99, '["last"]', ALLERGIES)).outcomes
        full = holding(ALLERGIES, *values)
        with pytest.raises(InvalidOp, match="already has 16 different values") as raised:
            decided(full, register_op(99, '["more"]', ALLERGIES))
        assert (raised.value.code, raised.value.field) == ("too_many_candidates", "allergies")
        assert decided(full, register_op(99, '["a7"]', ALLERGIES)).outcomes
        assert decided(full, register_op(99, '["more"]', ALLERGIES, seen(7))).outcomes

    def test_a_field_that_is_over_the_bound_already_may_be_brought_down(self) -> None:
        values = [(number, f'["a{number}"]') for number in range(1, MAX_CANDIDATES + 4)]
        full = holding(ALLERGIES, *values)
        assert decided(full, register_op(99, '["new"]', ALLERGIES, seen(1))).outcomes
        assert decided(full, register_op(99, '["new"]', ALLERGIES, seen(1, 2))).outcomes

    @pytest.mark.parametrize("root", [NAME, PHONE])
    def test_a_conflict_stays_open_where_its_field_settles_by_itself_now(self, root: str) -> None:
        """Invariant 6: the policy changed, and no value goes without a person."""
        state = holding(root, (1, '"a"'), (2, '"b"'))
        decision = decided(state, register_op(9, '"c"', root))
        assert decision.removed == ()
        assert decision.outcomes == {root: "conflict"}
        assert [change.kind for change in decision.conflicts] == ["changed"]


class TestCountersAndSets:
    """Deltas and elements stand beside each other."""

    def test_a_delta_removes_nothing(self) -> None:
        state = holding("c/visits", (1, "1"), (2, "1"))
        decision = decided(state, register_op(3, "5", "c/visits"))
        assert (decision.removed, decision.outcomes) == ((), {"c/visits": "applied"})

    def test_an_element_removes_what_it_names_and_no_more(self) -> None:
        state = holding("s/tags", (1, '"a"'), (2, '"b"'))
        decision = decided(state, register_op(3, '"a"', "s/tags", seen(1)))
        assert reasons(decision) == [(op_id(1), "superseded")]
        assert decision.outcomes == {"s/tags": "applied"}

    def test_of_several_elements_only_those_that_were_replaced_are_late(self) -> None:
        op = Op(op_id(3), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"a"', '"b"'))})
        state = RecordState("patient", "p1")
        for n in (0, 1):
            one = decided(state, op, graves={("s/tags", EntryId(op_id(3), n))})
            assert one.removed == (Removal("s/tags", op_id(3), n, "late"),)
            assert one.outcomes == {"s/tags": "applied"}
        both = decided(state, op, graves={("s/tags", EntryId(op_id(3), n)) for n in (0, 1)})
        assert [gone.n for gone in both.removed] == [0, 1]
        assert both.outcomes == {"s/tags": "superseded"}

    def test_a_grave_in_another_field_is_none_here(self) -> None:
        op = register_op(3, '"a"', "s/tags")
        decision = decided(RecordState("patient", "p1"), op, graves={(NAME, seen(3)[0])})
        assert (decision.removed, decision.outcomes) == ((), {"s/tags": "applied"})

    def test_a_set_is_bounded_and_a_counter_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settling, "MAX_SET_ELEMENTS", 2)
        full = holding("s/tags", (1, '"a"'), (2, '"b"'))
        with pytest.raises(InvalidOp, match="holds 2 elements") as raised:
            decided(full, register_op(3, '"c"', "s/tags"))
        assert (raised.value.code, raised.value.field) == ("too_large", "tags")
        assert decided(full, register_op(3, '"c"', "s/tags", seen(1))).outcomes
        assert decided(holding("s/tags", (1, '"a"')), register_op(3, '"c"', "s/tags")).outcomes
        counted = holding("c/visits", (1, "1"), (2, "1"))
        assert decided(counted, register_op(3, "1", "c/visits")).outcomes


class TestDeleting:
    """Under ``keep`` an edit outside the base of a delete takes the delete back."""

    @staticmethod
    def _delete(number: int, *ops: int, seq: int = 0, supersedes: tuple[int, ...] = ()) -> Op:
        text = DeleteMark(True, tuple(op_id(n) for n in ops), seq).text()
        return register_op(number, text, DELETION_ROOT, seen(*supersedes))

    @pytest.mark.parametrize(
        ("since", "revived"),
        [
            ([], False),
            ([(5, op_id(2), False)], True),
            ([(5, op_id(2), True)], False),
            ([(5, op_id(7), False)], False),
            ([(5, op_id(7), False), (6, op_id(2), False)], True),
        ],
    )
    def test_a_delete_is_revived_by_what_its_base_lacks(
        self, since: list[tuple[int, str, bool]], revived: bool
    ) -> None:
        asked: list[int] = []

        def ops_since(seq: int) -> list[tuple[int, str, bool]]:
            asked.append(seq)
            return since

        state = RecordState("patient", "p1")
        decision = decided(state, self._delete(9, 7, seq=4), ops_since=ops_since)
        assert asked == [4]
        assert decision.revived is revived
        assert decision.outcomes == {DELETION_ROOT: "superseded" if revived else "applied"}
        gone = (Removal(DELETION_ROOT, op_id(9), 0, "revived"),) if revived else ()
        assert decision.removed == gone
        deleting = decided(state, self._delete(9, 7, seq=4), DELETING, ops_since=ops_since)
        assert (deleting.revived, deleting.removed) == (False, ())
        assert deleting.outcomes == {DELETION_ROOT: "applied"}

    def test_what_a_delete_names_is_looked_up_and_not_gone_through(self) -> None:
        """Every group waits for it: ten thousand edits named are not compared each with each."""
        numbers = range(1, 101)
        delete = self._delete(200, *numbers)
        since = [(n, ComparedId(op_id(n)), False) for n in numbers]
        before = ComparedId.compared
        decision = decided(RecordState("patient", "p1"), delete, ops_since=lambda _: since)
        assert not decision.revived
        assert ComparedId.compared - before <= 2 * len(since)

    def test_an_edit_that_came_later_takes_each_delete_back_that_had_not_seen_it(self) -> None:
        state = RecordState("patient", "p1")
        for number, ops in ((1, ()), (2, (9,)), (3, (8,))):
            mark = self._delete(number, *ops).writes[DELETION_ROOT].values[0]
            state.add(DELETION_ROOT, Entry(op_id(number), 0, mark, 1, "kim", 1, number))
        decision = decided(state, register_op(9, '"x"', NAME))
        assert decision.revived
        assert reasons(decision) == [(op_id(1), "revived"), (op_id(3), "revived")]
        assert decision.outcomes == {NAME: "applied"}
        assert not decided(state, register_op(9, '"x"', NAME), DELETING).revived

    def test_a_restore_replaces_the_deletes_that_it_saw_and_revives_from_the_others(self) -> None:
        state = RecordState("patient", "p1")
        for number in (1, 2):
            mark = self._delete(number).writes[DELETION_ROOT].values[0]
            state.add(DELETION_ROOT, Entry(op_id(number), 0, mark, 1, "kim", 1, number))
        text = DeleteMark(False).text()
        seeing_both = register_op(9, text, DELETION_ROOT, seen(1, 2))
        decision = decided(state, seeing_both)
        assert reasons(decision) == [(op_id(1), "superseded"), (op_id(2), "superseded")]
        assert (decision.revived, decision.outcomes) == (False, {DELETION_ROOT: "applied"})
        decision = decided(state, register_op(9, text, DELETION_ROOT, seen(1)))
        assert reasons(decision) == [(op_id(1), "superseded"), (op_id(2), "revived")]
        assert (decision.revived, decision.outcomes) == (True, {DELETION_ROOT: "superseded"})

    def test_a_restored_record_is_not_revived_by_an_edit(self) -> None:
        state = holding(DELETION_ROOT, (1, DeleteMark(False).text()))
        decision = decided(state, register_op(9, '"x"', NAME))
        assert (decision.revived, decision.removed) == (False, ())

    def test_a_delete_that_another_replaced_before_it_came_is_late(self) -> None:
        state = RecordState("patient", "p1")
        decision = decided(state, self._delete(9), graves={(DELETION_ROOT, seen(9)[0])})
        assert reasons(decision) == [(op_id(9), "late")]
        assert decision.outcomes == {DELETION_ROOT: "superseded"}


class TestCollisions:
    """Two entries of one document must not share an item id."""

    def test_within_an_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settling, "client_id", lambda root, entry_id: 7)
        op = Op(op_id(3), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"a"', '"b"'))})
        with pytest.raises(InvalidOp, match="of this op hash alike") as raised:
            decided(RecordState("patient", "p1"), op)
        assert raised.value.code == "id_collision"

    def test_with_an_entry_of_another_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = holding(NAME, (1, '"a"'))
        taken = client_id(NAME, seen(1)[0])

        def colliding(root: str, entry_id: EntryId) -> int:
            return taken if entry_id.op_id == op_id(2) else client_id(root, entry_id)

        monkeypatch.setattr(settling, "client_id", colliding)
        with pytest.raises(InvalidOp, match="another op hashes alike") as raised:
            decided(state, register_op(2, '"b"', PHONE))
        assert raised.value.code == "id_collision"
        assert decided(state, register_op(3, '"b"', PHONE)).outcomes == {PHONE: "applied"}

    def test_packed_ids_of_a_whole_record_are_as_good_as_its_entries(self) -> None:
        op = Op(op_id(3), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"a"', '"b"'))})
        own = item_ids_of(op)
        assert own == (packed_id("s/tags", op_id(3), 0), packed_id("s/tags", op_id(3), 1))
        state = holding(NAME, (1, '"a"'), (2, '"b"'))
        both = packed_ids({NAME: state.visible(NAME), PHONE: ()})
        assert both == packed_id(NAME, op_id(1), 0) + packed_id(NAME, op_id(2), 0)
        assert int.from_bytes(own[1], "big") == client_id("s/tags", EntryId(op_id(3), 1))
        state, other = RecordState("patient", "p1"), packed_id(NAME, op_id(1), 0)
        assert decided(state, op, ids=ItemIds(own, other)) == decided(state, op)
        with pytest.raises(InvalidOp, match="another op hashes alike") as raised:
            decided(state, op, ids=ItemIds(own, other + own[1]))
        assert raised.value.code == "id_collision"
        with pytest.raises(InvalidOp, match="of this op hash alike") as raised:
            decided(state, op, ids=ItemIds((own[0], own[0]), b""))
        assert raised.value.code == "id_collision"

    def test_packed_ids_are_found_whole_only(self) -> None:
        first, second = bytes([0, *range(1, ID_BYTES)]), bytes(ID_BYTES)
        across = (first + second)[3:][:ID_BYTES]
        packed = first + second
        assert across in packed
        assert not holds_id(packed, across)
        assert holds_id(packed + across, across)
        assert holds_id(packed, first)
        assert holds_id(packed, second)
        assert not holds_id(b"", first)
        state, op = RecordState("patient", "p1"), register_op(3, '"c"', NAME)
        assert decided(state, op, ids=ItemIds((across,), packed)) == decided(state, op)

    def test_with_itself_there_is_none(self) -> None:
        state = holding(PHONE, (2, '"b"'))
        assert decided(state, register_op(2, '"b"', PHONE)).outcomes


def test_what_is_not_shown_any_more_is_named_as_unseen() -> None:
    state = holding(NAME, (1, '"a"'))
    decision = decided(state, register_op(3, '"c"', NAME, seen(1, 2)))
    assert decision.unseen == ((NAME, seen(2)[0]),)
    assert reasons(decision) == [(op_id(1), "superseded")]


def test_deciding_changes_nothing() -> None:
    state = holding(ALLERGIES, (1, '["a"]'), (2, '["b"]'))
    before = state.encode()
    decided(state, register_op(9, '["c"]', ALLERGIES, seen(1)))
    assert state.encode() == before


def test_the_log_entry_is_the_op_with_its_decision() -> None:
    op = register_op(3, '"c"', NAME, seen(1))
    decision = decided(holding(NAME, (1, '"a"')), op)
    entry = log_entry(op, decision, seq=4, digest=b"d", received_us=7, prev_seq=2)
    assert (entry.seq, entry.digest, entry.received_us, entry.prev_seq) == (4, b"d", 7, 2)
    assert (entry.op_id, entry.user, entry.collection) == (op.op_id, op.user, op.collection)
    assert (entry.record, entry.time_us) == (op.record, op.time_us)
    assert entry.effective_us == decision.effective_us
    assert entry.writes == {NAME: ('"c"',)}
    assert (entry.removed, entry.outcomes) == (decision.removed, decision.outcomes)
    assert entry.revived is decision.revived is False


class TestPolicy:
    """Fields, shapes, values and roles that the policy does not allow."""

    def test_a_field_that_nobody_knows_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(InvalidOp, match="no field 'nmae'; known: name, visits") as raised:
            check_against_policy(register_op(1, '"a"', "r/nmae"), RESTRICTED, None)
        assert (raised.value.code, raised.value.field) == ("unknown_field", "nmae")

    def test_a_known_field_under_another_shape_is_refused(self) -> None:
        with pytest.raises(InvalidOp, match="has the shape 'r/visits'") as raised:
            check_against_policy(register_op(1, "1", "c/visits"), RESTRICTED, None)
        assert (raised.value.code, raised.value.field) == ("wrong_shape", "visits")

    def test_roles_are_asked_for_writing_a_field(self) -> None:
        op = register_op(1, '"a"', NAME)
        check_against_policy(op, RESTRICTED, {"nurse"})
        check_against_policy(op, RESTRICTED, None)
        check_against_policy(register_op(1, '"a"', "r/visits"), RESTRICTED, set())
        with pytest.raises(InvalidOp, match="may not write name") as raised:
            check_against_policy(op, RESTRICTED, {"doctor"})
        assert (raised.value.code, raised.value.field) == ("not_permitted", "name")

    @pytest.mark.parametrize("deleted", [True, False])
    def test_roles_are_asked_for_deleting_and_restoring(self, deleted: bool) -> None:
        op = register_op(1, DeleteMark(deleted).text(), DELETION_ROOT)
        check_against_policy(op, RESTRICTED, {"doctor"})
        check_against_policy(op, RESTRICTED, None)
        with pytest.raises(InvalidOp, match="may not delete or restore") as raised:
            check_against_policy(op, RESTRICTED, {"nurse"})
        assert raised.value.code == "not_permitted"

    def test_every_value_is_checked(self) -> None:
        op = Op(op_id(1), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"a"', "7"))})
        with pytest.raises(InvalidValue) as raised:
            check_against_policy(op, PATIENT, None)
        assert (raised.value.code, raised.value.field) == ("wrong_type", "tags")


class TestUsualWrites:
    """A write for which the whole rule need not be asked is decided as it would be by it."""

    @pytest.mark.parametrize("supersedes", [(), seen(1), seen(1, 2), seen(2)], ids=len)
    @pytest.mark.parametrize("standing", [0, 1, 2, 3])
    @pytest.mark.parametrize("root", [NAME, PHONE, ALLERGIES, "s/tags", "c/visits"])
    def test_the_shorter_way_ends_where_the_whole_rule_does(
        self,
        root: str,
        standing: int,
        supersedes: tuple[EntryId, ...],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        values = ["1", "1", "2", "3"] if root == "c/visits" else ['"a"', '"a"', '"b"', '"c"']
        if root == ALLERGIES:
            values = [f"[{value}]" for value in values]
        state = holding(root, *((n, values[n]) for n in range(1, standing + 1)))
        op = register_op(9, values[0], root, () if root == "c/visits" else supersedes)
        short = decided(state, op)
        asked = []

        def nothing_is_usual(*_: object) -> None:
            asked.append(root)

        monkeypatch.setattr(settling, "_settle_usual", nothing_is_usual)
        assert decided(state, op) == short
        assert asked
