"""Kinds of settings: how a value is read from text, read from TOML, and shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crdtsync_server.settings import DAY_S, FOR_EVER, BadSettings, parse_age


class BadValue(ValueError):
    """A value that its setting does not take; the message says what to write."""


class Kind(Protocol):
    """What a setting takes. ``read`` and ``take`` raise BadValue or BadSettings."""

    @property
    def hint(self) -> str:
        """What stands behind the flag in ``--help``."""
        ...

    def read(self, text: str) -> object:
        """The value that a flag or a variable of the environment spells."""
        ...

    def take(self, value: object, folder: Path) -> object:
        """The value that a TOML file in ``folder`` holds."""
        ...

    def show(self, value: object) -> str:
        """The value as one would write it."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Any text that is not empty."""

    hint: str = "TEXT"

    def read(self, text: str) -> object:
        """The text without the white space around it."""
        if not text.strip():
            raise BadValue("it is empty; give a value, or leave it out")
        return text.strip()

    def take(self, value: object, folder: Path) -> object:
        """A string."""
        return self.read(_string(value))

    def show(self, value: object) -> str:
        """As it is."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def hint(self) -> str:
        """All of them."""
        return "|".join(self.words)

    def read(self, text: str) -> object:
        """One of the words, in any case."""
        word = text.strip().lower()
        if word not in self.words:
            raise BadValue(f"{text!r} is none of {', '.join(self.words)}")
        return word

    def take(self, value: object, folder: Path) -> object:
        """A string."""
        return self.read(_string(value))

    def show(self, value: object) -> str:
        """The word."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder. In a TOML file, relative to the folder of that file."""

    hint: str = "PATH"

    def read(self, text: str) -> object:
        """A path as it is typed, with ~ for the home folder."""
        if not text.strip():
            raise BadValue("it is empty; name a path, or leave it out")
        return Path(text.strip()).expanduser()

    def take(self, value: object, folder: Path) -> object:
        """A string; relative to ``folder``."""
        path = self.read(_string(value))
        assert isinstance(path, Path)
        return folder / path

    def show(self, value: object) -> str:
        """The path."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int = 1
    most: int = 2**53 - 1
    hint: str = "N"

    def read(self, text: str) -> object:
        """Digits; ``_`` between them is fine."""
        try:
            return self._bounded(int(text))
        except ValueError as error:
            if isinstance(error, BadValue):
                raise
            raise BadValue(f"{text!r} is not a whole number") from None

    def take(self, value: object, folder: Path) -> object:
        """An integer."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue(f"{value!r} is not a whole number; write it without quotes")
        return self._bounded(value)

    def show(self, value: object) -> str:
        """The digits."""
        return str(value)

    def _bounded(self, number: int) -> int:
        if not self.least <= number <= self.most:
            raise BadValue(f"{number} is not between {self.least} and {self.most}")
        return number


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds, fractions included."""

    least: float = 0.0
    most: float = 1e9
    hint: str = "NUMBER"

    def read(self, text: str) -> object:
        """A decimal number."""
        try:
            number = float(text)
        except ValueError:
            raise BadValue(f"{text!r} is not a number") from None
        if not (math.isfinite(number) and self.least <= number <= self.most):
            raise BadValue(f"{text} is not between {self.least:g} and {self.most:g}")
        return number

    def take(self, value: object, folder: Path) -> object:
        """An integer or a float."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadValue(f"{value!r} is not a number; write it without quotes")
        return self.read(str(value))

    def show(self, value: object) -> str:
        """Without a needless ``.0``."""
        return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    hint: str = "true|false"

    def read(self, text: str) -> object:
        """``true``, ``false``, and what people write for them."""
        word = text.strip().lower()
        if word in ("true", "1", "yes", "on"):
            return True
        if word in ("false", "0", "no", "off"):
            return False
        raise BadValue(f"{text!r} is neither true nor false")

    def take(self, value: object, folder: Path) -> object:
        """A boolean."""
        if not isinstance(value, bool):
            raise BadValue(f"{value!r} is neither true nor false; write it without quotes")
        return value

    def show(self, value: object) -> str:
        """As in TOML."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Names:
    """Several words: with commas between them, or a list in TOML."""

    hint: str = "A,B,…"

    def read(self, text: str) -> object:
        """The words between the commas."""
        return tuple(word for part in text.split(",") if (word := part.strip()))

    def take(self, value: object, folder: Path) -> object:
        """A list of strings."""
        if not isinstance(value, list):
            raise BadValue(f'{value!r} is not a list; write it like ["…", "…"]')
        return tuple(_string(one).strip() for one in value)

    def show(self, value: object) -> str:
        """With commas between them."""
        return ", ".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Age:
    """A time such as 90d, or ``forever``; kept as seconds."""

    hint: str = "AGE"

    def read(self, text: str) -> object:
        """Seconds, or None for ever."""
        try:
            return parse_age(text.strip())
        except BadSettings as error:
            raise BadValue(str(error)) from None

    def take(self, value: object, folder: Path) -> object:
        """A string."""
        return self.read(_string(value))

    def show(self, value: object) -> str:
        """In days or hours."""
        if not isinstance(value, int | float):
            return FOR_EVER
        whole_days = value % DAY_S == 0
        return f"{value / DAY_S:g}d" if whole_days else f"{value / 3_600:g}h"


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue(f"{value!r} is not a text; write it in quotes")
    return value
