"""The policy: what every field of every collection means."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from .errors import UnknownCollection
from .fields import CollectionPolicy
from .loading import load
from .targets import Targets
from .visibility import Visibility, visibility


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A parsed policy file. Two policies are equal when their texts are."""

    version: int
    text: str = field(repr=False)  # the file as it was given; the server hands it to replicas
    hash: str  # SHA-256 of the text with LF line ends, in hex: what people sign
    collections: Mapping[str, CollectionPolicy] = field(repr=False)
    targets: Targets = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, source: str = "policy.toml") -> Self:
        """Read the text of a policy file; `source` is its name in messages.

        Raises PolicyError, whose `problems` are all mistakes of the file.
        """
        loaded = load(text, source)
        return cls(
            version=loaded.version,
            text=text,
            hash=policy_hash(text),
            collections=loaded.collections,
            targets=loaded.targets,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.hash)

    def collection(self, name: str) -> CollectionPolicy:
        """The rules of one collection. Raises UnknownCollection naming the known ones."""
        try:
            return self.collections[name]
        except KeyError:
            raise UnknownCollection(name, self.collections) from None

    def visibility(self, roles: Collection[str] | None) -> Visibility:
        """What someone with `roles` may read."""
        return visibility(self.collections, roles)


def policy_hash(text: str) -> str:
    """SHA-256 in hex of `text`, the same whether it was saved with CRLF or LF."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()
