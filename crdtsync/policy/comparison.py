"""What a new version of a policy changes, and whether data that exists survives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .fields import CollectionPolicy, FieldPolicy
from .limits import MAX_SAFE_INTEGER
from .merge import MergeKind
from .policy import Policy

_LIMITS = ("required", "max_length", "min", "max", "pattern", "choices")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """One difference between two policies."""

    where: str  # path of what changed, "patient.fields.phone"
    kind: Literal["safe", "refused"]
    what: str  # what changed and what follows, one sentence
    how_to_migrate: str | None = None  # for a refused change: how to get there safely


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """All changes from one policy to the next."""

    changes: tuple[PolicyChange, ...]

    @property
    def refused(self) -> tuple[PolicyChange, ...]:
        return tuple(change for change in self.changes if change.kind == "refused")

    @property
    def ok(self) -> bool:
        """Whether the new policy may replace the old one."""
        return not self.refused


def compare(old: Policy, new: Policy) -> PolicyDifference:
    """Compare two policies.

    Register kinds may change into each other without touching data. What would make
    stored entries unreadable (another shape, another type, a field or collection that
    is gone) is refused and says how to migrate. A tighter limit is safe: stored values
    stay readable, and only new writes are held to it.
    """
    return PolicyDifference(tuple(_changes(old, new)))


def _safe(where: str, what: str) -> PolicyChange:
    return PolicyChange(where=where, kind="safe", what=what)


def _refused(where: str, what: str, cure: str) -> PolicyChange:
    return PolicyChange(where=where, kind="refused", what=what, how_to_migrate=cure)


def _changes(old: Policy, new: Policy) -> Iterator[PolicyChange]:
    if old.hash != new.hash and new.version <= old.version:
        yield _refused(
            "version",
            f"The file changed, but its version went from {old.version} to {new.version}.",
            f"Set version = {min(old.version + 1, MAX_SAFE_INTEGER)}: replicas take a policy "
            "with a larger version only.",
        )
    if old.targets != new.targets:
        yield _safe("targets", "The targets changed; reports judge by the new ones from now on.")
    for name, before in old.collections.items():
        after = new.collections.get(name)
        if after is None:
            yield _refused(
                name,
                "The collection is gone, and its records would be out of reach.",
                f"Keep [{name}] in the file and set write = [] in it: nobody may write then, "
                "and the records stay readable.",
            )
        else:
            yield from _collection_changes(before, after)
    for name in new.collections.keys() - old.collections.keys():
        yield _safe(name, "The collection is new.")


def _collection_changes(
    before: CollectionPolicy, after: CollectionPolicy
) -> Iterator[PolicyChange]:
    where = before.name
    if before.on_delete_conflict != after.on_delete_conflict:
        yield _safe(
            f"{where}.on_delete_conflict",
            f'"{before.on_delete_conflict}" became "{after.on_delete_conflict}"; deletions that '
            "are already decided stay as they are.",
        )
    if before.delete != after.delete:
        yield _safe(f"{where}.delete", f"Deleting is now open to {_roles(after.delete)}.")
    if before.read != after.read:
        yield _safe(
            f"{where}.read",
            f"Reading is now open to {_roles(after.read)} where a field has no list of its own.",
        )
    if before.label != after.label:
        yield _safe(f"{where}.label", "The label changed.")
    for name, field in before.fields.items():
        path = f"{where}.fields.{name}"
        successor = after.fields.get(name)
        if successor is None:
            yield _refused(
                path,
                "The field is gone, and its values would be out of reach.",
                f"Keep {name} in the file and set write = [] in it: nobody may write it then, "
                "and its values and history stay readable.",
            )
        else:
            yield from _field_changes(path, field, successor)
    for name in after.fields:
        if name not in before.fields:
            yield _safe(
                f"{where}.fields.{name}",
                "The field is new; replicas that do not know it yet carry it along.",
            )


def _field_changes(path: str, before: FieldPolicy, after: FieldPolicy) -> Iterator[PolicyChange]:
    if before.merge.shape != after.merge.shape:
        yield _refused(
            f"{path}.merge",
            f"{before.merge} and {after.merge} keep entries of different shapes.",
            f"Keep {before.name} as it is with write = [], add a field under a new name with "
            f'merge = "{after.merge}", and copy the values record by record.',
        )
    elif before.merge is not after.merge:
        note = ""
        if before.merge is MergeKind.MANUAL:
            note = "; conflicts that are open stay open until a person resolves them"
        yield _safe(f"{path}.merge", f"{before.merge} became {after.merge}{note}.")
    if before.type != after.type:
        yield _type_change(path, before, after)
    for key in _LIMITS:
        if getattr(before, key) != getattr(after, key):
            yield _safe(
                f"{path}.{key}",
                f"{_shown(getattr(before, key))} became {_shown(getattr(after, key))}; stored "
                "values stay, and writes that wait on a device are judged by the new rule.",
            )
    if before.write != after.write:
        yield _safe(f"{path}.write", f"Writing is now open to {_roles(after.write)}.")
    if before.read != after.read:
        yield _safe(
            f"{path}.read",
            f"Reading is now open to {_roles(after.read)}; devices fetch their records anew, and "
            "what a device may no longer show leaves it the next time that it connects.",
        )
    if before.label != after.label:
        yield _safe(f"{path}.label", "The label changed.")


def _type_change(path: str, before: FieldPolicy, after: FieldPolicy) -> PolicyChange:
    if str(before.type).replace("integer", "number") == str(after.type):
        return _safe(
            f"{path}.type", f"{before.type} became {after.type}; every stored value fits it."
        )
    return _refused(
        f"{path}.type",
        f"Stored values of the type {before.type} are not values of the type {after.type}.",
        f"Keep {before.name} as it is with write = [], add a field under a new name with "
        f'type = "{after.type}", and copy the values record by record.',
    )


def _roles(roles: frozenset[str] | None) -> str:
    if roles is None:
        return "every role"
    return ", ".join(sorted(roles)) or "nobody"


def _shown(value: object) -> str:
    if value is None:
        return "no limit"
    if isinstance(value, tuple):
        return f"({', '.join(str(item) for item in value)})"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
