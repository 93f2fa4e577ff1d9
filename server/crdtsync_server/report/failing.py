"""Attempts that failed: how many, why, what people were shown, and where to look closer.

An attempt is one sending of one op, known by (op_id, request_id). The server sees those
that reach it; devices tell of the others with the op's next attempt. One that was held
behind another change is no attempt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from crdtsync.catalogue import message, reason
from crdtsync.protocol.earlier import CUT, HELD, MAX_EARLIER, NO_ANSWER, OTHER, STOPPED
from crdtsync_server.report.measures import Example, FailureReason, Failures, Refusal
from crdtsync_server.report.scope import EXAMPLES, SQL, Scope, entry_of
from crdtsync_server.report.travel import Travel
from crdtsync_server.report.words import say
from crdtsync_server.storage.keys import SEQ_BITS, position, uuid_bytes, uuid_text

LOST_ON_THE_WAY = frozenset({CUT, NO_ANSWER, STOPPED, OTHER})
"""Endings without any answer: the change was safe on the device, and people were told so."""

SHOWN_REASONS = 20
SHOWN_REFUSALS = 50

UNLISTED = "unlisted"
"""Attempts that a device counted and no longer tells one by one."""

LOOK_UPS = 2_000
"""Ops with very many attempts whose own rows are counted; the others are estimated."""

ELLIPSIS = "…"


@dataclass(slots=True)
class Failure:
    """One attempt that failed."""

    op: bytes
    request_id: bytes
    at_us: int
    space: int
    code: str
    needs_person: bool
    collection: str | None = None
    """Known where the server judged it."""
    field_name: str | None = None


@dataclass(slots=True)
class Failing:
    """What failed in the window, and what was repeated."""

    failures: list[Failure] = field(default_factory=list)
    unlisted: int = 0
    accepted: int = 0
    repeats: int = 0
    repeated_at_us: list[int] = field(default_factory=list)
    held: int = 0
    counted_twice: int = 0
    """Attempts that were accepted although the device never heard so."""
    extra_retries: int = 0
    """Attempts after the one that was accepted, because its answer was lost."""

    @property
    def failed(self) -> int:
        """Attempts that ended in failed."""
        return len(self.failures) + self.unlisted

    @property
    def attempts(self) -> int:
        """All attempts."""
        return self.accepted + self.repeats + self.failed - self.counted_twice


def read_failing(scope: Scope, travel: Travel) -> Failing:
    """Read the window's attempts."""
    found = Failing(
        accepted=sum(push.accepted for push in travel.pushes),
        repeats=sum(push.duplicate for push in travel.pushes),
        held=sum(push.held for push in travel.pushes),
    )
    if not travel.recorded:
        return found
    known: dict[tuple[bytes, bytes], Failure] = {}
    again: dict[bytes, int] = {}
    for row in scope.within("attempts_within", scope.bounds.attempts):
        op, result, code, field_name, collection, _, number, request_id, at_us, space, _ = row
        if at_us < travel.counted_from_us:
            break
        if result == "duplicate":
            found.repeated_at_us.append(at_us)
            again[op] = max(again.get(op, 0), number)
        elif result != "held":
            refused = result == "refused"
            known[op, request_id] = Failure(
                op, request_id, at_us, space, code or OTHER, refused, collection, field_name
            )
    _add_told(scope, travel, known)
    found.failures = sorted(known.values(), key=lambda one: one.at_us, reverse=True)
    _compare_with_log(scope, found, again)
    found.unlisted = _count_unlisted(scope, travel)
    return found


def _add_told(scope: Scope, travel: Travel, known: dict[tuple[bytes, bytes], Failure]) -> None:
    """What devices told: those that the server judged are known better already."""
    for row in scope.within("told_within", scope.bounds.attempts):
        op, request_id, sent_us, ended, told_us, space, replica = row
        if told_us < travel.counted_from_us:
            break
        kind, _, code = ended.partition(":")
        if kind == HELD or (op, request_id) in known:
            continue
        joined = travel.connection_at(replica, told_us)
        # By the server's clock, and never later than it was told.
        at_us = min(sent_us - (joined.skew_us if joined else 0), told_us)
        known[op, request_id] = Failure(
            op, request_id, at_us, space, code or kind, kind == "refused"
        )


def _compare_with_log(scope: Scope, found: Failing, again: dict[bytes, int]) -> None:
    """An attempt that was accepted and whose answer was lost is one attempt, not two."""
    lost = {one.op for one in found.failures if one.code in LOST_ON_THE_WAY}
    rows = {row[0]: row for row in scope.by_op_ids("log_of_ops", lost | again.keys())}
    for one in found.failures:
        row = rows.get(one.op)
        if row is not None and row[2] == one.request_id:
            found.counted_twice += 1
    for op, number in again.items():
        if op in rows:
            found.extra_retries += max(number - rows[op][3], 0)


def _count_unlisted(scope: Scope, travel: Travel) -> int:
    """A device tells of its newest attempts only; it counts them all."""
    unlisted = 0
    many = [op for op in travel.delivered if op.attempts > MAX_EARLIER + 1]
    for number, op in enumerate(many):
        listed = MAX_EARLIER
        if number < LOOK_UPS:
            (data,) = scope.connection.execute(
                SQL["entry_at"], (position(op.space, op.seq),)
            ).fetchone()
            entry = entry_of(data)
            if entry is not None:
                key = (uuid_bytes(entry.op_id),)
                (listed,) = scope.connection.execute(SQL["told_of_op"], key).fetchone()
        unlisted += max(op.attempts - 1 - listed, 0)
    return unlisted


# ── for people ──────────────────────────────────────────────────────────────


def failures_for_people(scope: Scope, travel: Travel, failing: Failing) -> Failures:
    """Panels 2 and 7: only what the reader may read."""
    if not travel.recorded:
        return Failures(
            recorded=False,
            attempts=None,
            failed=None,
            repeats=None,
            held=None,
            reasons=(),
            refusals=(),
            note=say("not_recorded", scope.lang),
        )
    return Failures(
        recorded=True,
        attempts=failing.attempts,
        failed=failing.failed,
        repeats=failing.repeats,
        held=failing.held,
        reasons=_reasons(scope, failing),
        refusals=_refusals(scope, failing),
        note=say("no_attempts", scope.lang) if not failing.attempts else "",
    )


def reason_words(code: str, lang: str) -> str:
    """Why an attempt failed, inside of a sentence."""
    if code in LOST_ON_THE_WAY or code == UNLISTED:
        return say(f"ended_{code}", lang)
    return reason(code, lang)


def shown_message(code: str, needs_person: bool, field_label: str, lang: str) -> str:
    """What people saw, with an ellipsis where a number or name stood."""
    if needs_person:
        return message(
            "refused", lang, field=field_label or ELLIPSIS, reason=reason_words(code, lang)
        )
    if code in LOST_ON_THE_WAY or code == UNLISTED:
        return message("saved_offline", lang, n=ELLIPSIS)
    return message("failed_retrying", lang, n=ELLIPSIS)


def _reasons(scope: Scope, failing: Failing) -> tuple[FailureReason, ...]:
    groups: dict[tuple[str, bool], list[Failure]] = defaultdict(list)
    for one in failing.failures:
        groups[one.code, one.needs_person].append(one)
    listed = [
        FailureReason(
            code=code,
            words=reason_words(code, scope.lang),
            message=shown_message(code, needs_person, "", scope.lang),
            needs_person=needs_person,
            count=len(group),
            ops=len({one.op for one in group}),
            share=len(group) / failing.attempts,
            examples=_examples(scope, group),
        )
        for (code, needs_person), group in groups.items()
    ]
    if failing.unlisted:
        listed.append(
            FailureReason(
                code=UNLISTED,
                words=reason_words(UNLISTED, scope.lang),
                message=shown_message(UNLISTED, False, "", scope.lang),
                needs_person=False,
                count=failing.unlisted,
                ops=0,
                share=failing.unlisted / failing.attempts,
                examples=(),
            )
        )
    listed.sort(key=lambda one: (-one.count, one.code))
    return tuple(listed[:SHOWN_REASONS])


def _refusals(scope: Scope, failing: Failing) -> tuple[Refusal, ...]:
    groups: dict[tuple[str, str, str | None], list[Failure]] = defaultdict(list)
    for one in failing.failures:
        if one.needs_person and one.collection is not None:
            place = _readable_place(scope, one)
            if place is not None:
                groups[one.code, *place].append(one)
    listed = [
        Refusal(
            code=code,
            words=reason_words(code, scope.lang),
            collection=collection,
            collection_label=scope.collection_label(collection),
            field=name,
            field_label=_field_label(scope, collection, name),
            count=len(group),
            examples=_examples(scope, group),
        )
        for (code, collection, name), group in groups.items()
    ]
    listed.sort(key=lambda one: (-one.count, one.code, one.collection, one.field or ""))
    return tuple(listed[:SHOWN_REFUSALS])


def _readable_place(scope: Scope, one: Failure) -> tuple[str, str | None] | None:
    """(collection, field) as far as the reader may know them; None: not at all.

    A collection that the policy does not know is named by the op alone, and may hold
    anything: only who may read everything is told of it.
    """
    assert one.collection is not None
    if scope.seen.is_full:
        return one.collection, one.field_name
    known = one.collection in scope.policy.collections
    if not known or not scope.seen.sees_collection(one.collection):
        return None
    name = _plain_name(one.field_name)
    if name is None or not scope.seen.may_read_field(one.collection, name):
        return one.collection, None
    return one.collection, one.field_name


def _plain_name(field_name: str | None) -> str | None:
    """Refusals name a field by its name or by its root ("r/phone")."""
    if field_name is None:
        return None
    head, slash, rest = field_name.partition("/")
    return rest if slash and len(head) == 1 else field_name


def _field_label(scope: Scope, collection: str, field_name: str | None) -> str:
    name = _plain_name(field_name)
    if name is None:
        return ""
    root = scope.root_of(collection, name)
    return name if root is None else scope.field_label(collection, root)


def _examples(scope: Scope, group: Iterable[Failure]) -> tuple[Example, ...]:
    """The newest attempts, of different requests, that the reader may look into."""
    shown: dict[bytes, Failure] = {}
    for one in group:
        if len(shown) == EXAMPLES:
            break
        if one.request_id not in shown and _may_know(scope, one):
            shown[one.request_id] = one
    return tuple(
        Example(
            request_id=uuid_text(one.request_id),
            op_id=uuid_text(one.op),
            at_us=one.at_us,
            space=scope.space_names.get(one.space, ""),
        )
        for one in shown.values()
    )


def _may_know(scope: Scope, one: Failure) -> bool:
    """An op is an example only where the reader may read all of what it wrote."""
    if scope.seen.is_full:
        return True
    rows = scope.by_op_ids("log_of_ops", [one.op])
    if not rows:
        # It never entered the log: nobody knows what else it would have written.
        return False
    entry = entry_of(rows[0][4])
    if entry is None or rows[0][1] >> SEQ_BITS != one.space:
        return False
    if not scope.seen.sees_collection(entry.collection):
        return False
    roots = entry.outcomes or entry.writes
    return all(scope.seen.may_read(entry.collection, root) for root in roots)


def messages_shown(scope: Scope, failing: Failing) -> Counter[str]:
    """What people were shown at failures, and how often."""
    shown: Counter[str] = Counter()
    for one in failing.failures:
        label = ""
        if one.needs_person and one.collection is not None:
            place = _readable_place(scope, one)
            label = "" if place is None else _field_label(scope, *place)
        shown[shown_message(one.code, one.needs_person, label, scope.lang)] += 1
    if failing.unlisted:
        shown[shown_message(UNLISTED, False, "", scope.lang)] += failing.unlisted
    return shown
