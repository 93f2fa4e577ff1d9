"""The writing half of ``RecordDocument``: each method makes one op and applies it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from crdtsync.documents import reading, writing
from crdtsync.documents.conflict import Conflict
from crdtsync.documents.errors import ConflictChanged, InvalidOp, RecordDeleted, UsageError
from crdtsync.documents.ops import DELETION_ROOT, EntryId, Op
from crdtsync.documents.versions import Basis, Version
from crdtsync.documents.writing import Authorship

if TYPE_CHECKING:
    from crdtsync.documents.items import Items
    from crdtsync.policy import CollectionPolicy

Roles = Iterable[str] | None
"""The roles of the writer. None: not known, and nothing is refused for a role."""


class DocumentWriting(ABC):
    """Makes ops under the policy from what the document shows.

    Every method takes the op_id (UUID v4, the idempotency key), the user, and
    the time in microseconds (``HybridClock.stamp``). All raise InvalidValue,
    UsageError (of which UnresolvedConflict, NotPermitted and RecordDeleted are
    kinds), InvalidOp, and CompactedDocument; then nothing has changed. Those that
    may find nothing to change return None then.
    """

    __slots__ = ()

    _items: Items
    _policy: CollectionPolicy

    @abstractmethod
    def _apply_written(self, ops: list[Op]) -> int: ...

    def update(
        self,
        fields: Mapping[str, object],
        *,
        op_id: str,
        user: str,
        time_us: int,
        based_on: Version | str | None = None,
        roles: Roles = None,
    ) -> Op | None:
        """Write fields: registers get the value, sets the difference to their base.

        ``based_on`` is the ``version`` that the writer had read (None: what is
        shown now); what came after it is not superseded.
        """
        author = _author(op_id, user, time_us, roles)
        basis = self._basis(based_on)
        return self._write(
            writing.update(self._items.state, self._policy, fields, author, based_on=basis)
        )

    def clear(
        self,
        *names: str,
        op_id: str,
        user: str,
        time_us: int,
        based_on: Version | str | None = None,
        roles: Roles = None,
    ) -> Op | None:
        """Clear fields: a register reads None then, a set is empty."""
        return self.update(
            dict.fromkeys(names),
            op_id=op_id,
            user=user,
            time_us=time_us,
            based_on=based_on,
            roles=roles,
        )

    def increment(
        self,
        deltas: Mapping[str, int | Decimal],
        *,
        op_id: str,
        user: str,
        time_us: int,
        roles: Roles = None,
    ) -> Op:
        """Add to counters."""
        self._basis(None)
        author = _author(op_id, user, time_us, roles)
        op = writing.increment(self._items.state, self._policy, deltas, author)
        return self._written(op)

    def add(
        self,
        name: str,
        elements: Iterable[object],
        *,
        op_id: str,
        user: str,
        time_us: int,
        based_on: Version | str | None = None,
        roles: Roles = None,
    ) -> Op | None:
        """Add elements to a set. Who removes one at the same time does not win."""
        author = _author(op_id, user, time_us, roles)
        basis = self._basis(based_on)
        state = self._items.state
        return self._write(
            writing.change_set(state, self._policy, name, author, add=elements, based_on=basis)
        )

    def remove(
        self,
        name: str,
        elements: Iterable[object],
        *,
        op_id: str,
        user: str,
        time_us: int,
        based_on: Version | str | None = None,
        roles: Roles = None,
    ) -> Op | None:
        """Take elements out of a set: the adds of them that the writer saw."""
        author = _author(op_id, user, time_us, roles)
        basis = self._basis(based_on)
        state = self._items.state
        return self._write(
            writing.change_set(state, self._policy, name, author, remove=elements, based_on=basis)
        )

    def delete(
        self,
        *,
        op_id: str,
        user: str,
        time_us: int,
        based_on: Version | str | None = None,
        roles: Roles = None,
    ) -> Op:
        """Delete the record. Under ``keep`` an edit that the writer had not seen undoes it."""
        author = _author(op_id, user, time_us, roles)
        basis = None if based_on is None else Basis(_version(based_on))
        return self._written(
            writing.delete(self._items.state, self._policy, author, based_on=basis)
        )

    def restore(self, *, op_id: str, user: str, time_us: int, roles: Roles = None) -> Op:
        """Bring a deleted record back, with the values that it has."""
        author = _author(op_id, user, time_us, roles)
        return self._written(writing.restore(self._items.state, self._policy, author))

    def resolve(
        self,
        name: str,
        value: object,
        *,
        op_id: str,
        user: str,
        time_us: int,
        conflict: Conflict | None = None,
        if_unchanged: bool = False,
        roles: Roles = None,
    ) -> Op:
        """Choose the value of a field in conflict.

        It replaces the candidates of ``conflict``, as the person read it (None:
        those that stand now). One that arrived since survives and keeps the
        conflict open; with ``if_unchanged`` that raises ConflictChanged instead.
        """
        self._basis(None)
        field = writing.field_named(self._policy, name)
        now = [entry.id for entry in self._items.state.visible(field.root)]
        seen = now if conflict is None else self._seen_in(conflict, name)
        if if_unchanged and not set(now) <= set(seen):
            raise ConflictChanged(f"{name}: another value arrived since; read it again and choose")
        author = _author(op_id, user, time_us, roles)
        op = writing.resolve(self._items.state, self._policy, name, value, seen, author)
        return self._written(op)

    def _seen_in(self, conflict: Conflict, name: str) -> list[EntryId]:
        state = self._items.state
        here = (state.collection, state.record, name)
        if (conflict.collection, conflict.record_id, conflict.field) != here:
            raise UsageError(f"this conflict was not read from {'/'.join(here)}")
        return list(conflict.entries())

    def _basis(self, based_on: Version | str | None) -> Basis | None:
        """What the write is based on, refused where the writer saw the record deleted.

        A form that was opened before the delete may be saved: it is concurrent,
        and the policy says what that means.
        """
        if based_on is None and DELETION_ROOT not in self._items.state.fields:
            return None
        state = self._items.state
        version = None if based_on is None else _version(based_on)
        if reading.is_deleted(state, self._policy) and (
            version is None or all(map(version.saw, state.visible(DELETION_ROOT)))
        ):
            raise RecordDeleted(f"{state.collection}/{state.record} is deleted; restore it first")
        return None if version is None else Basis(version)

    def _write(self, op: Op | None) -> Op | None:
        return None if op is None else self._written(op)

    def _written(self, op: Op) -> Op:
        if not self._apply_written([op]):
            raise InvalidOp("op_id_reused", f"the op {op.op_id} is in this document already")
        return op


def _author(op_id: str, user: str, time_us: int, roles: Roles) -> Authorship:
    return Authorship(op_id, user, time_us, None if roles is None else frozenset(roles))


def _version(based_on: Version | str) -> Version:
    return Version.parse(based_on) if isinstance(based_on, str) else based_on
