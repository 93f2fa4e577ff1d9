"""From the tables of a policy file to its rules, with every mistake told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from .field_loading import Access, check_readers, load_field
from .fields import CollectionPolicy, FieldPolicy
from .limits import MAX_COLLECTIONS, MAX_FIELDS, MAX_SAFE_INTEGER
from .merge import MergeKind
from .naming import read_label, read_name, read_roles
from .targets import RATES, TARGET_NAMES, Targets
from .toml_reading import Problems, read_toml
from .value_types import closest

COLLECTION_KEYS = ("label", "on_delete_conflict", "write", "read", "delete", "fields")
TOP_KEYS = ("version", "targets")


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """What a policy file says, before it is given its text and hash."""

    version: int
    targets: Targets
    collections: Mapping[str, CollectionPolicy]


def load(text: str, source: str) -> LoadedPolicy:
    """Read a whole policy file. Raises PolicyError with all of its mistakes."""
    problems = Problems(source, text)
    table = read_toml(text, problems)
    version = _version(table, problems)
    targets = _targets(table.get("targets", {}), problems)
    collections: dict[str, CollectionPolicy] = {}
    named = {key: value for key, value in table.items() if key not in TOP_KEYS}
    if len(named) > MAX_COLLECTIONS:
        problems.add(
            (), f"{len(named)} collections, more than {MAX_COLLECTIONS}", "Split the policy."
        )
    elif not named:
        problems.add((), "no collections", "Add one, such as [patient] and [patient.fields].")
    else:
        for name, value in named.items():
            if isinstance(value, dict):
                read_name((name,), problems)
                collections[name] = _collection(name, value, problems)
            else:
                problems.add((name,), f'unknown key "{name}"', _cure_for_top_key(name))
    problems.raise_if_any()
    return LoadedPolicy(version, targets, MappingProxyType(collections))


def _cure_for_top_key(name: str) -> str:
    return f"{closest(name, TOP_KEYS)} A collection is a table, [{name}]."


def _version(table: Mapping[str, Any], problems: Problems) -> int:
    version = table.get("version")
    if version is None:
        problems.add(("version",), "the version is missing", "Write version = 1 on top.")
    elif not _is_integer(version) or not 1 <= version <= MAX_SAFE_INTEGER:
        problems.add(
            ("version",), "the version is not a positive integer", "Count up from version = 1."
        )
    else:
        return int(version)
    return 0


def _targets(table: object, problems: Problems) -> Targets:
    if not isinstance(table, dict):
        problems.add(("targets",), "targets are a table", "Write [targets] on a line of its own.")
        return Targets()
    problems.unknown_keys(("targets",), table, TARGET_NAMES)
    values: dict[str, float] = {}
    for name in TARGET_NAMES:
        value = table.get(name)
        if value is None:
            continue
        # Not-a-number fails both comparisons, infinity the second.
        highest = 1 if name in RATES else MAX_SAFE_INTEGER
        is_number = _is_integer(value) or (isinstance(value, Decimal) and value.is_finite())
        if is_number and 0 <= value <= highest:
            values[name] = float(value)
        elif name in RATES:
            problems.add(("targets", name), "not a share from 0 to 1", "Write 0.01 for 1 %.")
        else:
            problems.add(
                ("targets", name), "not a number from 0 up", f"Write a number, {name} = 2.5."
            )
    return Targets(**values)


def _collection(name: str, table: dict[str, Any], problems: Problems) -> CollectionPolicy:
    problems.unknown_keys((name,), table, COLLECTION_KEYS)
    write = read_roles(table["write"], (name, "write"), problems) if "write" in table else None
    read = read_roles(table["read"], (name, "read"), problems) if "read" in table else None
    delete = write
    if "delete" in table:
        delete = read_roles(table["delete"], (name, "delete"), problems)
    fields = _fields(name, table, Access(write, read), problems)
    policy = CollectionPolicy(
        name=name,
        label=read_label(table.get("label", {}), (name, "label"), problems),
        fields=MappingProxyType(fields),
        on_delete_conflict="delete" if table.get("on_delete_conflict") == "delete" else "keep",
        delete=delete,
        read=read,
    )
    check_readers(delete, _readers(fields), (name,), "delete", problems)
    _check_delete_conflict(policy, table.get("on_delete_conflict", "keep"), problems)
    return policy


def _check_delete_conflict(policy: CollectionPolicy, given: object, problems: Problems) -> None:
    path = (policy.name, "on_delete_conflict")
    if given not in ("keep", "delete"):
        problems.add(path, "neither keep nor delete", 'Write "keep" or "delete".')
    if given != "delete":
        return
    manual = [item.name for item in policy.fields.values() if item.merge is MergeKind.MANUAL]
    if manual:
        problems.add(
            path,
            f'"delete" would drop values of {", ".join(manual)} that nobody has seen, and '
            "manual fields never lose a value without a person's decision",
            'Use "keep", or another merge kind for these fields.',
        )


def _readers(fields: Mapping[str, FieldPolicy]) -> frozenset[str] | None:
    """The roles that may read something of a record; None: every role."""
    lists = [field.read for field in fields.values()]
    if not lists or None in lists:
        return None
    return frozenset().union(*(roles for roles in lists if roles is not None))


def _fields(
    name: str, table: dict[str, Any], access: Access, problems: Problems
) -> dict[str, FieldPolicy]:
    path = (name, "fields")
    given = table.get("fields")
    if given is None or given == {}:
        problems.add(path, "no fields", f'Add [{name}.fields] with name = {{ type = "string" }}.')
        return {}
    if not isinstance(given, dict):
        problems.add(path, "fields are a table", f"Write [{name}.fields] on a line of its own.")
        return {}
    if len(given) > MAX_FIELDS:
        problems.add(path, f"{len(given)} fields, more than {MAX_FIELDS}", "Split the collection.")
        return {}
    fields = {}
    for field_name, rules in given.items():
        read_name((*path, field_name), problems)
        loaded = load_field(name, field_name, rules, access, problems)
        if loaded is not None:
            fields[field_name] = loaded
    return fields


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
