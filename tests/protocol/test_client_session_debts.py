"""The replica's side of a connection: what it asks and reports, and what it is owed."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from crdtsync.documents.ops import MAX_FIELDS, MAX_ID_BYTES, SAFE_INTEGER
from crdtsync.documents.state import Outcome, StoredRecord, Stub
from crdtsync.protocol.client_actions import (
    Close,
    Greet,
    Phase,
    Send,
    StoreEntries,
    StorePage,
    StoreReceipts,
)
from crdtsync.protocol.client_session import (
    ANSWER_SILENCES,
    HELLO_TIMEOUT_US,
    MAX_LIMIT,
    PAGES_AHEAD,
    RECEIPTS_PER_REQUEST,
    ClientSession,
    landmarks,
)
from crdtsync.protocol.codec import MAX_SERVER_FRAME_BYTES, encode
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    AcknowledgedDigest,
    Answers,
    Changes,
    Head,
    History,
    Landmark,
    Limits,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Receipt,
    Receipts,
    ReceiptsRequest,
    Refused,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    SnapshotRow,
    Transient,
    Welcome,
)
from tests.protocol.test_client_session import (
    HERE,
    NOW,
    SECOND,
    at_the_head,
    drain,
    hello,
    pushed,
    sent,
    session_in,
    welcome,
)
from tests.replica.wards import new_id


def test_signing_out_ends_the_connection_until_a_person_signs_in() -> None:
    session = session_in(Phase.LIVE)
    session.sign_out("somebody else signed in")
    assert drain(session) == [Close(4003, "signed_out", "somebody else signed in", False)]
    assert session.phase is Phase.CLOSED


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.LIVE])
def test_nothing_is_pushed_before_the_connection_is_live_or_after_its_end(phase: Phase) -> None:
    session = session_in(phase)
    with pytest.raises(ProtocolError, match="live connection only"):
        session.push("r1", pushed(1), NOW)
    assert session.in_flight == 0
    assert drain(session) == []


def test_what_was_seen_acknowledged_is_reported() -> None:
    digest = AcknowledgedDigest(0, 9, 2, b"d" * 16)
    session = session_in(Phase.LIVE)
    session.report(digest, NOW)
    assert drain(session) == [Send(digest)]


def test_receipts_that_were_asked_for_already_are_not_asked_for_again() -> None:
    session = session_in(Phase.LIVE)
    first = new_id()
    session.ask_receipts([first], NOW)
    assert len(sent(drain(session), ReceiptsRequest)) == 1
    session.ask_receipts([first], NOW)
    session.ask_receipts([], NOW)
    session.received(Receipts(1, ()), NOW)
    assert drain(session) == [StoreReceipts((first,), ())]


def test_receipts_that_were_asked_for_on_greeting_are_not_asked_for_again() -> None:
    first, second = new_id(), new_id()
    session = session_in(Phase.RECOVERING, ask=(first,))
    session.ask_receipts([first, second], NOW)
    session.received(Receipts(1, ()), NOW)
    (request,) = sent(drain(session), ReceiptsRequest)
    assert request.op_ids == (second,)


def test_a_request_for_receipts_is_bounded_and_the_rest_may_be_asked_for_later() -> None:
    session = session_in(Phase.LIVE)
    wanted = [new_id() for _ in range(RECEIPTS_PER_REQUEST + 1)]
    session.ask_receipts(wanted, NOW)
    (request,) = sent(drain(session), ReceiptsRequest)
    assert request.op_ids == tuple(wanted[:-1])
    session.received(Receipts(request.request, ()), NOW)
    drain(session)
    session.ask_receipts(wanted, NOW)
    (request,) = sent(drain(session), ReceiptsRequest)
    assert request.op_ids == (wanted[-1],)


def test_the_receipts_of_one_request_fit_into_a_frame_whatever_their_ops_wrote() -> None:
    """Else the device would drop the connection over them, each time again (invariant 4)."""
    session = ClientSession(hello(), NOW)
    session.received(welcome(), NOW)
    ask = [new_id() for _ in range(10_000)]
    session.greeted(ask=ask, paging=None, cursor=0, now_us=NOW)
    outcomes: dict[str, Outcome] = {
        f"r/{n:0{MAX_ID_BYTES - 2}}": "superseded" for n in range(MAX_FIELDS)
    }
    (request,) = sent(drain(session), ReceiptsRequest)
    receipts = tuple(
        Receipt(op_id, SAFE_INTEGER, SAFE_INTEGER, outcomes) for op_id in request.op_ids
    )
    assert len(encode(Receipts(SAFE_INTEGER, receipts))) <= MAX_SERVER_FRAME_BYTES


def test_the_cursor_is_reported_by_a_live_connection_only() -> None:
    for phase in (Phase.HELLO, Phase.RECOVERING, Phase.PAGING):
        session = session_in(phase)
        session.applied(7, OutboxSummary(), NOW)
        assert drain(session) == []


def test_entries_at_or_below_the_cursor_of_the_welcome_are_dropped() -> None:
    session = ClientSession(hello(), NOW)
    session.received(welcome(), NOW)
    session.greeted(ask=(), paging=None, cursor=4, now_us=NOW)
    drain(session)
    session.received(Changes((Stub(4, b""), Stub(5, b""))), NOW)
    assert drain(session) == [StoreEntries((Stub(5, b""),))]
    assert session.cursor == 5


def test_receipts_carry_what_was_asked_and_what_came() -> None:
    asked = (new_id(), new_id())
    session = session_in(Phase.RECOVERING, ask=asked)
    receipt = Receipt(asked[1], 7, NOW, {})
    session.received(Receipts(1, (receipt,)), NOW)
    assert drain(session)[0] == StoreReceipts(asked, (receipt,))


def test_snapshots_wait_for_receipts_and_carry_their_place() -> None:
    session = session_in(Phase.RECOVERING)
    session.received(SnapshotPage(1, (), None, HERE, 0), NOW)
    (close,) = drain(session)
    assert isinstance(close, Close)
    assert close.words == "SnapshotPage arrived while the connection was recovering"
    session = session_in(Phase.PAGING)
    following = Paging(10, 5, 0)
    session.received(SnapshotPage(2, (), following, HERE, 3), NOW)
    # The next page is asked for first: it travels while this one is written.
    asked, stored = drain(session)
    assert isinstance(asked, Send)
    assert isinstance(asked.message, SnapshotRequest)
    assert asked.message.paging == following
    assert stored == StorePage((), following, HERE, 3)
    assert session.cursor == 0


def test_pages_are_asked_for_ahead_of_the_store_but_not_without_limit() -> None:
    session = session_in(Phase.PAGING)
    asked = 0
    for page in range(PAGES_AHEAD):
        assert session.takes_more
        session.received(SnapshotPage(2, (), Paging(10, 9 - page, 0), HERE, 3), NOW)
        asked += sum(isinstance(action, Send) for action in drain(session))
    assert asked == PAGES_AHEAD - 1
    assert not session.takes_more
    session.page_stored(NOW)
    (send,) = drain(session)
    assert isinstance(send, Send)
    assert isinstance(send.message, SnapshotRequest)
    assert session.takes_more


def test_what_follows_the_last_page_waits_until_every_page_is_stored() -> None:
    session = session_in(Phase.PAGING)
    session.received(SnapshotPage(2, (), Paging(10, 5, 0), HERE, 3), NOW)
    session.received(SnapshotPage(3, (), None, HERE, 0), NOW)
    session.page_stored(NOW)
    assert (session.phase, session.takes_more) == (Phase.PAGING, False)
    session.page_stored(NOW)
    assert (session.phase, session.takes_more) == (Phase.LIVE, True)


def test_a_page_that_was_not_asked_for_ends_the_connection() -> None:
    session = session_in(Phase.PAGING)
    session.received(SnapshotPage(2, (), None, HERE, 0), NOW)
    session.received(SnapshotPage(3, (), None, HERE, 0), NOW)
    stored, close = drain(session)
    assert isinstance(stored, StorePage)
    assert isinstance(close, Close)
    assert close.words == "a page of snapshots arrived that was not asked for"


@pytest.mark.parametrize(
    "message",
    [
        welcome(head=Landmark(-1, b"")),
        welcome(paging=Paging(-1, 0, 0)),
        SnapshotPage(1, (), None, Landmark(1, b"d" * 17), 0),
        SnapshotPage(1, (), Paging(1, -1, 0), HERE, 0),
        SnapshotPage(
            1, (SnapshotRow("patient", "p1", StoredRecord.of(1, -1, "", {})),), None, HERE, 0
        ),
        Changes((Stub(1, b"d" * 17),)),
    ],
)
def test_what_is_impossible_ends_the_connection_and_is_not_stored(message: ServerMessage) -> None:
    phase = {Welcome: Phase.HELLO, SnapshotPage: Phase.PAGING, Changes: Phase.LIVE}[type(message)]
    session = session_in(phase)
    session.received(message, NOW)
    (close,) = drain(session)
    assert isinstance(close, Close)
    assert (close.code, close.reason, close.retry) == (4002, "protocol_error", True)


def test_what_a_refusal_says_is_what_the_shell_is_told() -> None:
    session = session_in(Phase.HELLO)
    session.received(Refused("policy_ahead", "later", True, 5_000), NOW)
    assert drain(session) == [Close(4001, "policy_ahead", "later", True, 5_000)]
    session = session_in(Phase.HELLO)
    session.received(Refused("bad_hello", "never", False), NOW)
    assert drain(session) == [Close(4001, "bad_hello", "never", False, 0)]


@pytest.mark.parametrize("limits", [Limits(1, 1, 1, 1, 1), Limits(*[MAX_LIMIT] * 5)])
def test_the_smallest_and_the_largest_limits_are_taken(limits: Limits) -> None:
    session = session_in(Phase.HELLO)
    session.received(welcome(limits=limits), NOW)
    assert isinstance(drain(session)[0], Greet)
    assert session.limits == limits


@pytest.mark.parametrize("name", ["frame_bytes", "ops_per_push", "ops_in_flight", "silence_ms"])
def test_limits_beyond_what_a_timer_holds_end_the_connection(name: str) -> None:
    session = session_in(Phase.HELLO)
    session.received(welcome(limits=Limits(**{name: MAX_LIMIT + 1})), NOW)
    assert isinstance(drain(session)[0], Close)


def test_a_silent_server_is_given_up_at_its_limit_and_pinged_before() -> None:
    session = session_in(Phase.LIVE)
    session.tick(NOW + 20 * SECOND - 1)
    assert drain(session) == []
    session.tick(NOW + 20 * SECOND)
    assert drain(session) == [Send(Ping(NOW + 20 * SECOND))]
    assert session.deadline_us == NOW + 40 * SECOND
    session.tick(NOW + 60 * SECOND - 1)
    assert len(sent(drain(session), Ping)) == 1
    session.tick(NOW + 60 * SECOND)
    (close,) = drain(session)
    assert close == Close(4008, "silent", "the server does not answer", True)


def test_while_the_welcome_is_awaited_only_its_own_time_limit_counts() -> None:
    session = ClientSession(hello(), NOW)
    drain(session)
    session.tick(NOW - 3_600 * SECOND)
    assert session.deadline_us == NOW - 3_600 * SECOND + HELLO_TIMEOUT_US


def test_landmarks_end_at_their_limit() -> None:
    points = [Landmark(2**40 - 2**n, b"") for n in range(40)]
    assert len(landmarks(points)) == 32
    assert landmarks(points, 3) == (points[0], points[1], points[2])
    assert landmarks([]) == ()


def test_distances_between_landmarks_double_from_the_newest() -> None:
    points = [Landmark(seq, b"") for seq in range(100, 0, -1)]
    assert [point.seq for point in landmarks(points)] == [100, 99, 98, 96, 92, 84, 68, 36]


class TestDebts:
    """A server that is there, and does not send what it owes, is given up too."""

    @staticmethod
    def _owing(what: str) -> ClientSession:
        if what == "pages":
            return session_in(Phase.PAGING)
        if what == "changes":
            return session_in(Phase.LIVE)
        session = at_the_head()
        match what:
            case "answers":
                session.push("r1", pushed(1), NOW)
            case "receipts":
                session.ask_receipts([new_id()], NOW)
            case "a head":
                session.ask_head(NOW)
            case "a history":
                session.ask_history("patient", "p1", 0, NOW)
            case "changes up to a head that it named":
                number = session.ask_head(NOW)
                session.received(Head(number, Landmark(11, b"")), NOW)
        drain(session)
        return session

    @staticmethod
    def _pay(session: ClientSession, what: str, turn: int, now_us: int) -> None:
        """Send a little of what is owed."""
        match what:
            case "pages":
                session.received(SnapshotPage(1, (), Paging(10, 11 - turn, 0), HERE, 1), now_us)
            case _ if what.startswith("changes"):
                session.received(Changes((Stub(session.cursor + 1, b""),)), now_us)
            case "answers":
                answers = [Transient(op_id, "x", 0) for op_id in session._in_flight["r1"]]
                session.received(Answers("r1", tuple(answers)), now_us)
            case "receipts":
                session.received(Receipts(1, ()), now_us)
            case "a head":
                session.received(Head(session._next_request, HERE), now_us)
            case "a history":
                session.received(History(session._next_request, (), True, False), now_us)

    WHAT = [
        "pages",
        "changes",
        "answers",
        "receipts",
        "a head",
        "a history",
        "changes up to a head that it named",
    ]

    @pytest.mark.parametrize("what", WHAT)
    def test_heartbeats_alone_do_not_keep_a_connection_on_which_nothing_moves(
        self, what: str
    ) -> None:
        session = self._owing(what)
        for second in itertools.count(0, 10):
            session.received(Pong(0, 0), NOW + second * SECOND)
            session.tick(NOW + second * SECOND)
            if session.phase is Phase.CLOSED:
                break
        assert second == ANSWER_SILENCES * 60
        close = drain(session)[-1]
        assert isinstance(close, Close)
        assert (close.reason, close.retry) == ("silent", True)

    @pytest.mark.parametrize("what", WHAT)
    def test_whatever_is_sent_of_it_is_patience_for_the_rest(self, what: str) -> None:
        session = self._owing(what)
        for second in range(0, 600, 10):
            if second in (170, 340, 510) and (second == 170 or what in ("pages", "changes")):
                self._pay(session, what, second // 170, NOW + second * SECOND)
            session.received(Pong(0, 0), NOW + second * SECOND)
            session.tick(NOW + second * SECOND)
        assert session.phase is not Phase.CLOSED

    def test_a_clock_that_was_set_back_makes_no_debt_older(self) -> None:
        session = self._owing("a head")
        session.tick(NOW)
        back = NOW - 3_600 * SECOND
        for second in (0, 50, 100, 150, 179):
            session.received(Pong(0, 0), back + second * SECOND)
            session.tick(back + second * SECOND)
            assert session.phase is Phase.LIVE
        session.received(Pong(0, 0), back + 180 * SECOND)
        session.tick(back + 180 * SECOND)
        assert session.phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("diverged", "common"),
    [(None, None), (20, 20), (19, 15), (15, 15), (14, 7), (6, 0), (0, 0), (-3, 0), (99, 20)],
)
def test_logs_part_at_a_place_that_this_replica_has_named(
    diverged: int | None, common: int | None
) -> None:
    said = msgspec.structs.replace(hello(20), landmarks=(Landmark(15, b""), Landmark(7, b"")))
    session = ClientSession(said, NOW)
    drain(session)
    session.received(welcome(diverged=diverged), NOW)
    assert drain(session) == [Greet(welcome(diverged=common), 0)]
