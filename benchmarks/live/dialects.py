"""What the load generator says to each server, made ready before a clock runs.

Every op carries ``MARKER`` and its number in its value, once, so that deliveries can be
counted in what a client receives. Each client writes records (or keys of a map) of its
own over and over, and names the value that it replaces, as a device does.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from pycrdt import Doc, Map, TransactionEvent

from benchmarks.live.crdtsync_server_process import POLICY
from benchmarks.live.sockets import Socket
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    SUBPROTOCOL,
    Head,
    HeadRequest,
    Hello,
    Landmark,
    Push,
    PushedOp,
    Receipts,
    ReceiptsRequest,
    SnapshotPage,
    SnapshotRequest,
    Welcome,
)

MARKER = b"~live@"
DIGITS = 8
ROOT = "r/phone"
RECEIPT = b"\xa7receipt"
"""The msgpack of the word that every receipt begins with."""
KEPT_RECORDS = {1: 20, 100: 200}
"""Records that a client writes in turn, by the ops in a frame: so many that none of them is
written again while the last op on it may be unacknowledged (``scenarios.py``, windows)."""
ASKED_AT_ONCE = 10_000

T = TypeVar("T")


class Lost(Exception):
    """A server does not have what it was sent, or has more; says how many."""


class Dialect(Protocol):
    """One protocol."""

    subprotocol: str | None
    receipt: bytes | None
    """What occurs once for every op (or frame) that is acknowledged; None: nothing is."""
    receipts_per_op: bool

    def path(self, space: str) -> str:
        """Where a client of the space connects."""
        ...

    def greet(self, socket: Socket, number: int, space: str) -> None:
        """Say hello."""
        ...

    def until_ready(self, socket: Socket, space: str) -> None:
        """Read until the server sends every change from now on."""
        ...

    def messages(self, number: int, space: str, first: int, frames: int, ops: int) -> list[bytes]:
        """What a client sends; the ops are numbered from ``first``."""
        ...

    def check(self, socket: Socket, space: str, sent: Sequence[tuple[int, int]]) -> None:
        """Hold the server's log against what was sent: (client, frames). Raises Lost."""
        ...


def value_of(number: int) -> str:
    """The value that the op of this number writes."""
    return f"{MARKER.decode()}{number:0{DIGITS}d}"


class Crdtsync:
    """crdtsync.v1: hello, pushes, receipts, changes."""

    subprotocol: str | None = SUBPROTOCOL
    receipt: bytes | None = RECEIPT
    receipts_per_op = True

    def __init__(self) -> None:
        self._op_ids: dict[int, list[list[str]]] = {}
        self._request = 0

    def path(self, space: str) -> str:
        """The space is named in the hello."""
        return "/"

    def greet(self, socket: Socket, number: int, space: str) -> None:
        """A device that has never been here."""
        hello = Hello(
            1, space, f"user-{number}", None, str(uuid.uuid4()), str(uuid.uuid4()), (), "bench",
            POLICY.version, POLICY.hash, Landmark(0, b""), (), time.time_ns() // 1_000,
        )  # fmt: skip
        socket.send(encode(hello))

    def until_ready(self, socket: Socket, space: str) -> None:
        """Welcomed, and paged to the end."""
        paging = _wait_for(socket, Welcome).paging
        while paging is not None:
            socket.send(encode(SnapshotRequest(1, paging)))
            paging = _wait_for(socket, SnapshotPage).paging

    def messages(self, number: int, space: str, first: int, frames: int, ops: int) -> list[bytes]:
        """Pushes of one field each, over the client's own records."""
        user, now_us = f"user-{number}", time.time_ns() // 1_000
        records = KEPT_RECORDS.get(ops, ops)
        before: dict[str, str] = {}
        op_ids: list[list[str]] = []
        made = []
        for frame in range(frames):
            pushed, named = [], []
            for place in range(frame * ops, (frame + 1) * ops):
                op_id, record = str(uuid.uuid4()), f"p-{number}-{place % records}"
                last = before.get(record)
                before[record] = op_id
                write = FieldWrite(
                    (f'"{value_of(first + place)}"',), (EntryId(last, 0),) if last else ()
                )
                time_us = now_us + place
                op = Op(op_id, user, "patient", record, time_us, {ROOT: write})
                pushed.append(PushedOp(op, None, time_us, 1))
                named.append(op_id)
            made.append(encode(Push(str(uuid.uuid4()), tuple(pushed))))
            op_ids.append(named)
        self._op_ids[number] = op_ids
        return made

    def check(self, socket: Socket, space: str, sent: Sequence[tuple[int, int]]) -> None:
        """The log has exactly these ops: as many entries as receipts, and a receipt for each."""
        op_ids = [
            op_id
            for number, frames in sent
            for named in self._op_ids[number][:frames]
            for op_id in named
        ]
        socket.send(encode(HeadRequest(1)))
        head = _wait_for(socket, Head).head.seq
        known = 0
        for place in range(0, len(op_ids), ASKED_AT_ONCE):
            asked = tuple(op_ids[place : place + ASKED_AT_ONCE])
            socket.send(encode(ReceiptsRequest(2, asked)))
            known += len({one.op_id for one in _wait_for(socket, Receipts).receipts})
        if not head == known == len(op_ids):
            raise Lost(
                f"{space}: {len(op_ids)} ops were sent, the log has {head}, "
                f"and {known} of them have a receipt"
            )


class BareUpdates:
    """Yjs updates and nothing else: the bare loop."""

    subprotocol: str | None = None
    receipt: bytes | None = None
    receipts_per_op = False

    def path(self, space: str) -> str:
        """The document's name."""
        return f"/{space}"

    def greet(self, socket: Socket, number: int, space: str) -> None:
        """Nothing is said."""

    def until_ready(self, socket: Socket, space: str) -> None:
        """The server sends one frame when the client is in its list."""
        socket.message()

    def messages(self, number: int, space: str, first: int, frames: int, ops: int) -> list[bytes]:
        """Updates of the client's own keys."""
        wrapped = self._wrapper(space)
        return [wrapped(update) for update in updates_of(number, first, frames, ops)]

    def check(self, socket: Socket, space: str, sent: Sequence[tuple[int, int]]) -> None:
        """Deliveries are all that can be counted."""

    def _wrapper(self, space: str) -> Callable[[bytes], bytes]:
        return lambda update: update


class YSync(BareUpdates):
    """The sync protocol of Yjs as y-websocket speaks it (y-protocols, sync.js)."""

    def greet(self, socket: Socket, number: int, space: str) -> None:
        """Step 1 with an empty state vector: whoever answers it sends what comes from then on."""
        socket.send(self._address(space) + b"\x00\x00\x01\x00")

    def until_ready(self, socket: Socket, space: str) -> None:
        """Step 2 was received."""
        while not socket.message().startswith(self._address(space) + b"\x00\x01"):
            pass

    def _wrapper(self, space: str) -> Callable[[bytes], bytes]:
        head = self._address(space) + b"\x00\x02"
        return lambda update: head + var_uint(len(update)) + update

    def _address(self, space: str) -> bytes:
        return b""


class Hocuspocus(YSync):
    """The same inside messages that name their document; every frame gets a sync status."""

    receipt: bytes | None = b"\x08space-00\x08\x01"

    def path(self, space: str) -> str:
        """Documents are named in every message."""
        return "/"

    def greet(self, socket: Socket, number: int, space: str) -> None:
        """The token comes first, though nobody looks at it."""
        socket.send(self._address(space) + b"\x02\x00\x05token")
        super().greet(socket, number, space)

    def _address(self, space: str) -> bytes:
        return var_uint(len(space)) + space.encode()


def updates_of(number: int, first: int, frames: int, ops: int) -> list[bytes]:
    """Yjs updates of one client with consecutive clocks, ``ops`` keys in each."""
    document: Doc[Any] = Doc(client_id=number + 1)
    values: Map[Any] = document.get("values", type=Map)
    made: list[bytes] = []

    def changed(event: TransactionEvent) -> None:
        made.append(event.update)

    keys = KEPT_RECORDS.get(ops, ops)
    subscription = document.observe(changed)
    for frame in range(frames):
        with document.transaction():
            for place in range(frame * ops, (frame + 1) * ops):
                values[f"p-{number}-{place % keys}"] = value_of(first + place)
    document.unobserve(subscription)
    return made


def var_uint(value: int) -> bytes:
    """A number as lib0 writes it: seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _wait_for(socket: Socket, kind: type[T]) -> T:
    while not isinstance(message := decode_server(socket.message()), kind):
        pass
    return message


DIALECTS: dict[str, Callable[[], Dialect]] = {
    "crdtsync": Crdtsync,
    "bare updates": BareUpdates,
    "y-sync": YSync,
    "hocuspocus": Hocuspocus,
}
