"""The replica's side of a connection, without I/O: every message in every phase."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.documents.state import Stub
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
from crdtsync.protocol.client_session import (
    HELLO_TIMEOUT_US,
    RECEIPTS_PER_REQUEST,
    ClientSession,
    landmarks,
)
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    CursorReport,
    Goodbye,
    Head,
    HeadRequest,
    Hello,
    History,
    Landmark,
    Limits,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    PushedOp,
    Receipts,
    ReceiptsRequest,
    Refused,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    Transient,
    Welcome,
)
from tests.replica.wards import foreign_op, new_id

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
LIMITS = Limits(ops_per_push=3, ops_in_flight=5, heartbeat_ms=20_000, silence_ms=60_000)
HERE = Landmark(10, b"x" * 16)
FIRST = Paging(10, 11, 0)


def hello(cursor: int = 0) -> Hello:
    return Hello(
        1, "ward", "kim", None, new_id(), new_id(), (), "t", 1, "h", Landmark(cursor, b""), (), NOW
    )


def welcome(**changes: Any) -> Welcome:
    given: dict[str, Any] = {
        "protocol": 1,
        "user": "kim",
        "roles": (),
        "head": HERE,
        "server_us": NOW,
        "policy_version": 1,
        "policy_hash": "h",
        "policy": None,
        "limits": LIMITS,
        "paging": None,
        "diverged": None,
    }
    return Welcome(**{**given, **changes})


def drain(session: ClientSession) -> list[Action]:
    return list(iter(session.take, None))


def sent(actions: list[Action], kind: type[Any]) -> list[Any]:
    return [a.message for a in actions if isinstance(a, Send) and isinstance(a.message, kind)]


def session_in(phase: Phase, *, ask: tuple[str, ...] = ()) -> ClientSession:
    """A session that has just come into a phase, its actions performed."""
    session = ClientSession(hello(), NOW)
    if phase is Phase.HELLO:
        drain(session)
        return session
    if phase is Phase.CLOSED:
        session.fail("over")
        drain(session)
        return session
    paging = FIRST if phase in (Phase.RECOVERING, Phase.PAGING) else None
    session.received(welcome(paging=paging), NOW)
    if phase is Phase.RECOVERING:
        ask = ask or (new_id(),)
    session.greeted(ask=ask, paging=paging, cursor=0, now_us=NOW)
    drain(session)
    assert session.phase is phase
    return session


def at_the_head() -> ClientSession:
    """A live session to which the server owes nothing."""
    session = session_in(Phase.LIVE)
    session.received(Changes(tuple(Stub(seq, b"") for seq in range(1, HERE.seq + 1))), NOW)
    drain(session)
    return session


def pushed(count: int) -> list[PushedOp]:
    return [PushedOp(foreign_op("p", {"r/name": '"x"'}), None, NOW, 1) for _ in range(count)]


MESSAGES: dict[str, ServerMessage] = {
    "welcome": welcome(),
    "changes": Changes((Stub(1, b""),)),
    "page": SnapshotPage(1, (), None, HERE, 0),
    "receipts": Receipts(1, ()),
    "answers": Answers("r", ()),
    "head": Head(7, HERE),
    "history": History(7, (), True, False),
    "ping": Ping(1),
    "pong": Pong(1, 2),
    "refused": Refused("overloaded", "later", True, 5_000),
    "goodbye": Goodbye(1012, "restarting", 1_000),
}
EXPECTED: dict[str, dict[Phase, type[Any] | None]] = {
    # None: nothing to do. Close: the end of the connection.
    "welcome": {Phase.HELLO: Greet},
    "changes": {Phase.LIVE: StoreEntries},
    "page": {Phase.PAGING: StorePage},
    "receipts": {Phase.RECOVERING: StoreReceipts},
    "answers": {},
    "head": dict.fromkeys((Phase.HELLO, Phase.RECOVERING, Phase.PAGING, Phase.LIVE), Answered),
    "history": dict.fromkeys((Phase.HELLO, Phase.RECOVERING, Phase.PAGING, Phase.LIVE), Answered),
    "ping": dict.fromkeys((Phase.HELLO, Phase.RECOVERING, Phase.PAGING, Phase.LIVE), Send),
    "pong": dict.fromkeys((Phase.HELLO, Phase.RECOVERING, Phase.PAGING, Phase.LIVE), None),
}


@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.value)
@pytest.mark.parametrize("name", list(MESSAGES))
def test_what_each_message_does_in_each_phase(name: str, phase: Phase) -> None:
    session = session_in(phase)
    session.received(MESSAGES[name], NOW)
    actions = drain(session)
    if phase is Phase.CLOSED:
        assert actions == []
        return
    expected = EXPECTED.get(name, {}).get(phase, Close)
    if expected is None:
        assert actions == []
    else:
        assert isinstance(actions[0], expected)
    assert (session.phase is Phase.CLOSED) == (expected is Close)


def test_the_way_from_hello_through_recovering_and_paging_to_live() -> None:
    session = ClientSession(hello(), NOW)
    (first,) = drain(session)
    assert isinstance(first, Send)
    assert isinstance(first.message, Hello)
    session.received(welcome(paging=FIRST), NOW + 5)
    (greet,) = drain(session)
    assert isinstance(greet, Greet)
    assert greet.round_trip_us == 5
    wanted = [new_id() for _ in range(RECEIPTS_PER_REQUEST + 100)]
    session.greeted(ask=wanted, paging=FIRST, cursor=0, now_us=NOW)
    asked: list[str] = []
    for _ in range(2):
        (request,) = sent(drain(session), ReceiptsRequest)
        asked.extend(request.op_ids)
        session.received(Receipts(request.request, ()), NOW)
    assert asked == wanted
    actions = drain(session)
    assert [type(action) for action in actions] == [StoreReceipts, Send]
    assert sent(actions, SnapshotRequest)[0].paging == FIRST
    session.received(SnapshotPage(2, (), Paging(10, 5, 0), HERE, 3), NOW)
    session.page_stored(NOW)
    assert sent(drain(session), SnapshotRequest)[0].paging == Paging(10, 5, 0)
    session.received(SnapshotPage(3, (), None, HERE, 0), NOW)
    session.page_stored(NOW)
    actions = drain(session)
    assert [type(action) for action in actions] == [StorePage, WentLive, WantOps]
    assert (session.phase, session.cursor) == (Phase.LIVE, 10)


def test_without_paging_the_connection_is_live_while_receipts_are_asked_for() -> None:
    session = ClientSession(hello(), NOW)
    session.received(welcome(), NOW)
    drain(session)
    session.greeted(ask=[new_id()], paging=None, cursor=0, now_us=NOW)
    actions = drain(session)
    assert isinstance(actions[0], WentLive)
    assert len(sent(actions, ReceiptsRequest)) == 1
    session.received(Changes((Stub(1, b""),)), NOW)
    assert isinstance(drain(session)[0], StoreEntries)


class TestChanges:
    """In order, without gaps; what came before is dropped."""

    def test_repeats_are_dropped_and_gaps_end_the_connection(self) -> None:
        session = session_in(Phase.LIVE)
        session.received(Changes((Stub(1, b"a"), Stub(2, b"b"))), NOW)
        session.received(Changes((Stub(2, b"b"), Stub(3, b"c"))), NOW)
        session.received(Changes((Stub(1, b"a"),)), NOW)
        stored = [a.entries for a in drain(session) if isinstance(a, StoreEntries)]
        assert [[e.seq for e in entries] for entries in stored] == [[1, 2], [3]]
        session.received(Changes((Stub(5, b"e"),)), NOW)
        (close,) = drain(session)
        assert isinstance(close, Close)
        assert "4 expected, 5 came" in close.words
        assert close.retry

    def test_a_message_that_is_out_of_order_within_itself_ends_the_connection(self) -> None:
        session = session_in(Phase.LIVE)
        session.received(Changes((Stub(1, b""), Stub(3, b""), Stub(2, b""))), NOW)
        assert isinstance(drain(session)[-1], Close)

    def test_what_is_applied_is_reported(self) -> None:
        session = session_in(Phase.LIVE)
        session.applied(7, OutboxSummary(pending=1), NOW)
        (report,) = sent(drain(session), CursorReport)
        assert (report.seq, report.outbox.pending) == (7, 1)

    def test_what_arrived_before_the_end_is_still_stored(self) -> None:
        session = session_in(Phase.LIVE)
        session.received(Changes((Stub(1, b""),)), NOW)
        session.received(Goodbye(1012, "restart", 500), NOW)
        stored, close = drain(session)
        assert isinstance(stored, StoreEntries)
        assert close == Close(1012, "goodbye", "restart", True, 500)


class TestPushing:
    """A window bounds what is in flight, and no wake-up is lost."""

    def test_the_window(self) -> None:
        session = ClientSession(hello(), NOW)
        session.received(welcome(), NOW)
        drain(session)
        session.greeted(ask=(), paging=None, cursor=0, now_us=NOW)
        assert WantOps(3) in drain(session)
        session.push("r1", pushed(3), NOW)
        assert WantOps(2) in drain(session)
        session.push("r2", (second := pushed(2)), NOW)
        assert [type(a) for a in drain(session)] == [Send]
        assert session.in_flight == 5
        session.outbox_changed()
        assert drain(session) == []
        answers = tuple(Transient(p.op.op_id, "busy", 0) for p in second)
        session.received(Answers("r2", answers), NOW)
        actions = drain(session)
        assert isinstance(actions[0], StoreAnswers)
        assert actions[1] == WantOps(2)
        assert session.in_flight == 3

    def test_a_write_between_asking_and_the_answer_is_not_forgotten(self) -> None:
        session = session_in(Phase.LIVE)
        session.outbox_changed()  # the store is being asked just now
        session.wanted()
        assert drain(session) == [WantOps(3)]
        session.wanted()
        assert drain(session) == []
        session.outbox_changed()
        assert drain(session) == [WantOps(3)]

    @given(st.lists(st.sampled_from(["write", "ask", "answer"]), max_size=40))
    @settings(max_examples=200, deadline=None)
    def test_whatever_the_order_every_write_is_asked_for(self, steps: list[str]) -> None:
        session = session_in(Phase.LIVE)
        waiting, flying = 0, dict[str, list[PushedOp]]()
        wants = [WantOps(3)]  # the one that the session gave on going live

        def ask() -> None:
            nonlocal waiting
            while wants:
                room = wants.pop().room
                ops = pushed(min(room, waiting))
                waiting -= len(ops)
                if ops:
                    name = new_id()
                    flying[name] = ops
                    session.push(name, ops, NOW)
                else:
                    session.wanted()
                wants.extend(a for a in drain(session) if isinstance(a, WantOps))

        for step in steps:
            if step == "write":
                waiting += 1
                session.outbox_changed()
            elif step == "answer" and flying:
                name, ops = flying.popitem()
                session.received(
                    Answers(name, tuple(Transient(p.op.op_id, "x", 0) for p in ops)), NOW
                )
            elif step == "ask":
                ask()
            wants.extend(a for a in drain(session) if isinstance(a, WantOps))
            assert len(wants) <= 1
            assert session.in_flight <= LIMITS.ops_in_flight
        for _ in range(60):
            ask()
            for name in list(flying):
                ops = flying.pop(name)
                session.received(
                    Answers(name, tuple(Transient(p.op.op_id, "x", 0) for p in ops)), NOW
                )
            wants.extend(a for a in drain(session) if isinstance(a, WantOps))
        assert waiting == 0

    @pytest.mark.parametrize("wrong", ["another push", "fewer", "other ops", "twice"])
    def test_answers_that_do_not_fit_end_the_connection(self, wrong: str) -> None:
        session = session_in(Phase.LIVE)
        ops = pushed(2)
        session.push("r1", ops, NOW)
        answers = tuple(Transient(p.op.op_id, "x", 0) for p in ops)
        drain(session)
        match wrong:
            case "another push":
                session.received(Answers("r2", answers), NOW)
            case "fewer":
                session.received(Answers("r1", answers[:1]), NOW)
            case "other ops":
                session.received(Answers("r1", answers[::-1]), NOW)
            case "twice":
                session.received(Answers("r1", answers), NOW)
                session.received(Answers("r1", answers), NOW)
        assert isinstance(drain(session)[-1], Close)


class TestReceipts:
    """Asked for once each; a reply that nobody asked for is a fault."""

    def test_one_request_at_a_time_and_none_twice(self) -> None:
        session = session_in(Phase.LIVE)
        first, second = new_id(), new_id()
        session.ask_receipts([first], NOW)
        session.ask_receipts([first, second], NOW)
        (request,) = sent(drain(session), ReceiptsRequest)
        assert request.op_ids == (first,)
        session.received(Receipts(request.request, ()), NOW)
        (request,) = sent(drain(session), ReceiptsRequest)
        assert request.op_ids == (second,)
        session.received(Receipts(request.request, ()), NOW)
        session.received(Receipts(request.request, ()), NOW)
        assert isinstance(drain(session)[-1], Close)


class TestTime:
    """Silence, pings and deadlines; the wall clock may jump."""

    def test_no_welcome_in_time_ends_the_connection(self) -> None:
        session = session_in(Phase.HELLO)
        assert session.deadline_us == NOW + HELLO_TIMEOUT_US
        session.tick(NOW + HELLO_TIMEOUT_US - 1)
        assert drain(session) == []
        session.tick(NOW + HELLO_TIMEOUT_US)
        (close,) = drain(session)
        assert isinstance(close, Close)
        assert (close.reason, close.retry) == ("silent", True)

    @pytest.mark.parametrize("phase", [Phase.RECOVERING, Phase.PAGING, Phase.LIVE])
    def test_a_quiet_connection_is_pinged_and_a_dead_one_given_up(self, phase: Phase) -> None:
        session = session_in(phase)
        now, pings = NOW, 0
        while session.phase is not Phase.CLOSED:
            assert session.deadline_us > now
            now = session.deadline_us
            session.tick(now)
            pings += len(sent(drain(session), Ping))
        assert now - NOW == 60 * SECOND
        assert 1 <= pings <= 3

    def test_a_talkative_replica_notices_a_dead_server_too(self) -> None:
        session = session_in(Phase.LIVE)
        for second in itertools.count(1):
            session.ask_head(NOW + second * SECOND)
            session.tick(NOW + second * SECOND)
            if session.phase is Phase.CLOSED:
                break
        assert second == 60

    def test_an_answer_keeps_it_alive(self) -> None:
        session = at_the_head()
        for minute in range(1, 20):
            session.received(Pong(0, 0), NOW + minute * 50 * SECOND)
            session.tick(NOW + minute * 50 * SECOND)
        assert session.phase is Phase.LIVE

    def test_a_clock_that_is_set_back_makes_no_dead_server_immortal(self) -> None:
        session = session_in(Phase.LIVE)
        back = NOW - 3_600 * SECOND
        session.tick(back)
        assert session.deadline_us <= back + 20 * SECOND
        session.tick(back + 60 * SECOND)
        assert session.phase is Phase.CLOSED

    def test_a_ping_is_answered_at_once(self) -> None:
        session = session_in(Phase.LIVE)
        session.received(Ping(123), NOW + 5)
        assert sent(drain(session), Pong) == [Pong(123, NOW + 5)]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(ops_per_push=0),
        Limits(ops_in_flight=-1),
        Limits(heartbeat_ms=0),
        Limits(silence_ms=0),
        Limits(frame_bytes=0),
        Limits(silence_ms=2**62),
        Limits(heartbeat_ms=50_000, silence_ms=40_000),
    ],
)
def test_limits_that_make_no_sense_end_the_connection(limits: Limits) -> None:
    session = session_in(Phase.HELLO)
    session.received(welcome(limits=limits), NOW)
    (close,) = drain(session)
    assert isinstance(close, Close)
    assert "limits" in close.words


def test_a_protocol_from_the_future_ends_the_connection() -> None:
    session = session_in(Phase.HELLO)
    session.received(welcome(protocol=2), NOW)
    assert isinstance(drain(session)[0], Close)


@pytest.mark.parametrize(
    ("code", "retry"), [(4003, False), (4010, True), (4002, True), (1012, True)]
)
def test_a_goodbye_says_whether_to_come_back(code: int, retry: bool) -> None:
    session = session_in(Phase.LIVE)
    session.received(Goodbye(code, "words", 250), NOW)
    (close,) = drain(session)
    assert isinstance(close, Close)
    assert (close.code, close.words, close.retry, close.retry_after_ms) == (
        code,
        "words",
        retry,
        250,
    )


def test_a_closed_session_sends_nothing_more() -> None:
    session = session_in(Phase.CLOSED)
    session.ask_head(NOW)
    session.applied(3, OutboxSummary(), NOW)
    session.outbox_changed()
    session.page_stored(NOW)
    session.greeted(ask=(), paging=None, cursor=0, now_us=NOW)
    session.tick(NOW + 3_600 * SECOND)
    assert drain(session) == []


def test_questions_are_numbered_apart() -> None:
    session = session_in(Phase.LIVE)
    numbers = [session.ask_head(NOW), session.ask_history("c", "r", 0, NOW), session.ask_head(NOW)]
    assert len(set(numbers)) == 3
    assert {m.request for m in sent(drain(session), HeadRequest)} == {numbers[0], numbers[2]}


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=400),
    st.integers(0, 2**40),
)
@settings(max_examples=200, deadline=None)
def test_landmarks_are_few_and_reach_back_exponentially(gaps: list[int], start: int) -> None:
    seqs = list(itertools.accumulate(gaps, initial=start))[::-1]
    points = [Landmark(seq, b"") for seq in seqs]
    chosen = [point.seq for point in landmarks(points)]
    newest = seqs[0]
    assert chosen[0] == newest
    assert chosen == sorted(set(chosen), reverse=True)
    assert len(chosen) <= 32
    # Whatever the true common point is, a chosen one lies at most about twice as far back.
    for seq in seqs:
        distance = newest - seq
        nearest = min((newest - c for c in chosen if newest - c >= distance), default=None)
        if nearest is not None:
            assert nearest <= 2 * distance + 2 * max(gaps)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_landmarks_stay_dense_enough_when_they_are_thinned_again_and_again(
    steps: list[int],
) -> None:
    kept: list[Landmark] = []
    seq = 0
    for step in steps:
        seq += step
        kept.insert(0, Landmark(seq, b""))
        if len(kept) > 64:
            kept = list(landmarks(kept))
    chosen = [seq - point.seq for point in landmarks(kept)]
    for near, far in itertools.pairwise(chosen):
        assert far <= 4 * max(near, 1) + 4 * max(steps)
