"""What a correct policy file becomes."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal

import pytest

from crdtsync.errors import CrdtsyncError
from crdtsync.policy import (
    InvalidValue,
    MergeKind,
    Policy,
    Targets,
    UnknownCollection,
    UnknownField,
    ValueType,
)
from tests.policy.policies import field_of, policy_of

SIGNED = """version = 3
[targets]
failure_rate = 0.02
[patient]
label = { en = "Patient", ko = "환자" }
write = ["clinician", "nurse"]
[patient.fields]
name      = { type = "string", merge = "server-latest", label = { en = "Name", ko = "이름" } }
phone     = { type = "string", merge = "user-latest", write = ["clerk"] }
allergies = { type = "set<string>", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
"생일"     = { type = "date", min = 1900-01-01 }
"""


def test_the_policy_of_the_design_is_read_as_it_is_written() -> None:
    policy = Policy.parse(SIGNED)
    patient = policy.collection("patient")
    assert policy.version == 3
    assert policy.targets == Targets(failure_rate=0.02)
    assert patient.fields["name"].merge is MergeKind.SERVER_LATEST
    assert patient.fields["allergies"].type == ValueType("set", ValueType("string"))
    assert patient.fields["생일"].min == date(1900, 1, 1)
    assert patient.on_delete_conflict == "keep"


def test_each_field_is_found_by_its_root_which_names_its_shape() -> None:
    patient = Policy.parse(SIGNED).collection("patient")
    assert list(patient.by_root) == [
        "r/name", "r/phone", "r/allergies", "c/visits", "s/tags", "r/생일",
    ]  # fmt: skip
    assert patient.by_root["c/visits"] is patient.fields["visits"]


def test_a_field_takes_the_roles_of_its_collection_unless_it_has_its_own() -> None:
    patient = Policy.parse(SIGNED).collection("patient")
    assert patient.fields["name"].may_write(["nurse"])
    assert not patient.fields["name"].may_write(["clerk"])
    assert patient.fields["phone"].may_write(["clerk"])
    assert not patient.fields["phone"].may_write(["nurse"])
    assert patient.may_delete({"nurse"})
    assert not patient.may_delete({"clerk"})


def test_an_empty_list_of_roles_means_nobody_and_unknown_roles_refuse_nothing() -> None:
    closed = field_of('type = "string", write = []')
    assert not closed.may_write(["clinician"])
    assert closed.may_write(None)
    assert field_of('type = "string"').may_write([])


def test_labels_fall_back_to_english_and_then_to_the_name() -> None:
    patient = Policy.parse(SIGNED).collection("patient")
    assert patient.label_in("ko") == "환자"
    assert patient.label_in("fr") == "Patient"
    assert patient.fields["phone"].label_in("ko") == "phone"


def test_the_hash_is_the_same_for_both_kinds_of_line_ends() -> None:
    windows = Policy.parse(SIGNED.replace("\n", "\r\n"))
    assert windows.hash == Policy.parse(SIGNED).hash
    assert windows.hash == hashlib.sha256(SIGNED.encode()).hexdigest()
    assert windows.text != SIGNED


def test_policies_are_equal_when_their_texts_are() -> None:
    assert Policy.parse(SIGNED) == Policy.parse(SIGNED)
    assert len({Policy.parse(SIGNED), Policy.parse(SIGNED)}) == 1
    assert Policy.parse(SIGNED) != Policy.parse(SIGNED + "# seen\n")


def test_an_unknown_collection_or_field_names_the_known_ones() -> None:
    policy = Policy.parse(SIGNED)
    with pytest.raises(UnknownCollection, match=r"no collection 'pateint'.*Use one of patient"):
        policy.collection("pateint")
    with pytest.raises(UnknownField, match=r"no field 'nmae'.*allergies, name"):
        policy.collection("patient").field("nmae")
    assert policy.collection("patient").field("name").name == "name"


def test_every_error_of_the_policy_is_an_error_of_crdtsync() -> None:
    with pytest.raises(CrdtsyncError):
        Policy.parse("")
    with pytest.raises(CrdtsyncError):
        field_of('type = "string"').encode(5)


@pytest.mark.parametrize(
    "spelling", ["string", "list<string>", "set<decimal>", "map<list<set<date>>>", "list<json>"]
)
def test_a_type_is_spelt_as_it_is_read(spelling: str) -> None:
    assert str(ValueType.parse(spelling)) == spelling


def test_decimal_limits_are_read_exactly() -> None:
    field = field_of('type = "decimal", min = 0.1, max = "0.30"')
    assert field.min == Decimal("0.1")
    field.encode("0.1")
    with pytest.raises(InvalidValue, match=r"above 0\.30"):
        field.encode("0.3000000000000000000000001")


def test_limits_hold_for_each_value_inside_of_a_container() -> None:
    field = field_of('type = "map<list<string>>", max_length = 3')
    assert field.encode({"key of any length": ["abc"]})
    with pytest.raises(InvalidValue, match="at most 3 characters"):
        field.encode({"k": ["abc", "abcd"]})


def test_a_policy_without_targets_has_the_default_ones() -> None:
    assert policy_of('f = { type = "string" }').targets == Targets()
