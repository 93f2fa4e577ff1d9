"""The types that a field may have, and how the policy spells them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from .limits import MAX_TYPE_NESTING

SCALARS = ("string", "integer", "number", "boolean", "date", "datetime", "decimal")
CONTAINERS = ("list", "set", "map")
SPELLINGS = (*SCALARS, "json", *(f"{name}<…>" for name in CONTAINERS))

_MAX_TYPE_CHARS = 100


class BadType(ValueError):
    """A type that the policy language does not have; `what` and `cure` for the problem."""

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type of value: a scalar, json, or a list, set or map of another type."""

    kind: str  # one of SCALARS, "json", or one of CONTAINERS
    item: ValueType | None = None  # type of the elements of a container, else None

    def __str__(self) -> str:
        return self.kind if self.item is None else f"{self.kind}<{self.item}>"

    @property
    def is_scalar(self) -> bool:
        return self.kind in SCALARS

    @property
    def leaf(self) -> ValueType:
        """The innermost type: what `choices`, `pattern` and the other limits speak about."""
        found = self
        while found.item is not None:
            found = found.item
        return found

    @classmethod
    def parse(cls, text: str) -> ValueType:
        """Read a type as the policy spells it, such as `list<set<string>>`.

        Raises BadType with the mistake and its cure.
        """
        if len(text) > _MAX_TYPE_CHARS:
            raise BadType("the type is too long", f"Use one of {', '.join(SPELLINGS)}.")
        return _parse(text.strip(), 0)


def _parse(text: str, depth: int) -> ValueType:
    if depth > MAX_TYPE_NESTING:
        raise BadType(
            f"the type nests deeper than {MAX_TYPE_NESTING} levels",
            "Use json for values of such a shape.",
        )
    head, bracket, rest = text.partition("<")
    head = head.strip()
    if not bracket:
        if text in SCALARS or text == "json":
            return ValueType(text)
        if text in CONTAINERS:
            raise BadType(
                f'"{text}" does not say of what',
                f'Write the type of the elements: "{text}<string>".',
            )
        raise BadType(f'unknown type "{text}"', closest(text, (*SCALARS, "json", *CONTAINERS)))
    if head not in CONTAINERS:
        raise BadType(f'unknown type "{head}<…>"', closest(head, CONTAINERS))
    if not rest.rstrip().endswith(">"):
        raise BadType(f'"{text}" has no closing ">"', f'Write it as "{head}<string>".')
    item = _parse(rest.rstrip()[:-1].strip(), depth + 1)
    if head == "set" and not item.is_scalar:
        raise BadType(
            f"a set cannot hold {item}",
            f"A set holds one of {', '.join(SCALARS)}; use list<{item}> for anything else.",
        )
    return ValueType(head, item)


def closest(word: str, known: Iterable[str]) -> str:
    """A cure for a mistyped word: the nearest known one, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:100], names, n=1)
    if near:
        return f'Did you mean "{near[0]}"?'
    return f"Use one of {', '.join(names)}."
