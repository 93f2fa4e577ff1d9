"""The server's session: results of what it asked for, refusals, and every way out.

States, hello, limits and time stand in tests/server/test_server_session.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crdtsync.protocol import close_codes
from crdtsync.protocol.admission import (
    MAX_LANDMARKS,
    MAX_PREVIOUS_RUNS,
    MAX_TEXT_CHARS,
    Admission,
    PolicyOffer,
    judge_hello,
    last_common_seq,
    places_named,
    resume_paging,
    where_to_start,
)
from crdtsync.protocol.messages import (
    AcknowledgedDigest,
    CursorReport,
    Goodbye,
    Head,
    HeadRequest,
    Hello,
    History,
    HistoryRequest,
    Landmark,
    Limits,
    OutboxSummary,
    Paging,
    Ping,
    Push,
    PushedOp,
    ReceiptsRequest,
    Refused,
    SnapshotPage,
    SnapshotRequest,
    Welcome,
)
from crdtsync.protocol.server_actions import (
    Action,
    Close,
    LookUpReceipts,
    NoteAcknowledged,
    NoteCursor,
    ReadHead,
    ReadHistory,
    Send,
    State,
)
from crdtsync.protocol.server_session import (
    FAULT_RETRY_MS,
    HELLO_TIMEOUT_US,
    MAX_REQUESTS_IN_FLIGHT,
    RESTART_RETRY_MS,
    ServerSession,
)
from tests.documents.making import op_id, register_op

NOW = 1_700_000_000_000_000
LARGEST = 2**53 - 1
OFFER = PolicyOffer(3, "hash", "text")
LIMITS = Limits(ops_per_push=3, ops_in_flight=4, heartbeat_ms=1_000, silence_ms=3_000)
HEAD = Landmark(10, b"h" * 16)


def hello(**changes: Any) -> Hello:
    fields: dict[str, Any] = {
        "protocol": 1,
        "space": "ward",
        "user": "kim",
        "token": None,
        "replica_id": op_id(1),
        "run": op_id(2),
        "previous_runs": (),
        "software": "tests",
        "policy_version": 3,
        "policy_hash": "hash",
        "cursor": HEAD,
        "landmarks": (),
        "client_us": NOW,
    }
    return Hello(**(fields | changes))


def admission(**changes: Any) -> Admission:
    fields: dict[str, Any] = {
        "known_run": True,
        "head": HEAD,
        "log_start": 1,
        "digests": {HEAD.seq: HEAD.digest},
        "server_us": NOW,
    }
    return Admission(**(fields | changes))


def session_in(state: State) -> ServerSession:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    if state is not State.AWAITING_HELLO:
        cursor = Landmark(0, b"") if state is State.PAGING else HEAD
        session.receive(hello(cursor=cursor), NOW)
        if state is not State.AUTHORISING:
            session.authenticated("kim", frozenset({"nurse"}))
            session.admitted(admission(), NOW)
        if state is State.CLOSED:
            session.disconnected()
    assert session.state is state
    return session


def push_of(count: int) -> Push:
    return Push(op_id(9), tuple(PushedOp(register_op(1, "1"), None, NOW, 1) for _ in range(count)))


ENDS: dict[str, tuple[Callable[[ServerSession], list[Action]], int, str, int]] = {
    "garbage": (lambda s: s.receive_garbage("no message"), 4002, "no message", 0),
    "unread receipts": (
        lambda s: s.receipts_not_found("the disk is gone"),
        4011,
        "the disk is gone",
        FAULT_RETRY_MS,
    ),
    "a newer connection": (lambda s: s.fenced(), 4010, "has connected anew", 0),
    "a restart": (lambda s: s.restarting(), 1012, "come back soon", RESTART_RETRY_MS),
    "a fault": (lambda s: s.failed("a fault here"), 4011, "a fault here", FAULT_RETRY_MS),
    "a slow reader": (lambda s: s.too_slow(), 4009, "not being read", 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_says_goodbye_with_its_code_and_when_to_come_back(name: str) -> None:
    end, code, words, retry_after_ms = ENDS[name]
    session = session_in(State.LIVE)
    goodbye, close = end(session)
    assert isinstance(goodbye, Send)
    assert isinstance(goodbye.message, Goodbye)
    assert words in goodbye.message.words
    assert (goodbye.message.code, goodbye.message.retry_after_ms) == (code, retry_after_ms)
    assert close == Close(code, goodbye.message.words)
    assert session.state is State.CLOSED
    assert end(session) == []


def test_a_hello_that_is_refused_is_answered_and_the_connection_closed() -> None:
    session = session_in(State.AWAITING_HELLO)
    refused, close = session.receive(hello(space=""), NOW)
    assert isinstance(refused, Send)
    assert isinstance(refused.message, Refused)
    assert refused.message.code == "bad_hello"
    assert refused.message.words == "the space is empty; give it a name"
    assert close == Close(close_codes.REFUSED, refused.message.words)
    assert session.state is State.CLOSED


def test_a_bad_sign_in_needs_a_person() -> None:
    session = session_in(State.AUTHORISING)
    words = "sign in again"
    assert session.not_authenticated(words) == [
        Send(Refused("unauthorized", words, False)),
        Close(close_codes.SIGNED_OUT, words),
    ]
    assert session.not_authenticated(words) == []


def test_a_server_that_can_take_no_one_says_when_to_come_back() -> None:
    session = session_in(State.AUTHORISING)
    assert session.not_admitted("overloaded", "later") == [
        Send(Refused("overloaded", "later", True, FAULT_RETRY_MS)),
        Close(close_codes.REFUSED, "later"),
    ]
    session = session_in(State.AUTHORISING)
    refused = session.not_admitted("full", "later", 7)[0]
    assert refused == Send(Refused("full", "later", True, 7))


@pytest.mark.parametrize("state", [s for s in State if s is not State.AUTHORISING])
def test_a_sign_in_or_admission_that_nobody_waits_for_does_nothing(state: State) -> None:
    session = session_in(state)
    assert session.authenticated("lee", frozenset({"doctor"}), NOW) == []
    assert session.admitted(admission(known_run=False), NOW) == []
    assert session.state is state
    assert session.user != "lee"


def test_a_head_and_a_history_that_were_asked_for_are_sent() -> None:
    session = session_in(State.LIVE)
    assert session.receive(HeadRequest(7), NOW) == [ReadHead(7)]
    asked = HistoryRequest(8, "patient", "p1", LARGEST)
    assert session.receive(asked, NOW) == [ReadHistory(asked)]
    assert session.requests_in_flight == 2
    assert session.head_read(7, HEAD) == [Send(Head(7, HEAD))]
    history = History(8, (), True, False)
    assert session.history_read(history) == [Send(history)]
    assert session.requests_in_flight == 0


def test_each_answer_makes_room_for_another_request() -> None:
    asked = ReceiptsRequest(1, ())
    session = session_in(State.PAGING)
    answers: list[Callable[[], list[Action]]] = [
        lambda: session.head_read(1, HEAD),
        lambda: session.receipts_found(1, ()),
        lambda: session.history_read(History(1, (), True, False)),
        lambda: session.snapshots_read(1, (), Paging(10, 5, 0), HEAD, 0),
    ]
    for answer in answers:
        while session.requests_in_flight < MAX_REQUESTS_IN_FLIGHT:
            assert session.receive(asked, NOW) == [LookUpReceipts(1, ())]
        answer()
        assert session.receive(asked, NOW) == [LookUpReceipts(1, ())]
    assert isinstance(session.receive(asked, NOW)[-1], Close)


def test_pages_are_sent_while_paging_only() -> None:
    session = session_in(State.PAGING)
    page = session.snapshots_read(1, (), Paging(10, 5, 0), HEAD, 3)
    assert page == [Send(SnapshotPage(1, (), Paging(10, 5, 0), HEAD, 3))]
    session = session_in(State.LIVE)
    assert session.snapshots_read(1, (), None, HEAD, 0) == []
    assert session.state is State.LIVE


def test_a_page_moves_the_head_up_to_which_paging_may_go() -> None:
    session = session_in(State.PAGING)
    session.snapshots_read(1, (), Paging(20, 5, 0), Landmark(20, b"n" * 16), 3)
    session.requests_in_flight = 0
    (asked,) = session.receive(SnapshotRequest(2, Paging(20, 5, 0)), NOW)
    assert getattr(asked, "paging", None) == Paging(20, 5, 0)


@pytest.mark.parametrize(
    ("count", "in_flight", "taken"),
    [(1, 0, True), (3, 0, True), (3, 1, True), (1, 3, True), (2, 3, False), (1, 4, False)],
)
def test_the_window_of_ops_is_filled_exactly(count: int, in_flight: int, taken: bool) -> None:
    session = session_in(State.LIVE)
    session.ops_in_flight = in_flight
    session.receive(push_of(count), NOW)
    assert (session.state is State.LIVE) is taken
    assert session.ops_in_flight == in_flight + count * taken


@pytest.mark.parametrize(
    ("message", "action"),
    [
        (
            CursorReport(LARGEST, OutboxSummary(LARGEST, 0, LARGEST, LARGEST)),
            NoteCursor(LARGEST, OutboxSummary(LARGEST, 0, LARGEST, LARGEST)),
        ),
        (CursorReport(0), NoteCursor(0, OutboxSummary())),
        (
            AcknowledgedDigest(4, 4, LARGEST, b"d" * 16),
            NoteAcknowledged(AcknowledgedDigest(4, 4, LARGEST, b"d" * 16)),
        ),
    ],
)
def test_reports_are_noted(message: CursorReport | AcknowledgedDigest, action: Action) -> None:
    assert session_in(State.LIVE).receive(message, NOW) == [action]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_an_outbox_that_counts_nothing_is_a_violation(place: int, number: int) -> None:
    pending, failed, age_ms, signed_out = (number if n == place else 0 for n in range(4))
    outbox = OutboxSummary(pending, failed, age_ms, signed_out)
    session = session_in(State.LIVE)
    goodbye = session.receive(CursorReport(1, outbox), NOW)[0]
    assert isinstance(goodbye, Send)
    assert "counts nothing" in str(goodbye.message)


class TestTime:
    """What is due when, to the microsecond."""

    @pytest.mark.parametrize("state", [State.AWAITING_HELLO, State.AUTHORISING])
    def test_before_the_welcome_only_the_hello_is_timed(self, state: State) -> None:
        session = session_in(state)
        assert session.deadline_us == NOW + HELLO_TIMEOUT_US
        assert session.tick(NOW + HELLO_TIMEOUT_US - 1) == []
        assert len(session.tick(NOW + HELLO_TIMEOUT_US)) == 2

    def test_a_clock_set_back_before_the_welcome_moves_its_limit_along(self) -> None:
        session = session_in(State.AWAITING_HELLO)
        back = NOW - 3_600_000_000
        assert session.tick(back) == []
        assert session.deadline_us == back + HELLO_TIMEOUT_US

    @pytest.mark.parametrize("state", [State.PAGING, State.LIVE])
    def test_after_it_a_ping_is_due_and_then_the_end(self, state: State) -> None:
        session = session_in(state)
        assert session.tick(NOW + 999_999) == []
        assert session.tick(NOW + 1_000_000) == [Send(Ping(NOW + 1_000_000))]
        assert session.tick(NOW + 2_000_000) == [Send(Ping(NOW + 2_000_000))]
        assert session.deadline_us == NOW + 3_000_000
        assert session.tick(NOW + 2_999_999) == []
        assert isinstance(session.tick(NOW + 3_000_000)[-1], Close)

    def test_a_clock_set_back_after_a_ping_does_not_put_off_the_next_one(self) -> None:
        session = session_in(State.LIVE)
        session.tick(NOW + 1_000_000)
        back = NOW - 3_600_000_000
        assert session.tick(back) == []
        assert session.deadline_us == back + 1_000_000
        assert session.tick(back + 1_000_000) == [Send(Ping(back + 1_000_000))]

    def test_silence_is_the_deadline_where_a_ping_would_come_later(self) -> None:
        session = session_in(State.LIVE)
        session.tick(NOW + 2_500_000)
        assert session.deadline_us == NOW + 3_000_000

    def test_the_end_of_the_sign_in_counts_only_where_it_comes_first(self) -> None:
        session = session_in(State.AUTHORISING)
        session.authenticated("kim", frozenset(), NOW + 5_000_000)
        session.admitted(admission(), NOW + 1_000_000)
        assert session.deadline_us == NOW + 2_000_000
        session.receive(Ping(1), NOW + 4_500_000)
        assert session.deadline_us == NOW + 5_000_000
        assert session.tick(NOW + 4_999_999) == []
        (_, close) = session.tick(NOW + 5_000_000)
        assert isinstance(close, Close)
        assert close.code == close_codes.SIGNED_OUT


class TestAdmission:
    """Each bound of a hello from both sides, and where a replica goes on."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"previous_runs": (op_id(3),) * MAX_PREVIOUS_RUNS},
            {"landmarks": (HEAD,) * MAX_LANDMARKS},
            {"device": "x" * MAX_TEXT_CHARS, "software": "x" * MAX_TEXT_CHARS},
            {"cursor": Landmark(LARGEST, b"d" * 16)},
            {"cursor": Landmark(0, b"")},
            {"policy_version": 0, "policy_hash": "older"},
        ],
    )
    def test_what_is_at_a_bound_is_taken(self, changes: dict[str, Any]) -> None:
        assert judge_hello(hello(**changes), OFFER) is None

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"software": "x" * (MAX_TEXT_CHARS + 1)}, "up to 256 characters"),
            ({"view": "x" * 65}, "up to 64 characters"),
            ({"landmarks": (HEAD, Landmark(-1, b""))}, r"(-1, 0 bytes) is not a place in a log"),
            ({"landmarks": (HEAD, Landmark(1, b"d" * 17))}, "17 bytes) is not a place in a log"),
            ({"cursor": Landmark(LARGEST + 1, b"")}, "is not a place in a log"),
            ({"landmarks": (HEAD,) * (MAX_LANDMARKS + 1)}, "up to 32 landmarks, not 33"),
            ({"previous_runs": (op_id(3),) * (MAX_PREVIOUS_RUNS + 1)}, "up to 64 UUIDs"),
            ({"policy_version": LARGEST + 1}, "is not the version of a policy"),
            ({"user": ""}, "the user is empty"),
        ],
    )
    def test_what_is_beyond_it_is_refused_in_words(
        self, changes: dict[str, Any], words: str
    ) -> None:
        refused = judge_hello(hello(**changes), OFFER)
        assert refused is not None
        assert (refused.code, refused.retry) == ("bad_hello", False)
        assert words in refused.words

    def test_the_digests_that_are_needed_are_named_once(self) -> None:
        asked = hello(
            cursor=Landmark(8, b"a"),
            landmarks=(Landmark(8, b"b"), Landmark(4, b""), Landmark(0, b"")),
        )
        assert sorted(places_named(asked)) == [4, 8]
        assert places_named(hello(cursor=Landmark(0, b""))) == ()

    def test_a_log_that_was_trimmed_below_the_cursor_still_suffices(self) -> None:
        asked = hello(cursor=Landmark(5, b"5"))
        assert where_to_start(asked, admission(log_start=6), None, "") is None
        assert where_to_start(asked, admission(log_start=7), None, "") == Paging(10, 0, 5)
        assert where_to_start(asked, admission(log_start=1), 3, "") == Paging(10, 11, 0)

    def test_a_replica_that_sees_otherwise_now_pages_everything_anew(self) -> None:
        asked = hello(cursor=Landmark(5, b"5"), view="ab")
        assert where_to_start(asked, admission(), None, "ab") is None
        assert where_to_start(asked, admission(), None, "") == Paging(10, 11, 0)
        assert where_to_start(asked, admission(head=Landmark(0, b"")), None, "") is None

    def test_the_welcome_tells_the_way_of_seeing_that_the_roles_give(self) -> None:
        session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
        session.receive(hello(view="old"), NOW)
        session.authenticated("kim", frozenset({"nurse"}), None, "new")
        (action,) = session.admitted(admission(), NOW)
        assert isinstance(action, Send)
        assert isinstance(action.message, Welcome)
        assert action.message.view == "new"
        assert action.message.paging == Paging(10, 11, 0)
        assert session.state is State.PAGING

    def test_a_place_above_the_head_diverged_even_where_its_digest_is_known(self) -> None:
        known = admission(digests={11: b"x", 4: b"4"})
        above = hello(cursor=Landmark(11, b"x"), landmarks=(Landmark(4, b"4"),))
        assert last_common_seq(above, known) == 4
        at_head = hello(cursor=HEAD, landmarks=(Landmark(4, b"y"), Landmark(2, b"2")))
        assert last_common_seq(at_head, admission(digests={10: HEAD.digest, 2: b"2"})) == 10

    @pytest.mark.parametrize(
        ("asked", "served"),
        [
            (Paging(10, 11, 0), Paging(10, 11, 0)),
            (Paging(10, 0, 0), Paging(10, 0, 0)),
            (Paging(10, 0, 10), Paging(10, 0, 10)),
            (Paging(0, 1, 0), Paging(0, 1, 0)),
            (Paging(10, 0, 11), Paging(10, 11, 0)),
            (Paging(LARGEST, 1, 0), Paging(10, 11, 0)),
            (Paging(LARGEST + 1, 1, 0), None),
            (Paging(10, 12, 0), None),
            (Paging(10, 1, 1), None),
        ],
    )
    def test_paging_goes_on_starts_anew_or_makes_no_sense(
        self, asked: Paging, served: Paging | None
    ) -> None:
        assert resume_paging(asked, HEAD) == served
