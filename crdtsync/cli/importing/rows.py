"""From the cells of a line to a record's id and its values, by the policy's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute

from crdtsync.cli.failures import Failure
from crdtsync.cli.importing.lines import Line, Problem, problem
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import ConflictCell, plain_value, value_of
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync.policy import CollectionPolicy, FieldPolicy, InvalidValue, MergeKind

MAX_LEFT_OUT = 100
"""Names of columns without a field that are remembered for the report."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run as a formula."""


def id_column_of(policy: CollectionPolicy) -> str:
    """The column that `export` writes the record's id into."""
    return "id" if "id" not in policy.fields else "record_id"


@dataclass(frozen=True, slots=True)
class Row:
    """One record as the file has it. ``values`` holds what the file gives, by field."""

    number: int
    record_id: str
    values: Mapping[str, object]


class BadRow(Exception):
    """A line that cannot be imported, and why."""

    def __init__(self, found: Problem, record_id: str | None = None) -> None:
        super().__init__(found.key)
        self.problem = found
        self.record_id = record_id


@dataclass(slots=True)
class Plan:
    """Which column goes into which field."""

    policy: CollectionPolicy
    id_column: str
    renamed: Mapping[str, str]  # column -> field, from --map
    empty_clears: bool = False
    spreadsheet_safe: bool = False
    left_out: list[str] = attribute(default_factory=list)

    @classmethod
    def make(
        cls,
        policy: CollectionPolicy,
        columns: Sequence[str] | None,
        *,
        id_column: str | None,
        maps: Sequence[str],
        empty_clears: bool,
        spreadsheet_safe: bool,
        lang: str,
    ) -> Plan:
        """Check the options against the header (None: a file without one)."""
        renamed = _renamed(policy, maps, lang)
        chosen = id_column or _id_column(policy, columns)
        plan = cls(policy, chosen, renamed, empty_clears, spreadsheet_safe)
        if columns is None:
            return plan
        if chosen not in columns:
            raise Failure(say("no_id_column", lang, name=chosen, columns=", ".join(columns)))
        missing = [name for name in renamed if name not in columns]
        if missing:
            raise Failure(
                say("no_such_column", lang, names=", ".join(missing), columns=", ".join(columns))
            )
        fields = [plan.field_of(column) for column in columns if column != chosen]
        known = [found.name for found in fields if found is not None]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            raise Failure(say("two_columns", lang, field=", ".join(twice)))
        if not known:
            raise Failure(
                say(
                    "no_column_fits",
                    lang,
                    collection=policy.name,
                    fields=", ".join(policy.fields),
                    columns=", ".join(columns),
                )
            )
        for column in columns:
            if column != chosen and plan.field_of(column) is None:
                plan.leave_out(column)
        return plan

    def field_of(self, column: str) -> FieldPolicy | None:
        """The field that a column fills, or None."""
        return self.policy.fields.get(self.renamed.get(column, column))

    def leave_out(self, column: str) -> None:
        """Remember a column that no field takes."""
        if column not in self.left_out and len(self.left_out) < MAX_LEFT_OUT:
            self.left_out.append(column)

    def row(self, line: Line) -> Row:
        """The line as a record. Raises BadRow."""
        if line.problem is not None:
            raise BadRow(line.problem)
        record_id = self._record_id(line.cells)
        values: dict[str, object] = {}
        for column, cell in line.cells.items():
            if column == self.id_column:
                continue
            field = self.field_of(column)
            if field is None:
                self.leave_out(column)
                continue
            try:
                self._take(values, field, cell, typed=line.typed)
            except InvalidValue as error:
                raise BadRow(Problem("bad_value", {}, error), record_id) from None
            except ConflictCell:
                raise BadRow(problem("bad_conflict_cell", field=field.name), record_id) from None
        return Row(line.number, record_id, values)

    def _take(
        self, values: dict[str, object], field: FieldPolicy, cell: object, *, typed: bool
    ) -> None:
        if cell is None or cell == "":
            if self.empty_clears and field.merge is not MergeKind.COUNTER:
                values[field.name] = frozenset() if field.merge is MergeKind.SET else None
            return
        if typed:
            value = plain_value(field, cell)
        else:
            assert isinstance(cell, str)
            value = value_of(field, self._unguarded(cell))
        check_value(field, value)
        values[field.name] = value

    def _unguarded(self, text: str) -> str:
        return without_guard(text) if self.spreadsheet_safe else text

    def _record_id(self, cells: Mapping[str, object]) -> str:
        found = cells.get(self.id_column)
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or not found.strip():
            raise BadRow(problem("bad_no_id", column=self.id_column))
        record_id = self._unguarded(found.strip())
        try:
            check_identifier(record_id, "record id")
        except InvalidOp as error:
            raise BadRow(problem("bad_id", reason=str(error))) from None
        return record_id


def check_value(field: FieldPolicy, value: object) -> None:
    """Raise InvalidValue unless the value may be written."""
    if field.merge is MergeKind.SET:
        if isinstance(value, str) or not isinstance(value, list | set | frozenset | tuple):
            raise InvalidValue(
                field.name, "wrong_type", expected=str(field.type), got=type(value).__name__
            )
        for element in value:
            field.encode_element(element)
    elif field.merge is MergeKind.COUNTER:
        field.encode_delta(value)
    else:
        field.encode(value)


def guarded(text: str) -> str:
    """``text`` so that no spreadsheet runs it as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) or _is_guarded(text) else text


def without_guard(text: str) -> str:
    """The text that ``guarded`` was given."""
    return text[1:] if _is_guarded(text) else text


def _is_guarded(text: str) -> bool:
    stripped = text.lstrip("'")
    return text.startswith("'") and stripped.startswith(FORMULA_STARTS)


def _renamed(policy: CollectionPolicy, maps: Sequence[str], lang: str) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for text in maps:
        column, equals, name = text.rpartition("=")
        if not equals or not column:
            raise Failure(say("bad_map", lang, text=text))
        if name not in policy.fields:
            raise Failure(
                say(
                    "no_such_field",
                    lang,
                    collection=policy.name,
                    field=name,
                    known=", ".join(policy.fields),
                )
            )
        if column in renamed:
            raise Failure(say("map_twice", lang, column=column))
        renamed[column] = name
    return renamed


def _id_column(policy: CollectionPolicy, columns: Sequence[str] | None) -> str:
    """The id column where none is named: ``id`` in whatever case, if that is clear."""
    name = id_column_of(policy)
    if columns is None or name in columns:
        return name
    near = [column for column in columns if column.lower() == name]
    return near[0] if len(near) == 1 else name
