"""The policy that every target works under: each merge kind, shape and limit once."""

from __future__ import annotations

from crdtsync.policy import Policy

POLICY_TEXT = """
version = 3
[item]
[item.fields]
name      = { type = "string" }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
dose      = { type = "decimal", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
balance   = { type = "decimal", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
days      = { type = "set<date>", merge = "set" }
seen      = { type = "datetime", merge = "user-latest" }
active    = { type = "boolean" }
notes     = { type = "list<string>", merge = "manual" }
extra     = { type = "json" }
scores    = { type = "map<number>" }
code      = { type = "string", pattern = "[A-Z]{2}[0-9]{1,4}", max_length = 6 }
level     = { type = "string", choices = ["low", "high"] }
secret    = { type = "string", write = ["chief"] }
[visit]
on_delete_conflict = "delete"
[visit.fields]
reason = { type = "string", required = true }
room   = { type = "integer", merge = "user-latest", min = 1, max = 99 }
count  = { type = "integer", merge = "counter" }
"""
POLICY = Policy.parse(POLICY_TEXT)
RECORDS = ("a", "b", "c", "김")
ROLES = frozenset({"nurse"})
"""Of everybody here: nobody may write ``secret``."""

EPOCH_US = 1_700_000_000_000_000

GOOD_VALUES: dict[tuple[str, str], tuple[str, ...]] = {
    ("item", "name"): ('"Kim"', '"é"', '"e\u0301"', '"김민지 😀"', '""', '"\\u001b"', "null"),
    ("item", "phone"): ('"1"', '"2"', '"\u202e3"', "null"),
    ("item", "allergies"): ('["latex"]', '["milk","nut"]', "[]", "null", '["nut"]', '["é"]'),
    ("item", "dose"): ('"1.0"', '"1.00"', '"-0.5"', '"2"', "null"),
    ("item", "visits"): ("1", "-1", "0", "9007199254740991", "-9007199254740991"),
    ("item", "balance"): ('"0.1"', '"-99.99"', '"1234567890123456789012345678901234"'),
    ("item", "tags"): ('"a"', '"b"', '"é"', '"e\u0301"', '"__proto__"'),
    ("item", "days"): ('"2024-01-31"', '"0001-01-01"', '"9999-12-31"'),
    ("item", "seen"): ('"2024-01-31T09:00:00+09:00"', '"2024-01-31T00:00:00Z"', "null"),
    ("item", "active"): ("true", "false", "null"),
    ("item", "notes"): ('["a","a"]', "[]", "null"),
    ("item", "extra"): ("{}", '{"a":[1,2.5,null]}', '"x"', "[[[[]]]]", "1e+16", "null"),
    ("item", "scores"): ('{"a":1}', '{"__proto__":0.5}', "{}"),
    ("item", "code"): ('"AB12"', '"ZZ9"'),
    ("item", "level"): ('"low"', '"high"'),
    ("item", "secret"): ('"x"',),
    ("visit", "reason"): ('"flu"', '"cold"', '"check"'),
    ("visit", "room"): ("1", "99", "null"),
    ("visit", "count"): ("1", "2"),
}
"""Canonical texts that the policy takes, so that most generated ops are good ones."""
