"""The reading half of ``RecordDocument``: values, conflicts, and what is held of the past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crdtsync.documents import reading
from crdtsync.documents.conflict import Conflict, moment
from crdtsync.documents.folding import sum_of_deltas
from crdtsync.documents.state import Entry
from crdtsync.documents.versions import Version, version_of
from crdtsync.policy import MergeKind

if TYPE_CHECKING:
    from crdtsync.documents.items import Items
    from crdtsync.policy import CollectionPolicy


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry that a document holds. Of one that left only its name is kept."""

    field: str
    """The root of the field, as in ``r/phone``: fields of a newer policy are here too."""
    op_id: str
    n: int
    visible: bool
    value: Any = None
    """The Python value; the JSON text where the policy does not know the field."""
    user: str | None = None
    at: datetime | None = None
    """When its author wrote it, by the author's clock (UTC)."""


class DocumentReading(Mapping[str, Any]):
    """A Mapping of field name → value, over the fields of the policy."""

    __slots__ = ()

    _items: Items
    _policy: CollectionPolicy

    @property
    def record_id(self) -> str:
        """The id of the record."""
        return self._items.state.record

    @property
    def policy(self) -> CollectionPolicy:
        """The rules that this document is read and written under."""
        return self._policy

    def __getitem__(self, name: str) -> Any:
        """The value of a field: a Python value, a ``Conflict``, or the empty value."""
        field = self._policy.fields.get(name)
        if field is None:
            raise KeyError(f"{self._policy.name} has no field {name!r}")
        return reading.read_field(self._items.state, field)

    def __contains__(self, name: object) -> bool:
        return name in self._policy.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy.fields)

    def __len__(self) -> int:
        return len(self._policy.fields)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<RecordDocument {self._policy.name}/{self.record_id}>"

    def conflicts(self) -> dict[str, Conflict]:
        """The fields that wait for a person, by name."""
        state = self._items.state
        return {f.name: self[f.name] for f in reading.conflicts(state, self._policy)}

    @property
    def version(self) -> Version:
        """What a reader sees now: the ``based_on`` of a later write."""
        return version_of(self._items.state)

    @property
    def deleted(self) -> bool:
        """Whether the record is deleted, and no edit brought it back."""
        return reading.is_deleted(self._items.state, self._policy)

    def history(self, name: str | None = None) -> list[HeldEntry]:
        """What is held of the past, of one field or of all; oldest visible entries first.

        This is not the whole history: an entry that left is known by its op_id
        and place only, and compaction forgets that too. The server keeps the rest.
        """
        visible = sorted(self._items.state.entries(), key=lambda e: (e[1].time_us, e[1].id))
        held = [self._held(root, entry) for root, entry in visible]
        held += [
            HeldEntry(root, *entry_id, False) for root, entry_id in sorted(self._items.tombstones())
        ]
        if name is None:
            return held
        root = self._policy.field(name).root
        return [entry for entry in held if entry.field == root]

    @property
    def is_compacted(self) -> bool:
        """Whether tombstones were dropped, so that only a log can extend the document."""
        return self._items.mark is not None

    @property
    def as_of(self) -> int | None:
        """The seq as of which a compacted document stands; None where there is none."""
        mark = self._items.mark
        return None if mark is None else mark.as_of

    @property
    def tombstones(self) -> int:
        """How many entries that left are kept: at about 70 bytes each, a reason to compact."""
        return len(self._items.dead)

    def _held(self, root: str, entry: Entry) -> HeldEntry:
        field = self._policy.by_root.get(root)
        value: Any = entry.value
        if field is not None:
            # A folded counter may hold more than one delta may.
            counter = field.merge is MergeKind.COUNTER
            value = sum_of_deltas([value]) if counter else field.decode(value)
        at = moment(entry.time_us)
        return HeldEntry(root, entry.op_id, entry.n, True, value, entry.user, at)
