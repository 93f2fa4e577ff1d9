"""A record as it was read: a frozen snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from crdtsync.documents.conflict import Conflict, moment, plain_json
from crdtsync.documents.errors import NotPermitted, UnresolvedConflict, UsageError
from crdtsync.documents.reading import conflicts, is_deleted, read_field
from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis, version_of
from crdtsync.policy import CollectionPolicy

if TYPE_CHECKING:
    from crdtsync.replica.collection import Collection
    from crdtsync.replica.history import FieldHistory

T = TypeVar("T")


class Record(Mapping[str, Any]):
    """A read-only mapping from every field that may be read to its value.

    It shows the record as of when it was read and never changes. A field that
    was never written or was cleared reads None, a counter 0, a set is empty, and
    a field in conflict is a ``Conflict``.
    """

    __slots__ = ("_collection", "_hidden", "_policy", "_state", "log_generation", "sync_state")

    def __init__(
        self,
        collection: Collection,
        policy: CollectionPolicy,
        state: RecordState,
        sync_state: str,
        log_generation: int,
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        self._hidden = hidden
        self._collection = collection
        self._policy = policy
        self._state = state
        self.log_generation = log_generation
        """Which log its seqs belong to: a restored server begins another one."""
        self.sync_state = sync_state
        """``pending``, ``sending``, ``failed`` or ``synced``: for an icon beside it."""

    def __getitem__(self, name: str) -> Any:
        field = self._policy.fields.get(name)
        if field is None:
            raise KeyError(
                f"{self._policy.name} has no field {name!r}; the policy knows: "
                f"{', '.join(self._policy.fields)}"
            )
        if name in self._hidden:
            raise not_readable(self._policy.name, name)
        return read_field(self._state, field, self._collection.resolve_conflict)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._policy.fields if name not in self._hidden)

    def __len__(self) -> int:
        return len(self._policy.fields) - len(self._hidden)

    def __contains__(self, name: object) -> bool:
        return name in self._policy.fields and name not in self._hidden

    @property
    def hidden(self) -> frozenset[str]:
        """The fields that this user's roles may not read: reading one raises NotPermitted,
        so that "may not be seen" is never taken for "is empty"."""
        return self._hidden

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={self[name]!r}" for name in self if self._is_set(name))
        return f"<Record {self._policy.name}/{self.id} {self.sync_state}: {values}>"

    def _is_set(self, name: str) -> bool:
        return bool(self._state.fields.get(self._policy.fields[name].root))

    @property
    def id(self) -> str:
        """The record's id within its collection."""
        return self._state.record

    @property
    def collection(self) -> str:
        """The collection's name."""
        return self._policy.name

    @property
    def version(self) -> str:
        """What this snapshot shows, for ``based_on``; opaque."""
        generation = f"{self.log_generation}~" if self.log_generation else ""
        return f"{generation}{version_of(self._state)}"

    @property
    def basis(self) -> Basis:
        """The exact entries that this snapshot shows."""
        return Basis(version_of(self._state), self._state)

    @property
    def deleted(self) -> bool:
        """Whether the record is deleted (only ``collection.get_deleted`` gives such)."""
        return is_deleted(self._state, self._policy)

    @property
    def updated_at(self) -> datetime:
        """When it changed last: the server's receive time, or this device's while pending."""
        return moment(self._state.updated_us)

    @property
    def updated_by(self) -> str:
        """The user who changed it last."""
        return self._state.updated_by

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The fields that wait for a person."""
        open_fields = (field.name for field in conflicts(self._state, self._policy))
        return tuple(self[name] for name in open_fields if name not in self._hidden)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values by field; a conflict is ``{"conflict": [candidates]}``."""
        return {name: plain_json(self[name]) for name in self}

    @overload
    def value(self, name: str, kind: type[T]) -> T | None: ...

    @overload
    def value(self, name: str, kind: None = None) -> Any: ...

    def value(self, name: str, kind: type[T] | None = None) -> Any:
        """One plain value, checked: ``value("name", str)`` is a str or None.

        Raises UnresolvedConflict for a field in conflict, UsageError where the
        value is of another type.
        """
        found = self[name]
        if isinstance(found, Conflict):
            raise UnresolvedConflict(
                f"{self.collection}/{self.id}: the field {name!r} has different values; "
                "choose with `await conflict.resolve(value)`"
            )
        wrong = (isinstance(found, bool) and kind is not bool) or not isinstance(
            found, kind or object
        )
        if kind is not None and found is not None and wrong:
            raise UsageError(f"{name} is {type(found).__name__}, not {kind.__name__}")
        return found

    async def history(self, name: str) -> FieldHistory:
        """Every value that the field had, newest first, and why each left."""
        return await self._collection.history(self.id, name)


def not_readable(collection: str, name: str) -> NotPermitted:
    """The error for a field that the roles of this user may not read."""
    return NotPermitted(f"your role may not read {name!r} of {collection}")
