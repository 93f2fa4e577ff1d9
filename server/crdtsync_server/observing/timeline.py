"""The timeline of one op, from everything that is stored about it.

Times of the server are taken as they are. What a device told is by its own clock: it is
corrected by the skew that its last hello showed, and never placed after what it caused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crdtsync.catalogue import attempt_ended, note_words, outcome_words, reason, step_words
from crdtsync.documents.ops import DELETION_ROOT
from crdtsync_server.observing.fate import Fates
from crdtsync_server.observing.op_rows import Accepted, Attempt, OpReader, Told, Way, status_of
from crdtsync_server.observing.trace_types import Step, TracedOp
from crdtsync_server.storage.keys import uuid_text

SKEW_NOTED_US = 1_000_000
"""A device's clock that is less off than this needs no remark."""

SERVER = "server"

FIRST = {"created": 0, "queued": 1, "sent": 2, "lost": 2, "unheard": 2, "received": 3}
"""Steps that go first among those of one moment, and their order."""

Detail = dict[str, str | int | None]


@dataclass(slots=True)
class Timeline:
    """Steps as they are found."""

    lang: str
    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        what: str,
        at_us: int,
        by: str,
        *,
        request_id: bytes | None = None,
        detail: Detail | None = None,
        remark: str = "",
        **words: object,
    ) -> None:
        """One more step; ``words`` fill in its sentence."""
        sentence = step_words(what, self.lang, **words)
        self.steps.append(
            Step(
                at_us=at_us,
                what=what,
                by=by,
                words=f"{sentence} ({remark})" if remark else sentence,
                request_id=None if request_id is None else uuid_text(request_id),
                detail=detail or {},
            )
        )

    def in_order(self) -> list[Step]:
        """By time; what happened in one moment in the order in which it must have."""
        return sorted(self.steps, key=lambda step: (step.at_us, _rank(step.what)))


def _rank(what: str) -> int:
    return FIRST.get(what, len(FIRST))


def _before_what_followed(
    told: list[Told], skews_us: list[int], heard: dict[str | None, int]
) -> list[int]:
    """When attempts were sent, by the server's clock: none after it arrived, nor after a later
    one of the same device. Skew is known to a second or so, and clocks are set."""
    times_us: list[int] = []
    latest_us: dict[int, int] = {}
    for one, skew_us in zip(reversed(told), reversed(skews_us), strict=True):
        bound_us = heard.get(uuid_text(one.request_id), one.told_us)
        bound_us = min(bound_us, latest_us.get(one.replica, bound_us))
        latest_us[one.replica] = min(max(one.sent_us - skew_us, 0), bound_us)
        times_us.append(latest_us[one.replica])
    return times_us[::-1]


class Teller:
    """Tells the timelines of the ops of one page."""

    def __init__(self, reader: OpReader, fates: Fates, lang: str) -> None:
        self._reader = reader
        self._fates = fates
        self._lang = lang

    def tell(self, key: bytes) -> TracedOp | None:
        """One op; None where the reader may know nothing of it."""
        accepted = self._reader.accepted(key)
        attempts = self._reader.attempts(key, accepted)
        if accepted is None and not attempts:
            return None
        timeline = Timeline(self._lang)
        notes: list[str] = []
        for one in attempts:
            self._attempt(timeline, one)
        if accepted is not None:
            self._accepted(timeline, accepted, notes)
            self._holders(timeline, accepted)
            self._fate(timeline, accepted, notes)
        self._told(timeline, self._reader.told(key))
        self._written(timeline, accepted or attempts[-1])
        return self._op(key, accepted, attempts, timeline, notes)

    def _op(
        self,
        key: bytes,
        accepted: Accepted | None,
        attempts: list[Attempt],
        timeline: Timeline,
        notes: list[str],
    ) -> TracedOp:
        known = accepted or attempts[0]
        entry = known.entry if isinstance(known, Accepted) else known
        device = self._reader.device(known.replica)
        status = status_of(accepted, attempts)
        seq = None if accepted is None else accepted.entry.seq
        return TracedOp(
            op_id=uuid_text(key),
            user=entry.user,
            device=device.name,
            replica_id=device.replica_id,
            space=self._reader.space_name(known.space_id),
            collection=entry.collection,
            record=entry.record,
            fields=[] if accepted is None else [self._name(root) for root in accepted.roots],
            status=status,
            status_words=note_words(f"status_{status}", self._lang, seq=seq),
            seq=seq,
            timeline=timeline.in_order(),
            notes=notes,
        )

    def _name(self, root: str) -> str:
        if root == DELETION_ROOT:
            return note_words("record", self._lang)
        return root.partition("/")[2]

    # ── at the server ───────────────────────────────────────────────────────

    def _attempt(self, timeline: Timeline, one: Attempt) -> None:
        timeline.add(
            "received",
            one.received_us,
            self._reader.device(one.replica).name,
            request_id=one.request_id,
            n=one.number,
        )
        detail: Detail = {}
        words = {"reason": reason(one.code or "other", self._lang)}
        what = one.result
        if one.code is not None:
            detail["code"] = one.code
        if one.field is not None:
            what = "refused_field"
            detail["field"] = words["field"] = one.field
        at_us = max(one.decided_us or 0, one.received_us)
        timeline.add(what, at_us, SERVER, request_id=one.request_id, detail=detail, **words)

    def _accepted(self, timeline: Timeline, accepted: Accepted, notes: list[str]) -> None:
        entry = accepted.entry
        way = self._reader.way(accepted)
        if way is None:
            notes.append(note_words("details_gone", self._lang))
            way = Way(entry.received_us, None, None, None)
        decided_us = way.decided_us or entry.received_us
        committed_us = max(way.committed_us or 0, decided_us)
        outcomes = {self._name(root): entry.outcomes[root] for root in accepted.roots}
        timeline.add(
            "received",
            min(way.received_us, decided_us),
            self._reader.device(accepted.replica).name,
            request_id=accepted.request_id,
            n=accepted.attempts,
        )
        timeline.add(
            "decided",
            decided_us,
            SERVER,
            request_id=accepted.request_id,
            detail={**outcomes},
            outcomes=" ".join(
                outcome_words(outcome, self._lang, field=name) for name, outcome in outcomes.items()
            ),
        )
        if entry.revived:
            timeline.add("revived", decided_us, SERVER)
        timeline.add(
            "committed",
            committed_us,
            SERVER,
            detail={"seq": entry.seq},
            seq=entry.seq,
            space=self._reader.space_name(accepted.space_id),
        )
        if way.published_us is not None:
            timeline.add("broadcast", max(way.published_us, committed_us), SERVER)

    def _holders(self, timeline: Timeline, accepted: Accepted) -> None:
        for device, at_us in self._reader.holders(accepted):
            timeline.add(
                "delivered",
                max(at_us, accepted.entry.received_us),
                device.name,
                detail={"replica_id": device.replica_id},
                device=device.name,
                user=device.user,
            )

    def _fate(self, timeline: Timeline, accepted: Accepted, notes: list[str]) -> None:
        departures, complete = self._fates.departures(accepted)
        if not complete:
            notes.append(note_words("fate_unknown", self._lang))
        for root, why, entry in departures:
            timeline.add(
                "left",
                entry.received_us,
                entry.user,
                detail={"field": self._name(root), "why": why, "op_id": entry.op_id},
                field=self._name(root),
                reason=reason(why, self._lang, name=entry.user),
            )
        for root, kind, at_us, user in self._fates.conflicts(accepted):
            timeline.add(
                f"conflict_{kind}",
                at_us,
                user,
                detail={"field": self._name(root)},
                field=self._name(root),
                user=user,
            )

    # ── on the device ───────────────────────────────────────────────────────

    def _told(self, timeline: Timeline, told: list[Told]) -> None:
        """Attempts that the device told of, whether they arrived or not."""
        heard = {step.request_id: step.at_us for step in timeline.steps if step.what == "received"}
        skews_us = [self._reader.skew_us(one.replica, one.told_us) for one in told]
        times_us = _before_what_followed(told, skews_us, heard)
        for one, skew_us, at_us in zip(told, skews_us, times_us, strict=True):
            arrived = uuid_text(one.request_id) in heard
            answered = one.ended.startswith(("held", "transient:", "refused:"))
            timeline.add(
                "lost" if not arrived else "sent" if answered else "unheard",
                at_us,
                self._reader.device(one.replica).name,
                request_id=one.request_id,
                detail={"ended": one.ended, "device_us": one.sent_us, "skew_us": skew_us},
                remark=self._skew_words(skew_us),
                reason=attempt_ended(one.ended, self._lang),
            )

    def _written(self, timeline: Timeline, first: Accepted | Attempt) -> None:
        """When and where a person wrote it."""
        author = first.entry.user if isinstance(first, Accepted) else first.user
        device = self._reader.device(first.replica)
        earliest_us = min(step.at_us for step in timeline.steps)
        skew_us = self._reader.skew_us(first.replica, max(step.at_us for step in timeline.steps))
        detail: Detail = {"device_us": first.created_us, "skew_us": skew_us}
        at_us = min(max(first.created_us - skew_us, 0) or earliest_us, earliest_us)
        for what, by in (("created", author), ("queued", device.name)):
            timeline.add(
                what,
                at_us,
                by,
                detail=detail,
                remark=self._skew_words(skew_us) if what == "created" else "",
                user=author,
                device=device.name,
            )

    def _skew_words(self, skew_us: int) -> str:
        if abs(skew_us) < SKEW_NOTED_US:
            return ""
        return note_words("by_device_clock", self._lang, n=round(abs(skew_us) / 1e6))
