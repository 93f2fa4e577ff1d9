"""Every mistake of a policy file says what is wrong, where, and what to do."""

from __future__ import annotations

import pytest

from crdtsync.policy import Policy, PolicyError
from tests.policy.policies import field_of, problems_of

HEAD = "version = 1\n"
STRING = 'f = { type = "string" }\n'
COLLECTION = HEAD + "[c.fields]\n"


def in_field(rules: str) -> str:
    return f"{COLLECTION}f = {{ {rules} }}\n"


MISTAKES = [
    # the file
    ("version = ", "", "not valid TOML", "Correct the syntax"),
    ("\ufeff" + COLLECTION + STRING, "", "byte order mark", "without BOM"),
    (COLLECTION + STRING + "# \ud800", "", "lone surrogates", "UTF-8"),
    ("x = " + "[" * 100_000, "", "nests values too deeply", "Flatten"),
    (HEAD + "a." * 120_000 + "b = 1", "", "more than 50 parts", "without dots"),
    ("#" * 300_000, "", "more than 262144", "Split"),
    ("version = 1", "", "no collections", "[patient]"),
    (HEAD + "".join(f"[c{n}]\n" for n in range(101)), "", "101 collections", "Split"),
    # top level
    ("[c.fields]\n" + STRING, "version", "missing", "version = 1"),
    ('version = "1"\n[c.fields]\n' + STRING, "version", "not a positive integer", "Count up"),
    ("version = 0\n[c.fields]\n" + STRING, "version", "not a positive integer", "Count up"),
    ("version = true\n[c.fields]\n" + STRING, "version", "not a positive integer", "Count up"),
    (HEAD + "verison = 2\n[c.fields]\n" + STRING, "verison", "unknown key", '"version"'),
    (HEAD + "targets = 3\n[c.fields]\n" + STRING, "targets", "are a table", "[targets]"),
    (
        HEAD + "[targets]\nfailure_rat = 1\n[c.fields]\n" + STRING,
        "targets.failure_rat", "unknown key", '"failure_rate"',
    ),
    (
        HEAD + "[targets]\nfailure_rate = 1.5\n[c.fields]\n" + STRING,
        "targets.failure_rate", "not a share", "0.01 for 1 %",
    ),
    (
        HEAD + "[targets]\nsync_latency_s = nan\n[c.fields]\n" + STRING,
        "targets.sync_latency_s", "not a number", "sync_latency_s = 2.5",
    ),
    # collections
    (HEAD + '["a/b".fields]\n' + STRING, "a/b", "not a name", "letters"),
    (HEAD + f"[{'n' * 65}.fields]\n" + STRING, "n" * 20 + "…", "longer than 64", "Shorten"),
    (HEAD + '["e\u0301".fields]\n' + STRING, "e\u0301", "NFC", "normalise"),
    (HEAD + "[c]\nfeilds = 1\n[c.fields]\n" + STRING, "c.feilds", "unknown key", '"fields"'),
    (HEAD + "[c]\n", "c.fields", "no fields", "[c.fields]"),
    (HEAD + "[c]\nfields = 3", "c.fields", "are a table", "[c.fields]"),
    (
        COLLECTION + "".join(f'f{n} = {{ type = "string" }}\n' for n in range(201)),
        "c.fields", "201 fields", "Split",
    ),
    (HEAD + '[c]\nlabel = "C"\n[c.fields]\n' + STRING, "c.label", "table of languages", "en ="),
    (HEAD + "[c]\nlabel = { en = 3 }\n[c.fields]\n" + STRING, "c.label.en", "text", "quotes"),
    (
        HEAD + '[c]\nlabel = { English = "C" }\n[c.fields]\n' + STRING,
        "c.label.English", "not a language", "pt-BR",
    ),
    (
        HEAD + '[c]\nlabel = { en = "a\\nb" }\n[c.fields]\n' + STRING,
        "c.label.en", "printable line", "line breaks",
    ),
    (
        HEAD + "[c]\nlabel = { " + ", ".join(f'l{a}{b} = "C"' for a in "abcdef" for b in "abcdef")
        + " }\n[c.fields]\n" + STRING,
        "c.label", "more than 32 languages", "Leave some out",
    ),
    (
        HEAD + f'[c]\nlabel = {{ en = "{"x" * 101}" }}\n[c.fields]\n' + STRING,
        "c.label.en", "at most 100 characters", "Shorten",
    ),
    (HEAD + '[c]\nlabel = { en = " " }\n[c.fields]\n' + STRING, "c.label.en", "a text", "quotes"),
    (
        HEAD + "[c]\nwrite = [" + '"nurse",' * 65 + "]\n[c.fields]\n" + STRING,
        "c.write", "more than 64 roles", "fewer roles",
    ),
    (
        HEAD + f'[c]\nwrite = ["{"x" * 65}"]\n[c.fields]\n' + STRING,
        "c.write", "not a role", "1 to 64",
    ),
    (
        HEAD + '[c]\ndelete = ["a\\nb"]\n[c.fields]\n' + STRING,
        "c.delete", "not a role", "printable",
    ),
    (
        HEAD + '[c]\non_delete_conflict = "drop"\n[c.fields]\n' + STRING,
        "c.on_delete_conflict", "neither", '"keep" or "delete"',
    ),
    (
        HEAD + '[c]\non_delete_conflict = "delete"\n'
        '[c.fields]\nf = { type = "string", merge = "manual" }',
        "c.on_delete_conflict", "values of f", 'Use "keep"',
    ),
    (HEAD + '[c]\nwrite = "nurse"\n[c.fields]\n' + STRING, "c.write", "list", '["clinician"'),
    (HEAD + "[c]\ndelete = [1]\n[c.fields]\n" + STRING, "c.delete", "list", '["clinician"'),
    (HEAD + '[c]\nwrite = [""]\n[c.fields]\n' + STRING, "c.write", "not a role", "printable"),
    # fields
    (COLLECTION + "f = 1", "c.fields.f", "a field is a table", "f = {"),
    (COLLECTION + '"a b" = { type = "string" }', "c.fields.a b", "not a name", "label"),
    (in_field('type = "string", mrege = "set"'), "c.fields.f.mrege", "unknown key", '"merge"'),
    (in_field('merge = "manual"'), "c.fields.f.type", "type is missing", 'type = "string"'),
    (in_field("type = 3"), "c.fields.f.type", "not a text", 'type = "string"'),
    (in_field('type = "strin"'), "c.fields.f.type", 'unknown type "strin"', '"string"'),
    (in_field('type = "array<string>"'), "c.fields.f.type", "unknown type", "list"),
    (in_field('type = "list"'), "c.fields.f.type", "does not say of what", "list<string>"),
    (in_field('type = "set<string"'), "c.fields.f.type", 'no closing ">"', "set<string>"),
    (in_field('type = "set<json>"'), "c.fields.f.type", "cannot hold json", "list<json>"),
    (
        in_field('type = "set<list<date>>"'),
        "c.fields.f.type", "cannot hold list", "list<list<date>>",
    ),
    (in_field('type = "list<' + "list<" * 5 + '"'), "c.fields.f.type", "no closing", "list"),
    (
        in_field(f'type = "{"list<" * 5}string{">" * 5}"'),
        "c.fields.f.type", "deeper than 4", "json",
    ),
    (in_field(f'type = "{"list<" * 5000}"'), "c.fields.f.type", "too long", "string"),
    (
        in_field('type = "string", merge = "server-lastest"'),
        "c.fields.f.merge", "unknown merge kind", '"server-latest"',
    ),
    (in_field('type = "string", merge = 1'), "c.fields.f.merge", "not a text", "manual"),
    (
        in_field('type = "string", merge = "text"'),
        "c.fields.f.merge", "not in this version", "manual",
    ),
    (
        in_field('type = "list<string>", merge = "list"'),
        "c.fields.f.merge", "not in this version", "manual",
    ),
    (
        in_field('type = "string", merge = "counter"'),
        "c.fields.f.merge", "counter of string", "integer or decimal",
    ),
    (
        in_field('type = "number", merge = "counter"'),
        "c.fields.f.merge", "counter of number", "integer or decimal",
    ),
    (
        in_field('type = "integer", merge = "counter", required = true'),
        "c.fields.f.required", "takes no required", "Remove required",
    ),
    (
        in_field('type = "integer", merge = "counter", max = 5'),
        "c.fields.f.max", "takes no max", "Remove max",
    ),
    (
        in_field('type = "integer", merge = "counter", choices = [1]'),
        "c.fields.f.choices", "takes no choices", "Remove choices",
    ),
    (
        in_field('type = "string", merge = "set"'),
        "c.fields.f.merge", "needs the type set", "set<string>",
    ),
    (
        in_field('type = "list<date>", merge = "set"'),
        "c.fields.f.merge", "needs the type set", "set<string>",
    ),
    (
        in_field('type = "set<string>", merge = "set", required = true'),
        "c.fields.f.required", "takes no required", "Remove required",
    ),
    (in_field('type = "string", required = "yes"'), "c.fields.f.required", "true nor", "= true"),
    (in_field('type = "string", write = ["a", 1]'), "c.fields.f.write", "list of texts", "nobody"),
    # limits
    (in_field('type = "integer", max_length = 3'), "c.fields.f.max_length", "does not fit", "min"),
    (in_field('type = "string", min = 3'), "c.fields.f.min", "does not fit", "max_length"),
    (in_field('type = "json", choices = [1]'), "c.fields.f.choices", "does not fit", "no limits"),
    (in_field('type = "boolean", choices = [true]'), "c.fields.f.choices", "fit", "no limits"),
    (in_field('type = "string", max_length = 0'), "c.fields.f.max_length", "positive", "number"),
    (in_field('type = "string", max_length = true'), "c.fields.f.max_length", "positive", "n"),
    (in_field('type = "string", max_length = 70000'), "c.fields.f.max_length", "65536", "most"),
    (in_field('type = "integer", min = "1"'), "c.fields.f.min", "type integer", "str"),
    (in_field('type = "integer", min = 9007199254740993'), "c.fields.f.min", "integer", "decimal"),
    (in_field('type = "number", max = inf'), "c.fields.f.max", "number", "Infinity"),
    (in_field('type = "date", min = "2024-02-30"'), "c.fields.f.min", "date", "2024-01-31"),
    (in_field('type = "date", min = 2024-01-01T00:00:00Z'), "c.fields.f.min", "date", "2024"),
    (in_field('type = "datetime", min = 2024-01-01'), "c.fields.f.min", "datetime", "+09:00"),
    (
        in_field('type = "datetime", min = 2024-01-01T00:00:00'),
        "c.fields.f.min", "datetime", "Add an offset",
    ),
    (in_field('type = "integer", min = 3, max = 2'), "c.fields.f.min", "above max", "Swap"),
    (in_field('type = "string", choices = []'), "c.fields.f.choices", "not a list", '["low"'),
    (in_field('type = "string", choices = "a"'), "c.fields.f.choices", "not a list", '["low"'),
    (in_field('type = "string", choices = [1]'), "c.fields.f.choices", "type string", "int"),
    (in_field('type = "string", choices = ["a", "a"]'), "c.fields.f.choices", "twice", "once"),
    (
        in_field('type = "decimal", choices = ["1.0", "1.00"]'),
        "c.fields.f.choices", "twice", "once",
    ),
    (
        in_field('type = "string", choices = ["abc"], max_length = 2'),
        "c.fields.f.choices", "breaks another limit", "at most 2",
    ),
    (in_field('type = "string", pattern = 5'), "c.fields.f.pattern", "not a text", "quotes"),
    (in_field('type = "string", pattern = "(a+)+"'), "c.fields.f.pattern", "nested", "fixed"),
]  # fmt: skip
NAMES = [f"{where}-{what}" for _, where, what, _ in MISTAKES]


@pytest.mark.parametrize(("text", "where", "what", "cure"), MISTAKES, ids=NAMES)
def test_a_mistake_is_told_with_its_place_and_its_cure(
    text: str, where: str, what: str, cure: str
) -> None:
    found = [problem for problem in problems_of(text) if problem.where == where]
    assert len(found) == 1
    assert what in found[0].what
    assert cure in found[0].cure
    assert "\n" not in str(found[0])


@pytest.mark.parametrize(("text", "where", "what", "cure"), MISTAKES, ids=NAMES)
def test_a_mistake_comes_alone_when_it_is_the_only_one(
    text: str, where: str, what: str, cure: str
) -> None:
    # Some mistakes leave the collection without fields, which is told too.
    assert len(problems_of(text)) == (101 if "c100" in text else 1) or "collections" in what


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_the_file() -> None:
    problems = problems_of(
        "version = -1\n"
        "[targets]\n"
        "failure_rate = 7\n"
        "[patient.fields]\n"
        'name = { type = "strng", merge = "txt", required = 1 }\n'
        'dose = { type = "decimal", merge = "counter", max = 3 }\n'
        "[visit]\n"
        'note = "x"\n'
    )
    assert [(problem.line, problem.where) for problem in problems] == [
        (1, "version"),
        (3, "targets.failure_rate"),
        (5, "patient.fields.name.type"),
        (5, "patient.fields.name.merge"),
        (5, "patient.fields.name.required"),
        (6, "patient.fields.dose.max"),
        (7, "visit.fields"),
        (8, "visit.note"),
    ]


def test_the_error_names_the_file_and_lists_its_mistakes() -> None:
    with pytest.raises(PolicyError) as raised:
        Policy.parse('version = 1\n[c.fields]\nf = { type = "sting" }\n', source="ward.toml")
    assert str(raised.value) == (
        "ward.toml: 1 mistake in the policy\n"
        '  c.fields.f.type, line 3: unknown type "sting". Did you mean "string"?'
    )


def test_a_syntax_error_carries_its_line() -> None:
    (problem,) = problems_of("version = 1\n[c.fields\n")
    assert problem.line == 2
    assert "at line" not in problem.what


def test_the_list_of_mistakes_is_bounded() -> None:
    fields = "".join(f'f{n} = {{ type = "x" }}\n' for n in range(150))
    assert len(problems_of(COLLECTION + fields)) == 100


def test_a_line_is_found_for_fields_that_are_tables_of_their_own() -> None:
    text = 'version = 1\n\n[c.fields.f]\ntype = "string"\nmerge = "lww"\n'
    (problem,) = problems_of(text)
    assert problem.line == 5


def test_a_choice_that_looks_like_a_dotted_key_is_a_choice() -> None:
    oid = "1.2.410.200010.1.2.3.4.5.6.7.8.9"
    assert field_of(f'type = "string", choices = ["{oid}"]').encode(oid) == f'"{oid}"'


def choosing_from(count: int) -> str:
    words = ", ".join(f'"{n}"' for n in range(count))
    return in_field(f'type = "string", choices = [{words}]')


AT_THE_BOUND = {
    "a name of 64 characters": HEAD + f"[{'n' * 64}.fields]\n" + STRING,
    "100 collections": HEAD + "".join(f"[c{n}.fields]\n{STRING}" for n in range(100)),
    "200 fields": COLLECTION + "".join(f'f{n} = {{ type = "string" }}\n' for n in range(200)),
    "a label of 100 characters": HEAD + f'[c]\nlabel.en = "{"x" * 100}"\n[c.fields]\n' + STRING,
    "32 languages": HEAD
    + "[c.label]\n"
    + "".join(f'l{a}{b} = "C"\n' for a in "abcd" for b in "abcdefgh")
    + f"[c.fields]\n{STRING}",
    "64 roles of 64 characters": HEAD
    + "[c]\nwrite = ["
    + ", ".join(f'"{n:064}"' for n in range(64))
    + f"]\n[c.fields]\n{STRING}",
    "the largest version": f"version = {2**53 - 1}\n[c.fields]\n{STRING}",
    "200 choices": choosing_from(200),
    "the longest text": in_field('type = "string", max_length = 65536'),
    "the shortest text": in_field('type = "string", max_length = 1'),
    "min that is max": in_field('type = "integer", min = 3, max = 3'),
    "choices within other limits": in_field('type = "string", choices = ["ab"], max_length = 2'),
    "choices between bounds": in_field('type = "integer", choices = [1, 2], min = 1, max = 2'),
    "a type of five levels": in_field(f'type = "{"list<" * 4}string{">" * 4}"'),
    "shares of nothing and of everything": HEAD
    + "[targets]\nfailure_rate = 0\nrecovery_success_rate = 1\n[c.fields]\n"
    + STRING,
    "exactly as many bytes as may be": (COLLECTION + STRING + "#").ljust(256 * 1024, "x"),
    "a key of 50 parts": COLLECTION + STRING + "# " + "a." * 49 + "a",
}  # fmt: skip


@pytest.mark.parametrize("name", AT_THE_BOUND)
def test_what_is_just_within_a_bound_is_no_mistake(name: str) -> None:
    assert Policy.parse(AT_THE_BOUND[name]).collections


JUST_BEYOND = {
    "choices": (choosing_from(201), 1),
    "share": (HEAD + "[targets]\nfailure_rate = -0.1\n[c.fields]\n" + STRING, 1),
    "version": (f"version = {2**53}\n[c.fields]\n{STRING}", 1),
    "bytes": ((COLLECTION + STRING + "#").ljust(256 * 1024 + 1, "x"), 1),
    "Korean bytes": (COLLECTION + STRING + "#" + "한" * (90 * 1024), 1),
    "max_length": (in_field('type = "string", max_length = 65537'), 1),
    "choices beyond a bound": (in_field('type = "integer", choices = [1, 3], max = 2'), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", JUST_BEYOND)
def test_what_is_just_beyond_a_bound_is_a_mistake(name: str) -> None:
    text, count = JUST_BEYOND[name]
    assert len(problems_of(text)) == count


def test_a_pattern_is_judged_by_a_max_length_that_is_right_and_only_then() -> None:
    patterned = "pattern = '[a-z]*[a-y]*b'"
    assert field_of(f'type = "string", max_length = 50, {patterned}').pattern
    (alone,) = problems_of(in_field(f'type = "string", {patterned}'))
    assert (alone.where, "max_length" in alone.cure) == ("c.fields.f.pattern", True)
    (length,) = problems_of(in_field(f'type = "string", max_length = 0, {patterned}'))
    assert length.where == "c.fields.f.max_length"
