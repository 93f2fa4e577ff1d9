"""A field with several values, none of which may be taken for *the* value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from crdtsync.documents.errors import UnresolvedConflict, UsageError
from crdtsync.documents.ops import EntryId


def moment(time_us: int) -> datetime:
    """A stamp as a datetime in UTC; stamps beyond the calendar show its last day."""
    try:
        return datetime.fromtimestamp(time_us / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One distinct value of a field in conflict, and who wrote it.

    Equal values count as one candidate; ``entries`` names all of them, the
    other attributes are those of the first.
    """

    value: Any
    user: str
    at: datetime
    """When its author wrote it, by the author's clock (UTC)."""
    op_id: str
    pending: bool
    """Whether the server has not confirmed it yet."""
    entries: tuple[EntryId, ...]


Resolver = Callable[["Conflict", object, bool], Awaitable[None]]


class Conflict:
    """What reading a ``manual`` field in conflict gives: every value, none chosen.

    A frozen snapshot. It compares with nothing and is neither true nor false:
    code that takes it for a plain value gets ``UnresolvedConflict`` instead of
    one of the values by accident (invariant 6).
    """

    __slots__ = ("_resolver", "candidates", "collection", "field", "record_id")

    def __init__(
        self,
        collection: str,
        record_id: str,
        field: str,
        candidates: Iterable[Candidate],
        resolver: Resolver | None = None,
    ) -> None:
        set_ = object.__setattr__
        set_(self, "collection", collection)
        set_(self, "record_id", record_id)
        set_(self, "field", field)
        set_(self, "candidates", tuple(candidates))
        set_(self, "_resolver", resolver)

    collection: str
    record_id: str
    field: str
    candidates: tuple[Candidate, ...]
    _resolver: Resolver | None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Conflict is a snapshot; use `await conflict.resolve(value)`")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Conflict is a snapshot; use `await conflict.resolve(value)`")

    async def resolve(self, value: object, *, if_unchanged: bool = False) -> None:
        """Choose ``value``; it replaces the candidates of this snapshot and no others.

        A candidate that arrived since survives and keeps the conflict open;
        with ``if_unchanged`` that raises ``ConflictChanged`` instead and nothing
        is written.
        """
        if self._resolver is None:
            raise UsageError(
                "this conflict was read from a document; write the choice with "
                f"document.resolve({self.field!r}, value, …)"
            )
        await self._resolver(self, value, if_unchanged)

    def union(self) -> frozenset[Any]:
        """Every element of every candidate: the safe reading of an allergy list.

        For fields of single values, the set of the values. Cleared candidates
        (None) add nothing.
        """
        found: set[Any] = set()
        for candidate in self.candidates:
            value = candidate.value
            if isinstance(value, frozenset | set | list | tuple):
                found.update(value)
            elif isinstance(value, dict):
                raise UsageError("the values of this field have no union; look at .candidates")
            elif value is not None:
                found.add(value)
        return frozenset(found)

    def entries(self) -> tuple[EntryId, ...]:
        """All entries that were seen in this snapshot."""
        return tuple(entry for candidate in self.candidates for entry in candidate.entries)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: ``{"conflict": [{"value", "user", "at", "op_id", "pending"}, …]}``."""
        return {
            "conflict": [
                {
                    "value": plain_json(candidate.value),
                    "user": candidate.user,
                    "at": candidate.at.isoformat(),
                    "op_id": candidate.op_id,
                    "pending": candidate.pending,
                }
                for candidate in self.candidates
            ]
        }

    def __repr__(self) -> str:
        values = " | ".join(f"{c.value!r} ({c.user})" for c in self.candidates)
        return f"<Conflict {self.collection}/{self.record_id}.{self.field}: {values}>"

    def _refuse(self, *_: object) -> NoReturn:
        raise UnresolvedConflict(
            f"{self.collection}/{self.record_id}: the field {self.field!r} has "
            f"{len(self.candidates)} different values. Look at .candidates or .union(), and "
            "choose with `await conflict.resolve(value)`"
        )

    def __eq__(self, other: object) -> bool:
        self._refuse()

    def __ne__(self, other: object) -> bool:
        self._refuse()

    def __bool__(self) -> bool:
        self._refuse()

    def __hash__(self) -> int:
        self._refuse()

    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __contains__ = __iter__ = __len__ = __getitem__ = __add__ = __radd__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __sub__ = __rsub__ = _refuse


def plain_json(value: object) -> Any:
    """A Python value of a field in plain JSON types (sets as sorted lists)."""
    if isinstance(value, Conflict):
        return value.to_json()
    if isinstance(value, frozenset | set):
        return sorted((plain_json(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
