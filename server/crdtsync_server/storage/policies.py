"""Which policy may a server start with? Judged against the one that it went by last."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from crdtsync.database import transaction
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy, compare


class PolicyRefused(CrdtsyncError):
    """The policy file does not follow on the one that this data was written under."""


def adopt_policy(
    connection: sqlite3.Connection, sql: Mapping[str, str], policy: Policy, now_us: int
) -> None:
    """Note that ``policy`` is used from now on. Raises PolicyRefused, and then nothing changed."""
    with transaction(connection):
        newest = connection.execute(sql["newest_policy"]).fetchone()
        if newest is not None:
            version, policy_hash, text = newest
            if (version, policy_hash) == (policy.version, policy.hash):
                return
            _check_follows(policy, version, policy_hash, text)
        connection.execute(sql["add_policy"], (policy.version, policy.hash, policy.text, now_us))


def _check_follows(policy: Policy, version: int, policy_hash: str, text: str) -> None:
    if policy.version == version:
        raise PolicyRefused(
            f"the policy says version {version}, but the server has already used another file "
            f"with that version (hash {policy_hash[:12]}…, this one {policy.hash[:12]}…). "
            f"Set version = {version + 1} in the changed file"
        )
    if policy.version < version:
        raise PolicyRefused(
            f"the policy has version {policy.version}, but the server has already used version "
            f"{version}. Start it with that file, or raise the version above {version}"
        )
    difference = compare(Policy.parse(text), policy)
    if not difference.ok:
        lines = [
            f"  {change.where}: {change.what} {change.how_to_migrate or ''}".rstrip()
            for change in difference.refused
        ]
        raise PolicyRefused(
            f"version {policy.version} of the policy cannot follow version {version}:\n"
            + "\n".join(lines)
        )
