"""Records, conflicts and history as they are read: frozen, never one of several by accident."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from crdtsync import (
    Collection,
    Conflict,
    ConflictChanged,
    NoSuchRecord,
    Replica,
    UnresolvedConflict,
    UsageError,
)
from tests.replica.scripted_server import Ledger, hear
from tests.replica.wards import POLICY, foreign_op, queued


async def in_conflict(tablet: Replica, ledger: Ledger) -> Conflict:
    """p1's allergies: nut by nurse-kim (not sent yet) against latex by dr-lee."""
    await tablet.collection("patient").update("p1", allergies={"nut"})
    ledger.accept(foreign_op("p1", {"r/allergies": '["latex"]'}))
    await hear(tablet, ledger)
    conflict = tablet.collection("patient")["p1"]["allergies"]
    assert isinstance(conflict, Conflict)
    return conflict


class TestRecords:
    """A read-only mapping, a snapshot as of when it was read."""

    async def test_every_type_reads_back_as_its_python_type(self, patients: Collection) -> None:
        values: dict[str, Any] = {
            "name": "김민지",
            "allergies": frozenset({"nut"}),
            "dose": Decimal("2.50"),
            "born": date(1999, 12, 31),
            "seen": datetime(2024, 1, 31, 12, tzinfo=UTC),
            "factor": 1.5,
            "age": 7,
            "active": False,
            "notes": ["b", "a"],
            "scores": {"x": 1},
            "extra": {"a": [None, True]},
            "codes": frozenset({"a"}),
        }
        record = await patients.update("p1", values)
        for name, value in values.items():
            assert record[name] == value
            assert type(record[name]) is type(value)
        assert str(record["dose"]) == "2.50"
        json.dumps(record.to_json())
        assert record.to_json()["born"] == "1999-12-31"

    async def test_what_was_never_written_reads_empty(self, patients: Collection) -> None:
        record = await patients.update("p1", name="Kim")
        assert (record["phone"], record["tags"], record["visits"]) == (None, frozenset(), 0)
        assert set(record) == set(POLICY.collection("patient").fields)
        assert len(record) == len(list(record))
        with pytest.raises(KeyError, match="no field 'nickname'"):
            record["nickname"]
        assert record.get("nickname") is None

    async def test_a_snapshot_never_changes(self, patients: Collection) -> None:
        before = await patients.update("p1", name="Kim", tags={"a"})
        await patients.update("p1", name="Lee", tags={"b"})
        assert (before["name"], before["tags"]) == ("Kim", {"a"})
        with pytest.raises(TypeError):
            before["name"] = "Cho"  # type: ignore[index]
        assert patients["p1"]["name"] == "Lee"

    async def test_says_who_changed_it_when_and_whether_it_was_sent(
        self, tablet: Replica, patients: Collection
    ) -> None:
        record = await patients.update("p1", name="Kim")
        assert (record.id, record.collection, record.updated_by) == ("p1", "patient", "nurse-kim")
        assert record.sync_state == "pending"
        assert record.updated_at.tzinfo is not None
        ledger = Ledger(POLICY)
        ledger.accept(queued(tablet)[0].op)
        ledger.accept(foreign_op("p1", {"r/phone": '"010"'}))
        await hear(tablet, ledger)
        record = patients["p1"]
        assert (record.updated_by, record.sync_state) == ("dr-lee", "synced")
        assert record.updated_at.timestamp() * 1e6 == pytest.approx(ledger.received_us)

    async def test_value_checks_the_type_that_the_program_expects(
        self, tablet: Replica, patients: Collection
    ) -> None:
        record = await patients.update("p1", name="Kim", age=3, active=True)
        assert record.value("name", str) == "Kim"
        assert record.value("phone", str) is None
        assert record.value("age", int) == 3
        assert record.value("active", bool) is True
        for name, kind in (("name", int), ("active", int), ("age", bool)):
            with pytest.raises(UsageError, match=name):
                record.value(name, kind)
        await in_conflict(tablet, Ledger(POLICY))
        with pytest.raises(UnresolvedConflict):
            patients["p1"].value("allergies", frozenset)

    async def test_a_collection_is_a_mapping_of_its_records(
        self, tablet: Replica, patients: Collection
    ) -> None:
        for name in ("p2", "p1"):
            await patients.update(name, name=name)
        await tablet.collection("visit").update("v1", reason="cough")
        assert isinstance(patients, Mapping)
        assert list(patients) == ["p1", "p2"]
        assert len(patients) == 2
        assert {key: record["name"] for key, record in patients.items()} == {
            "p1": "p1",
            "p2": "p2",
        }
        assert "p1" in patients
        for absent in ("p3", "v1", "", "\ud800", 7, None):
            assert absent not in patients
        assert patients.get("p3") is None
        for absent in ("p3", "\ud800"):
            with pytest.raises(NoSuchRecord, match="there is no patient"):
                patients[absent]
        with pytest.raises(KeyError):
            patients["p3"]


class TestConflicts:
    """Invariant 6: no value of several is taken for the value."""

    @pytest.mark.parametrize(
        "misuse",
        [
            lambda c: c == {"nut"},
            lambda c: {"nut"} == c,
            lambda c: c != {"nut"},
            lambda c: c == c,
            lambda c: c == [],
            lambda c: bool(c),
            lambda c: not c,
            lambda c: c or {"none"},
            lambda c: c and 1,
            lambda c: "nut" in c,
            lambda c: c in [{"nut"}],
            lambda c: list(c),
            lambda c: set(c),
            lambda c: {"a"}.union(c),
            lambda c: [*c],
            lambda c: len(c),
            lambda c: hash(c),
            lambda c: {c: 1},
            lambda c: c < {"a"},
            lambda c: sorted([c, c]),
            lambda c: max(c, c),
            lambda c: c | {"a"},
            lambda c: {"a"} | c,
            lambda c: {"a"} & c,
            lambda c: {"a"} - c,
            lambda c: c[0],
            lambda c: operator.add(c, []),
            lambda c: operator.eq(None, c),
            lambda c: any([c]),
            lambda c: 1 if c else 2,
        ],
    )
    async def test_no_misuse_slips_through(
        self, tablet: Replica, misuse: Callable[[Any], object]
    ) -> None:
        conflict = await in_conflict(tablet, Ledger(POLICY))
        with pytest.raises(UnresolvedConflict, match="resolve"):
            misuse(conflict)

    async def test_shows_every_candidate_and_the_safe_union(self, tablet: Replica) -> None:
        conflict = await in_conflict(tablet, Ledger(POLICY))
        assert {(c.user, c.pending) for c in conflict.candidates} == {
            ("nurse-kim", True),
            ("dr-lee", False),
        }
        assert conflict.union() == {"nut", "latex"}
        assert [found.record_id for found in tablet.conflicts()] == ["p1"]
        assert tablet.status.conflicts == 1
        assert len(conflict.to_json()["conflict"]) == 2

    async def test_a_choice_replaces_what_was_seen(
        self, tablet: Replica, patients: Collection
    ) -> None:
        conflict = await in_conflict(tablet, Ledger(POLICY))
        await conflict.resolve({"nut", "latex"})
        assert patients["p1"]["allergies"] == {"nut", "latex"}
        assert tablet.conflicts() == []
        assert tablet.status.conflicts == 0

    async def test_a_candidate_that_arrived_since_keeps_the_conflict_open(
        self, tablet: Replica, patients: Collection
    ) -> None:
        ledger = Ledger(POLICY)
        conflict = await in_conflict(tablet, ledger)
        ledger.accept(foreign_op("p1", {"r/allergies": '["egg"]'}))
        await hear(tablet, ledger)
        assert conflict.union() == {"nut", "latex"}
        with pytest.raises(ConflictChanged, match="choose"):
            await conflict.resolve({"nut"}, if_unchanged=True)
        assert len(patients["p1"]["allergies"].candidates) == 3
        await conflict.resolve({"nut"})
        left = patients["p1"]["allergies"]
        assert isinstance(left, Conflict)
        assert left.union() == {"nut", "egg"}
        await left.resolve({"egg"}, if_unchanged=True)
        assert patients["p1"]["allergies"] == {"egg"}

    async def test_is_a_frozen_snapshot(self, tablet: Replica) -> None:
        conflict = await in_conflict(tablet, Ledger(POLICY))
        with pytest.raises(AttributeError, match="snapshot"):
            conflict.candidates = ()
        with pytest.raises(AttributeError):
            conflict.candidates[0].value = 1  # type: ignore[misc]

    async def test_of_single_values_has_a_union_too(
        self, tablet: Replica, patients: Collection
    ) -> None:
        ledger = Ledger(POLICY)
        for text in ('"1.0"', '"2.50"', "null"):
            ledger.accept(foreign_op("p1", {"r/dose": text}))
        await hear(tablet, ledger)
        assert patients["p1"]["dose"].union() == {Decimal(1), Decimal("2.5")}

    async def test_equal_values_are_one(self, tablet: Replica, patients: Collection) -> None:
        ledger = Ledger(POLICY)
        for text in ('"1.0"', '"1.00"'):
            ledger.accept(foreign_op("p1", {"r/dose": text}))
        await hear(tablet, ledger)
        assert patients["p1"]["dose"] == 1


class TestHistory:
    """Every value that a field had, as far as this device knows."""

    async def test_of_a_device_alone_is_not_complete_and_says_why(
        self, tablet: Replica, patients: Collection
    ) -> None:
        ledger = Ledger(POLICY)
        first = foreign_op("p1", {"r/name": '"Kim"'}, user="dr-lee")
        ledger.accept(first)
        ledger.accept(foreign_op("p1", {"r/name": '"Cho"'}, user="dr-cho"))
        await hear(tablet, ledger)
        record = await patients.update("p1", name="Lee")
        history = await record.history("name")
        assert not history.complete
        assert [past.value for past in history] == ["Lee", "Cho", "Kim"]
        assert [past.visible for past in history] == [True, False, False]
        assert [past.user for past in history] == ["nurse-kim", "dr-cho", "dr-lee"]
        assert history[2].left_because == "lost_received"
        for past in history:
            for lang in ("en", "ko"):
                assert past.why(lang)
            assert past.why("en") != past.why("ko")
        assert history[0].why("en") == "waiting to be sent"
        assert "later" in history[2].why("en")

    async def test_a_value_that_lost_can_be_written_again(
        self, tablet: Replica, patients: Collection
    ) -> None:
        ledger = Ledger(POLICY)
        ledger.accept(foreign_op("p1", {"r/name": '"Kim"'}))
        ledger.accept(foreign_op("p1", {"r/name": '"Cho"'}))
        await hear(tablet, ledger)
        lost = (await patients.history("p1", "name"))[1]
        record = await patients.restore_value("p1", "name", lost)
        assert record["name"] == "Kim"

    async def test_an_element_of_a_set_can_be_put_back(self, patients: Collection) -> None:
        await patients.add("p1", "tags", "red", "blue")
        await patients.remove("p1", "tags", "red")
        history = await patients.history("p1", "tags")
        gone = next(past for past in history if past.value == "red")
        assert not gone.visible
        record = await patients.restore_value("p1", "tags", gone)
        assert record["tags"] == {"red", "blue"}

    async def test_of_a_record_that_nobody_wrote_is_empty(self, patients: Collection) -> None:
        history = await patients.history("p1", "name")
        assert (len(history), history.complete) == (0, False)
        with pytest.raises(UsageError, match="no field"):
            await patients.history("p1", "nickname")

    async def test_what_only_this_device_knows_of_is_never_called_complete(
        self, patients: Collection
    ) -> None:
        record = await patients.update("p1", name="Kim")
        assert not (await record.history("name")).complete
