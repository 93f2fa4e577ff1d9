"""The policies that the simulated operator signs, one after the other.

Each version does something that has to be survived: a new field, a kind that
changes under open conflicts, limits that refuse what is waiting in an outbox,
a role that is asked for from now on, fields that not everyone may read.
"""

from __future__ import annotations

from collections.abc import Collection

from crdtsync.policy import Policy

USERS = ("kim", "lee", "park")
ROLES = frozenset({"nurse", "clinician"})


HIDDEN_SINCE = {"r/note": 1, "r/email": 2}
"""From which version on a field may be read by nurses only."""

_NURSES = 'read = ["nurse"], write = ["nurse"]'
_EMAIL = f'email = {{ type = "string", {_NURSES} }}'


def hidden_from(version: int, roles: Collection[str]) -> frozenset[str]:
    """The roots that these roles do not show under a version of the policy."""
    if "nurse" in roles:
        return frozenset()
    return frozenset(root for root, since in HIDDEN_SINCE.items() if version >= since)


def _policy(version: int, note: str, phone: str, tags: str, more: str = "") -> Policy:
    return Policy.parse(
        f"""
version = {version}
[item.fields]
name = {{ type = "string", write = ["nurse"] }}
phone = {{ type = "string", merge = "user-latest"{phone} }}
note = {{ type = "string", merge = "{note}", {_NURSES} }}
allergies = {{ type = "set<string>", merge = "manual" }}
visits = {{ type = "integer", merge = "counter" }}
tags = {{ type = "set<string>", merge = "set"{tags} }}
{more}
"""
    )


POLICIES = (
    _policy(1, "server-latest", "", ""),
    _policy(2, "manual", "", "", _EMAIL),
    _policy(3, "user-latest", ", max_length = 6", "", _EMAIL),
    _policy(
        4,
        "server-latest",
        ", max_length = 60",
        ', write = ["clinician"]',
        _EMAIL,
    ),
    _policy(
        5,
        "manual",
        ", max_length = 60",
        "",
        f'email = {{ type = "string", max_length = 8, {_NURSES} }}',
    ),
)
