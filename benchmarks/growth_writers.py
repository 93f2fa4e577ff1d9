"""Writers who edit one record again and again, partly without having seen each other.

They work in rounds. In a round every writer sees the record as the round began, with
its own edits on top, and nothing of the others'; then everything goes to the server,
writer by writer, as it does when devices come back into the network. A conflict in a
``manual`` field is resolved by one of them at the start of the next round.
"""

from __future__ import annotations

import random
import uuid
from decimal import Decimal

from crdtsync.documents import writing
from crdtsync.documents.conflict import Conflict
from crdtsync.documents.folding import fold_counters
from crdtsync.documents.ops import Op
from crdtsync.documents.reading import conflicts, read_field
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.documents.writing import Authorship
from crdtsync.policy import MergeKind, Policy

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
name      = { type = "string", merge = "server-latest" }
ward      = { type = "string", merge = "server-latest" }
note      = { type = "string", merge = "server-latest" }
phone     = { type = "string", merge = "user-latest" }
address   = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
dose      = { type = "decimal", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
balance   = { type = "decimal", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
""",
    source="the policy of the growth benchmark",
)
PATIENT = POLICY.collection("patient")
RECORD = "p1"
FIELDS = tuple(PATIENT.fields)

EDIT_US = 30_000_000
"""Between two edits, by the clock that is handed in: a million take most of a year."""

WINDOW = {1: 200, 2: 50, 20: 10}
"""Edits that one writer makes before it sees the others', by the number of writers."""

MANUAL_WRITERS = 4
"""Of a round: more would only meet the bound of candidates."""

_TAGS = [f"tag {n}" for n in range(12)]
_ALLERGIES = ["latex", "penicillin", "nuts", "milk", "eggs", "bee venom"]


class Writers:
    """So many writers, the record as the log left it, and who writes what next."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.count = count
        self.confirmed = RecordState("patient", RECORD)
        self.resolved = 0
        self._draw = random.Random(f"{seed} {count}")
        self._made = 0

    def round(self, now_us: int, edits: int) -> list[list[Op]]:
        """What each writer writes next, ``edits`` in all."""
        window = WINDOW.get(self.count, max(200 // self.count, 1))
        ops: list[list[Op]] = []
        for writer in range(self.count):
            count = min(window, edits - sum(map(len, ops)))
            ops.append(self._session(writer, count, now_us) if count > 0 else [])
        return ops

    def resolve_all(self, now_us: int) -> list[Op]:
        """One writer chooses wherever several values stand."""
        view, ops = self.confirmed.copy(), []
        for field in conflicts(view, PATIENT):
            found = read_field(view, field)
            assert isinstance(found, Conflict)
            ops.append(self._resolve(view, found, "writer-0", now_us))
        return ops

    def follow(self, entry: LogEntry) -> None:
        """What the log says happened."""
        self.confirmed.apply_entry(entry)
        fold_counters(self.confirmed)

    def _session(self, writer: int, count: int, now_us: int) -> list[Op]:
        """One writer's edits of a round, each on top of its own before."""
        view, user = self.confirmed.copy(), f"writer-{writer}"
        ops = self.resolve_all(now_us)[:count] if writer == 0 else []
        self.resolved += len(ops)
        for op in ops:
            view.overlay(op)
        while len(ops) < count:
            self._made += 1
            op = self._edit(view, FIELDS[self._made % len(FIELDS)], writer, user, now_us + len(ops))
            view.overlay(op)
            ops.append(op)
        return ops

    def _edit(self, view: RecordState, name: str, writer: int, user: str, now_us: int) -> Op:
        field, author = PATIENT.fields[name], self._author(user, now_us)
        number = self._draw.randrange(1_000, 10_000)
        if field.merge is MergeKind.MANUAL and (
            writer >= MANUAL_WRITERS or isinstance(read_field(self.confirmed, field), Conflict)
        ):
            # Somebody else is choosing, or there are enough values to choose from.
            name, field = "note", PATIENT.fields["note"]
        if field.merge is MergeKind.COUNTER:
            by: int | Decimal = number if name == "visits" else Decimal(number) / 100
            return writing.increment(view, PATIENT, {name: by}, author)
        if field.merge is MergeKind.SET:
            there = sorted(read_field(view, field))
            if len(there) > 5:
                op = writing.change_set(
                    view, PATIENT, name, author, remove=[self._draw.choice(there)]
                )
            else:
                op = writing.change_set(view, PATIENT, name, author, add=[self._draw.choice(_TAGS)])
        elif name == "allergies":
            chosen = set(self._draw.sample(_ALLERGIES, 3))
            op = writing.update(view, PATIENT, {name: chosen}, author)
        elif name == "dose":
            op = writing.update(view, PATIENT, {name: Decimal(number) / 100}, author)
        else:
            op = writing.update(view, PATIENT, {name: f"{name} {number}"}, author)
        assert op is not None
        return op

    def _resolve(self, view: RecordState, found: Conflict, user: str, now_us: int) -> Op:
        seen = [entry for candidate in found.candidates for entry in candidate.entries]
        value = found.candidates[0].value
        return writing.resolve(view, PATIENT, found.field, value, seen, self._author(user, now_us))

    def _author(self, user: str, now_us: int) -> Authorship:
        op_id = str(uuid.UUID(int=self._draw.getrandbits(128), version=4))
        return Authorship(op_id, user, now_us, None)


def written_once(state: RecordState, record: str, now_us: int) -> list[Op]:
    """The ops that write what ``state`` holds into another record, each value once."""
    fresh = RecordState("patient", record)
    registers = {
        field.name: read_field(state, field)
        for field in PATIENT.fields.values()
        if field.merge is not MergeKind.COUNTER and state.fields.get(field.root)
    }
    counters = {
        field.name: read_field(state, field)
        for field in PATIENT.fields.values()
        if field.merge is MergeKind.COUNTER and state.fields.get(field.root)
    }

    def author() -> Authorship:
        return Authorship(str(uuid.uuid4()), "writer-0", now_us, None)

    ops = [writing.update(fresh, PATIENT, registers, author())] if registers else []
    if counters:
        ops.append(writing.increment(fresh, PATIENT, counters, author()))
    return [op for op in ops if op is not None]
