"""A server in the test's loop, and a raw client that speaks crdtsync.v1 frame by frame."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, EntryId, FieldWrite, Op
from crdtsync.documents.state import LogEntry, Stub
from crdtsync.policy import Policy
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    SUBPROTOCOL,
    Answer,
    Answers,
    Changes,
    Goodbye,
    Hello,
    Landmark,
    Message,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Push,
    PushedOp,
    Receipt,
    Refused,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    SnapshotRow,
    Welcome,
)
from crdtsync_server.service import RunningServer
from crdtsync_server.settings import Timeouts

M = TypeVar("M", bound=Message)

POLICY_TEXT = """
version = 3
[patient.fields]
name      = { type = "string", merge = "server-latest" }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual", write = ["clinician", "nurse"] }
visits    = { type = "integer", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
note      = { type = "string" }
"""
POLICY = Policy.parse(POLICY_TEXT)
SPACE = "ward-3"
START_US = 1_700_000_000_000_000
FRESH = Landmark(0, b"")
QUICK = Timeouts(send_s=5.0, close_s=2.0, drain_s=5.0)


def new_id() -> str:
    return str(uuid.uuid4())


def write(
    values: Mapping[str, str | tuple[str, ...]],
    *,
    user: str = "kim",
    record: str = "p1",
    collection: str = "patient",
    supersedes: Mapping[str, Sequence[EntryId]] | None = None,
    time_us: int = START_US,
    op_id: str | None = None,
) -> Op:
    """An op; ``values`` are canonical JSON texts by root."""
    seen = supersedes or {}
    writes = {
        root: FieldWrite(value if isinstance(value, tuple) else (value,), tuple(seen.get(root, ())))
        for root, value in values.items()
    }
    return Op(op_id or new_id(), user, collection, record, time_us, writes)


def delete(record: str = "p1", *, user: str = "kim", seq: int = 0, ops: Sequence[str] = ()) -> Op:
    return write(
        {DELETION_ROOT: DeleteMark(True, tuple(ops), seq).text()}, user=user, record=record
    )


def push_of(*ops: Op, after: Sequence[str | None] | None = None) -> Push:
    follows = after or [None] * len(ops)
    return Push(
        new_id(),
        tuple(PushedOp(op, follow, op.time_us, 1) for op, follow in zip(ops, follows, strict=True)),
    )


def hello_of(user: str = "kim", **changes: Any) -> Hello:
    fields: dict[str, Any] = {
        "protocol": 1,
        "space": SPACE,
        "user": user,
        "token": None,
        "replica_id": new_id(),
        "run": new_id(),
        "previous_runs": (),
        "software": "tests",
        "policy_version": POLICY.version,
        "policy_hash": POLICY.hash,
        "cursor": FRESH,
        "landmarks": (),
        "client_us": START_US,
        "outbox": OutboxSummary(),
        "device": "a test",
    }
    return Hello(**(fields | changes))


class Wire:
    """A connected WebSocket. Log entries that arrive are gathered in ``entries``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.entries: list[LogEntry | Stub] = []
        self.welcome: Welcome | None = None

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        settings: dict[str, Any] = {
            "subprotocols": [SUBPROTOCOL],
            "compression": None,
            "max_size": None,
            "ping_interval": None,
            # A client whose queue of frames is full never sees the end of a killed server.
            "close_timeout": 0.5,
        }
        return cls(await connect(url, **(settings | options)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.socket.close()

    async def send(self, message: Message) -> None:
        await self.socket.send(encode(message))

    async def receive(self) -> ServerMessage:
        message = decode_server(await self.socket.recv())
        if isinstance(message, Changes):
            self.entries.extend(message.entries)
        return message

    async def receive_a(self, kind: type[M]) -> M:
        """The next message of a kind; log entries before it are gathered."""
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message
            if isinstance(message, Ping):
                await self.send(Pong(message.sent_us, START_US))
            else:
                assert isinstance(message, Changes), message

    async def greet(self, hello: Hello) -> Welcome:
        await self.send(hello)
        self.welcome = await self.receive_a(Welcome)
        return self.welcome

    async def refused(self, hello: Hello) -> Refused:
        """Say hello, be refused and see the connection closed."""
        await self.send(hello)
        refused = await self.receive_a(Refused)
        assert await self.closed() in (4001, 4003)
        return refused

    async def push(self, *ops: Op, after: Sequence[str | None] | None = None) -> list[Answer]:
        return await self.push_frame(push_of(*ops, after=after))

    async def push_frame(self, push: Push) -> list[Answer]:
        await self.send(push)
        answers = await self.receive_a(Answers)
        assert answers.request_id == push.request_id
        assert [answer.op_id for answer in answers.answers] == [one.op.op_id for one in push.ops]
        return list(answers.answers)

    async def accept(self, op: Op) -> Receipt:
        """Push one op that is accepted."""
        (answer,) = await self.push(op)
        assert isinstance(answer, Receipt), answer
        return answer

    async def entries_to(self, seq: int) -> list[LogEntry]:
        """Wait until the log up to ``seq`` has arrived."""
        while not self.entries or self.entries[-1].seq < seq:
            await self.receive_a(Changes)
        found = [entry for entry in self.entries if isinstance(entry, LogEntry)]
        assert len(found) == len(self.entries)
        return found

    async def page(self, paging: Paging) -> SnapshotPage:
        await self.send(SnapshotRequest(1, paging))
        return await self.receive_a(SnapshotPage)

    async def page_all(self, paging: Paging | None) -> tuple[list[SnapshotRow], Landmark]:
        """Page to the end."""
        rows: list[SnapshotRow] = []
        head = FRESH
        while paging is not None:
            page = await self.page(paging)
            rows.extend(page.rows)
            paging, head = page.paging, page.head
        return rows, head

    async def goodbye(self) -> Goodbye:
        """The server's goodbye, and the close with the same code behind it."""
        goodbye = await self.receive_a(Goodbye)
        assert await self.closed() == goodbye.code
        return goodbye

    async def closed(self) -> int | None:
        """The code with which the server closes."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else None


@asynccontextmanager
async def device(
    server: RunningServer | str, user: str = "kim", **changes: Any
) -> AsyncIterator[Wire]:
    """A replica that is live: greeted, and paged to the end if it had to."""
    url = server if isinstance(server, str) else server.url
    async with await Wire.open(url) as wire:
        welcome = await wire.greet(hello_of(user, **changes))
        if welcome.paging is not None:
            await wire.page_all(welcome.paging)
        yield wire


def serving(folder: Path, **options: Any) -> RunningServer:
    """A development server on a free port."""
    settings: dict[str, Any] = {"policy": POLICY, "data": folder, "dev": True, "timeouts": QUICK}
    return RunningServer(**(settings | options))


def rows_of(folder: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What lies in the server's database, read from beside it."""
    connection = sqlite3.connect(f"file:{folder / 'crdtsync.db'}?mode=ro", uri=True)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


class FaultyConnection:
    """A connection whose statements fail on demand."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.fail_on: str | None = None
        self.error: Exception = sqlite3.OperationalError("disk I/O error")
        self.seen: list[str] = []

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._may_fail(statement)
        return self._connection.execute(statement, *values)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        self._may_fail(statement)
        return self._connection.executemany(statement, rows)

    def close(self) -> None:
        self._connection.close()

    def _may_fail(self, statement: str) -> None:
        self.seen.append(statement.split()[0])
        if self.fail_on is not None and statement.startswith(self.fail_on):
            raise self.error


class GatedExecutor:
    """Runs jobs inline over a faulty connection; a closed gate holds them back."""

    def __init__(self, connection: FaultyConnection) -> None:
        self.connection = connection
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def run(self, job: Any) -> Any:
        self.entered.set()
        await self.gate.wait()
        return job(self.connection)

    async def run_brief(self, job: Any) -> Any:
        return await self.run(job)

    async def close(self) -> None:
        self.connection.close()
