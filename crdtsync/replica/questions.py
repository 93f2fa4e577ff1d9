"""What somebody waits for the server to say: the head of its log, a page of history."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from crdtsync.protocol.client_actions import Phase
from crdtsync.protocol.client_session import ClientSession
from crdtsync.protocol.messages import Head, History
from crdtsync.replica.transport import ConnectionLost

ASKED_AT_ONCE = 32
"""Questions without a reply. A server takes 64 requests, and where both sides only send,
neither the questions nor the replies, which may be large, are read."""


@dataclass(slots=True)
class Question:
    """A request that somebody waits for."""

    kind: str
    collection: str = ""
    record: str = ""
    before_seq: int = 0
    answer: asyncio.Future[Head | History] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Questions:
    """Those that wait to be asked, and those that were asked on this connection."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._asked: dict[int, Question] = {}

    def add(self, question: Question) -> None:
        """Ask it as soon as the connection carries changes."""
        self._waiting.append(question)

    def ask_all(self, session: ClientSession, now_us: int) -> None:
        """Ask what waits, if the connection is live and few enough are unanswered."""
        while self._waiting and session.phase is Phase.LIVE and len(self._asked) < ASKED_AT_ONCE:
            question = self._waiting.popleft()
            if question.kind == "head":
                number = session.ask_head(now_us)
            else:
                number = session.ask_history(
                    question.collection, question.record, question.before_seq, now_us
                )
            self._asked[number] = question

    def answered(self, number: int, reply: Head | History) -> None:
        """The server has replied."""
        question = self._asked.pop(number, None)
        if question is not None and not question.answer.done():
            question.answer.set_result(reply)

    def drop(self) -> None:
        """The connection ended: whoever waits hears so."""
        waiting = [*self._waiting, *self._asked.values()]
        self._waiting.clear()
        self._asked.clear()
        for question in waiting:
            if not question.answer.done():
                question.answer.set_exception(ConnectionLost("the connection ended"))
                question.answer.exception()  # a waiter that is gone has nothing to log
