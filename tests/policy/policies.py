"""Small policies for tests."""

from __future__ import annotations

from crdtsync.policy import FieldPolicy, Policy, PolicyError, PolicyProblem


def policy_of(fields: str, *, version: int = 1, collection: str = "") -> Policy:
    """A policy with one collection `c`; `fields` are lines of TOML."""
    return Policy.parse(f"version = {version}\n[c]\n{collection}\n[c.fields]\n{fields}\n")


def field_of(rules: str) -> FieldPolicy:
    """The field `f` with the given TOML pairs, such as 'type = "string"'."""
    return policy_of(f"f = {{ {rules} }}").collection("c").fields["f"]


def problems_of(text: str) -> tuple[PolicyProblem, ...]:
    """All mistakes of a policy text; fails when there are none."""
    try:
        Policy.parse(text)
    except PolicyError as error:
        return error.problems
    raise AssertionError("the policy was accepted")
