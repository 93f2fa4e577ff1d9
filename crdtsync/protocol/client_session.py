"""One connection, seen from the replica: a state machine without I/O.

Messages and the time come in, actions and a deadline go out. The shell performs
the actions in order (sending, or a job of the store) and tells the session what
became durable. The session never decides about data; it decides about order.

::

    HELLO ──welcome──▶ RECOVERING ──receipts──▶ PAGING ──last page──▶ LIVE
      │                    └────────── nothing to page ────────────────▲
      └── refused, goodbye, silence, broken protocol: CLOSED (from every state)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from crdtsync.documents.state import LogEntry, Stub
from crdtsync.protocol.client_actions import (
    Action,
    Answered,
    Close,
    Greet,
    Phase,
    Send,
    StoreAnswers,
    StoreEntries,
    StorePage,
    StoreReceipts,
    WantOps,
    WentLive,
)
from crdtsync.protocol.close_codes import PROTOCOL_ERROR, REFUSED, SIGNED_OUT, SILENT
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    AcknowledgedDigest,
    Answers,
    Changes,
    CursorReport,
    Goodbye,
    Head,
    HeadRequest,
    Hello,
    HistoryRequest,
    Landmark,
    Limits,
    Message,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Push,
    PushedOp,
    Receipt,
    Receipts,
    ReceiptsRequest,
    Refused,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    Welcome,
)
from crdtsync.protocol.plausible import (
    check_entries,
    check_paging,
    check_place,
    check_receipts,
    check_rows,
)

HELLO_TIMEOUT_US = 10_000_000
"""How long a server may take to answer hello before the connection counts as dead."""

MAX_LIMIT = 2**40
"""Of a limit that a server sets: more would overflow a timer."""

ANSWER_SILENCES = 3
"""What the server owes and does not send for this many times its silence limit ends the
connection, even if heartbeats still pass: something in between has swallowed a frame.
On the slowest network that PUSH_BYTES is made for, one push takes a quarter of this."""

PAGES_AHEAD = 8
"""Pages of snapshots that may be here and not stored yet: the next one is asked for while
these are written. A page is a quarter of a megabyte, or one record that is larger."""

RECEIPTS_PER_REQUEST = 200
"""op_ids of one receipts request. A receipt names every field of its op, so that of a wide one
takes 70 KB: so many fit into a frame that is read (MAX_SERVER_FRAME_BYTES), and usual ones
through a slow network before the server counts as silent."""


class ClientSession:
    """The replica's side of one connection."""

    def __init__(self, hello: Hello, now_us: int) -> None:
        self.phase = Phase.HELLO
        self.limits = Limits()
        self.cursor = hello.cursor.seq
        self._hello = hello
        self._actions: deque[Action] = deque([Send(hello)])
        self._sent_at_us = now_us
        self._heard_at_us = now_us
        self._owed_since_us: dict[tuple[str, object], int] = {}
        self._questions: set[int] = set()
        self._head_seq = 0
        self._in_flight: dict[str, tuple[str, ...]] = {}
        self._in_flight_count = 0
        self._wanting = False
        self._changed_meanwhile = False
        self._next_request = 1
        self._asking: deque[tuple[str, ...]] = deque()
        self._asked: set[str] = set()
        self._paging: Paging | None = None
        self._page_is_asked = False
        self._pages_unstored = 0

    # ── what the shell reads ────────────────────────────────────────────────

    def take(self) -> Action | None:
        """The next thing to do, or None."""
        return self._actions.popleft() if self._actions else None

    @property
    def deadline_us(self) -> int:
        """When ``tick`` wants to be called at the latest."""
        if self.phase is Phase.HELLO:
            return self._heard_at_us + HELLO_TIMEOUT_US
        return min(
            self._heard_at_us + self.limits.silence_ms * 1_000,
            max(self._sent_at_us, self._heard_at_us) + self.limits.heartbeat_ms * 1_000,
        )

    @property
    def takes_more(self) -> bool:
        """Whether the next frame may be read before what there is to do is done.

        The last page has to be stored before any change is taken that follows it.
        """
        return self.phase is Phase.LIVE or self._page_is_asked

    @property
    def in_flight(self) -> int:
        """Ops sent on this connection without an answer."""
        return self._in_flight_count

    # ── what the shell tells ────────────────────────────────────────────────

    def received(self, message: ServerMessage, now_us: int) -> None:
        """Take a message from the server; a broken protocol ends in ``Close``."""
        if self.phase is Phase.CLOSED:
            return
        self._heard_at_us = now_us
        try:
            self._receive(message, now_us)
        except ProtocolError as error:
            self.fail(str(error))

    def fail(self, words: str) -> None:
        """End the connection because the server broke the protocol."""
        self._close(Close(PROTOCOL_ERROR, "protocol_error", words, retry=True))

    def sign_out(self, words: str) -> None:
        """End the connection because the sign-in is somebody else's."""
        self._close(Close(SIGNED_OUT, "signed_out", words, retry=False))

    def tick(self, now_us: int) -> None:
        """Act on the time: ask whether the server is there, or give it up."""
        if self.phase is Phase.CLOSED:
            return
        # A wall clock that was set back must not make a dead server immortal.
        self._heard_at_us = min(self._heard_at_us, now_us)
        self._sent_at_us = min(self._sent_at_us, now_us)
        self._owed_since_us = {
            what: min(self._owed_since_us.get(what, now_us), now_us) for what in self._owed()
        }
        if self.phase is Phase.HELLO:
            silent = now_us - self._heard_at_us >= HELLO_TIMEOUT_US
        else:
            patience_us = self.limits.silence_ms * 1_000
            silent = (
                now_us - self._heard_at_us >= patience_us
                or now_us - min(self._owed_since_us.values(), default=now_us)
                >= ANSWER_SILENCES * patience_us
            )
        if silent:
            self._close(Close(SILENT, "silent", "the server does not answer", retry=True))
        elif now_us >= self.deadline_us:
            self._send(Ping(now_us), now_us)

    def greeted(
        self, *, ask: Sequence[str], paging: Paging | None, cursor: int, now_us: int
    ) -> None:
        """The welcome is stored. ``ask`` are ops whose receipts are needed first."""
        self.cursor = cursor
        self._paging = paging
        self._asked.update(ask)
        for start in range(0, len(ask), RECEIPTS_PER_REQUEST):
            self._asking.append(tuple(ask[start : start + RECEIPTS_PER_REQUEST]))
        self._advance(now_us)

    def page_stored(self, now_us: int) -> None:
        """One more page is durable; go on."""
        self._pages_unstored -= 1
        self._go_live()
        self._ask_page(now_us)

    def applied(self, cursor: int, outbox: OutboxSummary, now_us: int) -> None:
        """Everything up to ``cursor`` is durable here."""
        if self.phase is Phase.LIVE:
            self._send(CursorReport(cursor, outbox), now_us)

    def outbox_changed(self) -> None:
        """There may be something to send."""
        self._changed_meanwhile = self._wanting
        self._want()

    def push(self, request_id: str, ops: Sequence[PushedOp], now_us: int) -> None:
        """Send ops that the store has durably marked as sending."""
        if self.phase is not Phase.LIVE:
            raise ProtocolError("ops are pushed on a live connection only")
        self._in_flight[request_id] = tuple(pushed.op.op_id for pushed in ops)
        self._in_flight_count += len(ops)
        self._send(Push(request_id, tuple(ops)), now_us)
        self._wanting = False
        self._want()

    def wanted(self) -> None:
        """The store was asked and had nothing (more) to send."""
        self._wanting = False
        if self._changed_meanwhile:
            self._changed_meanwhile = False
            self._want()

    def report(self, message: AcknowledgedDigest, now_us: int) -> None:
        """Tell the server which own ops were seen acknowledged."""
        self._send(message, now_us)

    def ask_head(self, now_us: int) -> int:
        """Ask for the head of the log; the reply carries the returned number."""
        number = self._number()
        self._questions.add(number)
        self._send(HeadRequest(number), now_us)
        return number

    def ask_receipts(self, op_ids: Sequence[str], now_us: int) -> None:
        """Ask about ops of an earlier connection that a person wants back."""
        fresh = [op_id for op_id in op_ids if op_id not in self._asked][:RECEIPTS_PER_REQUEST]
        if not fresh:
            return
        self._asked.update(fresh)
        self._asking.append(tuple(fresh))
        if len(self._asking) == 1:
            self._send(ReceiptsRequest(self._number(), self._asking[0]), now_us)

    def ask_history(self, collection: str, record: str, before_seq: int, now_us: int) -> int:
        """Ask for log entries of a record; the reply carries the returned number."""
        number = self._number()
        self._questions.add(number)
        self._send(HistoryRequest(number, collection, record, before_seq), now_us)
        return number

    # ── inside ──────────────────────────────────────────────────────────────

    def _owed(self) -> Iterator[tuple[str, object]]:
        """What the server has to send next, of each kind. Whatever it sends makes it another."""
        if self._in_flight:
            yield "answers", next(iter(self._in_flight))
        if self._asking:
            yield "receipts", self._asking[0]
        if self._questions:
            yield "reply", min(self._questions)
        if self._page_is_asked:
            yield "page", self._paging
        if self.phase is Phase.LIVE and self._head_seq > self.cursor:
            yield "changes", self.cursor

    def _receive(self, message: ServerMessage, now_us: int) -> None:
        match message:
            case Ping():
                self._send(Pong(message.sent_us, now_us), now_us)
            case Pong():
                pass
            case Goodbye():
                signed_out = message.code == SIGNED_OUT
                self._close(
                    Close(
                        message.code,
                        "signed_out" if signed_out else "goodbye",
                        message.words,
                        not signed_out,
                        message.retry_after_ms,
                    )
                )
            case Refused():
                self._close(
                    Close(
                        REFUSED, message.code, message.words, message.retry, message.retry_after_ms
                    )
                )
            case Welcome():
                self._expect(Phase.HELLO, message)
                if message.protocol > PROTOCOL_VERSION:
                    raise ProtocolError(f"the server speaks protocol {message.protocol}")
                _check_limits(message.limits)
                check_place(message.head)
                check_paging(message.paging)
                self._head_seq = message.head.seq
                self.phase = Phase.RECOVERING
                self.limits = message.limits
                self._actions.append(
                    Greet(_as_named(message, self._hello), now_us - self._sent_at_us)
                )
            case Receipts():
                if not self._asking:
                    raise ProtocolError("receipts arrived that were not asked for")
                check_receipts(message.receipts)
                self._actions.append(StoreReceipts(self._asking.popleft(), message.receipts))
                self._advance(now_us)
            case SnapshotPage():
                self._expect(Phase.PAGING, message)
                check_place(message.head)
                check_paging(message.paging)
                check_rows(message.rows)
                if not self._page_is_asked:
                    raise ProtocolError("a page of snapshots arrived that was not asked for")
                self._page_is_asked = False
                self._pages_unstored += 1
                self._paging = message.paging
                if message.paging is None:
                    self.cursor = message.head.seq
                self._ask_page(now_us)
                self._actions.append(
                    StorePage(message.rows, message.paging, message.head, message.remaining)
                )
            case Changes():
                self._expect(Phase.LIVE, message)
                check_entries(message.entries)
                self._changes(message.entries)
            case Answers():
                self._answers(message)
            case _:  # Head and History: mypy holds that nothing else is left.
                self._questions.discard(message.request)
                if isinstance(message, Head):
                    self._head_seq = max(self._head_seq, message.head.seq)
                self._actions.append(Answered(message.request, message))

    def _changes(self, entries: tuple[LogEntry | Stub, ...]) -> None:
        fresh = tuple(entry for entry in entries if entry.seq > self.cursor)
        for expected, entry in enumerate(fresh, start=self.cursor + 1):
            if entry.seq != expected:
                raise ProtocolError(f"the log has a gap: {expected} expected, {entry.seq} came")
        if fresh:
            self.cursor = fresh[-1].seq
            self._actions.append(StoreEntries(fresh))

    def _answers(self, message: Answers) -> None:
        asked = self._in_flight.pop(message.request_id, None)
        if asked is None:
            raise ProtocolError("answers arrived to a push that is not in flight")
        if tuple(answer.op_id for answer in message.answers) != asked:
            raise ProtocolError("the answers do not match the ops of their push")
        check_receipts(one for one in message.answers if isinstance(one, Receipt))
        self._in_flight_count -= len(asked)
        self._actions.append(StoreAnswers(message.request_id, message.answers))
        self._want()

    def _advance(self, now_us: int) -> None:
        if self.phase is Phase.CLOSED:
            return
        self._go_live()
        if self._asking:
            self._send(ReceiptsRequest(self._number(), self._asking[0]), now_us)
        elif self._paging is not None:
            self.phase = Phase.PAGING
            self._ask_page(now_us)

    def _go_live(self) -> None:
        done = self._paging is None and not self._pages_unstored
        if done and self.phase not in (Phase.LIVE, Phase.CLOSED):
            # The server sends changes from the welcome on; only snapshots have to
            # wait for receipts.
            self.phase = Phase.LIVE
            self._actions.append(WentLive())
            self._want()

    def _ask_page(self, now_us: int) -> None:
        """Ask for the page that follows, unless too many wait to be stored."""
        has_room = not self._page_is_asked and self._pages_unstored < PAGES_AHEAD
        if self.phase is Phase.PAGING and self._paging is not None and has_room:
            self._page_is_asked = True
            self._send(SnapshotRequest(self._number(), self._paging), now_us)

    def _want(self) -> None:
        room = self.limits.ops_in_flight - self._in_flight_count
        if self.phase is Phase.LIVE and room > 0 and not self._wanting:
            self._wanting = True
            self._actions.append(WantOps(min(room, self.limits.ops_per_push)))

    def _expect(self, phase: Phase, message: ServerMessage) -> None:
        if self.phase is not phase:
            name = type(message).__name__
            raise ProtocolError(f"{name} arrived while the connection was {self.phase.value}")

    def _number(self) -> int:
        self._next_request += 1
        return self._next_request

    def _send(self, message: Message, now_us: int) -> None:
        if self.phase is not Phase.CLOSED:
            self._sent_at_us = now_us
            self._actions.append(Send(message))

    def _close(self, close: Close) -> None:
        # Answers and entries that arrived before the end are still stored: they
        # stand in the queue ahead of the close.
        self.phase = Phase.CLOSED
        self._actions.append(close)


def _check_limits(limits: Limits) -> None:
    numbers = (
        limits.frame_bytes,
        limits.ops_per_push,
        limits.ops_in_flight,
        limits.heartbeat_ms,
        limits.silence_ms,
    )
    if min(numbers) < 1 or max(numbers) > MAX_LIMIT or limits.heartbeat_ms > limits.silence_ms:
        raise ProtocolError(f"the server's limits make no sense: {limits}")


def _as_named(welcome: Welcome, hello: Hello) -> Welcome:
    """The welcome with the last common seq as one that the hello named, or 0.

    Ops at or below any other would count as safe in a log whose digests this replica
    cannot: a later server that lacks them would never be offered them again. Below the
    true one nothing is lost, because what is offered twice gets its first receipt.
    """
    if welcome.diverged is None:
        return welcome
    named = (0, hello.cursor.seq, *(point.seq for point in hello.landmarks))
    common = max((seq for seq in named if seq <= welcome.diverged), default=0)
    return msgspec.structs.replace(welcome, diverged=common)


def landmarks(points: Iterable[Landmark], limit: int = 32) -> tuple[Landmark, ...]:
    """At most ``limit`` points, dense at the newest end and exponentially sparser.

    ``points`` come newest first. Distances from the newest double, so a common
    point is found within a factor of two of the true one.
    """
    chosen: list[Landmark] = []
    step = 1
    for point in points:
        if not chosen or chosen[0].seq - point.seq >= step:
            if chosen:
                step *= 2
            chosen.append(point)
            if len(chosen) == limit:
                break
    return tuple(chosen)
