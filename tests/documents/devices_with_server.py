"""Devices with an outbox, a server that decides, and a log between them: all in memory."""

from __future__ import annotations

from typing import Any

from crdtsync.documents import reading, writing
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import InvalidOp, UnresolvedConflict
from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, Op
from crdtsync.documents.settling import check_against_policy, decide, log_entry
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.documents.versions import Basis, version_of
from crdtsync.documents.writing import Authorship
from tests.documents.making import PATIENT, op_id
from tests.documents.plain_server import PlainServer

KINDS = {root: field.merge.value for root, field in PATIENT.by_root.items()} | {"d/": "delete"}


class Server:
    """The real decision, and the plain model of it beside."""

    def __init__(self) -> None:
        self.state = RecordState("patient", "p1")
        self.plain = PlainServer(KINDS)
        self.log: list[LogEntry] = []
        self.ops: dict[str, Op] = {}
        self.graves: set[tuple[str, EntryId]] = set()
        self.removed_by: dict[str, tuple[EntryId, ...]] = {}

    def accept(self, op: Op, received_us: int) -> bool:
        if op.op_id in self.ops:
            return False
        check_against_policy(op, PATIENT, None)
        own = {
            (r, EntryId(op.op_id, n)) for r, w in op.writes.items() for n in range(len(w.values))
        }
        try:
            decision = decide(
                self.state,
                op,
                PATIENT,
                received_us=received_us,
                graves=self.graves & own,
                ops_since=self._ops_since,
            )
        except InvalidOp as error:
            if error.code != "too_many_candidates":
                raise
            return False
        self.graves |= {(r, seen) for r, seen in decision.unseen if seen.op_id not in self.ops}
        seq = len(self.log) + 1
        entry = log_entry(
            op, decision, seq=seq, digest=b"", received_us=received_us, prev_seq=seq - 1
        )
        self.log.append(entry)
        self.ops[op.op_id] = op
        self.state.apply_entry(entry)
        self._accept_plainly(op, received_us)
        return True

    def _ops_since(self, seq: int) -> list[tuple[int, str, bool]]:
        return [(e.seq, e.op_id, self.ops[e.op_id].is_delete) for e in self.log if e.seq > seq]

    def _accept_plainly(self, op: Op, received_us: int) -> None:
        mark = None
        if DELETION_ROOT in op.writes:
            parsed = DeleteMark.parse(op.writes[DELETION_ROOT].values[0])
            mark = (parsed.deleted, parsed.seq, parsed.ops)
        writes = {
            root: (write.values, tuple((s.op_id, s.n) for s in write.supersedes))
            for root, write in op.writes.items()
        }
        self.plain.accept(op.op_id, op.time_us, received_us, writes, mark)

    def check(self) -> None:
        held = {(root, e.op_id, e.n): (e.value, e.effective_us) for root, e in self.state.entries()}
        assert held == self.plain.visible


class Device:
    """Confirmed entries and an outbox. What it shows is the one with the other on top."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.confirmed = RecordState("patient", "p1")
        self.document = RecordDocument(PATIENT, "p1")
        self.outbox: list[Op] = []
        self.form: Basis | None = None

    def shown(self) -> RecordState:
        state = self.confirmed.copy()
        for op in self.outbox:
            state.overlay(op)
        return state

    def open_form(self) -> None:
        shown = self.shown()
        self.form = Basis(version_of(shown), shown)

    def write(self, kind: str, value: Any, number: int, *, form: bool = False) -> Op | None:
        state = self.shown()
        # One clock is right, one two minutes ahead, and one runs backwards.
        time_us = (10 * number, 120_000_000 + 10 * number, 100_000 - number)[self.number]
        author = Authorship(op_id(number), f"user-{self.number}", time_us)
        basis = self.form if form else None
        try:
            op = self._make(state, kind, value, author, basis)
        except UnresolvedConflict:
            seen = basis.shown(state, "r/allergies") if basis else state.visible("r/allergies")
            assert len({PATIENT.field("allergies").key(e.value) for e in seen}) > 1
            op = writing.resolve(state, PATIENT, kind, value, [entry.id for entry in seen], author)
        if op is not None:
            self.outbox.append(op)
        return op

    @staticmethod
    def _make(
        state: RecordState, kind: str, value: Any, author: Authorship, basis: Basis | None
    ) -> Op | None:
        if kind in ("visits", "balance"):
            return writing.increment(state, PATIENT, {kind: value}, author)
        if kind == "add":
            return writing.change_set(state, PATIENT, "tags", author, add=value, based_on=basis)
        if kind == "remove":
            return writing.change_set(state, PATIENT, "tags", author, remove=value, based_on=basis)
        if kind == "delete":
            return writing.delete(state, PATIENT, author, based_on=basis)
        if kind == "restore":
            return writing.restore(state, PATIENT, author)
        return writing.update(state, PATIENT, {kind: value}, author, based_on=basis)

    def discard(self, place: int) -> Op:
        """Take an op back; what was written on top of it inherits."""
        gone = self.outbox.pop(place)
        state = self.confirmed

        def value_of(root: str, seen: EntryId) -> str | None:
            entry = state.fields.get(root, {}).get(seen)
            if entry is not None:
                return entry.value
            for op in [*self.outbox, gone]:
                if op.op_id == seen.op_id and root in op.writes:
                    return op.writes[root].values[seen.n]
            return None

        self.outbox = [
            writing.inherit(op, gone, PATIENT, value_of) if n >= place else op
            for n, op in enumerate(self.outbox)
        ]
        return gone

    def pull(self, log: list[LogEntry], upto: int) -> None:
        for entry in log[:upto]:
            self.outbox = [op for op in self.outbox if op.op_id != entry.op_id]
            self.confirmed.apply_entry(entry)
            self.document.apply_entry(entry)


def state_reading(state: RecordState) -> dict[str, Any]:
    """What a reader of entries at rest sees, as comparable values."""
    plain: dict[str, Any] = {}
    for name, field in PATIENT.fields.items():
        value = reading.read_field(state, field)
        if reading.in_conflict(state, field):
            value = sorted((str(sorted(c.value or ())), c.user, c.op_id) for c in value.candidates)
        plain[name] = value
    plain["deleted"] = reading.is_deleted(state, PATIENT)
    return plain
