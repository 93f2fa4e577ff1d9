"""What may change between two versions of a policy, and what must be migrated."""

from __future__ import annotations

import pytest

from crdtsync.policy import Policy, PolicyChange, compare
from tests.policy.policies import policy_of


def change_of(before: str, after: str, *, collection: str = "") -> PolicyChange:
    """The single change from one definition of field `f` to another."""
    difference = compare(policy_of(before), policy_of(after, version=2, collection=collection))
    (change,) = difference.changes
    assert difference.ok == (change.kind == "safe")
    assert difference.refused == (() if difference.ok else (change,))
    return change


def test_the_same_policy_has_no_changes() -> None:
    policy = policy_of('f = { type = "string" }')
    assert compare(policy, policy).changes == ()
    assert compare(policy, policy).ok


@pytest.mark.parametrize("after", ["server-latest", "user-latest"])
def test_register_kinds_change_into_each_other(after: str) -> None:
    change = change_of(
        'f = { type = "string", merge = "manual" }', f'f = {{ type = "string", merge = "{after}" }}'
    )
    assert change.kind == "safe"
    assert change.where == "c.fields.f.merge"
    assert "conflicts that are open stay open" in change.what


@pytest.mark.parametrize(
    ("before", "after"), [("server-latest", "user-latest"), ("user-latest", "manual")]
)
def test_open_conflicts_are_spoken_of_only_where_there_can_be_some(before: str, after: str) -> None:
    change = change_of(
        f'f = {{ type = "string", merge = "{before}" }}',
        f'f = {{ type = "string", merge = "{after}" }}',
    )
    assert change.what == f"{before} became {after}."


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("max_length = 3", "", "3 became no limit"),
        ("required = true", "", "true became false"),
        ("pattern = '[a-z]'", "pattern = '[0-9]'", "[a-z] became [0-9]"),
        ('choices = ["a"]', 'choices = ["a", "b"]', "(a) became (a, b)"),
    ],
)
def test_a_limit_is_shown_as_it_was_and_as_it_is(before: str, after: str, what: str) -> None:
    change = change_of(
        f'f = {{ type = "string", {before} }}'.replace(", }", " }"),
        f'f = {{ type = "string", {after} }}'.replace(",  }", " }"),
    )
    assert change.what.startswith(f"{what}; stored values stay")


def test_a_write_that_is_open_to_everyone_again_is_told_so() -> None:
    field = 'f = { type = "string" }'
    change = change_of('f = { type = "string", write = ["nurse", "clinician"] }', field)
    assert (change.where, change.what) == ("c.fields.f.write", "Writing is now open to every role.")
    back = change_of(field, 'f = { type = "string", write = ["nurse", "clinician"] }')
    assert back.what == "Writing is now open to clinician, nurse."


def test_a_change_across_shapes_is_refused_with_the_way_to_migrate() -> None:
    change = change_of('f = { type = "integer" }', 'f = { type = "integer", merge = "counter" }')
    assert change.kind == "refused"
    assert change.how_to_migrate is not None
    assert "new name" in change.how_to_migrate
    assert change_of(
        'f = { type = "set<string>", merge = "set" }',
        'f = { type = "set<string>", merge = "manual" }',
    ).kind == "refused"  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("integer", "number", "safe"),
        ("list<integer>", "list<number>", "safe"),
        ("number", "integer", "refused"),
        ("string", "date", "refused"),
        ("integer", "decimal", "refused"),
        ("set<string>", "list<string>", "refused"),
    ],
)
def test_a_type_changes_only_if_every_stored_value_fits(before: str, after: str, kind: str) -> None:
    change = change_of(f'f = {{ type = "{before}" }}', f'f = {{ type = "{after}" }}')
    assert change.kind == kind
    assert (change.how_to_migrate is None) == (kind == "safe")


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ("max_length = 3", "max_length"),
        ("required = true", "required"),
        ('choices = ["a"]', "choices"),
        ("pattern = '[a-z]+'", "pattern"),
    ],
)
def test_a_tighter_limit_is_safe_and_says_what_it_means(rules: str, key: str) -> None:
    change = change_of('f = { type = "string" }', f'f = {{ type = "string", {rules} }}')
    assert change.where == f"c.fields.f.{key}"
    assert change.kind == "safe"
    assert "stored values stay" in change.what


def test_roles_and_labels_and_delete_rules_change_safely() -> None:
    field = 'f = { type = "string" }'
    assert "nobody" in change_of(field, 'f = { type = "string", write = [] }').what
    assert change_of(field, 'f = { type = "string", label = { en = "F" } }').kind == "safe"
    assert change_of(field, field, collection='on_delete_conflict = "delete"').kind == "safe"
    assert "nurse" in change_of(field, field, collection='delete = ["nurse"]').what
    assert change_of(field, field, collection='label = { en = "C" }').where == "c.label"


def test_a_new_field_is_safe_and_a_field_that_is_gone_is_refused() -> None:
    one, two = 'f = { type = "string" }', 'f = { type = "string" }\ng = { type = "date" }'
    assert change_of(one, two).kind == "safe"
    gone = change_of(two, one)
    assert gone.kind == "refused"
    assert gone.where == "c.fields.g"
    assert "write = []" in str(gone.how_to_migrate)


def test_a_collection_that_is_gone_is_refused_and_a_new_one_is_safe() -> None:
    one = policy_of('f = { type = "string" }')
    two = Policy.parse(
        one.text.replace("version = 1", "version = 2") + '[d.fields]\ng = { type = "date" }\n'
    )
    assert [(change.where, change.kind) for change in compare(one, two).changes] == [("d", "safe")]
    back = Policy.parse(one.text.replace("version = 1", "version = 3"))
    assert [change.where for change in compare(two, back).refused] == ["d"]


@pytest.mark.parametrize("version", [3, 4])
def test_another_text_needs_a_larger_version(version: int) -> None:
    old = policy_of('f = { type = "string" }', version=4)
    new = policy_of('f = { type = "string" } # reworded', version=version)
    (change,) = compare(old, new).refused
    assert change.where == "version"
    assert "version = 5" in str(change.how_to_migrate)


def test_changed_targets_are_told() -> None:
    old = policy_of('f = { type = "string" }')
    new = Policy.parse(
        old.text.replace("version = 1", "version = 2") + "[targets]\nfailure_rate = 0.5\n"
    )
    assert [change.where for change in compare(old, new).changes] == ["targets"]
