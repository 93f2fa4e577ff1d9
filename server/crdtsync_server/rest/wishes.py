"""What a thin client wants written, turned into an op, and told again from an op.

A wish becomes one op on the record as it is committed, by the same functions as
on a device (documents/writing.py). An op that is in the log already is the wish
sent again where it says what the wish fixes: values, record, author. What
depends on when it was made (the difference that assigning a set became) is not
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from crdtsync.cli.typed_text import plain_value
from crdtsync.documents import writing
from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import EntryId, FieldWrite, Op, content_digest
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.documents.versions import Basis
from crdtsync.documents.writing import Authorship
from crdtsync.policy import CollectionPolicy, FieldPolicy, InvalidValue, MergeKind
from crdtsync.replica.repeats import same_deletion, same_restoring

NEEDS_LIVE, NEEDS_NEW, NEEDS_PRESENT, NEEDS_DELETED = "live", "new", "present", "deleted"


class Wish(Protocol):
    """Something to write into one record."""

    @property
    def needs(self) -> str:
        """What the record must be: live (not deleted, or not there yet), new, present, deleted."""
        ...

    @property
    def names(self) -> list[str]:
        """The fields that it writes; of a delete or restore, none."""
        ...

    def make(
        self, state: RecordState, rules: CollectionPolicy, author: Authorship, basis: Basis | None
    ) -> Op | None:
        """The op, or None where there is nothing to change."""
        ...

    def is_same(self, op: Op, rules: CollectionPolicy) -> bool:
        """Whether an op of before is this wish. May raise InvalidValue."""
        ...

    def is_same_trimmed(self, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
        """The same for an op of which only the roots and the digest are kept."""
        ...


@dataclass(frozen=True, slots=True)
class Patch:
    """Fields to write in one op."""

    fields: Mapping[str, Any]
    increment: Mapping[str, Any]
    add: Mapping[str, list[Any]]
    remove: Mapping[str, list[Any]]
    needs: str = NEEDS_LIVE

    @property
    def names(self) -> list[str]:
        """Every field, as often as it is named."""
        changed = dict.fromkeys([*self.add, *self.remove])
        return [*self.fields, *self.increment, *changed]

    def make(
        self, state: RecordState, rules: CollectionPolicy, author: Authorship, basis: Basis | None
    ) -> Op | None:
        """One op out of all verbs."""
        parts: list[Op | None] = []
        if self.fields:
            wanted = {
                name: plain_value(rules.fields[name], value) for name, value in self.fields.items()
            }
            parts.append(writing.update(state, rules, wanted, author, based_on=basis))
        if self.increment:
            parts.append(writing.increment(state, rules, self.increment, author))
        for name in dict.fromkeys([*self.add, *self.remove]):
            rule = rules.fields[name]
            adding, removing = _elements(rule, self.add, name), _elements(rule, self.remove, name)
            parts.append(
                writing.change_set(
                    state, rules, name, author, add=adding, remove=removing, based_on=basis
                )
            )
        writes: dict[str, FieldWrite] = {}
        for part in parts:
            writes |= part.writes if part is not None else {}
        if not writes:
            return None
        return Op(author.op_id, author.user, state.collection, state.record, author.time_us, writes)

    def is_same(self, op: Op, rules: CollectionPolicy) -> bool:
        """The same values in registers and counters, the same elements added to sets; of a
        set that was assigned, nothing was added that is not in it."""
        exact, assigned, removed = self._written(rules)
        roots = exact.keys() | assigned.keys() | removed
        return (
            exact.keys() <= op.writes.keys() <= roots
            and all(op.writes[root].values == values for root, values in exact.items())
            and all(
                elements.issuperset(op.writes[root].values)
                for root, elements in assigned.items()
                if root in op.writes
            )
            and all(not op.writes[root].values for root in removed if root in op.writes)
        )

    def is_same_trimmed(self, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
        """Exact where no set is assigned; of such, only that the same fields were written."""
        exact, assigned, removed = self._written(rules)
        if not (exact.keys() <= op.writes.keys() <= exact.keys() | assigned.keys() | removed):
            return False
        if any(root in op.writes for root in assigned):
            return True
        writes = {root: FieldWrite(exact.get(root, ())) for root in op.writes}
        return content_digest(_with_writes(op, writes)) == content

    def _written(
        self, rules: CollectionPolicy
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, frozenset[str]], set[str]]:
        """What an op of this wish holds: values by root, the elements of assigned sets, and
        the roots of sets that only lose elements."""
        exact: dict[str, tuple[str, ...]] = {}
        assigned: dict[str, frozenset[str]] = {}
        removed: set[str] = set()
        for name, value in self.fields.items():
            rule = rules.fields[name]
            plain = plain_value(rule, value)
            if rule.merge is MergeKind.SET:
                given = plain if isinstance(plain, list) else []
                assigned[rule.root] = frozenset(map(rule.encode_element, given))
            else:
                exact[rule.root] = (rule.encode(plain),)
        for name, delta in self.increment.items():
            rule = rules.fields[name]
            exact[rule.root] = (rule.encode_delta(delta),)
        for name in dict.fromkeys([*self.add, *self.remove]):
            rule = rules.fields[name]
            texts = {
                rule.key(text): text
                for text in map(rule.encode_element, _elements(rule, self.add, name))
            }
            if texts:
                exact[rule.root] = tuple(texts.values())
            else:
                removed.add(rule.root)
        return exact, assigned, removed


def _elements(rule: FieldPolicy, wanted: Mapping[str, list[Any]], name: str) -> Iterable[object]:
    found = plain_value(rule, wanted.get(name, []))
    return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Resolve:
    """A choice between the candidates of a field."""

    field: str
    value: Any
    seen: tuple[EntryId, ...]
    needs: str = NEEDS_PRESENT

    @property
    def names(self) -> list[str]:
        """The field."""
        return [self.field]

    def make(
        self, state: RecordState, rules: CollectionPolicy, author: Authorship, basis: Basis | None
    ) -> Op | None:
        """Replaces exactly what the person saw."""
        value = plain_value(rules.fields[self.field], self.value)
        return writing.resolve(state, rules, self.field, value, self.seen, author)

    def is_same(self, op: Op, rules: CollectionPolicy) -> bool:
        """The same value in the same field."""
        return _values(op) == self._written(rules)

    def is_same_trimmed(self, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
        """The same value in the same field, by the digest."""
        writes = {root: FieldWrite(values) for root, values in self._written(rules).items()}
        return content_digest(_with_writes(op, writes)) == content

    def _written(self, rules: CollectionPolicy) -> dict[str, tuple[str, ...]]:
        rule = rules.fields[self.field]
        if rule.merge.shape != "r":
            return {}
        return {rule.root: (rule.encode(plain_value(rule, self.value)),)}


@dataclass(frozen=True, slots=True)
class Delete:
    """The whole record goes."""

    needs: str = NEEDS_PRESENT

    @property
    def names(self) -> list[str]:
        """None: it is about the record."""
        return []

    def make(
        self, state: RecordState, rules: CollectionPolicy, author: Authorship, basis: Basis | None
    ) -> Op | None:
        """Based on everything that the record holds at this moment."""
        return writing.delete(state, rules, author)

    def is_same(self, op: Op, rules: CollectionPolicy) -> bool:
        """A delete again."""
        return same_deletion(op)

    def is_same_trimmed(self, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
        """The mark of a delete is never trimmed."""
        return same_deletion(op)


@dataclass(frozen=True, slots=True)
class Restore:
    """A deleted record comes back, with the values that it has."""

    needs: str = NEEDS_DELETED

    @property
    def names(self) -> list[str]:
        """None: it is about the record."""
        return []

    def make(
        self, state: RecordState, rules: CollectionPolicy, author: Authorship, basis: Basis | None
    ) -> Op | None:
        """Takes back what deleted it."""
        return writing.restore(state, rules, author)

    def is_same(self, op: Op, rules: CollectionPolicy) -> bool:
        """A restore again."""
        return same_restoring(op)

    def is_same_trimmed(self, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
        """The mark of a restore is never trimmed."""
        return same_restoring(op)


def op_of(entry: LogEntry) -> Op:
    """The op behind a log entry, without what it superseded. Of a trimmed entry the roots
    are there and most values are not."""
    writes = {root: FieldWrite(entry.writes.get(root, ())) for root in entry.outcomes}
    return Op(entry.op_id, entry.user, entry.collection, entry.record, entry.time_us, writes)


def is_repeat(wish: Wish, op: Op, content: bytes, rules: CollectionPolicy) -> bool:
    """Whether ``op``, which is in the log with this content digest, is ``wish`` sent again."""
    try:
        if content_digest(op) == content:
            return wish.is_same(op, rules)
        return wish.is_same_trimmed(op, content, rules)
    except (InvalidValue, UsageError):
        return False  # what cannot be written cannot have been written


def _values(op: Op) -> dict[str, tuple[str, ...]]:
    return {root: write.values for root, write in op.writes.items()}


def _with_writes(op: Op, writes: dict[str, FieldWrite]) -> Op:
    return Op(op.op_id, op.user, op.collection, op.record, op.time_us, writes)
