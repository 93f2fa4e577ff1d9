"""The policy as the table that a product manager signs."""

from __future__ import annotations

import pytest

from crdtsync.catalogue import policy_table
from crdtsync.catalogue.vocabulary import MERGE_NAMES, MERGE_RULES, TYPES, type_words
from crdtsync.policy import MergeKind, Policy
from crdtsync.policy.targets import TARGET_NAMES
from crdtsync.policy.value_types import CONTAINERS, SCALARS

POLICY = Policy.parse("""version = 3
[targets]
failure_rate = 0.02
conflict_age_s = 7200
[patient]
label = { en = "Patient", ko = "환자" }
delete = ["clinician"]
[patient.fields]
name = { type = "string", required = true, max_length = 80, label = { en = "Name", ko = "이름" } }
phone     = { type = "string", merge = "user-latest", pattern = '[0-9-]+' }
allergies = { type = "set<string>", merge = "manual", write = ["nurse", "clinician"], max_length=1 }
dose      = { type = "decimal", min = "0.5", max = 10, write = [] }
visits    = { type = "integer", merge = "counter" }
ward      = { type = "string", choices = ["A", "B"] }
[note.fields]
text = { type = "string", merge = "manual" }
""")


def test_a_row_says_in_words_what_holds_for_a_field() -> None:
    table = policy_table(POLICY, "en")
    patient, note = table.collections
    rows = {row.name: row for row in patient.rows}
    assert patient.title == "Patient"
    assert note.title == note.name == "note"
    assert rows["name"].label == "Name"
    assert rows["name"].limits == "required; up to 80 characters"
    assert rows["phone"].limits == "form [0-9-]+"
    assert rows["phone"].who_may_write == "everyone"
    assert rows["allergies"].type == "list without order (text)"
    assert rows["allergies"].who_may_write == "clinician, nurse"
    assert rows["allergies"].limits == "each value: up to 1 character"
    assert "until a person chooses" in rows["allergies"].merge
    assert rows["dose"].limits == "at least 0.5; at most 10"
    assert rows["dose"].who_may_write == "nobody"
    assert rows["visits"].limits == "none"
    assert rows["ward"].limits == "one of: A, B"
    assert patient.who_may_delete == "Who may delete and restore: clinician"
    assert "kept" in patient.delete_rule


def test_the_table_names_the_very_file_that_is_signed() -> None:
    table = policy_table(POLICY)
    assert table.file_hash == POLICY.hash
    assert table.version == "Version 3"


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_is_whole_in_both_languages(lang: str) -> None:
    table = policy_table(POLICY, lang)
    assert table.lang == lang
    assert [len(collection.rows) for collection in table.collections] == [6, 1]
    for collection in table.collections:
        assert all(len(row.cells) == len(table.headings) for row in collection.rows)
        assert all(all(row.cells) for row in collection.rows)
    assert "op_id" in table.once
    assert len(table.states) == 4
    assert len(table.targets) == len(TARGET_NAMES)


def test_korean_tables_use_korean_labels_and_words() -> None:
    table = policy_table(POLICY, "ko-KR")
    assert table.collections[0].title == "환자"
    assert table.collections[0].rows[0].label == "이름"
    assert table.collections[0].rows[0].limits == "필수; 최대 80자"
    assert table.collections[0].rows[0].type == "글"


def test_an_unknown_language_gives_the_english_table() -> None:
    assert policy_table(POLICY, "fr") == policy_table(POLICY, "en")


def test_targets_are_shown_in_the_units_that_people_use() -> None:
    targets = {item.name: item.text for item in policy_table(POLICY).targets}
    assert targets["Attempts that fail"] == "at most 2 %"
    assert targets["Age of the oldest open conflict"] == "at most 2 h"
    assert targets["Average retries of a change"] == "at most 0.5"


def test_every_type_and_merge_kind_has_words() -> None:
    assert set(TYPES) == {*SCALARS, *CONTAINERS, "json"}
    assert set(MERGE_NAMES) == set(MERGE_RULES) == set(MergeKind)
    assert type_words("map<list<date>>", "en") == "named values (list, in order (date))"
    assert type_words("colour", "en") == "colour"
