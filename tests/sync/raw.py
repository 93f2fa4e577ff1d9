"""A client of the protocol without a replica behind it, for what no replica would send."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from crdtsync import Policy
from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    Answer,
    Answers,
    Hello,
    Landmark,
    Message,
    Push,
    PushedOp,
    ServerMessage,
    Welcome,
)
from tests.sync.ward import SPACE, op_id, policy, server_now_us

M = TypeVar("M", bound=Message)


class RawClient:
    """One WebSocket that says what the test wants it to say."""

    def __init__(self, url: str, *, user: str = "raw", rules: Policy | None = None) -> None:
        self._url = url
        self._user = user
        self._rules = rules or policy()
        self._connection: ClientConnection | None = None
        self.replica_id = op_id()
        self.run = op_id()

    async def __aenter__(self) -> Self:
        self._connection = await websockets.connect(
            self._url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        await self._connection.close()

    async def send(self, message: Message) -> None:
        """Put a message on the wire."""
        assert self._connection is not None
        await self._connection.send(encode(message))

    async def receive(self, kind: type[M]) -> M:
        """The next message of a kind; others are passed over."""
        assert self._connection is not None
        while True:
            message: ServerMessage = decode_server(await self._connection.recv())
            if isinstance(message, kind):
                return message

    async def hello(self, cursor: Landmark | None = None) -> Welcome:
        """Say hello and be welcomed."""
        await self.send(
            Hello(
                protocol=PROTOCOL_VERSION,
                space=SPACE,
                user=self._user,
                token=None,
                replica_id=self.replica_id,
                run=self.run,
                previous_runs=(),
                software="test",
                policy_version=self._rules.version,
                policy_hash=self._rules.hash,
                cursor=cursor or Landmark(0, b""),
                landmarks=(),
                client_us=server_now_us(),
            )
        )
        return await self.receive(Welcome)

    async def push(self, *ops: Op, request_id: str | None = None) -> tuple[Answer, ...]:
        """Push ops and wait for their answers."""
        pushed = tuple(PushedOp(op, None, server_now_us(), 1) for op in ops)
        await self.send(Push(request_id or op_id(), pushed))
        return (await self.receive(Answers)).answers


def increment(user: str = "raw", record: str = "p1", by: int = 1) -> Op:
    """An op that would show if it were applied twice."""
    writes = {"c/visits": FieldWrite((str(by),))}
    return Op(op_id(), user, "patient", record, server_now_us(), writes)
