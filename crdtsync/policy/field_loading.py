"""One field of a policy file: its keys, and which of them fit together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from .canonical import read
from .errors import InvalidValue
from .fields import Choice, FieldPolicy, codec_for
from .limits import MAX_CHOICES, MAX_VALUE_BYTES
from .merge import LATER_KINDS, MergeKind
from .naming import read_label, read_roles
from .patterns import BadPattern, safe_pattern
from .toml_reading import Path, Problems
from .value_types import BadType, ValueType, closest

LIMIT_KEYS = ("max_length", "min", "max", "pattern", "choices")
FIELD_KEYS = ("type", "merge", "label", "required", *LIMIT_KEYS, "write", "read")

# Which limits make sense for which innermost type.
_TEXT_LIMITS = frozenset({"max_length", "pattern", "choices"})
_ORDERED_LIMITS = frozenset({"min", "max", "choices"})
_LIMITS_OF: dict[str, frozenset[str]] = {
    "string": _TEXT_LIMITS,
    "integer": _ORDERED_LIMITS,
    "number": _ORDERED_LIMITS,
    "decimal": _ORDERED_LIMITS,
    "date": _ORDERED_LIMITS,
    "datetime": _ORDERED_LIMITS,
    "boolean": frozenset(),
    "json": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may write and who may read; None: every role."""

    write: frozenset[str] | None = None
    read: frozenset[str] | None = None


def load_field(
    collection: str, name: str, rules: object, access: Access, problems: Problems
) -> FieldPolicy | None:
    """The rules of one field; None when they have mistakes, which go to `problems`.

    `access` is the collection's lists of roles, for a field without its own.
    """
    path = (collection, "fields", name)
    if not isinstance(rules, dict):
        problems.add(
            path, "a field is a table", f'Write {name} = {{ type = "string", merge = "…" }}.'
        )
        return None
    problems.unknown_keys(path, rules, FIELD_KEYS)
    value_type = _type(rules, path, problems)
    merge = _merge(rules, path, problems)
    label = read_label(rules.get("label", {}), (*path, "label"), problems)
    write, read = access.write, access.read
    if "write" in rules:
        write = read_roles(rules["write"], (*path, "write"), problems)
    if "read" in rules:
        read = read_roles(rules["read"], (*path, "read"), problems)
    check_readers(write, read, path, "write", problems)
    required = rules.get("required", False)
    if not isinstance(required, bool):
        problems.add((*path, "required"), "neither true nor false", "Write required = true.")
        required = False
    if value_type is None:
        return None
    fits = merge is None or _kinds_fit(value_type, merge, rules, path, problems)
    # A counter takes none of them, which has been said; elsewhere each is checked even
    # if something else is wrong, so that people see all mistakes at once.
    limits = {} if merge is MergeKind.COUNTER else _limits(value_type, rules, path, problems)
    if merge is None or not fits or limits is None:
        return None
    return FieldPolicy(
        collection=collection,
        name=name,
        type=value_type,
        merge=merge,
        label=label,
        required=required,
        write=write,
        read=read,
        **limits,
    )


def check_readers(
    acting: frozenset[str] | None,
    read: frozenset[str] | None,
    path: Path,
    verb: str,
    problems: Problems,
) -> None:
    """Whoever writes a field (or deletes a record) sees what is replaced by it."""
    if read is None or (acting is not None and acting <= read):
        return
    who = "every role" if acting is None else ", ".join(sorted(acting - read))
    problems.add(
        (*path, verb),
        f"{who} may {verb} what only {', '.join(sorted(read)) or 'nobody'} may read, and "
        "nobody replaces what they cannot see",
        f"Give {verb} a list of roles that are all in read, or add them to read.",
    )


def _type(rules: dict[str, Any], path: Path, problems: Problems) -> ValueType | None:
    given = rules.get("type")
    if not isinstance(given, str):
        what = "the type is missing" if given is None else "the type is not a text"
        problems.add((*path, "type"), what, 'Write type = "string", or another type.')
        return None
    try:
        return ValueType.parse(given)
    except BadType as error:
        problems.add((*path, "type"), error.what, error.cure)
        return None


def _merge(rules: dict[str, Any], path: Path, problems: Problems) -> MergeKind | None:
    given = rules.get("merge", MergeKind.SERVER_LATEST.value)
    kinds = [kind.value for kind in MergeKind]
    if given in kinds:
        return MergeKind(given)
    if given in LATER_KINDS:
        problems.add(
            (*path, "merge"),
            f'merge kind "{given}" is not in this version',
            f"Use one of {', '.join(kinds)}; manual keeps every version of a text or list.",
        )
    elif isinstance(given, str):
        problems.add((*path, "merge"), f'unknown merge kind "{given}"', closest(given, kinds))
    else:
        problems.add((*path, "merge"), "the merge kind is not a text", closest("", kinds))
    return None


def _kinds_fit(
    value_type: ValueType, merge: MergeKind, rules: dict[str, Any], path: Path, problems: Problems
) -> bool:
    fits = True
    if merge is MergeKind.COUNTER:
        if value_type.kind not in ("integer", "decimal"):
            problems.add(
                (*path, "merge"),
                f"a counter of {value_type} is impossible",
                "Count in integer or decimal, or use another merge kind.",
            )
            fits = False
        for key in ("required", *LIMIT_KEYS):
            if key in rules:
                problems.add(
                    (*path, key),
                    f"a counter takes no {key}: its entries are changes, and two allowed "
                    "changes may sum up to anything",
                    f"Remove {key}, or use another merge kind.",
                )
                fits = False
    elif merge is MergeKind.SET:
        if value_type.kind != "set":
            inner = value_type if value_type.is_scalar else "string"
            problems.add(
                (*path, "merge"),
                f"merge kind set needs the type set<…>, not {value_type}",
                f'Write type = "set<{inner}>", or use another merge kind.',
            )
            fits = False
        if "required" in rules:
            problems.add(
                (*path, "required"),
                "merge kind set takes no required: each of two people may remove the "
                "element that the other one kept",
                "Remove required, or use another merge kind.",
            )
            fits = False
    return fits


def _limits(
    value_type: ValueType, rules: dict[str, Any], path: Path, problems: Problems
) -> dict[str, Any] | None:
    """The limits as Python values, or None when one of them is wrong."""
    leaf = value_type.leaf
    given = {key: rules[key] for key in LIMIT_KEYS if key in rules}
    limits: dict[str, Any] = {}
    for key, value in given.items():
        place = (*path, key)
        if key not in _LIMITS_OF[leaf.kind]:
            allowed = sorted(_LIMITS_OF[leaf.kind])
            cure = f"{leaf} takes {', '.join(allowed)}." if allowed else f"{leaf} takes no limits."
            problems.add(place, f"{key} does not fit the type {leaf}", cure)
        elif key == "max_length":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                problems.add(place, "not a positive integer", "Write a number of characters.")
            elif value > MAX_VALUE_BYTES:
                problems.add(
                    place,
                    f"more than a value can hold ({MAX_VALUE_BYTES} bytes)",
                    f"Write at most {MAX_VALUE_BYTES}, or leave max_length out.",
                )
            else:
                limits[key] = value
        elif key in ("min", "max"):
            limits[key] = _scalar(leaf, value, place, problems)
        elif key == "choices":
            limits[key] = _choices(leaf, value, place, problems)
    _pattern(given, limits, path, problems)
    if len(limits) != len(given) or None in limits.values():
        return None
    return limits if _limits_agree(leaf, limits, path, problems) else None


def _pattern(given: dict[str, Any], limits: dict[str, Any], path: Path, problems: Problems) -> None:
    pattern = given.get("pattern")
    place = (*path, "pattern")
    if pattern is None or ("max_length" in given and "max_length" not in limits):
        return
    if not isinstance(pattern, str):
        problems.add(place, "the pattern is not a text", "Write it in single quotes: '[0-9]+'.")
        return
    try:
        safe_pattern(pattern, limits.get("max_length"))
    except BadPattern as error:
        problems.add(place, error.what, error.cure)
    else:
        limits["pattern"] = pattern


def _scalar(leaf: ValueType, value: object, place: Path, problems: Problems) -> Any:
    """A limit or choice as a Python value of the field's innermost type."""
    if leaf.kind == "number" and isinstance(value, Decimal):
        value = float(value)
    if leaf.kind == "date" and isinstance(value, datetime):
        value = value.isoformat()
    if leaf.kind == "datetime" and isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    codec = codec_for(leaf, place[-1])
    try:
        return codec.python(read(codec.text(value), place[-1]))
    except InvalidValue as error:
        sentence = str(error).partition('" ')[2]
        problems.add(place, f"not a value of the type {leaf}", f"The limit {sentence}")
        return None


def _choices(
    leaf: ValueType, value: object, place: Path, problems: Problems
) -> tuple[Choice, ...] | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES:
        problems.add(place, f"not a list of 1 to {MAX_CHOICES} choices", 'Write ["low", "high"].')
        return None
    codec = codec_for(leaf, place[-1])
    seen: set[str] = set()
    choices: list[Choice] = []
    for item in value:
        choice = _scalar(leaf, item, place, problems)
        if choice is None:
            return None
        key = codec.text_key(codec.text(choice))
        if key in seen:
            problems.add(place, f"{str(item)[:80]!r} stands there twice", "Name it once.")
            return None
        seen.add(key)
        choices.append(choice)
    return tuple(choices)


def _limits_agree(leaf: ValueType, limits: dict[str, Any], path: Path, problems: Problems) -> bool:
    low, high, choices = limits.get("min"), limits.get("max"), limits.get("choices")
    if low is not None and high is not None and low > high:
        problems.add((*path, "min"), "min is above max, so no value fits", "Swap them.")
        return False
    if choices and len(limits) > 1:
        others = {key: value for key, value in limits.items() if key != "choices"}
        probe = FieldPolicy(collection=path[0], name=path[-1], type=leaf, **others)
        for choice in choices:
            try:
                probe.encode(choice)
            except InvalidValue as error:
                sentence = str(error).partition('" ')[2]
                problems.add(
                    (*path, "choices"),
                    f"{str(choice)[:80]!r} breaks another limit of the field",
                    f"The field {sentence}",
                )
                return False
    return True
