"""The policies that the simulated operator signs, one after the other.

Each version does something that has to be survived: a new field, a kind that
changes under open conflicts, limits that refuse what is waiting in an outbox,
a role that is asked for from now on.
"""

from __future__ import annotations

from crdtsync.policy import Policy

USERS = ("kim", "lee", "park")
ROLES = frozenset({"nurse", "clinician"})


def _policy(version: int, note: str, phone: str, tags: str, more: str = "") -> Policy:
    return Policy.parse(
        f"""
version = {version}
[item.fields]
name = {{ type = "string", write = ["nurse"] }}
phone = {{ type = "string", merge = "user-latest"{phone} }}
note = {{ type = "string", merge = "{note}", write = ["nurse"] }}
allergies = {{ type = "set<string>", merge = "manual" }}
visits = {{ type = "integer", merge = "counter" }}
tags = {{ type = "set<string>", merge = "set"{tags} }}
{more}
"""
    )


POLICIES = (
    _policy(1, "server-latest", "", ""),
    _policy(2, "manual", "", "", 'email = { type = "string" }'),
    _policy(3, "user-latest", ", max_length = 6", "", 'email = { type = "string" }'),
    _policy(
        4,
        "server-latest",
        ", max_length = 60",
        ', write = ["clinician"]',
        'email = { type = "string" }',
    ),
    _policy(5, "manual", ", max_length = 60", "", 'email = { type = "string", max_length = 8 }'),
)
