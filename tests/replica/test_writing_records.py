"""The ways to write a record, one sentence of the public interface after the other."""

from __future__ import annotations

import asyncio
import gc
import warnings
from decimal import Decimal
from pathlib import Path

import pytest

from crdtsync import (
    Collection,
    Conflict,
    CrdtsyncError,
    InvalidOp,
    InvalidValue,
    NoSuchRecord,
    RecordDeleted,
    RecordExists,
    Replica,
    ReplicaClosed,
    UnknownCollection,
    UnresolvedConflict,
    UsageError,
)
from tests.replica.scripted_server import Ledger, hear
from tests.replica.wards import POLICY, foreign_op, new_id, queued, replica


async def test_an_update_is_one_op_and_begins_a_record_that_is_not_there(
    tablet: Replica, patients: Collection
) -> None:
    record = await patients.update("p1", name="Kim Minji", allergies={"peanut"})
    assert record["name"] == "Kim Minji"
    assert record["allergies"] == {"peanut"}
    assert len(tablet.outbox) == 1
    assert tablet.outbox[0].fields == {"name": "Kim Minji", "allergies": ["peanut"]}


async def test_field_names_that_clash_with_parameters_go_into_the_mapping(
    patients: Collection,
) -> None:
    record = await patients.update("p1", {"id": "123", "based_on": "paper"}, name="Kim")
    assert (record["id"], record["based_on"], record["name"]) == ("123", "paper", "Kim")
    assert record.id == "p1"


async def test_one_op_writes_all_of_its_fields_or_none(
    tablet: Replica, patients: Collection
) -> None:
    with pytest.raises(InvalidValue, match="age"):
        await patients.update("p1", name="Kim", age="old")
    assert "p1" not in patients
    assert tablet.outbox == []
    await patients.update("p1", name="Kim", age=3)
    assert len(tablet.outbox) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (({"nickname": "Minji"},), "no field 'nickname'"),
        (({},), "name at least one field"),
        (({"visits": 3},), "use increment"),
        (({"tags": "red"},), "is a set"),
    ],
)
async def test_a_write_that_makes_no_sense_says_what_to_do(
    patients: Collection, arguments: tuple[dict[str, object]], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        await patients.update("p1", *arguments)


@pytest.mark.parametrize("bad", ["", "a\x00b", "a\nb", "x" * 257, "\ud800", "줄" * 86])
async def test_an_unsafe_record_id_is_refused(
    tablet: Replica, patients: Collection, bad: str
) -> None:
    with pytest.raises(InvalidOp):
        await patients.update(bad, name="Kim")
    assert tablet.outbox == []


async def test_a_record_id_that_is_no_text_is_refused(patients: Collection) -> None:
    with pytest.raises(UsageError, match="text"):
        await patients.update(7, name="Kim")  # type: ignore[arg-type]
    assert 7 not in patients  # type: ignore[comparison-overlap]


async def test_an_unknown_collection_names_the_known_ones(tablet: Replica) -> None:
    with pytest.raises(UnknownCollection, match="patient"):
        tablet.collection("patients")


async def test_create_makes_an_id_and_the_same_op_id_gives_the_same_record(
    tablet: Replica, patients: Collection
) -> None:
    key = new_id()
    first = await patients.create(name="Kim", op_id=key)
    again = await patients.create(name="Kim", op_id=key)
    assert again.id == first.id
    assert len(first.id) == 36
    assert len(patients) == 1
    assert len(tablet.outbox) == 1


async def test_create_of_an_id_that_is_there_is_refused(patients: Collection) -> None:
    await patients.create(id="p1", name="Kim")
    with pytest.raises(RecordExists, match="use update"):
        await patients.create(id="p1", name="Lee")
    assert patients["p1"]["name"] == "Kim"


async def test_create_of_a_deleted_id_says_to_restore_it(patients: Collection) -> None:
    await patients.create(id="p1", name="Kim")
    await patients.delete("p1")
    with pytest.raises(RecordDeleted, match="restore"):
        await patients.create(id="p1", name="Lee")


async def test_create_needs_the_required_fields(tablet: Replica) -> None:
    visits = tablet.collection("visit")
    with pytest.raises(InvalidValue, match="reason"):
        await visits.create(id="v1", reason=None)
    with pytest.raises(InvalidValue, match="reason"):
        await visits.create({}, id="v1")
    assert (await visits.create(id="v1", reason="cough"))["reason"] == "cough"


class TestTheSameOpIdAgain:
    """The same content changes nothing; other content is a mistake that is told."""

    async def test_with_the_same_content_changes_nothing(
        self, tablet: Replica, patients: Collection
    ) -> None:
        key = new_id()
        await patients.update("p1", name="Kim", tags={"a"}, op_id=key)
        await patients.update("p1", name="Kim", tags={"a"}, op_id=key)
        other = new_id()
        await patients.increment("p1", "visits", 2, op_id=other)
        record = await patients.increment("p1", "visits", 2, op_id=other)
        assert record["visits"] == 2
        third = new_id()
        await patients.add("p1", "tags", "b", op_id=third)
        await patients.add("p1", "tags", "b", op_id=third)
        fourth = new_id()
        await patients.remove("p1", "tags", "b", op_id=fourth)
        assert (await patients.remove("p1", "tags", "b", op_id=fourth))["tags"] == {"a"}
        fifth = new_id()
        await patients.delete("p1", op_id=fifth)
        await patients.delete("p1", op_id=fifth)
        sixth = new_id()
        await patients.restore("p1", op_id=sixth)
        await patients.restore("p1", op_id=sixth)
        assert len(tablet.outbox) == 6

    async def test_with_other_content_is_refused(
        self, tablet: Replica, patients: Collection
    ) -> None:
        key = new_id()
        await patients.update("p1", name="Kim", op_id=key)
        await patients.update("p2", name="Lee")
        wrong = [
            patients.update("p1", name="Lee", op_id=key),
            patients.update("p2", name="Kim", op_id=key),
            patients.update("p1", name="Kim", phone="010", op_id=key),
            patients.update("p1", phone="010", op_id=key),
            patients.update("p1", tags={"a"}, op_id=key),
            patients.increment("p1", "visits", op_id=key),
            patients.add("p1", "tags", "a", op_id=key),
            patients.remove("p1", "tags", "a", op_id=key),
            patients.delete("p1", op_id=key),
            patients.clear("p1", "name", op_id=key),
            patients.create(name="Kim", phone="010", op_id=key),
        ]
        for write in wrong:
            with pytest.raises(UsageError, match="already belongs to another write"):
                await write
        assert len(tablet.outbox) == 2

    async def test_with_fewer_fields_is_refused(self, patients: Collection) -> None:
        key = new_id()
        await patients.update("p1", name="Kim", phone="010", op_id=key)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.update("p1", name="Kim", op_id=key)

    async def test_with_another_amount_or_element_is_refused(self, patients: Collection) -> None:
        key, other = new_id(), new_id()
        await patients.increment("p1", "visits", 5, op_id=key)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.increment("p1", "visits", 7, op_id=key)
        await patients.add("p1", "tags", "red", op_id=other)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.add("p1", "tags", "blue", op_id=other)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.update("p1", tags={"blue"}, op_id=other)
        assert patients["p1"]["visits"] == 5
        assert patients["p1"]["tags"] == {"red"}

    async def test_of_another_record_for_a_delete_or_restore_is_refused(
        self, patients: Collection
    ) -> None:
        key = new_id()
        for record in ("p1", "p2"):
            await patients.update(record, name="Kim")
        await patients.delete("p1", op_id=key)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.delete("p2", op_id=key)
        with pytest.raises(UsageError, match="already belongs"):
            await patients.restore("p1", op_id=key)
        assert "p2" in patients

    async def test_is_remembered_after_the_log_has_brought_it_back(
        self, tablet: Replica, patients: Collection
    ) -> None:
        key = new_id()
        await patients.update("p1", name="Kim", op_id=key)
        ledger = Ledger(POLICY)
        ledger.accept(queued(tablet)[0].op)
        await hear(tablet, ledger)
        assert tablet.outbox == []
        await patients.update("p1", name="Kim", op_id=key)
        assert tablet.outbox == []
        with pytest.raises(UsageError, match="already belongs"):
            await patients.update("p1", name="Lee", op_id=key)

    async def test_has_to_be_a_uuid(self, patients: Collection) -> None:
        with pytest.raises(UsageError, match="UUID v4"):
            await patients.update("p1", name="Kim", op_id="form-17")


class TestDeletedRecords:
    """Deleting, restoring, and writing to what is gone."""

    async def test_a_deleted_record_is_gone_and_restore_brings_it_back_as_it_was(
        self, patients: Collection
    ) -> None:
        await patients.update("p1", name="Kim")
        await patients.delete("p1")
        assert "p1" not in patients
        assert len(patients) == 0
        gone = patients.get_deleted("p1")
        assert gone is not None
        assert (gone["name"], gone.deleted) == ("Kim", True)
        record = await patients.restore("p1")
        assert (record["name"], record.deleted) == ("Kim", False)
        assert list(patients) == ["p1"]
        assert patients.get_deleted("p1") is None

    async def test_an_update_of_a_deleted_record_is_refused(self, patients: Collection) -> None:
        await patients.update("p1", name="Kim")
        await patients.delete("p1")
        with pytest.raises(RecordDeleted, match="restore it first"):
            await patients.update("p1", name="Lee")
        with pytest.raises(RecordDeleted):
            await patients.increment("p1", "visits")

    @pytest.mark.parametrize("form", ["record", "version"])
    async def test_an_update_based_on_the_record_before_its_delete_brings_it_back(
        self, patients: Collection, form: str
    ) -> None:
        before = await patients.update("p1", name="Kim")
        await patients.delete("p1")
        base = before if form == "record" else before.version
        record = await patients.update("p1", phone="010", based_on=base)
        assert (record["name"], record["phone"], record.deleted) == ("Kim", "010", False)

    async def test_so_does_one_based_on_a_record_that_was_deleted_and_restored_before(
        self, patients: Collection
    ) -> None:
        await patients.update("p1", name="Kim")
        await patients.delete("p1")
        restored = await patients.restore("p1")
        await patients.delete("p1")
        for base in (restored, restored.version):
            record = await patients.update("p1", phone="010", based_on=base)
            assert not record.deleted
            await patients.delete("p1")

    async def test_an_update_based_on_the_deleted_record_is_refused(
        self, patients: Collection
    ) -> None:
        await patients.update("p1", name="Kim")
        await patients.delete("p1")
        gone = patients.get_deleted("p1")
        assert gone is not None
        for base in (gone, gone.version):
            with pytest.raises(RecordDeleted):
                await patients.update("p1", name="Lee", based_on=base)

    async def test_deleting_and_restoring_what_is_not_there_is_refused(
        self, patients: Collection
    ) -> None:
        with pytest.raises(NoSuchRecord):
            await patients.delete("p1")
        await patients.update("p1", name="Kim")
        with pytest.raises(UsageError, match="not deleted"):
            await patients.restore("p1")
        await patients.delete("p1")
        with pytest.raises(NoSuchRecord):
            await patients.delete("p1")

    async def test_a_delete_leaves_a_record_that_somebody_edited_meanwhile(
        self, tablet: Replica, patients: Collection
    ) -> None:
        ledger = Ledger(POLICY)
        ledger.accept(foreign_op("p1", {"r/name": '"Kim"'}))
        await hear(tablet, ledger)
        seen = patients["p1"]
        ledger.accept(foreign_op("p1", {"r/phone": '"010"'}))
        await hear(tablet, ledger)
        await patients.delete("p1", based_on=seen)
        assert patients["p1"]["phone"] == "010"
        await patients.delete("p1")
        assert "p1" not in patients


class TestFieldsOfEachKind:
    """Clearing, counting, sets."""

    async def test_clear_writes_nothing_into_registers_and_empties_sets(
        self, patients: Collection
    ) -> None:
        await patients.update("p1", name="Kim", tags={"a", "b"}, allergies={"nut"})
        record = await patients.clear("p1", "name", "tags", "allergies")
        assert (record["name"], record["tags"], record["allergies"]) == (None, frozenset(), None)

    async def test_counters_count_integers_and_decimals(self, patients: Collection) -> None:
        await patients.increment("p1", "visits")
        await patients.increment("p1", "visits", 5)
        await patients.increment("p1", "visits", -2)
        await patients.increment("p1", "balance", Decimal("0.10"))
        record = await patients.increment("p1", "balance", Decimal("0.20"))
        assert record["visits"] == 4
        assert record["balance"] == Decimal("0.30")
        with pytest.raises(CrdtsyncError):
            await patients.increment("p1", "name")
        with pytest.raises(InvalidValue):
            await patients.increment("p1", "visits", Decimal("0.5"))
        with pytest.raises(UsageError, match="counter"):
            await patients.clear("p1", "visits")

    async def test_elements_are_added_and_removed(
        self, tablet: Replica, patients: Collection
    ) -> None:
        await patients.add("p1", "tags", "a", "b", "a")
        record = await patients.remove("p1", "tags", "b")
        assert record["tags"] == {"a"}
        writes = len(tablet.outbox)
        record = await patients.remove("p1", "tags", "zzz")
        assert record["tags"] == {"a"}
        assert len(tablet.outbox) == writes
        with pytest.raises(UsageError, match="use update"):
            await patients.add("p1", "allergies", "nut")

    async def test_assigning_a_whole_set_is_the_difference_to_what_was_seen(
        self, patients: Collection
    ) -> None:
        seen = await patients.update("p1", tags={"a", "b"})
        await patients.add("p1", "tags", "c")
        record = await patients.update("p1", tags={"b", "d"}, based_on=seen)
        assert record["tags"] == {"b", "c", "d"}

    async def test_many_records_are_written_in_one_commit_or_not_at_all(
        self, tablet: Replica, patients: Collection
    ) -> None:
        records = await patients.update_many({"p1": {"name": "Kim"}, "p2": {"name": "Lee"}})
        assert [record["name"] for record in records] == ["Kim", "Lee"]
        with pytest.raises(InvalidValue):
            await patients.update_many({"p3": {"name": "Cho"}, "p4": {"age": "x"}})
        assert sorted(patients) == ["p1", "p2"]
        assert len(tablet.outbox) == 2
        assert await patients.update_many({}) == []


class TestBases:
    """What a person had seen decides what a save replaces."""

    @pytest.mark.parametrize("form", ["record", "version"])
    async def test_what_arrived_while_a_form_was_open_survives_the_save(
        self, tablet: Replica, patients: Collection, form: str
    ) -> None:
        seen = await patients.update("p1", allergies={"nut"})
        ledger = Ledger(POLICY)
        ledger.accept(queued(tablet)[0].op)
        ledger.accept(foreign_op("p1", {"r/allergies": '["latex"]'}))
        await hear(tablet, ledger)
        assert isinstance(patients["p1"]["allergies"], Conflict)
        base = seen if form == "record" else seen.version
        record = await patients.update("p1", allergies={"egg"}, based_on=base)
        conflict = record["allergies"]
        assert isinstance(conflict, Conflict)
        assert conflict.union() == {"latex", "egg"}

    async def test_a_conflicted_field_is_not_overwritten_without_a_choice(
        self, tablet: Replica, patients: Collection
    ) -> None:
        await patients.update("p1", allergies={"nut"})
        ledger = Ledger(POLICY)
        ledger.accept(foreign_op("p1", {"r/allergies": '["latex"]'}))
        await hear(tablet, ledger)
        shown = patients["p1"]
        for base in (None, shown, shown.version):
            with pytest.raises(UnresolvedConflict, match=r"conflict\.resolve"):
                await patients.update("p1", allergies={"egg"}, based_on=base)
        assert (await patients.update("p1", name="Kim", based_on=shown))["name"] == "Kim"

    async def test_a_base_of_another_record_or_kind_is_refused(self, patients: Collection) -> None:
        other = await patients.update("p2", name="Lee")
        with pytest.raises(UsageError, match="p2"):
            await patients.update("p1", name="Kim", based_on=other)
        for bad in ("yesterday", "-1", "٣", "1:not-an-op"):
            with pytest.raises(UsageError, match="version"):
                await patients.update("p1", name="Kim", based_on=bad)
        with pytest.raises(UsageError, match="based_on"):
            await patients.update("p1", name="Kim", based_on=7)  # type: ignore[arg-type]


class TestDurability:
    """Invariant 1: durable when it returns; cancelled, wholly there or not at all."""

    async def test_a_write_that_is_not_awaited_is_not_made_and_python_says_so(
        self, tablet: Replica, patients: Collection
    ) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            patients.update("p1", name="Kim")  # type: ignore[unused-coroutine]
            gc.collect()
        assert any(
            issubclass(w.category, RuntimeWarning) and "never awaited" in str(w.message)
            for w in caught
        )
        assert "p1" not in patients
        assert tablet.outbox == []

    async def test_writes_that_run_together_see_each_other(self, patients: Collection) -> None:
        await asyncio.gather(
            *(patients.update("p1", allergies={str(n)}) for n in range(20)),
            *(patients.increment("p1", "visits") for _ in range(20)),
            *(patients.add("p1", "tags", str(n)) for n in range(20)),
        )
        record = patients["p1"]
        assert record["allergies"] == {"19"}
        assert record["visits"] == 20
        assert record["tags"] == {str(n) for n in range(20)}

    async def test_a_cancelled_write_is_there_wholly_or_not_at_all(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            for n in range(40):
                task = asyncio.create_task(patients.update(f"p{n}", name="Kim", phone="010", age=n))
                for _ in range(n % 8):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            assert len(patients) == len(tablet.outbox)
            assert 0 < len(patients) <= 40
            for record in patients.values():
                assert (record["name"], record["phone"]) == ("Kim", "010")

    async def test_a_write_whose_caller_was_cancelled_is_told_to_watchers(
        self, tmp_path: Path
    ) -> None:
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            async with patients.watch() as changes, asyncio.timeout(30):
                write = asyncio.create_task(patients.update("p1", name="Kim"))
                await asyncio.sleep(0)
                write.cancel()
                await asyncio.gather(write, return_exceptions=True)
                async for change in changes:
                    assert change.ids == {"p1"}
                    break
            assert patients["p1"]["name"] == "Kim"

    async def test_what_was_begun_is_finished_before_the_file_is_closed(
        self, tmp_path: Path
    ) -> None:
        tablet = replica(tmp_path / "a.db")
        await tablet.start()
        patients = tablet.collection("patient")
        writes = [asyncio.create_task(patients.update(f"p{n}", age=n)) for n in range(30)]
        await asyncio.sleep(0)
        await tablet.close()
        done = await asyncio.gather(*writes, return_exceptions=True)
        assert all(isinstance(one, ReplicaClosed) or not isinstance(one, Exception) for one in done)
        async with replica(tmp_path / "a.db") as tablet:
            assert len(tablet.collection("patient")) == 30

    async def test_there_is_a_bound_to_what_may_wait(
        self, tablet: Replica, patients: Collection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crdtsync.replica.queue_rows.MAX_OUTBOX_OPS", 3)
        for n in range(3):
            await patients.update(f"p{n}", age=n)
        with pytest.raises(UsageError, match="sync before writing more"):
            await patients.update("p3", age=3)
        assert len(tablet.outbox) == 3
