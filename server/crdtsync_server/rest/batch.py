"""Many writes in one request: each is judged on its own, all of them in one commit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

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
from crdtsync_server.rest.submitting import (
    Ground,
    Prepared,
    Write,
    check_known,
    prepare,
    submit,
)
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


@dataclass(slots=True)
class _Item:
    """One op of a batch on its way."""

    asked: BatchOp
    write: Write | None = None
    prepared: Prepared | None = None
    pushed: PushedOp | None = None
    receipt: Receipt | None = None
    problem: Problem | None = None
    is_held: bool = False


@dataclass(slots=True)
class _OnRecord:
    """The items of a batch on one record, in their order, while their ops are made. One with
    a problem already is refused as it is.

    Records are taken one after the other, so that only one of them is in memory.
    """

    call: Call
    items: list[_Item] = field(default_factory=list)
    done: int = 0
    ground: Ground | None = None
    """The record as the ops before leave it, if they are accepted."""
    last: str | None = None
    """The op before."""
    has_failed: bool = False
    """An op could not be made: what comes after it waits (invariant 10)."""

    def prepare(self, look: Look) -> bool:
        """Make ops, one at least; False where the job's time was up before the last."""
        while self.done < len(self.items):
            self._prepare(look, self.items[self.done])
            self.done += 1
            if not look.has_time:
                break
        if self.done < len(self.items):
            return False
        self.ground = None
        return True

    def _prepare(self, look: Look, item: _Item) -> None:
        if item.problem is None and self.has_failed:
            item.is_held = True
        elif item.problem is None:
            try:
                item.pushed = self._pushed(look, item)
            except Problem as problem:
                item.problem = problem
        self.has_failed |= item.problem is not None

    def _pushed(self, look: Look, item: _Item) -> PushedOp | None:
        assert item.write is not None
        if self.ground is None:
            self.ground = Ground.of(look, item.write)
        item.prepared = prepare(self.call, look, item.write, self.ground)
        op = item.prepared.op
        if op is None:
            return None
        if item.prepared.receipt is not None:
            return PushedOp(op, None, op.time_us, 1)
        pushed = PushedOp(op, self.last, op.time_us, 1)
        self.last = op.op_id
        self.ground.whole.overlay(op)
        return pushed


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
    versions = await _versions(call, items)
    results = [_result(item, versions, call) for item in items]
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
    await _prepare_all(call, items)
    pushed = [item.pushed for item in items if item.pushed is not None]
    answers: dict[str, Answer] = {}
    if pushed:
        given = await submit(call, request_id, pushed, size_bytes, _all_checks(items))
        answers = {answer.op_id: answer for answer in given}
    for item in items:
        await _settle(call, item, answers)


async def _prepare_all(call: Call, items: list[_Item]) -> None:
    """Make the ops, record by record, in as many jobs as their time allows."""
    records: dict[tuple[str, str], _OnRecord] = {}
    for item in items:
        records.setdefault(_key(item), _OnRecord(call)).items.append(item)
    waiting = list(reversed(records.values()))

    def step(look: Look) -> None:
        while waiting and waiting[-1].prepare(look):
            waiting.pop()
            if not look.has_time:
                return

    while waiting:
        await call.look(step)


def _key(item: _Item) -> tuple[str, str]:
    return (item.asked.collection, item.asked.id)


async def _versions(call: Call, items: list[_Item]) -> dict[tuple[str, str], str]:
    """The version of each record after the batch."""
    waiting = {_key(item): item.write.rules for item in items if item.write is not None}
    found: dict[tuple[str, str], str] = {}

    def step(look: Look) -> None:
        while waiting:
            key, rules = waiting.popitem()
            found[key] = version_at(look, look.seq_of_state(rules, key[1]))
            if not look.has_time:
                return

    while waiting:
        await call.look(step)
    return found


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
    try:
        check_known(call, write)
    except Problem as problem:
        return _Item(asked, write, problem=problem)
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


def _all_checks(items: Iterable[_Item]) -> Check | None:
    checks = {
        item.asked.op_id: item.prepared.check
        for item in items
        if item.prepared is not None and item.prepared.check is not None
    }
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


def _result(item: _Item, versions: dict[tuple[str, str], str], call: Call) -> BatchResult:
    asked = item.asked
    rules = None if item.write is None else item.write.rules
    return BatchResult(
        op_id=asked.op_id,
        collection=asked.collection,
        id=asked.id,
        status=_status(item),
        receipt=None if item.receipt is None else receipt_of(rules, item.receipt),
        version=None if item.write is None else versions[_key(item)],
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
