"""Many writes in one request: each is judged on its own, all of them in one commit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

from starlette.responses import Response

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import RecordState
from crdtsync.protocol.messages import Answer, Held, PushedOp, Receipt, Transient
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import BatchBody, BatchOp
from crdtsync_server.rest.calls import Call, json_response, record_id
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.parsing import idempotency_key, read_body
from crdtsync_server.rest.rendering import receipt_of
from crdtsync_server.rest.shapes import BatchResult, BatchWritten, Refusal, Status
from crdtsync_server.rest.submitting import Prepared, Write, prepare, submit
from crdtsync_server.rest.turns import turns
from crdtsync_server.rest.versions import version_at
from crdtsync_server.rest.wishes import (
    NEEDS_LIVE,
    NEEDS_NEW,
    Delete,
    Patch,
    Resolve,
    Restore,
    Wish,
)
from crdtsync_server.rest.words import words_of
from crdtsync_server.rest.writes import settled, transient_problem
from crdtsync_server.work import Check

PREPARED_PER_LOOK = 50
"""Ops that one reading job makes: about 10 ms of the one reading connection."""


@dataclass(slots=True)
class _Item:
    """One op of a batch on its way."""

    asked: BatchOp
    write: Write | None = None
    prepared: Prepared | None = None
    receipt: Receipt | None = None
    problem: Problem | None = None
    is_held: bool = False


@dataclass(slots=True)
class _Batch:
    """The records as the earlier ops of the batch leave them, if they are accepted."""

    call: Call
    states: dict[tuple[str, str], RecordState] = field(default_factory=dict)
    last: dict[tuple[str, str], str] = field(default_factory=dict)
    """The last op of the batch on each record."""
    failed: set[tuple[str, str]] = field(default_factory=set)
    """Records of which an op could not be made: what comes after it waits (invariant 10)."""
    pushed: list[PushedOp] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)

    def prepare(self, look: Look, items: list[_Item]) -> None:
        """Make the ops of these items, each on top of those before it."""
        for item in items:
            if item.write is None:
                continue
            key = (item.write.rules.name, item.write.record)
            try:
                item.prepared = self._prepare(look, item.write, key)
            except Problem as problem:
                self.failed.add(key)
                item.problem = problem
            else:
                item.is_held = item.prepared is None

    def _prepare(self, look: Look, write: Write, key: tuple[str, str]) -> Prepared | None:
        if key in self.failed:
            return None
        state = self.states.get(key)
        if state is None:
            state = self.states[key] = look.whole_state(*key)
        prepared = prepare(self.call, look, write, state)
        op = prepared.op
        if op is not None and prepared.receipt is not None:
            self.pushed.append(PushedOp(op, None, op.time_us, 1))
        elif op is not None:
            self.pushed.append(PushedOp(op, self.last.get(key), op.time_us, 1))
            self.last[key] = op.op_id
            state.overlay(op)
            if prepared.check is not None:
                self.checks[op.op_id] = prepared.check
        return prepared


async def write_batch(call: Call) -> Response:
    """``POST /v1/batch``."""
    request_id = idempotency_key(call.request)
    body, size_bytes = await read_body(call.request, BatchBody)
    twice = _first_twice([one.op_id for one in body.ops])
    if twice is not None:
        raise Problem(422, "op_id_twice", f"the op_id {twice} stands in the batch twice")
    items = [_item(call, one) for one in body.ops]
    async with turns(call.service, [one.op_id for one in body.ops]):
        await _write_all(call, items, request_id, size_bytes)
    results = await call.look(lambda look: [_result(look, item, call) for item in items])
    accepted = sum(result.status in ("accepted", "unchanged") for result in results)
    return json_response(
        BatchWritten(
            request_id=request_id,
            results=results,
            accepted=accepted,
            refused=len(results) - accepted,
        )
    )


async def _write_all(call: Call, items: list[_Item], request_id: str, size_bytes: int) -> None:
    """Make the ops, have them decided in one group, and note what became of each."""
    batch = _Batch(call)
    for start in range(0, len(items), PREPARED_PER_LOOK):
        await call.look(partial(batch.prepare, items=items[start : start + PREPARED_PER_LOOK]))
    answers: dict[str, Answer] = {}
    if batch.pushed:
        given = await submit(call, request_id, batch.pushed, size_bytes, _all_checks(batch.checks))
        answers = {answer.op_id: answer for answer in given}
    for item in items:
        await _settle(call, item, answers)


def _first_twice(names: list[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _item(call: Call, asked: BatchOp) -> _Item:
    try:
        wish = _wish(asked)
        rules = call.collection(asked.collection)
        if_match = None if asked.if_match is None else [asked.if_match.strip('"')]
        write = Write(asked.op_id, rules, record_id(asked.id), wish, asked.time_us, if_match)
    except Problem as problem:
        return _Item(asked, problem=problem)
    return _Item(asked, write)


def _wish(asked: BatchOp) -> Wish:
    verbs = [asked.delete, asked.restore, asked.resolve is not None]
    has_fields = bool(asked.fields or asked.increment or asked.add or asked.remove)
    if sum(verbs) + has_fields > 1:
        raise Problem(
            422,
            "bad_body",
            "an op of a batch writes fields, or deletes, or restores, or resolves: one of them",
        )
    if asked.delete:
        return Delete()
    if asked.restore:
        return Restore()
    if asked.resolve is not None:
        seen = tuple(dict.fromkeys(EntryId(*name) for name in asked.resolve.seen))
        return Resolve(asked.resolve.field, asked.resolve.value, seen)
    needs = NEEDS_NEW if asked.create else NEEDS_LIVE
    return Patch(asked.fields, asked.increment, asked.add, asked.remove, needs)


def _all_checks(checks: dict[str, Check]) -> Check | None:
    if not checks:
        return None

    def check(op: object, state: RecordState) -> None:
        one = checks.get(getattr(op, "op_id", ""))
        if one is not None:
            one(op, state)  # type: ignore[arg-type]

    return check


async def _settle(call: Call, item: _Item, answers: dict[str, Answer]) -> None:
    """What became of one op."""
    if item.prepared is None or item.write is None:
        return
    if item.prepared.op is None or item.prepared.receipt is not None:
        item.receipt = item.prepared.receipt
        return
    answer = answers[item.asked.op_id]
    if isinstance(answer, Held):
        item.is_held = True
        return
    if isinstance(answer, Transient):
        item.problem = transient_problem(answer)
        return
    try:
        item.receipt = await settled(call, item.write, answer)
    except Problem as problem:
        item.problem = problem


def _result(look: Look, item: _Item, call: Call) -> BatchResult:
    asked = item.asked
    rules = None if item.write is None else item.write.rules
    version = None
    if rules is not None:
        state = look.state(rules, asked.id)
        version = version_at(look, 0 if state is None else state.seq)
    return BatchResult(
        op_id=asked.op_id,
        collection=asked.collection,
        id=asked.id,
        status=_status(item),
        receipt=None if item.receipt is None else receipt_of(rules, item.receipt),
        version=version,
        problem=_refusal(item, call),
    )


def _status(item: _Item) -> Status:
    if item.is_held:
        return "held"
    if item.problem is not None:
        return "transient" if item.problem.status in (429, 503) else "refused"
    return "accepted" if item.receipt is not None else "unchanged"


def _refusal(item: _Item, call: Call) -> Refusal | None:
    if item.is_held:
        detail = "an earlier op of this batch on the same record was not accepted"
        return Refusal(status=409, code="held", detail=detail, words=words_of("held", call.lang))
    problem = item.problem
    if problem is None:
        return None
    retry = problem.headers.get("Retry-After")
    return Refusal(
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        field=problem.extra.get("field"),
        words=problem.extra.get("words") or words_of(problem.code, call.lang),
        retry_after_s=None if retry is None else math.ceil(float(retry)),
        candidates=problem.extra.get("candidates"),
    )
