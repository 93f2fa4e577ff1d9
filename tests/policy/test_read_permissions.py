"""Who may read what: the lists of a policy file, and the way of seeing that roles give."""

from __future__ import annotations

import pytest

from crdtsync.policy import Policy, compare
from tests.policy.policies import policy_of, problems_of

WARD = """
version = 1
[patient]
read = ["nurse", "clinician"]
write = ["nurse"]
[patient.fields]
name  = { type = "string" }
notes = { type = "string", read = ["clinician"], write = ["clinician"] }
ward  = { type = "string", read = ["nurse", "clinician", "porter"] }
[diagnosis]
read = ["clinician"]
write = ["clinician"]
[diagnosis.fields]
code = { type = "string" }
[menu.fields]
soup = { type = "string" }
"""


def test_a_field_without_a_list_has_that_of_its_collection() -> None:
    fields = Policy.parse(WARD).collection("patient").fields
    assert fields["name"].read == frozenset({"nurse", "clinician"})
    assert fields["notes"].read == frozenset({"clinician"})
    assert Policy.parse(WARD).collection("menu").fields["soup"].read is None


@pytest.mark.parametrize(
    ("roles", "seen"),
    [
        ({"clinician"}, {"patient.name", "patient.notes", "patient.ward", "diagnosis.code"}),
        ({"nurse"}, {"patient.name", "patient.ward"}),
        ({"porter"}, {"patient.ward"}),
        ({"gardener"}, set()),
        (set(), set()),
        (None, {"patient.name", "patient.notes", "patient.ward", "diagnosis.code"}),
    ],
)
def test_roles_give_a_way_of_seeing(roles: set[str] | None, seen: set[str]) -> None:
    policy = Policy.parse(WARD)
    sight = policy.visibility(roles)
    found = {
        f"{name}.{field.name}"
        for name, rules in policy.collections.items()
        for field in rules.fields.values()
        if sight.may_read(name, field.root)
    }
    assert found == seen | {"menu.soup"}
    assert {
        f"{name}.{field}"
        for name, rules in policy.collections.items()
        for field in rules.fields
        if sight.may_read_field(name, field)
    } == found
    assert sight.is_full == (len(found) == 5)
    assert (sight.mark == "") == sight.is_full


def test_nothing_of_a_collection_without_a_readable_field_is_seen() -> None:
    sight = Policy.parse(WARD).visibility({"nurse"})
    assert not sight.sees_collection("diagnosis")
    assert not sight.may_read("diagnosis", "d/")
    assert sight.sees_collection("patient")
    assert sight.may_read("patient", "d/")
    assert sight.hiding == {"diagnosis", "patient"}
    assert sight.sees_collection("menu")


def test_what_the_policy_does_not_know_may_not_be_read_by_name() -> None:
    sight = Policy.parse(WARD).visibility({"clinician"})
    assert not sight.may_read_field("patient", "shoe_size")
    assert not sight.may_read_field("wards", "name")


def test_equal_ways_of_seeing_have_one_mark_and_others_another() -> None:
    policy = Policy.parse(WARD)
    nurse = policy.visibility({"nurse"})
    assert nurse.mark == policy.visibility({"nurse", "gardener"}).mark
    marks = {policy.visibility({role}).mark for role in ("nurse", "porter", "clinician", "cook")}
    assert len(marks) == 4
    assert policy.visibility({"clinician"}).mark == ""


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (
            '[c.fields]\nf = { type = "string", read = ["a"] }',
            "c.fields.f.write",
            "every role may write what only a may read",
        ),
        (
            '[c.fields]\nf = { type = "string", read = ["a"], write = ["a", "b"] }',
            "c.fields.f.write",
            "b may write what only a may read",
        ),
        (
            '[c]\nread = []\n[c.fields]\nf = { type = "string", write = ["a"] }',
            "c.fields.f.write",
            "a may write what only nobody may read",
        ),
        (
            '[c]\nread = ["a"]\nwrite = ["a"]\ndelete = ["z"]\n[c.fields]\n'
            'f = { type = "string" }\ng = { type = "string", read = ["b"], write = [] }',
            "c.delete",
            "z may delete what only a, b may read",
        ),
        ('[c.fields]\nf = { type = "string", read = "a" }', "c.fields.f.read", "list of texts"),
        ('[c]\nread = 3\n[c.fields]\nf = { type = "string" }', "c.read", "list of texts"),
    ],
)
def test_nobody_replaces_what_they_cannot_see(text: str, where: str, what: str) -> None:
    problems = problems_of(f"version = 1\n{text}\n")
    assert any(problem.where == where and what in problem.what for problem in problems), problems
    assert all(problem.cure for problem in problems)


def test_another_list_of_readers_is_a_safe_change_that_is_told() -> None:
    old = policy_of('f = { type = "string" }', collection='write = ["a"]')
    new = policy_of(
        'f = { type = "string" }', version=2, collection='read = ["a", "b"]\nwrite = ["a"]'
    )
    difference = compare(old, new)
    assert difference.ok
    assert {change.where for change in difference.changes} == {"c.read", "c.fields.f.read"}
    assert all("a, b" in change.what for change in difference.changes)
