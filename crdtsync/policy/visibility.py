"""What somebody may read: the fields that their roles leave hidden, and a mark for it.

The mark names a way of seeing. A replica keeps the one under which its records
were sent; where the server's differs (a role granted or withdrawn, another
policy), the replica pages its records anew (protocol/PROTOCOL.md, Permissions).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property

from .fields import CollectionPolicy

MARK_CHARS = 32
"""Of a mark: 128 bits in hex."""


@dataclass(frozen=True, eq=False)
class Visibility:
    """What one set of roles may read under one policy."""

    collections: Mapping[str, CollectionPolicy] = attribute(repr=False)
    hidden_collections: frozenset[str]
    """Collections of which nothing may be read."""
    hidden_roots: frozenset[tuple[str, str]]
    """(collection, root) of hidden fields in the other collections."""

    @cached_property
    def hiding(self) -> frozenset[str]:
        """The collections of which something, or everything, is hidden."""
        return self.hidden_collections | {collection for collection, _ in self.hidden_roots}

    @cached_property
    def is_full(self) -> bool:
        """Whether nothing is hidden."""
        return not self.hiding

    @cached_property
    def mark(self) -> str:
        """Equal for equal ways of seeing; "" where nothing is hidden."""
        if self.is_full:
            return ""
        hidden = sorted({*((name, "") for name in self.hidden_collections), *self.hidden_roots})
        text = "\n".join(f"{collection}/{root}" for collection, root in hidden)
        return hashlib.sha256(text.encode()).hexdigest()[:MARK_CHARS]

    def sees_collection(self, collection: str) -> bool:
        """Whether any of its records may be known."""
        return collection not in self.hidden_collections

    def may_read(self, collection: str, root: str) -> bool:
        """Whether the field with this root may be read; ``d/`` is the record's own deletion."""
        return (
            collection not in self.hidden_collections
            and (collection, root) not in self.hidden_roots
        )

    def may_read_field(self, collection: str, name: str) -> bool:
        """Whether the field of that name may be read. A field that is unknown may not."""
        rules = self.collections.get(collection)
        field = None if rules is None else rules.fields.get(name)
        return field is not None and self.may_read(collection, field.root)


def visibility(
    collections: Mapping[str, CollectionPolicy], roles: Collection[str] | None
) -> Visibility:
    """What someone with ``roles`` sees; None (not known yet) hides nothing.

    Of a collection none of whose fields may be read nothing is seen, not even
    that there are records.
    """
    gone: set[str] = set()
    hidden: set[tuple[str, str]] = set()
    for name, rules in collections.items():
        roots = {field.root for field in rules.fields.values() if not field.may_read(roles)}
        if len(roots) == len(rules.fields):
            gone.add(name)
        else:
            hidden.update((name, root) for root in roots)
    return Visibility(collections, frozenset(gone), frozenset(hidden))
