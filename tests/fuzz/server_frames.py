"""Frames of a server: every kind of message, made over a log of good and bad ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from crdtsync.documents.ops import Op
from crdtsync.documents.state import LogEntry, Removal, Stub
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    Answer,
    Answers,
    Changes,
    Goodbye,
    Head,
    Held,
    History,
    Limits,
    Message,
    Paging,
    Ping,
    Pong,
    Push,
    Receipt,
    Receipts,
    Refused,
    RefusedOp,
    SnapshotPage,
    Transient,
    Welcome,
)
from tests.fuzz.good_ops import USERS, good_op
from tests.fuzz.hostile import TIMES_US, new_id, number, text
from tests.fuzz.known import Known
from tests.fuzz.rules import EPOCH_US, POLICY, POLICY_TEXT
from tests.replica.scripted_server import Ledger

REFUSALS = (
    *("id_collision", "op_id_reused", "not_permitted", "too_many_candidates", "wrong_type"),
    *("no such code", "", "bad_supersedes"),
)
POLICIES = (
    POLICY_TEXT.replace("version = 3", "version = 4"),
    POLICY_TEXT.replace("version = 3", "version = 9007199254740991"),
    POLICY_TEXT.replace("version = 3", "version = 2"),
    "version = 5\n[other.fields]\nx = { type = 'string' }\n",
    POLICY_TEXT.replace("version = 3", "version = 6").replace(', merge = "counter"', ""),
    "",
    "version = 99\n" + "[" * 3_000,
    "\x00",
)


class Teller:
    """Makes what a server may say to one replica."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw
        self.known = Known()
        self.ledger = Ledger(POLICY, received_us=EPOCH_US)
        self.user = USERS[2]
        self.said_until = 0
        self.pushes: list[Push] = []
        self.asked: list[tuple[int, tuple[str, ...]]] = []

    # ── a log ───────────────────────────────────────────────────────────────

    def grow(self, count: int = 1) -> None:
        """Others write."""
        for _ in range(count):
            op = good_op(self.draw, self.known, self.draw.choice(USERS))
            self.take(op)

    def take(self, op: Op) -> Receipt | None:
        """Put an op into the log, if the rules take it."""
        if op.collection not in POLICY.collections:
            return None
        try:
            return self.ledger.accept(op)
        except Exception:
            # The rules refused it, or the test's ledger cannot tell it: it is not in the log.
            return None

    def entries(self, most: int = 4) -> tuple[LogEntry | Stub, ...]:
        """The next ones of the log."""
        start = self.said_until
        found: Sequence[LogEntry | Stub] = self.ledger.entries[start : start + most]
        self.said_until += len(found)
        if self.draw.random() < 0.2:
            found = [Stub(e.seq, e.digest, self._op_id_or_none()) for e in found]
        return tuple(found)

    def _op_id_or_none(self) -> str | None:
        return self.known.op_id(self.draw) if self.draw.random() < 0.3 else None

    # ── messages ────────────────────────────────────────────────────────────

    def message(self) -> Message:
        """Any message, whatever the state of the connection."""
        makers: tuple[Callable[[], Message], ...] = (
            *(self.welcome, self.refused, self.changes, self.changes, self.answers, self.head),
            *(self.receipts, self.page, self.history, self.goodbye, self.ping, self.pong),
        )
        return self.draw.choice(makers)()

    def welcome(self) -> Welcome:
        draw = self.draw
        head = self.ledger.head
        limits = Limits()
        if draw.random() < 0.15:
            limits = Limits(*(abs(number(draw)) for _ in range(5)))
        elif draw.random() < 0.2:
            limits = Limits(400, draw.choice((1, 2)), draw.choice((1, 3)))
        paging = None
        if draw.random() < 0.25:
            paging = Paging(head.seq, draw.choice((head.seq + 1, 0)), 0)
        return Welcome(
            PROTOCOL_VERSION,
            self.user if draw.random() < 0.95 else "somebody",
            ("nurse",) if draw.random() < 0.8 else (text(draw), ""),
            head,
            draw.choice((EPOCH_US, EPOCH_US, *TIMES_US)) % 2**63,
            POLICY.version,
            POLICY.hash,
            draw.choice(POLICIES) if draw.random() < 0.06 else None,
            limits,
            paging,
            draw.choice((None, None, None, None, None, 0, 1, head.seq)),
        )

    def refused(self) -> Refused:
        draw = self.draw
        code = draw.choice(
            ("overloaded", "replica_copied", "unauthorized", "bad_hello", text(draw))
        )
        return Refused(code, text(draw), draw.random() < 0.8, abs(number(draw)))

    def changes(self) -> Changes:
        if self.said_until >= len(self.ledger.entries):
            self.grow(self.draw.choice((1, 1, 3)))
        entries = self.entries()
        if entries and self.draw.random() < 0.3:
            entries = tuple(self._odd(entry) for entry in entries)
        return Changes(entries)

    def _odd(self, entry: LogEntry | Stub) -> LogEntry | Stub:
        """An entry that removes what it should not, or tells odd times and outcomes."""
        draw = self.draw
        if isinstance(entry, Stub):
            return Stub(entry.seq, draw.randbytes(draw.choice((0, 16))), self._op_id_or_none())
        removed = list(entry.removed)
        root = draw.choice((*entry.writes, "r/name", "d/", "", text(draw)))
        removed.append(
            Removal(root, *self.known.seen_elsewhere(draw)._replace(n=number(draw)), "superseded")
        )
        times = [draw.choice(TIMES_US[:7]) if draw.random() < 0.3 else EPOCH_US for _ in "123"]
        return msgspec.structs.replace(
            entry,
            digest=draw.randbytes(16),
            op_id=self.known.op_id(draw) if draw.random() < 0.3 else entry.op_id,
            user=draw.choice((entry.user, text(draw))),
            collection=draw.choice((entry.collection, entry.collection, text(draw))),
            record=draw.choice((entry.record, entry.record, text(draw))),
            time_us=times[0],
            received_us=times[1],
            effective_us=times[2],
            removed=tuple(removed),
            prev_seq=draw.choice((entry.prev_seq, number(draw))),
            revived=draw.random() < 0.5,
        )

    def answers(self) -> Answers:
        """To a push that came, if one did."""
        draw = self.draw
        if not self.pushes or draw.random() < 0.1:
            return Answers(new_id(draw), tuple(self._answer(self.known.op_id(draw)) for _ in "12"))
        push = self.pushes.pop(0)
        return Answers(
            push.request_id,
            tuple(self._answer(pushed.op.op_id, pushed.op) for pushed in push.ops),
        )

    def _answer(self, op_id: str, op: Op | None = None) -> Answer:
        draw = self.draw
        chance = draw.random()
        if chance < 0.5 and op is not None:
            receipt = self.take(op)
            if receipt is not None:
                return receipt
        if chance < 0.7:
            return self._receipt(op_id)
        if chance < 0.8:
            return Held(op_id, draw.choice((op_id, self.known.op_id(draw), text(draw))))
        if chance < 0.9:
            params = {text(draw): text(draw)} if draw.random() < 0.5 else {}
            field = draw.choice((None, "name", text(draw)))
            return RefusedOp(op_id, draw.choice(REFUSALS), field, text(draw), params)
        return Transient(op_id, draw.choice(("overloaded", text(draw))), number(draw))

    def _receipt(self, op_id: str) -> Receipt:
        seq = self.draw.choice((self.said_until + 1, self.said_until, number(self.draw)))
        return Receipt(op_id, seq, self.draw.choice(TIMES_US), {"r/name": "applied"})

    def head(self) -> Head:
        return Head(self.draw.randrange(9), self.ledger.head)

    def receipts(self) -> Receipts:
        request, asked = self.asked.pop(0) if self.asked else (1, (self.known.op_id(self.draw),))
        found = [self._receipt(op_id) for op_id in asked if self.draw.random() < 0.4]
        return Receipts(request, tuple(found))

    def page(self) -> SnapshotPage:
        head = self.ledger.head
        rows = self.ledger.rows()
        rows = rows[: self.draw.randrange(len(rows) + 1)]
        paging = None if self.draw.random() < 0.6 else Paging(head.seq, 0, head.seq)
        self.said_until = head.seq
        return SnapshotPage(1, rows, paging, head, self.draw.choice((0, 3, number(self.draw))))

    def history(self) -> History:
        return History(self.draw.randrange(9), self.entries(2), True, False)

    def goodbye(self) -> Goodbye:
        code = self.draw.choice((1012, 4003, 4009, 4010, 4011, number(self.draw)))
        return Goodbye(code, text(self.draw), number(self.draw))

    def ping(self) -> Ping:
        return Ping(number(self.draw))

    def pong(self) -> Pong:
        return Pong(number(self.draw), number(self.draw))
