"""The server's session: a sign-in that is not good for the space, or that ends."""

from __future__ import annotations

import pytest

from crdtsync.protocol import close_codes
from crdtsync.protocol.messages import Goodbye, HeadRequest, Ping, Refused
from crdtsync.protocol.server_actions import Close, Send, State
from crdtsync.protocol.server_session import ServerSession
from tests.protocol.test_server_session_results import LIMITS, NOW, OFFER, admission, hello

END = NOW + 500_000


def live(expires_us: int | None) -> ServerSession:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    session.receive(hello(), NOW)
    session.authenticated("kim", frozenset(), expires_us)
    session.admitted(admission(), NOW)
    assert session.state is State.LIVE
    return session


def test_a_sign_in_that_does_not_open_the_space_is_refused_for_good() -> None:
    session = ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)
    session.receive(hello(), NOW)
    assert session.no_access("not here") == [
        Send(Refused("no_access", "not here", False)),
        Close(close_codes.REFUSED, "not here"),
    ]
    assert session.state is State.CLOSED


@pytest.mark.parametrize("message", [Ping(NOW), HeadRequest(1)])
def test_a_frame_after_the_end_of_the_sign_in_is_not_looked_at(message: Ping | HeadRequest) -> None:
    assert live(END).receive(message, END - 1) != []
    for session in (live(END), live(None)):
        actions = session.receive(message, END)
        ended = session.state is State.CLOSED
        assert ended is (session.deadline_us is None)
        if ended:
            assert actions[-1] == Close(close_codes.SIGNED_OUT, actions[-1].words)  # type: ignore[union-attr]
    assert live(END).receive(message, END)[-1] != live(None).receive(message, END)[-1]


def test_the_deadline_is_the_end_of_the_sign_in_and_there_it_ends() -> None:
    session = live(END)
    assert session.deadline_us == END
    assert session.tick(END - 1) == []
    goodbye, close = session.tick(END)
    assert isinstance(goodbye, Send)
    assert isinstance(goodbye.message, Goodbye)
    assert isinstance(close, Close)
    assert (goodbye.message.code, close.code) == (4003, 4003)


def test_a_sign_in_may_be_taken_back_at_any_time_and_only_once() -> None:
    for session in (live(None), ServerSession(policy=OFFER, limits=LIMITS, now_us=NOW)):
        assert Close(close_codes.SIGNED_OUT, "taken back") in session.sign_in_ended("taken back")
        assert session.sign_in_ended() == []
        assert session.state is State.CLOSED
