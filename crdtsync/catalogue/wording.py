"""Templates in two languages: choosing one, and filling it in.

A template is a `str.format` text with one addition: `{n:change|changes}` is the first
word when n is one, else the second. In Korean no particle that depends on the sound
before it stands directly after a variable; a test holds that.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from crdtsync.errors import CrdtsyncError

Lang = Literal["en", "ko"]

LANGS: Final[tuple[Lang, ...]] = get_args(Lang)


class CatalogueError(CrdtsyncError, LookupError):
    """A message was asked for that does not exist, or without one of its parameters."""


@dataclass(frozen=True, slots=True)
class Words:
    """One text in every language."""

    en: str
    ko: str

    def in_lang(self, lang: str) -> str:
        return self.ko if lang_of(lang) == "ko" else self.en


def lang_of(tag: str) -> Lang:
    """The language for a tag such as "ko-KR"; English for any that is not here."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return "ko" if primary == "ko" else "en"


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        one, bar, many = format_spec.partition("|")
        if bar:
            return one if str(value) == "1" else many
        return str(super().format_field(value, format_spec))


_formatter = _Formatter()


def fill(template: str, params: Mapping[str, object]) -> str:
    """`template` with its placeholders replaced; braces inside of values stay as they are."""
    return _formatter.vformat(template, (), params)


def placeholders(template: str) -> frozenset[str]:
    """The names that `template` needs."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def first_that_fits(variants: Sequence[Words], given: Iterable[str]) -> Words | None:
    """The first text whose placeholders are all given."""
    names = frozenset(given)
    return next((words for words in variants if placeholders(words.en) <= names), None)
