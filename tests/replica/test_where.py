"""``where``: equality as the policy means it, order, and nothing that a value can break out of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from crdtsync import Collection, Conflict, InvalidValue, Replica, UsageError
from crdtsync.replica import applying
from tests.replica.scripted_server import Ledger
from tests.replica.wards import POLICY, foreign_op, replica

SEOUL = timezone(timedelta(hours=9))
NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(name="tablet")
async def _tablet() -> AsyncIterator[Replica]:
    async with replica() as opened:
        yield opened


@pytest.fixture(name="patients")
def _patients(tablet: Replica) -> Collection:
    return tablet.collection("patient")


async def ids(patients: Collection, *args: Any, **more: Any) -> list[str]:
    return [record.id for record in await patients.where(*args, **more)]


@pytest.mark.parametrize(
    ("field", "value", "other", "asked"),
    [
        ("name", "김민지", "김민수", "김민지"),
        ("name", "e\u0301", "e", "\u00e9"),
        ("name", 'a"b\\c\n', "a", 'a"b\\c\n'),
        ("name", '["a"]', "a", '["a"]'),
        ("name", "null", "nil", "null"),
        ("age", 0, 1, 0),
        ("age", 2**53 - 1, 2**53 - 2, 2**53 - 1),
        ("factor", 1.5, 1.25, 1.5),
        ("factor", 1, 2, 1.0),
        ("factor", 1e300, 1e299, 1e300),
        ("active", True, False, True),
        ("active", False, True, False),
        ("weight", Decimal("1.50"), Decimal("1.51"), Decimal("1.5")),
        ("weight", Decimal("123456789012345678.1"), Decimal("123456789012345678.2"), None),
        ("born", date(2024, 1, 31), date(2024, 1, 30), "2024-01-31"),
        ("seen", NOON, NOON + timedelta(hours=9), NOON.astimezone(SEOUL)),
        ("notes", ["b", "a"], ["a", "b"], ["b", "a"]),
        ("scores", {"x": 1, "y": 2}, {"x": 1}, {"y": 2, "x": 1}),
        ("extra", {"a": [1, None, True]}, {"a": [1, None, 1]}, {"a": [1, None, True]}),
        ("extra", 1, True, 1),
        ("extra", "1", 1, "1"),
        ("extra", {"~": ["x"]}, "x", {"~": ["x"]}),
        ("codes", {"b", "a"}, {"a"}, ["a", "b"]),
        ("allergies", {"nut", "egg"}, {"nut"}, {"egg", "nut"}),
        ("dose", Decimal("2.0"), Decimal("2.1"), Decimal("2")),
        ("phone", "010", "011", "010"),
    ],
)
async def test_values_are_found_by_what_they_mean(
    patients: Collection, field: str, value: object, other: object, asked: object
) -> None:
    await patients.update("p1", {field: value})
    await patients.update("p2", {field: other})
    await patients.update("p3", id="x")
    assert await ids(patients, {field: value if asked is None else asked}) == ["p1"]
    assert await ids(patients, {field: other}) == ["p2"]


async def test_nothing_matches_what_was_never_written_or_was_cleared(
    patients: Collection,
) -> None:
    await patients.update("p1", name="Kim")
    await patients.update("p2", name=None)
    await patients.update("p3", phone="010")
    assert await ids(patients, {"name": None}) == ["p2", "p3"]
    assert await ids(patients, {"name": "Kim", "phone": None}) == ["p1"]


async def test_a_set_matches_by_element_and_a_counter_by_its_sum(patients: Collection) -> None:
    await patients.add("p1", "tags", "red", "blue")
    await patients.add("p2", "tags", "redder")
    await patients.increment("p1", "visits", 3)
    await patients.increment("p1", "visits", -3)
    await patients.increment("p2", "visits", 7)
    await patients.increment("p1", "balance", Decimal("1.50"))
    await patients.increment("p1", "balance", Decimal("0.50"))
    assert await ids(patients, {"tags": "red"}) == ["p1"]
    assert await ids(patients, {"visits": 7}) == ["p2"]
    assert await ids(patients, {"visits": 0}) == ["p1"]
    assert await ids(patients, {"balance": Decimal("2")}) == ["p1"]
    assert await ids(patients, {"balance": 0}) == ["p2"]


async def test_a_field_in_conflict_matches_each_of_its_candidates(
    tablet: Replica, patients: Collection
) -> None:
    ledger = Ledger(POLICY)
    for text in ('"1.0"', '"2.50"', "null"):
        ledger.accept(foreign_op("p1", {"r/dose": text}))
    ledger.accept(foreign_op("p2", {"r/dose": '"9"'}))
    await tablet._open_store().change(applying.apply_entries, ledger.since(0).entries, 0)
    assert isinstance(patients["p1"]["dose"], Conflict)
    for dose in (1, Decimal("2.5"), None):
        assert await ids(patients, {"dose": dose}) == ["p1"]
    assert await ids(patients, {"dose": 3}) == []
    assert await ids(patients, order_by="dose") == ["p1", "p2"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("age", [-5, 2, 10, 100]),
        ("factor", [-1.5, 0, 2.25, 1e10]),
        ("weight", ["-3", "2.5", "10", "123456789012345678.1", "123456789012345678.2"]),
        ("name", ["", "Ann", "Ann B", "Zoe", "가"]),
        ("born", ["1999-12-31", "2000-01-01"]),
        ("seen", ["2024-01-01T01:00:00+09:00", "2023-12-31T17:00:00+00:00"]),
        ("active", [False, True]),
    ],
)
async def test_order_is_that_of_the_values(
    patients: Collection, field: str, values: list[object]
) -> None:
    for place in sorted(range(len(values)), key=lambda n: n * 7 % 5):
        await patients.update(f"p{place}", {field: values[place]})
    wanted = [f"p{n}" for n in range(len(values))]
    assert await ids(patients, order_by=field) == wanted
    assert await ids(patients, order_by=field, descending=True) == wanted[::-1]
    assert await ids(patients, order_by=field, limit=2) == wanted[:2]


async def test_order_without_a_field_is_that_of_the_ids(patients: Collection) -> None:
    for name in ("b", "c", "a"):
        await patients.update(name, age=1)
    assert await ids(patients) == ["a", "b", "c"]
    assert await ids(patients, {"age": 1}, descending=True, limit=2) == ["c", "b"]
    assert await ids(patients, limit=0) == []


@pytest.mark.parametrize("limit", [-1, "1; DROP TABLE records", 1.5, 2**63])
async def test_a_limit_that_counts_nothing_is_refused(patients: Collection, limit: Any) -> None:
    with pytest.raises(UsageError, match="limit"):
        await patients.where(limit=limit)


@pytest.mark.parametrize(
    "evil",
    ["x' OR '1'='1", '"; DROP TABLE outbox; --', "$", "$.name", "%", "\\", "');--", "[0]", "null"],
)
async def test_a_value_or_name_cannot_break_out_of_the_query(
    tablet: Replica, patients: Collection, evil: str
) -> None:
    await patients.update("p1", name="Kim")
    await patients.update("p2", name=evil, tags={evil})
    assert await ids(patients, {"name": evil}) == ["p2"]
    assert await ids(patients, {"tags": evil}) == ["p2"]
    for arguments in ({"fields": {evil: 1}}, {"order_by": evil}):
        with pytest.raises(UsageError, match="no field"):
            await patients.where(**arguments)
    assert len(tablet.outbox) == 2


async def test_a_value_of_the_wrong_type_is_refused(patients: Collection) -> None:
    with pytest.raises(InvalidValue):
        await patients.where({"age": "3"})


async def test_deleted_records_and_other_collections_are_left_out(
    tablet: Replica, patients: Collection
) -> None:
    await patients.update("p1", name="Kim")
    await patients.update("p2", name="Kim")
    await patients.delete("p2")
    await tablet.collection("visit").update("p3", reason="Kim")
    assert await ids(patients, {"name": "Kim"}) == ["p1"]
    assert await ids(patients) == ["p1"]
