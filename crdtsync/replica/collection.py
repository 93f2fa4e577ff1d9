"""A collection of a replica: a read-only mapping of records, and the ways to write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from crdtsync.documents import writing
from crdtsync.documents.conflict import Conflict
from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import Op, check_identifier
from crdtsync.documents.reading import exists
from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis, Version
from crdtsync.documents.writing import Authorship
from crdtsync.policy import CollectionPolicy, MergeKind
from crdtsync.replica.errors import NoSuchRecord
from crdtsync.replica.history import FieldHistory, PastValue
from crdtsync.replica.local import Write, Written, check_required, check_unchanged
from crdtsync.replica.querying import Filter, query
from crdtsync.replica.record import Record, not_readable
from crdtsync.replica.repeats import (
    Same,
    same_deletion,
    same_increment,
    same_restoring,
    same_set_change,
    same_update,
)
from crdtsync.replica.watching import Watch

if TYPE_CHECKING:
    from crdtsync.replica.replica import Replica

BasedOn = Record | str | None


class Collection(Mapping[str, Record]):
    """The records of one collection, as this device shows them now.

    Reading is synchronous and answers from the device. Every write is one
    atomic op and durable on this device when its ``await`` returns; sending it
    is the sync queue's business. A write that is not awaited is not made
    (Python warns: "coroutine was never awaited").
    """

    def __init__(self, replica: Replica, name: str) -> None:
        self._replica = replica
        self.name = name

    # ── reading ─────────────────────────────────────────────────────────────

    @property
    def policy(self) -> CollectionPolicy:
        """The rules of this collection, as of the newest policy that is known here."""
        return self._replica.policy.collection(self.name)

    @property
    def hidden(self) -> frozenset[str]:
        """The fields that this user's roles may not read, as far as a server has told them."""
        sight = self._replica.sight
        if self.name not in sight.hiding:
            return frozenset()
        return frozenset(
            field.name
            for field in self.policy.fields.values()
            if not sight.may_read(self.name, field.root)
        )

    def __getitem__(self, record_id: str) -> Record:
        record = self._read(record_id)
        if record is None or record.deleted:
            raise NoSuchRecord(f"there is no {self.name}/{record_id} on this device")
        return record

    def __iter__(self) -> Iterator[str]:
        return iter([row[0] for row in self._replica.read_all("record_ids", self.name)])

    def __len__(self) -> int:
        return int(self._replica.read_one("record_count", self.name)[0])

    def __contains__(self, record_id: object) -> bool:
        record = self._read(record_id) if isinstance(record_id, str) else None
        return record is not None and not record.deleted

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<Collection {self.name} of {self._replica!r}>"

    def get_deleted(self, record_id: str) -> Record | None:
        """A record that is deleted, with the values that ``restore`` would bring back."""
        record = self._read(record_id)
        return record if record is not None and record.deleted else None

    async def where(
        self,
        fields: Mapping[str, object] | None = None,
        *,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[Record]:
        """Records whose fields have these values, found by SQLite's JSON functions.

        A field in conflict matches when one of its candidates does: until
        somebody chose, an allergy counts as present.
        """
        for name in (*(fields or {}), *((order_by,) if order_by is not None else ())):
            if name in self.hidden:
                raise not_readable(self.name, name)
        text, values = query(self.policy, Filter(dict(fields or {}), order_by, descending, limit))
        ids = await self._replica.read_elsewhere(text, values)
        records = (self._read(row[0]) for row in ids)
        return [record for record in records if record is not None and not record.deleted]

    def watch(self) -> Watch:
        """A context manager that yields changes, local and remote, as they happen."""
        return Watch(lambda: self._replica.watchers(self.name), self.name)

    async def history(self, record_id: str, field: str) -> FieldHistory:
        """Every value that a field had, newest first (see ``Record.history``)."""
        return await self._replica.history(self.name, record_id, field)

    def _read(self, record_id: str) -> Record | None:
        if not is_text(record_id):
            return None
        state, sync_state = self._replica.read_record(self.name, record_id)
        return self._record(state, sync_state, None)

    def _record(self, state: RecordState, sync_state: str, generation: int | None) -> Record | None:
        policy = self.policy
        if state.is_empty and not state.seq and not state.pending:
            return None
        if not exists(state, policy) and not state.fields.get("d/"):
            return None
        if generation is None:
            generation = self._replica.log_generation
        return Record(self, policy, state, sync_state, generation, self.hidden)

    def _as_record(self, written: Written) -> Record:
        """The record after a write of ours, even if somebody had deleted it before."""
        record = self._record(written.state, written.sync_state, written.log_generation)
        if record is None:
            raise NoSuchRecord(f"there is no {self.name}/{written.state.record} on this device")
        return record

    # ── writing ─────────────────────────────────────────────────────────────

    async def update(
        self,
        id: str,
        fields: Mapping[str, object] | None = None,
        /,
        *,
        based_on: BasedOn = None,
        op_id: str | None = None,
        **more: object,
    ) -> Record:
        """Write fields of a record in one op; a record that is not there yet begins.

        ``based_on`` (a Record or its ``version``) says what the person had seen:
        only that is replaced, and what arrived since stays. Without it, what is
        shown now is replaced. Field names that clash with parameters go into
        the mapping. The same ``op_id`` again changes nothing.

        Raises InvalidValue, NotPermitted, UnresolvedConflict (the person saw
        different values: choose with ``conflict.resolve``), RecordDeleted.
        """
        wanted = {**(fields or {}), **more}
        basis = self._basis(based_on, id)

        def make(state: RecordState, policy: CollectionPolicy, author: Authorship) -> Op | None:
            return writing.update(state, policy, wanted, author, based_on=basis)

        same = same_update(self.policy, wanted)
        return await self._write(id, make, op_id, basis=basis, same=same)

    async def update_many(self, changes: Mapping[str, Mapping[str, object]]) -> list[Record]:
        """Write many records, one op each, in one commit: all of them or none."""

        def maker(wanted: Mapping[str, object]) -> Callable[..., Op | None]:
            return lambda state, policy, author: writing.update(state, policy, wanted, author)

        writes = [
            self._wanted(record_id, maker(fields), None) for record_id, fields in changes.items()
        ]
        return [self._as_record(written) for written in await self._replica.write_all(writes)]

    async def create(
        self,
        fields: Mapping[str, object] | None = None,
        /,
        *,
        id: str | None = None,
        op_id: str | None = None,
        **more: object,
    ) -> Record:
        """Begin a record, with a new UUID unless ``id`` is given.

        An id that is there already raises RecordExists (two devices that create
        the same id while offline merge). The same ``op_id`` again returns the
        record of the first time.
        """
        wanted = {**(fields or {}), **more}
        check_required(self.policy, set(wanted))
        record_id = id if id is not None else self._replica.new_id()

        def make(state: RecordState, policy: CollectionPolicy, author: Authorship) -> Op | None:
            return writing.update(state, policy, wanted, author)

        return await self._write(
            record_id,
            make,
            op_id,
            needs="new",
            record_is_given=id is not None,
            same=same_update(self.policy, wanted),
        )

    async def delete(self, id: str, *, based_on: BasedOn = None, op_id: str | None = None) -> None:
        """Delete a record. Under ``on_delete_conflict = "keep"`` an edit that this
        device had not seen brings it back, and people are told."""
        basis = self._basis(based_on, id)
        await self._write(
            id,
            lambda state, policy, author: writing.delete(state, policy, author, based_on=basis),
            op_id,
            needs="present",
            same=same_deletion,
        )

    async def restore(self, id: str, *, op_id: str | None = None) -> Record:
        """Bring a deleted record back with the values that it has."""
        return await self._write(id, writing.restore, op_id, needs="deleted", same=same_restoring)

    async def clear(
        self, id: str, *names: str, based_on: BasedOn = None, op_id: str | None = None
    ) -> Record:
        """Clear fields: registers read None afterwards, sets are empty."""
        return await self.update(id, dict.fromkeys(names), based_on=based_on, op_id=op_id)

    async def increment(
        self,
        id: str,
        field: str,
        by: int | Decimal = 1,
        /,
        *,
        op_id: str | None = None,
    ) -> Record:
        """Add to a counter; what others add at the same time adds up."""
        return await self._write(
            id,
            lambda state, policy, author: writing.increment(state, policy, {field: by}, author),
            op_id,
            same=same_increment(self.policy, field, by),
        )

    async def add(self, id: str, field: str, *values: object, op_id: str | None = None) -> Record:
        """Add elements to a set; an add wins over a removal that had not seen it."""
        return await self._write(
            id,
            lambda state, policy, author: writing.change_set(
                state, policy, field, author, add=values
            ),
            op_id,
            same=same_set_change(self.policy, field, values),
        )

    async def remove(
        self, id: str, field: str, *values: object, op_id: str | None = None
    ) -> Record:
        """Take elements out of a set: those adds of them that this device has seen."""
        return await self._write(
            id,
            lambda state, policy, author: writing.change_set(
                state, policy, field, author, remove=values
            ),
            op_id,
            needs="present",
            same=same_set_change(self.policy, field, ()),
        )

    async def restore_value(
        self, id: str, field: str, past: PastValue, *, op_id: str | None = None
    ) -> Record:
        """Write a value of the field's history again, e.g. one that lost."""
        if writing.field_named(self.policy, field).merge is MergeKind.SET:
            return await self.add(id, field, past.value, op_id=op_id)
        return await self.update(id, {field: past.value}, op_id=op_id)

    async def resolve_conflict(
        self, conflict: Conflict, value: object, if_unchanged: bool = False
    ) -> None:
        """See ``Conflict.resolve``."""
        seen = conflict.entries()

        def make(state: RecordState, policy: CollectionPolicy, author: Authorship) -> Op:
            if if_unchanged:
                field = writing.field_named(policy, conflict.field)
                check_unchanged(state, field.root, seen, conflict.field)
            return writing.resolve(state, policy, conflict.field, value, seen, author)

        await self._write(conflict.record_id, make, None)

    # ── inside ──────────────────────────────────────────────────────────────

    async def _write(
        self,
        record_id: str,
        make: Callable[[RecordState, CollectionPolicy, Authorship], Op | None],
        op_id: str | None,
        *,
        needs: str = "live",
        basis: Basis | None = None,
        record_is_given: bool = True,
        same: Same = lambda op: False,
    ) -> Record:
        wanted = self._wanted(
            record_id,
            make,
            op_id,
            needs=needs,
            basis=basis,
            record_is_given=record_is_given,
            same=same,
        )
        (written,) = await self._replica.write_all([wanted])
        return self._as_record(written)

    def _wanted(
        self,
        record_id: str,
        make: Callable[[RecordState, CollectionPolicy, Authorship], Op | None],
        op_id: str | None,
        *,
        needs: str = "live",
        basis: Basis | None = None,
        record_is_given: bool = True,
        same: Same = lambda op: False,
    ) -> Write:
        if not isinstance(record_id, str):
            raise UsageError(f"a record id is a text, not {type(record_id).__name__}")
        check_identifier(record_id, "record id")
        return Write(
            collection=self.name,
            record=record_id,
            make=make,
            op_id=op_id if op_id is not None else self._replica.new_id(),
            op_id_is_given=op_id is not None,
            user=self._replica.user,
            now_us=self._replica.now_us(),
            needs=needs,
            based_on=basis,
            record_is_given=record_is_given,
            same=same,
        )

    def _basis(self, based_on: BasedOn, record_id: str) -> Basis | None:
        if based_on is None:
            return None
        generation = self._replica.log_generation
        if isinstance(based_on, str):
            of, _, version = based_on.rpartition("~")
            basis = Basis(Version.parse(version))
            return basis if of == str(generation or "") else basis.of_another_log()
        if not isinstance(based_on, Record):
            raise UsageError("based_on is a record or its version")
        if (based_on.collection, based_on.id) != (self.name, record_id):
            raise UsageError(
                f"based_on is {based_on.collection}/{based_on.id}, not {self.name}/{record_id}"
            )
        if based_on.log_generation == generation:
            return based_on.basis
        return based_on.basis.of_another_log()


def is_text(record_id: object) -> bool:
    """Whether there can be a record of this id: a text without lone surrogates."""
    try:
        return isinstance(record_id, str) and bool(record_id.encode())
    except UnicodeEncodeError:
        return False
