"""Rows into a space: each becomes ops whose ids follow from what they say.

An op_id is made of the space, the record, the person and the values, so the same
row is the same op however often it is sent (invariant 3): a run that was cut, or
is done again next week, doubles nothing. A counter's op_id leaves out the number:
what a file says is how many there are, and that is added once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crdtsync.cli.importing.lines import Line, Problem
from crdtsync.cli.importing.rows import BadRow, Plan, Row
from crdtsync.documents.conflict import plain_json
from crdtsync.policy import FieldPolicy, InvalidValue, MergeKind
from crdtsync_server.rest.seeding.sending import Server

BATCH_OPS = 200
BATCH_BYTES = 512 * 1_024
"""Half of what a server takes in one request unless it is told otherwise."""

OP_BYTES = 300
"""Of an op besides its values."""

MAX_BAD_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A row that was not written, and why."""

    number: int
    record_id: str | None
    words: str


@dataclass(slots=True)
class Report:
    """What became of the rows."""

    rows: int = 0
    new: int = 0
    again: int = 0
    changed_since: int = 0
    counters_left: int = 0
    bad_count: int = 0
    bad: list[BadRecord] = field(default_factory=list)

    def add_bad(self, number: int, record_id: str | None, words: str) -> None:
        """Note a bad row."""
        self.bad_count += 1
        if len(self.bad) < MAX_BAD_KEPT:
            self.bad.append(BadRecord(number, record_id, words))


@dataclass(frozen=True, slots=True)
class _Sent:
    """An op on its way, and the row that it is of."""

    row: Row
    op: dict[str, Any]
    is_counter: bool


class Seeder:
    """Takes rows one by one. ``finish`` sends the last batch."""

    def __init__(
        self, server: Server, plan: Plan, *, space: str, user: str, since_us: int, lang: str
    ) -> None:
        """``since_us``: the server's clock when the run began; what it received before then
        was written by an earlier run."""
        self.report = Report()
        self._server = server
        self._plan = plan
        self._space = space
        self._user = user
        self._since_us = since_us
        self._lang = lang
        self._batch: dict[str, _Sent] = {}
        self._size_bytes = 0

    def take(self, line: Line) -> None:
        """Send one row some time soon, or note why not. Raises Failure."""
        self.report.rows += 1
        try:
            row = self._plan.row(line)
            ops = self._ops(row)
        except BadRow as error:
            words = error.problem.words(self._lang)
            self.report.add_bad(line.number, error.record_id, words)
            return
        size_bytes = sum(len(json.dumps(sent.op)) + OP_BYTES for sent in ops)
        if (
            len(self._batch) + len(ops) > BATCH_OPS
            or self._size_bytes + size_bytes > BATCH_BYTES
            or any(sent.op["op_id"] in self._batch for sent in ops)
        ):
            self.flush()
        self._batch |= {sent.op["op_id"]: sent for sent in ops}
        self._size_bytes += size_bytes

    def finish(self) -> Report:
        """Send what is left. Raises Failure."""
        self.flush()
        return self.report

    def flush(self) -> None:
        """Send the batch and note what became of it. Raises Failure."""
        batch, self._batch, self._size_bytes = self._batch, {}, 0
        if not batch:
            return
        told: dict[str, Any] = {}
        waiting = batch
        while waiting:
            request_id = uuid4_of("request", *waiting)
            ops = [one.op for one in waiting.values()]
            results = self._server.batch(self._space, request_id, ops)
            told |= {result["op_id"]: result for result in results}
            waiting = _held_by_counters(waiting, results)
        rows: dict[int, list[tuple[_Sent, Any]]] = {}
        for op_id, sent in batch.items():
            rows.setdefault(sent.row.number, []).append((sent, told[op_id]))
        for outcome in rows.values():
            self._note(outcome[0][0].row, outcome)

    def _note(self, row: Row, outcome: list[tuple[_Sent, Any]]) -> None:
        """What became of one row."""
        left = sum(_is_left(sent, result) for sent, result in outcome)
        problems = [
            result["problem"]
            for sent, result in outcome
            if result["problem"] and not _is_left(sent, result)
        ]
        self.report.counters_left += left
        if problems:
            words = problems[0]["words"] or problems[0]["detail"]
            name = problems[0]["field"]
            self.report.add_bad(row.number, row.record_id, f"{name}: {words}" if name else words)
            return
        receipts = [result["receipt"] for _, result in outcome if result["receipt"]]
        if any(receipt["received_us"] >= self._since_us for receipt in receipts):
            self.report.new += 1
            return
        self.report.again += 1
        newest = max((receipt["seq"] for receipt in receipts), default=0)
        version = int(outcome[0][1]["version"].partition("-")[0])
        self.report.changed_since += bool(newest and not left and version > newest)

    def _ops(self, row: Row) -> list[_Sent]:
        """The ops of a row: one for its values, one for its counters. Raises BadRow."""
        fields = self._plan.policy.fields
        values = {n: v for n, v in row.values.items() if fields[n].merge is not MergeKind.COUNTER}
        counters = {n: v for n, v in row.values.items() if n not in values}
        self._check_required(row, values)
        found = []
        if values:
            texts = {name: _text(fields[name], value) for name, value in values.items()}
            op_id = uuid4_of(
                "row", *self._names(row), self._user, json.dumps(texts, sort_keys=True)
            )
            plain = {name: plain_json(value) for name, value in values.items()}
            found.append(_Sent(row, self._op(op_id, row, fields=plain), False))
        for name, value in counters.items():
            op_id = uuid4_of("counter", *self._names(row), name)
            op = self._op(op_id, row, increment={name: plain_json(value)})
            found.append(_Sent(row, op, True))
        return found

    def _names(self, row: Row) -> tuple[str, ...]:
        return (self._space, self._plan.policy.name, row.record_id)

    def _op(self, op_id: str, row: Row, **what: Any) -> dict[str, Any]:
        return {
            "op_id": op_id,
            "collection": self._plan.policy.name,
            "id": row.record_id,
            **what,
        }

    def _check_required(self, row: Row, values: Mapping[str, object]) -> None:
        for rules in self._plan.policy.fields.values():
            if rules.required and values.get(rules.name) is None:
                error = InvalidValue(rules.name, "required")
                raise BadRow(Problem("bad_value", {}, error), row.record_id)


def _code(result: Mapping[str, Any]) -> str:
    return str((result["problem"] or {}).get("code", ""))


def _is_left(sent: _Sent, result: Mapping[str, Any]) -> bool:
    """Whether it is a counter that an earlier run has seeded otherwise."""
    return sent.is_counter and _code(result) == "op_id_reused"


def _held_by_counters(batch: Mapping[str, _Sent], results: list[Any]) -> dict[str, _Sent]:
    """What waits behind nothing but a counter that is left as it is: on its own it need not."""
    failed = {
        result["id"]
        for result in results
        if result["status"] not in ("accepted", "unchanged", "held")
        and not _is_left(batch[result["op_id"]], result)
    }
    return {
        result["op_id"]: batch[result["op_id"]]
        for result in results
        if result["status"] == "held" and result["id"] not in failed
    }


def _text(rules: FieldPolicy, value: object) -> Any:
    """The value in its one canonical spelling: of a set, without order."""
    if rules.merge is MergeKind.SET:
        assert isinstance(value, list | set | frozenset | tuple)
        return sorted(rules.encode_element(element) for element in value)
    return rules.encode(value)


def uuid4_of(*parts: str) -> str:
    """A UUID of the form v4 that is always the same for the same parts."""
    digest = bytearray(hashlib.sha256(json.dumps(["crdtsync seed", *parts]).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
