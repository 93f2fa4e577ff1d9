"""Errors of the policy: a file with mistakes, and a value that does not fit its field."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crdtsync.errors import CrdtsyncError


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProblem:
    """One mistake of a policy file."""

    where: str  # path of the key, "patient.fields.phone.merge", or "" for the whole file
    what: str  # what is wrong, without a full stop
    cure: str  # what to do, a whole sentence
    line: int | None = None  # 1-based line of the file, when it could be found

    def __str__(self) -> str:
        place = [self.where] if self.where else []
        if self.line is not None:
            place.append(f"line {self.line}")
        return f"{', '.join(place) or 'the file'}: {self.what}. {self.cure}"


class PolicyError(CrdtsyncError):
    """A policy cannot be used. `problems` holds every mistake that was found."""

    def __init__(self, source: str, problems: Sequence[PolicyProblem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(source, self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.source}: {count} {'mistake' if count == 1 else 'mistakes'} in the policy"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])


class UnknownCollection(CrdtsyncError, LookupError):
    """The policy has no collection of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(name, self.known)

    def __str__(self) -> str:
        return (
            f"The policy has no collection {self.name!r}. "
            f"Use one of {', '.join(self.known)}, or add a table [{self.name}] to the policy."
        )


class UnknownField(CrdtsyncError, LookupError):
    """The collection has no field of that name."""

    def __init__(self, collection: str, name: str, known: Iterable[str]) -> None:
        self.collection = collection
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(collection, name, self.known)

    def __str__(self) -> str:
        return (
            f"The collection {self.collection!r} has no field {self.name!r}. "
            f"Use one of {', '.join(self.known)}, or add it under [{self.collection}.fields]."
        )


# Per code the sentences after `Field "x" `, the most telling one first; the first
# whose placeholders are all given is used, so the last one has none. No sentence
# repeats the value itself: messages end in logs, and values are people's health data.
_VALUE_SENTENCES: Mapping[str, tuple[str, ...]] = {
    "wrong_type": (
        "has the type {expected}, but the value is of type {got}. Give {expected}.",
        "got a value of another type. Give a value of the type in the policy.",
    ),
    "bad_format": (
        "has the type {expected}, written like {example}. Write the value that way.",
        "got a text in the wrong form. Write it in the form of the field's type.",
    ),
    "too_long": (
        "takes at most {limit} characters, but the text has {length}. Shorten it.",
        "got a text that is too long. Shorten it.",
    ),
    "too_large": (
        "takes at most {limit} bytes as JSON. Store the content elsewhere and keep a reference.",
        "got a value that is too large. Store the content elsewhere and keep a reference.",
    ),
    "too_many_elements": (
        "takes at most {limit} elements, but the value has {count}. Split it over records.",
        "got too many elements. Split them over records.",
    ),
    "too_many_digits": (
        "takes at most {limit} digits. Round the number.",
        "got a number with too many digits. Round it.",
    ),
    "too_deep": (
        "takes at most {limit} levels of nesting. Flatten the value.",
        "got a value that is nested too deeply. Flatten it.",
    ),
    "out_of_range": (
        "takes nothing below {min}. Give at least {min}.",
        "takes nothing above {max}. Give at most {max}.",
        "got a value out of its range. Give one within the limits of the policy.",
    ),
    "not_in_choices": (
        "takes one of: {choices}. Choose one of them.",
        "got a value that is not among its choices. Choose one of them.",
    ),
    "pattern": (
        "takes texts that match {pattern} as a whole. Write the value that way.",
        "got a text in the wrong form. Write it in the form that the policy asks for.",
    ),
    "required": ("is required and cannot be cleared. Give a value.",),
    "not_clearable": (
        "merges as a {merge} and cannot be cleared. Write a change of it instead.",
        "cannot be cleared. Write a change of it instead.",
    ),
    "unsafe_integer": (
        "takes integers up to 9007199254740991 either way, because browsers change larger "
        "ones. Use the type decimal or string for them.",
    ),
    "not_finite": ("takes no NaN or Infinity. Give a finite number, or clear the field.",),
    "bad_text": ("takes no lone surrogates and no NUL characters. Remove them from the text.",),
    "naive_datetime": ("takes datetimes with a time zone. Add an offset, such as +09:00.",),
    "duplicate_key": ("got an object that names one key twice. Name each key once.",),
    "not_json": ("got a text that is not JSON. Send the canonical JSON of the value.",),
    "not_canonical": (
        "got JSON that is not in canonical form. Send the text that encode() gives.",
    ),
    "wrong_shape": (
        "merges as {merge}, and a {asked} cannot be written to it. Use the verb for {merge}.",
        "cannot be written with this verb. Use the verb of its merge kind.",
    ),
}

VALUE_CODES = frozenset(_VALUE_SENTENCES)
"""Every code that an `InvalidValue` may carry."""


def placeholders(template: str) -> frozenset[str]:
    """The names between braces in `template`."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


class InvalidValue(CrdtsyncError, ValueError):
    """A value does not fit its field.

    `code` (one of `VALUE_CODES`) and `params` say why in a form that programs and
    the message catalogue can use. Neither holds the value itself.
    """

    def __init__(self, field: str, code: str, **params: str) -> None:
        self.field = field
        self.code = code
        self.params = params
        super().__init__(field, code, params)

    def __str__(self) -> str:
        sentences = _VALUE_SENTENCES.get(self.code)
        if sentences is None:
            # From a newer version, so nothing is known of its form, braces included.
            return f'Field "{self.field}" refused the value ({self.code}).'
        told = next(text for text in sentences if placeholders(text) <= self.params.keys())
        return f'Field "{self.field}" {told.format_map(self.params)}'

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_invalid_value, (self.field, self.code, self.params))


def _rebuild_invalid_value(field: str, code: str, params: dict[str, str]) -> InvalidValue:
    return InvalidValue(field, code, **params)
