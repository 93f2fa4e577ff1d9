"""Single writes: PATCH, DELETE, restore, resolve."""

from __future__ import annotations

import math

from starlette.responses import Response

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import RecordState
from crdtsync.policy import CollectionPolicy
from crdtsync.protocol.messages import Answer, PushedOp, Receipt, RefusedOp, Transient
from crdtsync_server.http import request_id_of
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import PatchBody, ResolveBody
from crdtsync_server.rest.calls import Call, json_response
from crdtsync_server.rest.looking import Look
from crdtsync_server.rest.parsing import entity_tags, idempotency_key, read_body
from crdtsync_server.rest.refusals import refused
from crdtsync_server.rest.rendering import nothing_of, receipt_of, record_of
from crdtsync_server.rest.shapes import Record, Written
from crdtsync_server.rest.submitting import Write, check_known, prepare, receipt_again, submit
from crdtsync_server.rest.turns import turns
from crdtsync_server.rest.versions import entity_tag, version_at
from crdtsync_server.rest.wishes import NEEDS_LIVE, NEEDS_NEW, Delete, Patch, Resolve, Restore, Wish

OP_BYTES = 1_024
"""What a write without a body counts for in ingest's queue."""


async def patch_record(call: Call) -> Response:
    """``PATCH …/{id}``."""
    body, size_bytes = await read_body(call.request, PatchBody)
    needs = NEEDS_NEW if entity_tags(call.request, "if-none-match") == ["*"] else NEEDS_LIVE
    wish = Patch(body.fields, body.increment, body.add, body.remove, needs)
    return await _write(call, wish, body.time_us, size_bytes)


async def delete_record(call: Call) -> Response:
    """``DELETE …/{id}``."""
    return await _write(call, Delete(), None, OP_BYTES)


async def restore_record(call: Call) -> Response:
    """``POST …/{id}/restore``."""
    return await _write(call, Restore(), None, OP_BYTES)


async def resolve_conflict(call: Call) -> Response:
    """``POST …/{id}/resolve``."""
    body, size_bytes = await read_body(call.request, ResolveBody)
    seen = tuple(dict.fromkeys(EntryId(*name) for name in body.seen))
    return await _write(call, Resolve(body.field, body.value, seen), body.time_us, size_bytes)


async def _write(call: Call, wish: Wish, time_us: int | None, size_bytes: int) -> Response:
    write = Write(
        op_id=idempotency_key(call.request),
        rules=call.rules,
        record=call.record,
        wish=wish,
        time_us=time_us,
        if_match=entity_tags(call.request, "if-match"),
    )
    check_known(call, write)
    receipt = await _receipt(call, write, size_bytes)
    record = await call.look(lambda look: shown_record(look, write.rules, write.record))
    answer = Written(
        receipt=None if receipt is None else receipt_of(write.rules, receipt), record=record
    )
    return json_response(answer, {"ETag": entity_tag(record.version)})


async def _receipt(call: Call, write: Write, size_bytes: int) -> Receipt | None:
    """The write's receipt, now or from the first time; None where nothing had to be changed."""
    async with turns(call.service, [write.op_id]):
        prepared = await call.look(lambda look: prepare(call, look, write))
        if prepared.op is None:
            return prepared.receipt
        pushed = PushedOp(prepared.op, None, prepared.op.time_us, 1)
        request_id = request_id_of(call.request)
        (answer,) = await submit(call, request_id, [pushed], size_bytes, prepared.check)
        return prepared.receipt or await settled(call, write, answer)


async def settled(call: Call, write: Write, answer: Answer) -> Receipt:
    """The receipt that ``answer`` is, or stands for. Raises Problem."""
    if isinstance(answer, Receipt):
        return answer
    if isinstance(answer, Transient):
        raise transient_problem(answer)
    assert isinstance(answer, RefusedOp), answer
    if answer.code == "op_id_reused":
        # Perhaps by this very write, which was under way twice at once: then each of the
        # two was made at another time, and only what was wished for can be compared.
        known = await call.look(lambda look: look.known_op(write.op_id))
        if known is not None:
            return receipt_again(call, write, known)
    problem = refused(answer, call.lang)
    if problem.status == 412:
        state = await call.look(lambda look: _version_now(look, write))
        problem.headers["ETag"] = entity_tag(state)
        problem.extra["version"] = state
    raise problem


def _version_now(look: Look, write: Write) -> str:
    return version_at(look, look.seq_of_state(write.rules, write.record))


def transient_problem(answer: Transient) -> Problem:
    """Nothing was decided: the same request may be sent again."""
    retry_s = math.ceil(answer.retry_after_ms / 1_000)
    status = 429 if answer.reason == "rate_limited" else 503
    return Problem(
        status,
        answer.reason,
        f"nothing was decided; send it again in {retry_s} s with the same Idempotency-Key",
        headers={"Retry-After": str(retry_s)},
    )


def shown_record(look: Look, rules: CollectionPolicy, record: str) -> Record:
    """The record after a write, as its writer may see it."""
    state: RecordState | None = look.state(rules, record)
    return nothing_of(look, rules, record) if state is None else record_of(look, rules, state)
