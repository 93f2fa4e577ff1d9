"""A bare client of the sync protocol: it sends one frame twice, and reads the server's log.

It uses nothing of the replica, so what it sees is what the server really says.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.documents.state import LogEntry
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    Answer,
    Answers,
    Goodbye,
    Hello,
    History,
    HistoryRequest,
    Landmark,
    Message,
    Push,
    PushedOp,
    Refused,
    SnapshotPage,
    SnapshotRequest,
    SnapshotRow,
    Welcome,
)
from crdtsync.replica.replica import Replica
from crdtsync.replica.transport import Dial, Transport, dial
from crdtsync.version import __version__

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class QueuedOp:
    """An op as a device's exported queue has it."""

    op: Op
    created_us: int


async def last_queued(replica: Replica, folder: Path) -> QueuedOp:
    """The newest change in a device's queue, read from the queue's export."""
    path = folder / "queue.jsonl"
    await replica.export_outbox(path)
    item: dict[str, Any] = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    full = item["op"]
    writes = {
        root: FieldWrite(
            tuple(_canonical(value) for value in write["values"]),
            tuple(EntryId(op_id, n) for op_id, n in write["supersedes"]),
        )
        for root, write in full["writes"].items()
    }
    op = Op(
        full["op_id"], item["user"], item["collection"], item["record_id"], full["time_us"], writes
    )
    return QueuedOp(op, full["time_us"])


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class BareClient:
    """One connection under a replica_id of its own."""

    def __init__(
        self,
        url: str,
        space: str,
        user: str,
        policy: Policy | None,
        *,
        token: str | None = None,
        dial: Dial = dial,
    ) -> None:
        """Without a policy the server hands out its own (``welcome.policy``)."""
        self._url = url
        self._dial = dial
        self._hello = Hello(
            protocol=PROTOCOL_VERSION,
            space=space,
            user=user,
            token=token,
            replica_id=str(uuid.uuid4()),
            run=str(uuid.uuid4()),
            previous_runs=(),
            software=f"crdtsync-demo/{__version__}",
            policy_version=policy.version if policy else 0,
            policy_hash=policy.hash if policy else "",
            cursor=Landmark(0, b""),
            landmarks=(),
            client_us=time.time_ns() // 1_000,
            device="demo",
        )
        self._transport: Transport | None = None
        self._request = 0
        self.welcome: Welcome | None = None
        self.snapshots: list[SnapshotRow] = []
        """Every record of the space, as of the beginning of the connection."""

    async def __aenter__(self) -> Self:
        self._transport = await self._dial(self._url)
        try:
            await self._greet()
        except BaseException:
            await self._transport.close(1000, "")
            raise
        return self

    async def _greet(self) -> None:
        await self._send(self._hello)
        welcome = self.welcome = await self._next(Welcome)
        paging = welcome.paging
        while paging is not None:
            self._request += 1
            await self._send(SnapshotRequest(self._request, paging))
            page = await self._next(SnapshotPage)
            self.snapshots.extend(page.rows)
            paging = page.paging

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            await self._transport.close(1000, "")

    async def send_twice(self, queued: QueuedOp) -> tuple[Answer, Answer]:
        """The same frame twice, byte for byte, and the two answers."""
        pushed = PushedOp(queued.op, None, queued.created_us, 1)
        frame = encode(Push(str(uuid.uuid4()), (pushed,)))
        assert self._transport is not None
        await self._transport.send(frame)
        await self._transport.send(frame)
        first = await self._next(Answers)
        second = await self._next(Answers)
        return first.answers[0], second.answers[0]

    async def log_rows(self, collection: str, record_id: str) -> Counter[str]:
        """How many rows of the server's log each op_id of a record has."""
        entries = await self.log_entries(collection, record_id)
        return Counter(entry.op_id for entry in entries)

    async def log_entries(self, collection: str, record_id: str) -> list[LogEntry]:
        """A record's entries in the server's log, newest first."""
        found: list[LogEntry] = []
        before_seq = 0
        while True:
            self._request += 1
            await self._send(HistoryRequest(self._request, collection, record_id, before_seq))
            page = await self._next(History)
            entries = [entry for entry in page.entries if isinstance(entry, LogEntry)]
            found.extend(entries)
            if not page.more or not entries:
                return found
            before_seq = entries[-1].seq

    async def _send(self, message: Message) -> None:
        assert self._transport is not None
        await self._transport.send(encode(message))

    async def _next(self, kind: type[M]) -> M:
        """The next message of a kind; changes and pings in between are passed over."""
        assert self._transport is not None
        while True:
            message = decode_server(await self._transport.receive())
            if isinstance(message, kind):
                return message
            if isinstance(message, Refused | Goodbye):
                raise CrdtsyncError(f"the server ended the conversation: {message.words}")
