"""The policy that the suite's records live by, and whether a server has it."""

from __future__ import annotations

from importlib import resources

from crdtsync.policy import Policy

COLLECTION = "acceptance_item"

USER_TIME_BOUND_S = 60
"""README: how far into the future a device's clock is believed. Written down here, because
the suite judges the product by what it promises and not by its own constants."""

TIGHT_CHARS = 12
"""Of a name under the rules that refuse (scenario refused-and-way-out)."""

_MAX_LENGTH = "max_length = 60"


def suite_text() -> str:
    """The policy as a file."""
    return resources.files(__package__).joinpath("policy.toml").read_text("utf-8")


def suite_policy() -> Policy:
    """The policy of an own server."""
    return Policy.parse(suite_text(), source="the acceptance suite's policy")


def changed(version: int, max_length: int) -> Policy:
    """The same rules with another limit on names."""
    text = suite_text().replace("version = 2", f"version = {version}")
    return Policy.parse(text.replace(_MAX_LENGTH, f"max_length = {max_length}"))


def snippet() -> str:
    """What has to be added to the policy file of a server of one's own."""
    text = suite_text()
    return text[text.index("[acceptance_item]") :]


def has_suite(policy: Policy) -> bool:
    """Whether the suite's records mean the same under this policy."""
    found = policy.collections.get(COLLECTION)
    if found is None:
        return False
    wanted = suite_policy().collection(COLLECTION)
    return {name: (str(f.type), f.merge) for name, f in wanted.fields.items()} == {
        name: (str(f.type), f.merge) for name, f in found.fields.items()
    } and not (found.delete or any(f.write for f in found.fields.values()))
