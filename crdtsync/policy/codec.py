"""What a codec is: from Python values to canonical JSON and back, for one type.

A codec is made for one field and names it in its errors. `text` is strict about
the value and enforces the field's limits; `python` and `key` read texts that were
legal when they were written, so a policy that tightens a limit leaves older values
readable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .canonical import equal_text, read
from .errors import InvalidValue


@dataclass(slots=True)
class Codec(ABC):
    """Reads and writes the values of one type for one field."""

    field: str
    expected: str  # the type as the policy spells it, for messages

    @property
    def ascii_is_key(self) -> bool:
        """Whether an ASCII text is its own equality key, so that nothing need be parsed."""
        return True

    @abstractmethod
    def text(self, value: object) -> str:
        """Canonical text of a Python value or of its JSON spelling. Raises InvalidValue."""

    @abstractmethod
    def python(self, plain: object) -> object:
        """The Python value of parsed JSON. Raises InvalidValue if it is of another type."""

    @abstractmethod
    def key(self, plain: object) -> str:
        """A text that is the same for equal values. Raises InvalidValue as `python` does."""

    def check(self, text: str) -> None:
        """Raise InvalidValue unless `text` is exactly what `self.text` can give."""
        if self.text(read(text, self.field)) != text:
            raise InvalidValue(self.field, "not_canonical")

    def text_key(self, text: str) -> str:
        """Equality key of a canonical text.

        A text of another type, left by an older policy, is equal to itself only.
        """
        if self.ascii_is_key and text.isascii():
            return text
        try:
            return self.key(read(text, self.field))
        except InvalidValue:
            return equal_text(text)

    def wrong_type(self, value: object) -> InvalidValue:
        return InvalidValue(
            self.field, "wrong_type", expected=self.expected, got=type(value).__name__
        )
