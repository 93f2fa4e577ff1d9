"""Rows into a replica: only what differs is written, a batch in one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from crdtsync.cli.failures import STORAGE, Failure
from crdtsync.cli.importing.lines import Line, Problem, problem
from crdtsync.cli.importing.rows import BadRow, Plan, Row
from crdtsync.cli.texts import say
from crdtsync.database import StorageError
from crdtsync.documents.conflict import Conflict
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import FieldPolicy, InvalidValue, MergeKind
from crdtsync.replica.outbox import MAX_OUTBOX_OPS
from crdtsync.replica.record import Record
from crdtsync.replica.replica import Replica

BATCH_ROWS: Final = 500
"""Rows in one commit: a kill loses at most so much work, which the next import does."""

MAX_ROWS: Final = 1_000_000
"""Records of one import; their ids are remembered to notice one that comes twice."""

MAX_BAD_KEPT: Final = 1_000
"""Bad lines that are reported one by one; further ones are counted."""

Counters = Literal["refuse", "skip", "add"]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not imported."""

    number: int
    record_id: str | None
    problem: Problem


@dataclass(slots=True)
class Report:
    """What an import did."""

    lines: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0  # existing records that --only-new left alone
    bad_count: int = 0
    bad: list[BadLine] = field(default_factory=list)

    def add_bad(self, number: int, found: Problem, record_id: str | None) -> None:
        """Note a bad line."""
        self.bad_count += 1
        if len(self.bad) < MAX_BAD_KEPT:
            self.bad.append(BadLine(number, record_id, found))


@dataclass(frozen=True, slots=True)
class _Change:
    row: Row
    fields: Mapping[str, object]
    deltas: Mapping[str, int | Decimal]
    is_new: bool


class Importer:
    """Takes lines one by one. ``finish`` commits the last batch.

    What was committed stays whatever happens next, and rows that are shown
    already write nothing: an import can be stopped anywhere and run again.
    """

    def __init__(
        self,
        replica: Replica,
        plan: Plan,
        *,
        counters: Counters,
        only_new: bool,
        lang: str,
    ) -> None:
        self.report = Report()
        self._replica = replica
        self._records = replica.collection(plan.policy.name)
        self._plan = plan
        self._counters = counters
        self._only_new = only_new
        self._lang = lang
        self._room = MAX_OUTBOX_OPS - len(replica.outbox)
        self._batch: dict[str, _Change] = {}
        self._seen: dict[str, int] = {}

    async def take(self, line: Line) -> None:
        """Import one line, or note why not."""
        report = self.report
        report.lines += 1
        try:
            row = self._plan.row(line)
            if row.record_id in self._batch:
                await self.flush()
            change = self._change(row)
        except BadRow as error:
            report.add_bad(line.number, error.problem, error.record_id)
            return
        if change is not None:
            self._batch[row.record_id] = change
            if len(self._batch) >= BATCH_ROWS:
                await self.flush()

    async def finish(self) -> Report:
        """Commit what is left."""
        await self.flush()
        return self.report

    async def flush(self) -> None:
        """Commit the batch; where the store refuses it, row by row, to name the bad ones."""
        batch, self._batch = self._batch, {}
        if not batch:
            return
        ops = sum(bool(change.fields) + len(change.deltas) for change in batch.values())
        if ops > self._room:
            raise Failure(say("queue_full", self._lang, limit=MAX_OUTBOX_OPS), STORAGE)
        self._room -= ops
        writes = {id_: change.fields for id_, change in batch.items() if change.fields}
        refused: set[str] = set()
        try:
            await self._records.update_many(writes)
        except StorageError:
            raise
        except (CrdtsyncError, InvalidValue):
            for id_, fields in writes.items():
                if not await self._one(batch[id_].row, fields):
                    refused.add(id_)
        for id_, change in batch.items():
            if id_ in refused:
                continue
            for name, delta in change.deltas.items():
                await self._records.increment(id_, name, delta)
            if change.is_new:
                self.report.new += 1
            else:
                self.report.changed += 1
        await asyncio.sleep(0)  # lets Ctrl-C in between two batches

    async def _one(self, row: Row, fields: Mapping[str, object]) -> bool:
        try:
            await self._records.update_many({row.record_id: fields})
        except StorageError:
            raise
        except InvalidValue as error:
            self.report.add_bad(row.number, Problem("bad_value", {}, error), row.record_id)
            return False
        except CrdtsyncError as error:
            found = problem("bad_other", reason=str(error))
            self.report.add_bad(row.number, found, row.record_id)
            return False
        return True

    def _change(self, row: Row) -> _Change | None:
        """What the row writes; None where everything is shown already. Raises BadRow."""
        id_ = row.record_id
        record = self._records.get(id_)
        if record is None and self._records.get_deleted(id_) is not None:
            raise BadRow(problem("bad_deleted", id=id_), id_)
        earlier = self._earlier_line(row)
        if record is not None and self._only_new and earlier is None:
            self.report.kept += 1
            return None
        fields: dict[str, object] = {}
        deltas: dict[str, int | Decimal] = {}
        for name, value in row.values.items():
            rules = self._plan.policy.fields[name]
            if rules.merge is MergeKind.COUNTER:
                delta = self._delta(rules, value, record, row)
                if delta:
                    deltas[name] = delta
            elif self._differs(rules, value, record, row):
                fields[name] = value
        if (fields or deltas) and earlier is not None:
            raise BadRow(problem("bad_twice", id=id_, line=earlier), id_)
        if record is None:
            self._check_new(row, fields, deltas)
        if not fields and not deltas:
            self.report.unchanged += 1
            return None
        return _Change(row, fields, deltas, record is None)

    def _earlier_line(self, row: Row) -> int | None:
        earlier = self._seen.setdefault(row.record_id, row.number)
        if len(self._seen) > MAX_ROWS:
            raise Failure(say("too_many_rows", self._lang, limit=MAX_ROWS))
        return None if earlier == row.number else earlier

    def _check_new(self, row: Row, fields: Mapping[str, Any], deltas: Mapping[str, Any]) -> None:
        for rules in self._plan.policy.fields.values():
            if rules.required and fields.get(rules.name) is None:
                error = InvalidValue(rules.name, "required")
                raise BadRow(Problem("bad_value", {}, error), row.record_id)
        if not fields and not deltas:
            raise BadRow(problem("bad_no_values"), row.record_id)

    def _differs(self, rules: FieldPolicy, value: object, record: Record | None, row: Row) -> bool:
        if record is None:
            return value is not None and not (rules.merge is MergeKind.SET and not value)
        shown = record[rules.name]
        if isinstance(shown, Conflict):
            raise BadRow(
                problem("bad_in_conflict", field=rules.name, id=row.record_id), row.record_id
            )
        if rules.merge is MergeKind.SET:
            return _elements(rules, value) != _elements(rules, shown)
        if value is None or shown is None:
            return value is not shown
        try:
            return rules.key(rules.encode(value)) != rules.key(rules.encode(shown))
        except InvalidValue:
            return True  # what is shown is from a policy with wider limits

    def _delta(
        self, rules: FieldPolicy, value: object, record: Record | None, row: Row
    ) -> int | Decimal:
        shown = 0 if record is None else record[rules.name]
        wanted = rules.decode(rules.encode_delta(value))
        assert isinstance(wanted, int | Decimal)
        delta = wanted - shown
        if not delta or self._counters == "skip":
            return 0
        if self._counters == "refuse":
            found = problem("bad_counter", field=rules.name, file=wanted, shown=shown)
            raise BadRow(found, row.record_id)
        return delta


def _elements(rules: FieldPolicy, value: Any) -> set[object]:
    return {rules.key(rules.encode_element(item)) for item in value or ()}
