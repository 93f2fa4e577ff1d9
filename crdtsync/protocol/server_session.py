"""The server's side of one connection, without I/O.

Messages, results and ticks come in with ``now_us``; typed actions come out, and
``deadline_us`` says when to tick next. What may arrive when is one table
(``ALLOWED``): everything else is a protocol error, said in words.

::

    awaiting hello ──hello──▶ authorising ──welcome──▶ paging ──last page──▶ live
          │                        │          └──────────────────────────────▲
          └── refused, silent ─────┴──────── goodbye ────────▶ closed
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crdtsync.documents.ops import SAFE_INTEGER, is_op_id
from crdtsync.protocol import close_codes
from crdtsync.protocol.admission import (
    COPIED_WORDS,
    Admission,
    PolicyOffer,
    judge_hello,
    last_common_seq,
    resume_paging,
    where_to_start,
)
from crdtsync.protocol.earlier import plausible_summary
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    AcknowledgedDigest,
    Answer,
    Answers,
    ClientMessage,
    CursorReport,
    Goodbye,
    Head,
    HeadRequest,
    Hello,
    History,
    HistoryRequest,
    Landmark,
    Limits,
    Paging,
    Ping,
    Pong,
    Push,
    Receipt,
    Receipts,
    ReceiptsRequest,
    Refused,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    SnapshotRow,
    Welcome,
)
from crdtsync.protocol.server_actions import (
    ALLOWED,
    Action,
    Admit,
    Authenticate,
    Close,
    GoLive,
    LookUpReceipts,
    NoteAcknowledged,
    NoteCursor,
    ReadHead,
    ReadHistory,
    ReadSnapshots,
    Send,
    State,
    Submit,
)

HELLO_TIMEOUT_US = 10_000_000
"""Until the welcome. A connection without a hello costs a socket and does nothing."""

MAX_REQUESTS_IN_FLIGHT = 64
"""Requests for receipts, heads, pages and history that may be unanswered at once."""

MAX_ACKNOWLEDGED_OPS = 1_000
"""Op_ids that one digest for reconciliation names: 16 kB."""

MAX_REPORTS_PER_MINUTE = 300
"""Reports of acknowledged ops on one connection. A device reports once a minute, and has
300,000 ops to name before one burst after a long absence is as large."""

MINUTE_US = 60_000_000

RESTART_RETRY_MS = 1_000
"""When replicas should come back to a server that restarts."""

FAULT_RETRY_MS = 5_000
"""When replicas should come back after a fault of the server."""


class ServerSession:
    """The state of one connection. Every method returns the actions to perform, in order."""

    def __init__(self, *, policy: PolicyOffer, limits: Limits, now_us: int) -> None:
        self.state = State.AWAITING_HELLO
        self.hello: Hello | None = None
        self.user = ""
        self.roles: frozenset[str] = frozenset()
        self.ops_in_flight = 0
        self.requests_in_flight = 0
        self._policy = policy
        self._limits = limits
        self._opened_us = now_us
        self._heard_us = now_us
        self._pinged_us = 0
        self._expires_us: int | None = None
        self._head = Landmark(0, b"")
        self._view = ""
        self._reports = 0
        self._reports_since_us = now_us

    # ── what comes in from the wire ─────────────────────────────────────────

    def receive(self, message: ClientMessage, now_us: int) -> list[Action]:
        """A frame was read."""
        if self.state is State.CLOSED:
            return []
        self._heard_us = now_us
        kind = type(message)
        if kind not in ALLOWED[self.state]:
            return self._violation(f"a {_name(kind)} arrived while {self.state.value}")
        if self._expires_us is not None and now_us >= self._expires_us:
            # The timer may be late; what comes after the end is not looked at.
            return self.sign_in_ended()
        return _HANDLERS[kind](self, message, now_us)

    def receive_garbage(self, words: str) -> list[Action]:
        """A frame arrived that is no message."""
        return self._violation(words)

    def tick(self, now_us: int) -> list[Action]:
        """The deadline has come (or any other time: an early tick does nothing)."""
        if self.state is State.CLOSED:
            return []
        # A wall clock that was set back must not make a dead peer immortal.
        self._opened_us = min(self._opened_us, now_us)
        self._heard_us = min(self._heard_us, now_us)
        self._pinged_us = min(self._pinged_us, now_us)
        if self.state in (State.AWAITING_HELLO, State.AUTHORISING):
            if now_us >= self._opened_us + HELLO_TIMEOUT_US:
                return self._goodbye(close_codes.SILENT, "no hello was completed in time", 0)
            return []
        if self._expires_us is not None and now_us >= self._expires_us:
            return self.sign_in_ended()
        if now_us >= self._heard_us + self._limits.silence_ms * 1_000:
            return self._goodbye(close_codes.SILENT, "nothing was heard for too long", 0)
        if now_us >= max(self._heard_us, self._pinged_us) + self._limits.heartbeat_ms * 1_000:
            self._pinged_us = now_us
            return [Send(Ping(now_us))]
        return []

    @property
    def deadline_us(self) -> int | None:
        """When ``tick`` has something to do next; None once closed."""
        if self.state is State.CLOSED:
            return None
        if self.state in (State.AWAITING_HELLO, State.AUTHORISING):
            return self._opened_us + HELLO_TIMEOUT_US
        deadline = min(
            max(self._heard_us, self._pinged_us) + self._limits.heartbeat_ms * 1_000,
            self._heard_us + self._limits.silence_ms * 1_000,
        )
        return deadline if self._expires_us is None else min(deadline, self._expires_us)

    # ── results of what was asked for ───────────────────────────────────────

    def authenticated(
        self,
        user: str,
        roles: frozenset[str],
        expires_us: int | None = None,
        view: str = "",
    ) -> list[Action]:
        """The sign-in is good: this is who speaks, and how they see the records."""
        if self.state is not State.AUTHORISING or self.hello is None:
            return []
        self.user, self.roles, self._expires_us = user, roles, expires_us
        self._view = view
        return [Admit(self.hello, user, roles)]

    def not_authenticated(self, words: str) -> list[Action]:
        """The sign-in is not good; a person has to sign in again."""
        return self._refuse(Refused("unauthorized", words, False), close_codes.SIGNED_OUT)

    def no_access(self, words: str) -> list[Action]:
        """The sign-in is good, but not for this space; a person has to ask for access."""
        return self._refuse(Refused("no_access", words, False))

    def not_admitted(
        self, code: str, words: str, retry_after_ms: int = FAULT_RETRY_MS
    ) -> list[Action]:
        """The server cannot take anyone now."""
        return self._refuse(Refused(code, words, True, retry_after_ms))

    def admitted(self, admission: Admission, now_us: int) -> list[Action]:
        """The store was read: welcome the replica, or refuse a copied file."""
        hello = self.hello
        if self.state is not State.AUTHORISING or hello is None:
            return []
        if not admission.known_run:
            return self._refuse(Refused("replica_copied", COPIED_WORDS, True, 0))
        self._head = admission.head
        self._heard_us = now_us
        diverged = last_common_seq(hello, admission)
        paging = where_to_start(hello, admission, diverged, self._view)
        older = hello.policy_version < self._policy.version
        welcome = Welcome(
            PROTOCOL_VERSION,
            self.user,
            tuple(sorted(self.roles)),
            admission.head,
            admission.server_us,
            self._policy.version,
            self._policy.hash,
            self._policy.text if older else None,
            self._limits,
            paging,
            diverged,
            self._view,
            admission.acknowledged,
        )
        if paging is not None:
            self.state = State.PAGING
            return [Send(welcome)]
        self.state = State.LIVE
        return [Send(welcome), GoLive(hello.cursor.seq)]

    def answered(self, push: Push, answers: Sequence[Answer]) -> list[Action]:
        """A push was decided and its group is committed (invariant 2)."""
        self.ops_in_flight -= len(push.ops)
        return self._send(Answers(push.request_id, tuple(answers)))

    def receipts_found(self, request: int, receipts: Sequence[Receipt]) -> list[Action]:
        """The receipts that exist, as of after all that was submitted before."""
        self.requests_in_flight -= 1
        return self._send(Receipts(request, tuple(receipts)))

    def receipts_not_found(self, words: str) -> list[Action]:
        """The store could not be read: saying "none" would be a lie, so start anew."""
        return self._goodbye(close_codes.SERVER_FAULT, words, FAULT_RETRY_MS)

    def head_read(self, request: int, head: Landmark) -> list[Action]:
        """The committed head."""
        self.requests_in_flight -= 1
        return self._send(Head(request, head))

    def snapshots_read(
        self,
        request: int,
        rows: Sequence[SnapshotRow],
        paging: Paging | None,
        head: Landmark,
        remaining: int,
    ) -> list[Action]:
        """A page of records; without ``paging`` it was the last, as of ``head``."""
        self.requests_in_flight -= 1
        if self.state is not State.PAGING:
            return []
        self._head = head
        actions = self._send(SnapshotPage(request, tuple(rows), paging, head, remaining))
        if paging is None:
            self.state = State.LIVE
            actions.append(GoLive(head.seq))
        return actions

    def history_read(self, history: History) -> list[Action]:
        """A page of a record's history."""
        self.requests_in_flight -= 1
        return self._send(history)

    # ── what the server wants ───────────────────────────────────────────────

    def fenced(self) -> list[Action]:
        """A newer connection of this replica was accepted."""
        return self._goodbye(
            close_codes.REPLACED, "this device has connected anew; the newer connection serves", 0
        )

    def restarting(self) -> list[Action]:
        """The server stops; whatever was submitted is committed and answered."""
        return self._goodbye(
            close_codes.SERVICE_RESTART, "the server restarts; come back soon", RESTART_RETRY_MS
        )

    def failed(self, words: str) -> list[Action]:
        """The server met a fault of its own on this connection."""
        return self._goodbye(close_codes.SERVER_FAULT, words, FAULT_RETRY_MS)

    def sign_in_ended(self, words: str = "the sign-in has ended; sign in again") -> list[Action]:
        """The sign-in has expired, or was taken back."""
        return self._goodbye(close_codes.SIGNED_OUT, words, 0)

    def too_slow(self) -> list[Action]:
        """The peer has not read what was sent for too long."""
        return self._goodbye(close_codes.TOO_SLOW, "what was sent is not being read", 0)

    def disconnected(self) -> None:
        """The peer is gone: results that are still to come have no one to go to."""
        self.state = State.CLOSED

    # ── messages, one by one ────────────────────────────────────────────────

    def _on_hello(self, hello: Hello, now_us: int) -> list[Action]:
        hello = msgspec.structs.replace(hello, outbox=plausible_summary(hello.outbox))
        self.hello = hello
        refused = judge_hello(hello, self._policy)
        if refused is not None:
            return self._refuse(refused)
        self.state = State.AUTHORISING
        return [Authenticate(hello)]

    def _on_push(self, push: Push, now_us: int) -> list[Action]:
        count = len(push.ops)
        if not is_op_id(push.request_id):
            return self._violation(f"the request_id {push.request_id[:64]!r} is not a UUID v4")
        if not 0 < count <= self._limits.ops_per_push:
            return self._violation(
                f"a push holds 1 to {self._limits.ops_per_push} ops, not {count}"
            )
        if self.ops_in_flight + count > self._limits.ops_in_flight:
            return self._violation(
                f"more than {self._limits.ops_in_flight} ops are in flight; wait for answers"
            )
        self.ops_in_flight += count
        return [Submit(push)]

    def _on_head_request(self, asked: HeadRequest, now_us: int) -> list[Action]:
        return self._request(ReadHead(asked.request))

    def _on_receipts_request(self, asked: ReceiptsRequest, now_us: int) -> list[Action]:
        if not all(map(is_op_id, asked.op_ids)):
            return self._violation("receipts were asked for something else than op_ids")
        return self._request(LookUpReceipts(asked.request, asked.op_ids))

    def _on_history_request(self, asked: HistoryRequest, now_us: int) -> list[Action]:
        if not 0 <= asked.before_seq <= SAFE_INTEGER:
            return self._violation(f"there is no history before {asked.before_seq}")
        return self._request(ReadHistory(asked))

    def _on_snapshot_request(self, asked: SnapshotRequest, now_us: int) -> list[Action]:
        paging = resume_paging(asked.paging, self._head)
        if paging is None:
            return self._violation(f"{asked.paging} is not a place in paging")
        return self._request(ReadSnapshots(asked.request, paging))

    def _on_cursor(self, report: CursorReport, now_us: int) -> list[Action]:
        outbox = report.outbox
        if not _counts(
            report.seq, outbox.pending, outbox.failed, outbox.oldest_age_ms, outbox.signed_out
        ):
            return self._violation("a cursor report holds a number that counts nothing")
        return [NoteCursor(report.seq, plausible_summary(outbox))]

    def _on_acknowledged(self, digest: AcknowledgedDigest, now_us: int) -> list[Action]:
        sensible = _counts(digest.from_seq, digest.to_seq, digest.count)
        if not sensible or digest.from_seq > digest.to_seq or len(digest.digest) != 16:
            return self._violation("a digest of acknowledged ops names no range of the log")
        named = len(digest.op_ids)
        if named > 16 * MAX_ACKNOWLEDGED_OPS or named not in (0, 16 * digest.count):
            return self._violation("a digest of acknowledged ops names others than it counts")
        if not 0 <= now_us - self._reports_since_us < MINUTE_US:
            self._reports, self._reports_since_us = 0, now_us
        self._reports += 1
        if self._reports > MAX_REPORTS_PER_MINUTE:
            return self._violation(
                f"more than {MAX_REPORTS_PER_MINUTE} digests of acknowledged ops came in a minute"
            )
        return [NoteAcknowledged(digest)]

    def _on_ping(self, ping: Ping, now_us: int) -> list[Action]:
        return self._send(Pong(ping.sent_us, now_us))

    def _on_pong(self, pong: Pong, now_us: int) -> list[Action]:
        return []

    # ── ways out ────────────────────────────────────────────────────────────

    def _request(self, action: Action) -> list[Action]:
        if self.requests_in_flight >= MAX_REQUESTS_IN_FLIGHT:
            return self._violation(
                f"more than {MAX_REQUESTS_IN_FLIGHT} requests are in flight; wait for answers"
            )
        self.requests_in_flight += 1
        return [action]

    def _send(self, message: ServerMessage) -> list[Action]:
        return [] if self.state is State.CLOSED else [Send(message)]

    def _refuse(self, refused: Refused, code: int = close_codes.REFUSED) -> list[Action]:
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        return [Send(refused), Close(code, refused.words)]

    def _violation(self, words: str) -> list[Action]:
        return self._goodbye(close_codes.PROTOCOL_ERROR, words, 0)

    def _goodbye(self, code: int, words: str, retry_after_ms: int) -> list[Action]:
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        return [Send(Goodbye(code, words, retry_after_ms)), Close(code, words)]


def _counts(*numbers: int) -> bool:
    return all(0 <= number <= SAFE_INTEGER for number in numbers)


def _name(kind: type) -> str:
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    return repr(tag)


_HANDLERS: dict[type, Callable[[ServerSession, Any, int], list[Action]]] = {
    Hello: ServerSession._on_hello,
    Push: ServerSession._on_push,
    HeadRequest: ServerSession._on_head_request,
    ReceiptsRequest: ServerSession._on_receipts_request,
    HistoryRequest: ServerSession._on_history_request,
    SnapshotRequest: ServerSession._on_snapshot_request,
    CursorReport: ServerSession._on_cursor,
    AcknowledgedDigest: ServerSession._on_acknowledged,
    Ping: ServerSession._on_ping,
    Pong: ServerSession._on_pong,
}
