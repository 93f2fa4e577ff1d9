"""A server that a test plays message by message, over a connection in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from crdtsync import Replica
from crdtsync.documents.folding import fold_counters
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.settling import decide, log_entry
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import Policy
from crdtsync.protocol.codec import decode_client, encode
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    Answer,
    Answers,
    Changes,
    Head,
    HeadRequest,
    Hello,
    Landmark,
    Limits,
    Message,
    Paging,
    Ping,
    Pong,
    Push,
    PushedOp,
    Receipt,
    Receipts,
    ReceiptsRequest,
    SnapshotPage,
    SnapshotRequest,
    SnapshotRow,
    Welcome,
)
from crdtsync.replica import applying
from crdtsync.replica.transport import ConnectionLost, Transport

T = TypeVar("T", bound=Message)
URL = "ws://scripted"
PATIENCE_S = 30
_END = object()


class Link(Transport):
    """One connection: the replica holds one end of it, the test the other."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.closed_with: int | None = None
        self._to_server: asyncio.Queue[Any] = asyncio.Queue()
        self._to_replica: asyncio.Queue[Any] = asyncio.Queue()
        self._is_cut = False

    # ── the replica's end ───────────────────────────────────────────────────

    async def send(self, frame: bytes) -> None:
        """See ``Transport``."""
        if self._is_cut:
            raise ConnectionLost("cut")
        message = decode_client(frame)
        self.sent.append(message)
        self._to_server.put_nowait(message)

    async def receive(self) -> bytes | str:
        """See ``Transport``."""
        frame = await self._to_replica.get()
        if frame is _END:
            raise ConnectionLost("cut")
        assert isinstance(frame, bytes | str)
        return frame

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport``."""
        self.closed_with = code
        self._to_server.put_nowait(_END)

    # ── the test's end ──────────────────────────────────────────────────────

    async def next(self, kind: type[T]) -> T:
        """The next message of this kind; others before it are let pass."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self._to_server.get()
                if message is _END:
                    raise ConnectionLost("the replica ended the connection")
                if isinstance(message, kind):
                    return message

    async def ended(self) -> None:
        """Wait until the replica has ended the connection."""
        with contextlib.suppress(ConnectionLost):
            while True:
                await self.next(Message)

    def say(self, *messages: Message) -> None:
        """Send messages to the replica."""
        for message in messages:
            self._to_replica.put_nowait(encode(message))

    def say_raw(self, frame: bytes | str) -> None:
        """Send any frame to the replica."""
        self._to_replica.put_nowait(frame)

    def cut(self) -> None:
        """The network fails: what was said before still arrives."""
        self._is_cut = True
        self._to_replica.put_nowait(_END)
        self._to_server.put_nowait(_END)


class ScriptedServer:
    """Hands each new connection of a replica to the test."""

    def __init__(self) -> None:
        self.unreachable = False
        self.dials = 0
        self._links: asyncio.Queue[Link] = asyncio.Queue()

    async def dial(self, url: str) -> Transport:
        """The replica's way in."""
        self.dials += 1
        if self.unreachable:
            raise ConnectionLost("no server is reachable at this address")
        link = Link()
        self._links.put_nowait(link)
        return link

    async def connection(self) -> Link:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._links.get()


class Ledger:
    """A log as a server keeps it, decided by the real rules."""

    def __init__(self, policy: Policy, *, received_us: int = 1_700_000_000_000_000) -> None:
        self.policy = policy
        self.entries: list[LogEntry] = []
        self.states: dict[tuple[str, str], RecordState] = {}
        self.receipts: dict[str, Receipt] = {}
        self.ops: dict[str, Op] = {}
        self.received_us = received_us
        self.graves: set[tuple[str, EntryId]] = set()

    @property
    def head(self) -> Landmark:
        """The end of the log."""
        if not self.entries:
            return Landmark(0, b"")
        return Landmark(self.entries[-1].seq, self.entries[-1].digest)

    def accept(self, op: Op) -> Receipt:
        """Put an op into the log, once."""
        if op.op_id in self.receipts:
            return self.receipts[op.op_id]
        state = self.states.setdefault(
            (op.collection, op.record), RecordState(op.collection, op.record)
        )
        self.received_us += 1_000
        decision = decide(
            state,
            op,
            self.policy.collection(op.collection),
            received_us=self.received_us,
            graves=self.graves,
        )
        self.graves.update(grave for grave in decision.unseen if grave[1].op_id not in self.ops)
        seq = len(self.entries) + 1
        digest = hashlib.blake2b(self.head.digest + op.op_id.encode(), digest_size=16).digest()
        entry = log_entry(
            op,
            decision,
            seq=seq,
            digest=digest,
            received_us=self.received_us,
            prev_seq=state.seq,
        )
        state.apply_entry(entry)
        fold_counters(state)
        self.entries.append(entry)
        receipt = Receipt(op.op_id, seq, self.received_us, decision.outcomes)
        self.receipts[op.op_id] = receipt
        self.ops[op.op_id] = op
        return receipt

    def since(self, seq: int) -> Changes:
        """The log above a seq, as one message."""
        return Changes(tuple(self.entries[seq:]))

    def rows(self) -> tuple[SnapshotRow, ...]:
        """Every record, newest first."""
        newest = sorted(self.states.items(), key=lambda item: -item[1].seq)
        return tuple(SnapshotRow(*key, state.stored()) for key, state in newest)

    def welcome(self, hello: Hello, **changes: Any) -> Welcome:
        """The ordinary welcome; ``changes`` replace fields of it."""
        fields: dict[str, Any] = {
            "protocol": PROTOCOL_VERSION,
            "user": hello.user,
            "roles": ("nurse", "clinician"),
            "head": self.head,
            "server_us": self.received_us,
            "policy_version": self.policy.version,
            "policy_hash": self.policy.hash,
            "policy": None,
            "limits": Limits(),
            "paging": None,
            "diverged": None,
        }
        return Welcome(**{**fields, **changes})

    def copy_until(self, seq: int) -> Ledger:
        """What a backup as of ``seq`` restores."""
        other = Ledger(self.policy, received_us=self.received_us)
        for entry in self.entries[:seq]:
            other.accept(self.ops[entry.op_id])
        return other


Judge = Callable[[PushedOp], Answer | None]


async def answer_all(link: Link, ledger: Ledger, judge: Judge = lambda pushed: None) -> None:
    """Be an ordinary server on this connection until it ends, after the hello was read.

    ``judge`` may answer an op in its own way; None accepts it.
    """
    with contextlib.suppress(ConnectionLost):
        while True:
            match await link.next(Message):
                case Push() as push:
                    before = ledger.head.seq
                    answers = tuple(judge(p) or ledger.accept(p.op) for p in push.ops)
                    link.say(Answers(push.request_id, answers))
                    if ledger.head.seq > before:
                        link.say(ledger.since(before))
                case HeadRequest(number):
                    link.say(Head(number, ledger.head))
                case ReceiptsRequest(number, op_ids):
                    found = [ledger.receipts[o] for o in op_ids if o in ledger.receipts]
                    link.say(Receipts(number, tuple(found)))
                case SnapshotRequest(number):
                    link.say(SnapshotPage(number, ledger.rows(), None, ledger.head, 0))
                case Ping(sent_us):
                    link.say(Pong(sent_us, sent_us))


async def welcome_and_answer(
    link: Link, ledger: Ledger, judge: Judge = lambda pushed: None, **changes: Any
) -> None:
    """Be an ordinary server on this connection from its hello on."""
    hello = await link.next(Hello)
    head = ledger.head.seq
    if hello.cursor.seq == 0 and head and "paging" not in changes:
        changes["paging"] = Paging(head, head + 1, 0)
    link.say(ledger.welcome(hello, **changes))
    if changes.get("paging") is None and head > hello.cursor.seq:
        link.say(ledger.since(hello.cursor.seq))
    await answer_all(link, ledger, judge)


@contextlib.asynccontextmanager
async def serving(
    server: ScriptedServer, ledger: Ledger, judge: Judge = lambda pushed: None, **changes: Any
) -> AsyncIterator[list[Link]]:
    """An ordinary server for every connection of a block; gives the connections so far."""
    links: list[Link] = []

    async def serve() -> None:
        while True:
            link = await server._links.get()
            links.append(link)
            await welcome_and_answer(link, ledger, judge, **changes)

    task = asyncio.create_task(serve())
    try:
        yield links
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        for link in links:
            link.cut()
        if isinstance(ended, Exception):
            raise ended


def ops_of(pushes: Iterable[Push]) -> list[str]:
    """The op_ids of pushes, in order."""
    return [pushed.op.op_id for push in pushes for pushed in push.ops]


async def hear(tablet: Replica, ledger: Ledger) -> None:
    """Let the log of a server arrive."""
    since = tablet._open_view().cursor.seq
    touched = await tablet._open_store().change(
        applying.apply_entries, ledger.since(since).entries, ledger.received_us
    )
    tablet._changed(touched)
