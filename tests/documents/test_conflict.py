"""A conflict is no value: it shows all candidates, and nothing takes it for one of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from crdtsync.documents.conflict import Candidate, Conflict, moment, plain_json
from crdtsync.documents.errors import UnresolvedConflict, UsageError
from crdtsync.documents.ops import EntryId
from tests.documents.making import op_id


def candidate(number: int, value: Any, user: str = "kim") -> Candidate:
    at = datetime(2024, 1, 31, 9, number, tzinfo=UTC)
    entries = (EntryId(op_id(number), 0), EntryId(op_id(number + 100), 0))
    return Candidate(value, user, at, op_id(number), number == 2, entries)


def conflict_of(*values: Any) -> Conflict:
    found = [candidate(number, value) for number, value in enumerate(values, 1)]
    return Conflict("patient", "p1", "dose", found)


@pytest.mark.parametrize(
    "use",
    [
        bool,
        hash,
        len,
        iter,
        lambda c: c == "1 mg",
        lambda c: c != "1 mg",
        lambda c: c == c,
        lambda c: c in ["1 mg"],
        lambda c: c in {"1 mg": 1},
        lambda c: "1 mg" in c,
        lambda c: c[0],
        lambda c: c < 1,
        lambda c: c <= 1,
        lambda c: c > 1,
        lambda c: c >= 1,
        lambda c: c + 1,
        lambda c: 1 + c,
        lambda c: c - {1},
        lambda c: {1} - c,
        lambda c: c & {1},
        lambda c: {1} & c,
        lambda c: c | {1},
        lambda c: {1} | c,
        set,
        sorted,
        lambda c: [*c],
    ],
)
def test_taking_a_conflict_for_a_value_is_refused(use: Callable[[Any], object]) -> None:
    with pytest.raises(UnresolvedConflict, match="2 different values"):
        use(conflict_of("1 mg", "2 mg"))


@pytest.mark.parametrize("name", ["candidates", "field", "anything"])
def test_a_conflict_is_a_snapshot(name: str) -> None:
    conflict = conflict_of("1 mg", "2 mg")
    with pytest.raises(AttributeError, match="resolve"):
        setattr(conflict, name, ())
    with pytest.raises(AttributeError, match="resolve"):
        delattr(conflict, name)
    assert [c.value for c in conflict.candidates] == ["1 mg", "2 mg"]


async def test_resolving_goes_to_whoever_gave_the_conflict() -> None:
    asked: list[tuple[Conflict, object, bool]] = []

    async def resolver(conflict: Conflict, value: object, if_unchanged: bool) -> None:
        asked.append((conflict, value, if_unchanged))

    conflict = Conflict("patient", "p1", "dose", [candidate(1, "1 mg")], resolver)
    await conflict.resolve("2 mg")
    await conflict.resolve("3 mg", if_unchanged=True)
    assert [(c is conflict, value, only) for c, value, only in asked] == [
        (True, "2 mg", False),
        (True, "3 mg", True),
    ]


async def test_a_conflict_out_of_a_document_names_the_method_of_the_document() -> None:
    with pytest.raises(UsageError, match=r"document\.resolve\('dose', value"):
        await conflict_of("1 mg", "2 mg").resolve("1 mg")


@pytest.mark.parametrize(
    ("values", "union"),
    [
        ((frozenset({"nut"}), frozenset({"nut", "egg"})), {"nut", "egg"}),
        ((["nut"], ("egg",), {"latex"}), {"nut", "egg", "latex"}),
        (("1 mg", "2 mg"), {"1 mg", "2 mg"}),
        ((frozenset({"nut"}), None), {"nut"}),
        ((0, None), {0}),
        ((None,), set()),
    ],
)
def test_the_union_holds_every_element_of_every_candidate(
    values: tuple[Any, ...], union: set[Any]
) -> None:
    assert conflict_of(*values).union() == union


def test_maps_have_no_union() -> None:
    with pytest.raises(UsageError, match="no union"):
        conflict_of({"a": 1}, {"b": 2}).union()


def test_the_entries_of_a_conflict_are_those_of_all_candidates() -> None:
    conflict = conflict_of("1 mg", "2 mg")
    assert conflict.entries() == tuple(EntryId(op_id(n), 0) for n in (1, 101, 2, 102))


def test_a_conflict_in_json_says_who_wrote_what_and_when() -> None:
    assert conflict_of(Decimal("1.50"), None).to_json() == {
        "conflict": [
            {
                "value": "1.50",
                "user": "kim",
                "at": "2024-01-31T09:01:00+00:00",
                "op_id": op_id(1),
                "pending": False,
            },
            {
                "value": None,
                "user": "kim",
                "at": "2024-01-31T09:02:00+00:00",
                "op_id": op_id(2),
                "pending": True,
            },
        ]
    }


def test_a_conflict_shows_itself_to_programmers_without_choosing() -> None:
    shown = repr(conflict_of("1 mg", "2 mg"))
    assert shown == "<Conflict patient/p1.dose: '1 mg' (kim) | '2 mg' (kim)>"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        ("a", "a"),
        (True, True),
        (1, 1),
        (1.5, 1.5),
        (Decimal("1.50"), "1.50"),
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-31T00:00:00+00:00"),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({10, 9}, [10, 9]),
        (["b", "a"], ["b", "a"]),
        ((Decimal(1), None), ["1", None]),
        ({"when": date(2024, 1, 31), 1: {"x"}}, {"when": "2024-01-31", "1": ["x"]}),
    ],
)
def test_python_values_have_a_plain_json_form(value: object, plain: object) -> None:
    assert plain_json(value) == plain
    assert type(plain_json(value)) is type(plain)


def test_a_conflict_within_a_value_is_written_out_too() -> None:
    conflict = conflict_of("1 mg")
    assert plain_json([conflict]) == [conflict.to_json()]


@pytest.mark.parametrize(
    ("time_us", "shown"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1_500_000, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        (2**53 - 1, datetime(2255, 6, 5, 23, 47, 34, 740_991, tzinfo=UTC)),
        (10**18, datetime.max.replace(tzinfo=UTC)),
        (10**30, datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_stamp_is_shown_as_a_moment_within_the_calendar(time_us: int, shown: datetime) -> None:
    assert abs((moment(time_us) - shown).total_seconds()) < 0.001
