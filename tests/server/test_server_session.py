"""The server's session without I/O: states, hello, limits, time."""

from __future__ import annotations

from typing import Any

import pytest

from crdtsync.protocol import close_codes
from crdtsync.protocol.admission import (
    Admission,
    PolicyOffer,
    judge_hello,
    last_common_seq,
    run_is_known,
)
from crdtsync.protocol.messages import (
    AcknowledgedDigest,
    Answers,
    ClientMessage,
    CursorReport,
    Goodbye,
    HeadRequest,
    HistoryRequest,
    Landmark,
    Limits,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Receipt,
    ReceiptsRequest,
    Refused,
    SnapshotRequest,
    Welcome,
)
from crdtsync.protocol.server_actions import (
    ALLOWED,
    Admit,
    Authenticate,
    Close,
    GoLive,
    LookUpReceipts,
    NoteCursor,
    ReadSnapshots,
    Send,
    State,
    Submit,
)
from crdtsync.protocol.server_session import HELLO_TIMEOUT_US, MAX_REQUESTS_IN_FLIGHT, ServerSession
from tests.server.serving import POLICY, START_US, hello_of, new_id, push_of, write

NOW = START_US
OFFER = PolicyOffer(POLICY.version, POLICY.hash, POLICY.text)
LIMITS = Limits(ops_per_push=3, ops_in_flight=4, heartbeat_ms=1_000, silence_ms=3_000)
HEAD = Landmark(10, b"h" * 16)
DIGEST = b"d" * 16


def admission(head: Landmark = HEAD, **changes: Any) -> Admission:
    fields: dict[str, Any] = {
        "known_run": True,
        "head": head,
        "log_start": 1,
        "digests": {head.seq: head.digest},
        "server_us": NOW,
    }
    return Admission(**(fields | changes))


def session_at(state: State) -> ServerSession:
    """A session that was led to ``state`` by messages."""
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    if state is State.AWAITING_HELLO:
        return session
    cursor = Landmark(0, b"") if state is State.PAGING else HEAD
    session.receive(hello_of(cursor=cursor), NOW)
    if state is not State.AUTHORISING:
        session.authenticated("kim", frozenset({"nurse"}))
        session.admitted(admission(), NOW)
    if state is State.CLOSED:
        session.fenced()
    assert session.state is state
    return session


def words_of(actions: list[Any], code: int) -> str:
    """The words of a goodbye with this code, and of nothing else."""
    goodbye, close = actions
    assert isinstance(goodbye, Send)
    assert isinstance(goodbye.message, Goodbye)
    assert goodbye.message.code == code == close.code
    return goodbye.message.words


MESSAGES: list[ClientMessage] = [
    hello_of(),
    push_of(write({"r/name": '"Kim"'})),
    HeadRequest(1),
    ReceiptsRequest(1, (new_id(),)),
    CursorReport(1),
    AcknowledgedDigest(0, 1, 1, b"x" * 16),
    SnapshotRequest(1, Paging(10, 11, 0)),
    HistoryRequest(1, "patient", "p1"),
    Ping(1),
    Pong(1, 1),
]


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_taken_in_the_states_of_the_table_and_ends_the_session_in_all_others(
    state: State, message: ClientMessage
) -> None:
    session = session_at(state)
    actions = session.receive(message, NOW)
    if type(message) in ALLOWED[state]:
        assert session.state is not State.CLOSED
    else:
        assert state.value in words_of(actions, close_codes.PROTOCOL_ERROR)
        assert session.state is State.CLOSED


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_closed_session_does_nothing_more(message: ClientMessage) -> None:
    session = session_at(State.CLOSED)
    assert session.receive(message, NOW) == []
    assert session.tick(NOW + 10**9) == []
    assert session.deadline_us is None


def test_a_replica_at_the_head_is_live_at_once() -> None:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    hello = hello_of(cursor=HEAD)
    assert session.receive(hello, NOW) == [Authenticate(hello)]
    roles = frozenset({"nurse", "clinician"})
    assert session.authenticated("kim", roles) == [Admit(hello, "kim", roles)]
    welcome, live = session.admitted(admission(), NOW)
    assert live == GoLive(10)
    assert isinstance(welcome, Send)
    assert welcome.message == Welcome(
        1, "kim", ("clinician", "nurse"), HEAD, NOW, 3, POLICY.hash, None, LIMITS, None, None
    )


def test_an_older_policy_is_answered_with_the_newer_one() -> None:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    session.receive(hello_of(cursor=HEAD, policy_version=2, policy_hash="older"), NOW)
    session.authenticated("kim", frozenset())
    welcome = session.admitted(admission(), NOW)[0]
    assert isinstance(welcome, Send)
    assert isinstance(welcome.message, Welcome)
    assert welcome.message.policy == POLICY.text


@pytest.mark.parametrize(
    ("changes", "code", "retry", "after_ms"),
    [
        ({"protocol": 2}, "protocol_version", False, 0),
        ({"protocol": 0}, "protocol_version", False, 0),
        ({"policy_hash": "other"}, "policy_mismatch", False, 0),
        ({"policy_version": 4}, "policy_ahead", True, 60_000),
        ({"space": ""}, "bad_hello", False, 0),
        ({"space": "a\nb"}, "bad_hello", False, 0),
        ({"user": "x" * 300}, "bad_hello", False, 0),
        ({"replica_id": "tablet"}, "bad_hello", False, 0),
        ({"run": "1"}, "bad_hello", False, 0),
        ({"previous_runs": ("1",)}, "bad_hello", False, 0),
        ({"previous_runs": tuple(new_id() for _ in range(65))}, "bad_hello", False, 0),
        ({"landmarks": (HEAD,) * 33}, "bad_hello", False, 0),
        ({"cursor": Landmark(-1, b"")}, "bad_hello", False, 0),
        ({"cursor": Landmark(1, b"x" * 17)}, "bad_hello", False, 0),
        ({"cursor": Landmark(2**60, b"x" * 16)}, "bad_hello", False, 0),
        ({"policy_version": -1}, "bad_hello", False, 0),
        ({"device": "x" * 257}, "bad_hello", False, 0),
    ],
)
def test_a_hello_that_makes_no_sense_here_is_refused_in_words(
    changes: dict[str, Any], code: str, retry: bool, after_ms: int
) -> None:
    refused = judge_hello(hello_of(**changes), OFFER)
    assert refused is not None
    assert (refused.code, refused.retry, refused.retry_after_ms) == (code, retry, after_ms)
    assert len(refused.words) > 20


def test_a_good_hello_is_not_refused() -> None:
    assert judge_hello(hello_of(), OFFER) is None


def test_a_run_is_known_if_it_is_the_last_one_or_follows_on_it() -> None:
    hello = hello_of(previous_runs=(new_id(),))
    assert run_is_known(None, hello)
    assert run_is_known(hello.run, hello)
    assert run_is_known(hello.previous_runs[0], hello)
    assert not run_is_known(new_id(), hello)


def test_a_copied_replica_is_told_to_take_another_id_at_once() -> None:
    session = session_at(State.AUTHORISING)
    session.authenticated("kim", frozenset())
    refused, close = session.admitted(admission(known_run=False), NOW)
    assert isinstance(refused, Send)
    assert isinstance(refused.message, Refused)
    assert (refused.message.code, refused.message.retry) == ("replica_copied", True)
    assert refused.message.retry_after_ms == 0
    assert isinstance(close, Close)
    assert close.code == close_codes.REFUSED


def test_a_log_that_is_not_the_replicas_names_the_last_common_seq() -> None:
    here = {2: b"2" * 16, 4: b"4" * 16, 8: b"8" * 16}
    same = (Landmark(4, b"4" * 16), Landmark(2, b"2" * 16))
    known = admission(Landmark(8, b"8" * 16), digests=here)
    assert last_common_seq(hello_of(cursor=Landmark(8, b"8" * 16), landmarks=same), known) is None
    assert last_common_seq(hello_of(cursor=Landmark(8, b"x" * 16), landmarks=same), known) == 4
    assert last_common_seq(hello_of(cursor=Landmark(9, b"9" * 16), landmarks=same), known) == 4
    assert last_common_seq(hello_of(cursor=Landmark(9, b"9" * 16)), known) == 0
    assert last_common_seq(hello_of(), known) is None


@pytest.mark.parametrize(
    ("cursor", "changes", "paging", "diverged"),
    [
        (Landmark(0, b""), {}, Paging(10, 11, 0), None),
        (Landmark(0, b""), {"head": Landmark(0, b""), "digests": {}}, None, None),
        (Landmark(10, b"h" * 16), {}, None, None),
        (Landmark(10, b"x" * 16), {}, Paging(10, 11, 0), 0),
        (Landmark(11, b"x" * 16), {}, Paging(10, 11, 0), 0),
        (
            Landmark(4, b"4" * 16),
            {"log_start": 6, "digests": {4: b"4" * 16}},
            Paging(10, 0, 4),
            None,
        ),
        (Landmark(5, b"5" * 16), {"log_start": 6, "digests": {5: b"5" * 16}}, None, None),
    ],
)
def test_where_a_replica_goes_on_depends_on_its_cursor(
    cursor: Landmark, changes: dict[str, Any], paging: Paging | None, diverged: int | None
) -> None:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    session.receive(hello_of(cursor=cursor), NOW)
    session.authenticated("kim", frozenset())
    actions = session.admitted(admission(**changes), NOW)
    assert isinstance(actions[0], Send)
    welcome = actions[0].message
    assert isinstance(welcome, Welcome)
    assert (welcome.paging, welcome.diverged) == (paging, diverged)
    assert (session.state is State.LIVE) == (paging is None)


def test_the_last_page_makes_the_session_live_from_its_head() -> None:
    session = session_at(State.PAGING)
    asked = Paging(10, 11, 0)
    assert session.receive(SnapshotRequest(7, asked), NOW) == [ReadSnapshots(7, asked)]
    following = Paging(10, 5, 0)
    assert len(session.snapshots_read(7, (), following, HEAD, 3)) == 1
    session.receive(SnapshotRequest(8, following), NOW)
    newer = Landmark(12, b"n" * 16)
    assert session.snapshots_read(8, (), None, newer, 0)[-1] == GoLive(12)
    assert len(session.receive(push_of(write({"r/name": '"Kim"'})), NOW)) == 1


@pytest.mark.parametrize(
    "asked", [Paging(10, 12, 0), Paging(10, -1, 0), Paging(10, 0, -1), Paging(10, 5, 5)]
)
def test_a_place_in_paging_that_no_server_hands_out_is_a_violation(asked: Paging) -> None:
    session = session_at(State.PAGING)
    words_of(session.receive(SnapshotRequest(1, asked), NOW), close_codes.PROTOCOL_ERROR)


@pytest.mark.parametrize("asked", [Paging(11, 3, 0), Paging(99, 100, 0), Paging(99, 0, 50)])
def test_a_place_in_the_paging_of_another_log_starts_anew(asked: Paging) -> None:
    session = session_at(State.PAGING)
    anew = ReadSnapshots(1, Paging(10, 11, 0))
    assert session.receive(SnapshotRequest(1, asked), NOW) == [anew]


def test_a_push_beyond_its_bound_is_a_violation() -> None:
    ops = [write({"r/name": '"Kim"'}) for _ in range(4)]
    session = session_at(State.LIVE)
    assert len(session.receive(push_of(*ops[:3]), NOW)) == 1
    session = session_at(State.LIVE)
    assert "1 to 3 ops" in words_of(session.receive(push_of(*ops), NOW), close_codes.PROTOCOL_ERROR)
    session = session_at(State.LIVE)
    words_of(session.receive(push_of(), NOW), close_codes.PROTOCOL_ERROR)


def test_a_request_id_has_to_be_a_uuid() -> None:
    session = session_at(State.LIVE)
    push = push_of(write({"r/name": '"Kim"'}))
    bad = type(push)("first", push.ops)
    assert "first" in words_of(session.receive(bad, NOW), close_codes.PROTOCOL_ERROR)


def test_the_window_of_ops_in_flight_opens_again_with_the_answers() -> None:
    session = session_at(State.LIVE)
    first = push_of(*[write({"r/name": '"Kim"'}) for _ in range(3)])
    assert session.receive(first, NOW) == [Submit(first)]
    receipts = [Receipt(one.op.op_id, n, NOW, {}) for n, one in enumerate(first.ops)]
    (answers,) = session.answered(first, receipts)
    assert answers == Send(Answers(first.request_id, tuple(receipts)))
    assert session.receive(first, NOW) == [Submit(first)]
    assert "in flight" in words_of(session.receive(first, NOW), close_codes.PROTOCOL_ERROR)


def test_requests_in_flight_are_bounded() -> None:
    session = session_at(State.LIVE)
    asked = ReceiptsRequest(1, (new_id(),))
    for _ in range(MAX_REQUESTS_IN_FLIGHT):
        assert session.receive(asked, NOW) == [LookUpReceipts(1, asked.op_ids)]
    assert "in flight" in words_of(session.receive(asked, NOW), close_codes.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "message",
    [
        ReceiptsRequest(1, ("not an id",)),
        HistoryRequest(1, "patient", "p1", -1),
        HistoryRequest(1, "patient", "p1", 2**60),
        CursorReport(-1),
        CursorReport(2**63),
        CursorReport(1, OutboxSummary(2**64 - 1)),
        AcknowledgedDigest(5, 4, 1, b"x" * 16),
        AcknowledgedDigest(0, 4, 1, b"short"),
        AcknowledgedDigest(0, 2**64 - 1, 1, b"x" * 16),
    ],
)
def test_numbers_and_ids_that_name_nothing_are_violations(message: ClientMessage) -> None:
    session = session_at(State.LIVE)
    words_of(session.receive(message, NOW), close_codes.PROTOCOL_ERROR)


def test_a_cursor_report_is_noted() -> None:
    outbox = OutboxSummary(3, 1, 500, 0)
    session = session_at(State.LIVE)
    assert session.receive(CursorReport(5, outbox), NOW) == [NoteCursor(5, outbox)]


def test_no_hello_in_time_ends_the_connection() -> None:
    session = session_at(State.AWAITING_HELLO)
    assert session.deadline_us == NOW + HELLO_TIMEOUT_US
    assert session.tick(NOW + HELLO_TIMEOUT_US - 1) == []
    words_of(session.tick(NOW + HELLO_TIMEOUT_US), close_codes.SILENT)


def test_silence_is_met_with_a_ping_and_then_with_a_goodbye() -> None:
    session = session_at(State.LIVE)
    assert session.deadline_us == NOW + 1_000_000
    assert session.tick(NOW + 999_999) == []
    assert session.tick(NOW + 1_000_000) == [Send(Ping(NOW + 1_000_000))]
    assert session.tick(NOW + 1_000_001) == []
    assert session.deadline_us == NOW + 2_000_000
    words_of(session.tick(NOW + 3_000_000), close_codes.SILENT)


def test_whoever_answers_the_ping_stays() -> None:
    session = session_at(State.LIVE)
    session.tick(NOW + 1_000_000)
    session.receive(Pong(NOW + 1_000_000, NOW), NOW + 1_500_000)
    assert session.tick(NOW + 3_000_000) == [Send(Ping(NOW + 3_000_000))]
    assert session.state is State.LIVE


def test_a_clock_that_was_set_back_does_not_keep_a_silent_peer() -> None:
    session = session_at(State.LIVE)
    long_ago = NOW - 3_600_000_000
    session.tick(long_ago)
    session.tick(long_ago + 1_000_000)
    words_of(session.tick(long_ago + 3_000_000), close_codes.SILENT)


def test_the_end_of_the_sign_in_ends_the_connection() -> None:
    session = session_at(State.AUTHORISING)
    session.authenticated("kim", frozenset(), NOW + 500_000)
    session.admitted(admission(), NOW)
    assert session.deadline_us == NOW + 500_000
    words_of(session.tick(NOW + 500_000), close_codes.SIGNED_OUT)


def test_a_ping_is_answered_with_both_clocks() -> None:
    session = session_at(State.LIVE)
    assert session.receive(Ping(17), NOW + 5) == [Send(Pong(17, NOW + 5))]


def test_results_that_come_after_the_end_go_nowhere() -> None:
    session = session_at(State.LIVE)
    push = push_of(write({"r/name": '"Kim"'}))
    session.receive(push, NOW)
    session.disconnected()
    assert session.answered(push, ()) == []
    assert session.receipts_found(1, ()) == []
    assert session.snapshots_read(1, (), None, HEAD, 0) == []
    late = session_at(State.AUTHORISING)
    late.disconnected()
    assert late.authenticated("kim", frozenset()) == []
    assert late.admitted(admission(), NOW) == []
