"""From a wish to a committed op: built on the committed record, decided by ingest, answered
after the commit (invariant 2), once (invariant 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from crdtsync.documents.errors import (
    InvalidOp,
    NotPermitted,
    UnresolvedConflict,
    UsageError,
)
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, Op, content_digest
from crdtsync.documents.reading import exists, in_conflict, is_deleted
from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis
from crdtsync.documents.writing import Authorship
from crdtsync.policy import CollectionPolicy, InvalidValue, MergeKind
from crdtsync.protocol.messages import Answer, Push, PushedOp, Receipt
from crdtsync_server.problems import Problem
from crdtsync_server.rest.calls import Call
from crdtsync_server.rest.looking import HTTP_REPLICA, KnownOp, Look
from crdtsync_server.rest.refusals import refusal_problem, value_problem
from crdtsync_server.rest.rendering import candidates
from crdtsync_server.rest.versions import basis_of, entity_tag, version_at
from crdtsync_server.rest.wishes import (
    NEEDS_DELETED,
    NEEDS_LIVE,
    NEEDS_NEW,
    NEEDS_PRESENT,
    Delete,
    Patch,
    Wish,
    is_repeat,
    op_of,
)
from crdtsync_server.rest.words import words_of
from crdtsync_server.work import Check, Origin, PushWork

PLAIN = (MergeKind.SERVER_LATEST, MergeKind.USER_LATEST)
"""Fields where a value that was not seen would be lost to people: If-Match refuses there."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write that was asked for."""

    op_id: str
    rules: CollectionPolicy
    record: str
    wish: Wish
    time_us: int | None
    if_match: list[str] | None
    """Versions that the writer had seen (``["*"]``: any); None: what is there now counts."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write, ready for ingest, or answered already."""

    receipt: Receipt | None = None
    """Set where the op is in the log already."""
    op: Op | None = None
    """None where there is nothing to change. Of a repeat the op of the first time, as far as
    it is kept: ingest answers it from its receipt, and it is recorded as a repeat."""
    check: Check | None = None
    """What must still hold when the op is decided (If-Match)."""


# ── before ingest ───────────────────────────────────────────────────────────


def check_known(call: Call, write: Write) -> None:
    """Raises Problem for a field that the writer may not know. Needs no look, and comes
    before every other answer."""
    for name in write.wish.names:
        call.field(write.rules, name)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a write is built on."""

    whole: RecordState
    """The record, and on top of it what the same batch wrote before."""
    shown: RecordState | None
    """The committed record as the writer may see it; None where they may not know of it."""

    @classmethod
    def of(cls, look: Look, write: Write) -> Ground:
        """The committed record, decoded once."""
        whole = look.whole_state(write.rules.name, write.record)
        return cls(whole, look.shown_of(whole))


def prepare(call: Call, look: Look, write: Write, ground: Ground | None = None) -> Prepared:
    """Find the op in the log, or make it on ``ground`` (default: the committed record).

    ``check_known`` has passed. Raises Problem where it cannot be written.
    """
    known = look.known_op(write.op_id)
    if known is not None:
        first = op_of(known.entry)
        is_whole = content_digest(first) == known.content_digest
        receipt = receipt_again(call, write, known)
        return Prepared(receipt=receipt, op=first if is_whole else None)
    _check_permission(call, write)
    _check_names(call, write)
    ground = ground or Ground.of(look, write)
    whole, shown = ground.whole, ground.shown
    basis = _basis(call, look, write, shown)
    _check_presence(call, write, shown, whole, basis)
    author = Authorship(
        write.op_id,
        call.identity.user,
        call.service.now_us() if write.time_us is None else write.time_us,
        call.identity.roles,
    )
    op = _made(call, look, write, whole, author, basis)
    return Prepared(op=op, check=_condition(write, whole, basis))


def receipt_again(call: Call, write: Write, known: KnownOp) -> Receipt:
    """The receipt of an op that is in the log, if it is this very write. Raises Problem 409."""
    entry = known.entry
    op = op_of(entry)
    same = (
        known.space == call.space
        and entry.user == call.identity.user
        and (entry.collection, entry.record) == (write.rules.name, write.record)
        and write.time_us in (None, entry.time_us)
        and is_repeat(write.wish, op, known.content_digest, write.rules)
    )
    if not same:
        raise refusal_problem(
            "op_id_reused",
            "another write was accepted under this Idempotency-Key; make a new key for each write",
            call.lang,
        )
    return Receipt(entry.op_id, entry.seq, entry.received_us, entry.outcomes)


def _check_permission(call: Call, write: Write) -> None:
    roles, rules = call.identity.roles, write.rules
    for name in write.wish.names:
        if not rules.fields[name].may_write(roles):
            raise refusal_problem(
                "not_permitted", f"your role may not write {name}", call.lang, name
            )
    if not write.wish.names and not isinstance(write.wish, Patch) and not rules.may_delete(roles):
        raise refusal_problem(
            "not_permitted", "your role may not delete or restore these", call.lang
        )


def _check_names(call: Call, write: Write) -> None:
    names = write.wish.names
    if isinstance(write.wish, Patch) and not names:
        raise refusal_problem("nothing_to_write", "name at least one field to write", call.lang)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise refusal_problem(
            "field_twice", f"{twice} is named twice; write it in one way", call.lang, twice
        )


def _basis(call: Call, look: Look, write: Write, shown: RecordState | None) -> Basis | None:
    """What the writer had seen; None for everything that is there now. Raises Problem 412."""
    if write.if_match is None:
        return None
    if shown is None:
        raise _stale(call, look, "there is no such record (any more)", 0)
    if "*" in write.if_match:
        return None
    current = version_at(look, shown.seq)
    if current in write.if_match:
        return Basis(basis_of(look, shown, current).version)
    basis = basis_of(look, shown, write.if_match[0])
    if isinstance(write.wish, Delete):
        raise _stale(call, look, "the record was changed since it was read", shown.seq)
    for name in write.wish.names:
        rule = write.rules.fields[name]
        unseen = [entry for entry in shown.visible(rule.root) if not basis.version.saw(entry)]
        if rule.merge in PLAIN and unseen:
            raise _stale(
                call,
                look,
                f"{unseen[0].user} wrote {name} since the record was read; read it again",
                shown.seq,
                name,
            )
    return basis


def _stale(call: Call, look: Look, detail: str, seq: int, field: str | None = None) -> Problem:
    version = version_at(look, seq)
    return Problem(
        412,
        "stale_version",
        detail,
        headers={"ETag": entity_tag(version)},
        field=field,
        words=words_of("stale_version", call.lang),
        version=version,
    )


def _check_presence(
    call: Call,
    write: Write,
    shown: RecordState | None,
    whole: RecordState,
    basis: Basis | None,
) -> None:
    rules, needs = write.rules, write.wish.needs
    where = f"{rules.name}/{write.record}"
    is_there = shown is not None or bool(whole.pending)
    is_gone = is_there and is_deleted(whole, rules)
    if needs in (NEEDS_PRESENT, NEEDS_DELETED) and not is_there:
        raise refusal_problem("unknown_record", f"there is no {where}", call.lang)
    if needs == NEEDS_NEW and is_there and not is_gone:
        raise refusal_problem("record_exists", f"there is a {where} already", call.lang)
    if needs == NEEDS_DELETED and not is_gone:
        raise refusal_problem("not_deleted", f"{where} is not deleted", call.lang)
    # A form that was open before the delete still saves, and brings the record back.
    saw_it = basis is None or _saw_delete(basis, whole)
    if needs in (NEEDS_LIVE, NEEDS_NEW, NEEDS_PRESENT) and is_gone and saw_it:
        raise refusal_problem(
            "record_deleted", f"{where} is deleted; POST to its /restore first", call.lang
        )


def _saw_delete(basis: Basis, state: RecordState) -> bool:
    return any(
        basis.version.saw(entry) and DeleteMark.parse(entry.value).deleted
        for entry in state.visible(DELETION_ROOT)
    )


def _made(
    call: Call,
    look: Look,
    write: Write,
    state: RecordState,
    author: Authorship,
    basis: Basis | None,
) -> Op | None:
    try:
        return write.wish.make(state, write.rules, author, basis)
    except UnresolvedConflict as error:
        raise _conflict(call, look, write, state, str(error)) from error
    except NotPermitted as error:
        raise refusal_problem("not_permitted", str(error), call.lang) from error
    except InvalidValue as error:
        raise value_problem(error, call.lang) from error
    except InvalidOp as error:
        raise refusal_problem(error.code, str(error), call.lang, error.field) from error
    except UsageError as error:
        names = write.wish.names
        field = names[0] if len(names) == 1 else None
        raise refusal_problem("bad_value", str(error), call.lang, field) from error


def _conflict(call: Call, look: Look, write: Write, state: RecordState, detail: str) -> Problem:
    """A field with several values was to be written as if it had one."""
    names = [name for name in write.wish.names if in_conflict(state, write.rules.fields[name])]
    field = names[0] if names else write.wish.names[0]
    rule = write.rules.fields[field]
    return Problem(
        409,
        "conflict",
        f"{write.rules.name}/{write.record}: {field} has different values; look at `candidates` "
        "and choose by POST to its /resolve",
        field=field,
        words=words_of("conflict", call.lang),
        candidates=candidates(look, rule, list(state.visible(rule.root))),
    )


def _condition(write: Write, built_on: RecordState, basis: Basis | None) -> Check | None:
    """What of If-Match must still hold when the op's turn comes: others write meanwhile."""
    rules, seq = write.rules, built_on.seq
    if write.wish.needs == NEEDS_NEW:

        def is_new(op: Op, state: RecordState) -> None:
            if state.seq > seq and exists(state, rules):
                raise InvalidOp("record_exists", "the record was made by another meanwhile")

        return is_new
    if basis is None:
        return None
    version = basis.version
    plain = [rule for name in write.wish.names if (rule := rules.fields[name]).merge in PLAIN]

    def is_unchanged(op: Op, state: RecordState) -> None:
        for rule in plain:
            for entry in state.visible(rule.root):
                if not version.saw(entry):
                    raise InvalidOp(
                        "stale_version",
                        f"{entry.user} wrote {rule.name} since the record was read; read it again",
                        field=rule.name,
                    )

    return is_unchanged if plain else None


# ── ingest ──────────────────────────────────────────────────────────────────


async def submit(
    call: Call,
    request_id: str,
    ops: Sequence[PushedOp],
    size_bytes: int,
    check: Check | None = None,
) -> Sequence[Answer]:
    """Have ops decided; the answers come after the commit of their group.

    A caller that is cancelled changes nothing: the ops stand or fall as if it waited.
    """
    answered: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()

    def done(answers: Sequence[Answer]) -> None:
        if not answered.done():
            answered.set_result(answers)

    origin = Origin(call.space, HTTP_REPLICA, call.identity.user, call.identity.roles)
    push = Push(request_id, tuple(ops))
    call.service.ingest.submit(PushWork(origin, push, size_bytes, done, check))
    return await answered
