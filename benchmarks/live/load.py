"""The load generator: one process, plain sockets, nothing decoded.

It has to be faster than any server that it drives. So everything that is sent was made
before the clock started, what arrives is counted in one shared buffer, and a client sends
as soon as its window has room, several frames in one call.
"""

from __future__ import annotations

import contextlib
import gc
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.live.counting import Occurrences
from benchmarks.live.dialects import MARKER, Dialect, Lost
from benchmarks.live.sockets import Refused, Socket, frame

BUFFER_BYTES = 1_048_576
STALL_S = 15.0
"""Without a byte from the server while something is missing."""
QUIET_S = 0.2
"""After the last delivery, before deliveries are held against what was sent."""
TOLD_BYTES = 200
CONNECTED_AT_ONCE = 50
WARM_SHARE = 0.2


class Client:
    """One connection and what it has sent and received."""

    __slots__ = (
        "acknowledged", "deliveries", "frames", "members", "number", "pending", "receipts",
        "sent", "socket", "space",
    )  # fmt: skip

    def __init__(self, number: int, space: str, members: int, socket: Socket) -> None:
        self.number, self.space, self.members, self.socket = number, space, members, socket
        self.frames: list[bytes] = []
        self.sent = 0
        self.acknowledged = 0
        self.pending = b""
        """What the system did not take yet."""
        self.deliveries = Occurrences(MARKER)
        self.receipts: Occurrences | None = None

    def flush(self) -> bool:
        """Send what is pending; whether all of it was taken."""
        try:
            taken = self.socket.raw.send(self.pending)
        except BlockingIOError:
            taken = 0
        self.pending = self.pending[taken:]
        return not self.pending


@contextlib.contextmanager
def connected(
    dialect: Dialect, port: int, clients: int, spaces: int, first: int = 0
) -> Iterator[list[Client]]:
    """Clients that are ready, spread evenly over the spaces; cut at the end.

    The first ones of all spaces come before any second one: a room of pycrdt-websocket does
    not start if two clients meet at its opening.
    """
    made: list[Client] = []
    start, end = first, first + clients
    try:
        while start < end:
            upto = min(start + CONNECTED_AT_ONCE, end, spaces if start < spaces else end)
            for number in range(start, upto):
                space = f"space-{number % spaces:02d}"
                made.append(Client(number, space, clients // spaces, Socket(port)))
            _open(dialect, made[start - first :])
            start = upto
        yield made
    finally:
        for client in made:
            client.socket.raw.close()


def _open(dialect: Dialect, clients: Sequence[Client]) -> None:
    """All of them at once, step by step: the server works on one while another one is told."""
    for client in clients:
        client.socket.ask_to_open(dialect.path(client.space), dialect.subprotocol)
    for client in clients:
        client.socket.opened()
    for client in clients:
        dialect.greet(client.socket, client.number, client.space)
    for client in clients:
        dialect.until_ready(client.socket, client.space)


@dataclass(frozen=True)
class Sent:
    """What a load came to since its warming up."""

    ops: float
    """Deliveries, divided by the clients that each op goes to."""
    deliveries: int
    took_s: float
    generator_cpu_s: float
    server_cpu_s: float
    received_bytes: int


@dataclass(frozen=True)
class Reading:
    """The counters and clocks at one moment."""

    now_s: float
    generator_cpu_s: float
    server_cpu_s: float
    delivered: int
    received_bytes: int


class Load:
    """Drives clients that are connected and whose frames are made."""

    def __init__(
        self, dialect: Dialect, clients: Sequence[Client], ops_per_frame: int, window: int
    ) -> None:
        """``window`` is how many frames of a client may be unacknowledged."""
        self._clients, self._ops, self._window = list(clients), ops_per_frame, window
        self._acknowledges = dialect.receipt is not None
        self._receipts_per_frame = ops_per_frame if dialect.receipts_per_op else 1
        self._buffer = bytearray(BUFFER_BYTES)
        self._poll = select.epoll()
        self._by_fd: dict[int, Client] = {}
        self._received_bytes = self._delivered = self._acknowledged = self._sent = 0
        for client in self._clients:
            client.socket.raw.setblocking(False)
            fd = client.socket.raw.fileno()
            self._by_fd[fd] = client
            self._poll.register(fd, select.EPOLLIN)
            if dialect.receipt is not None:
                marker = dialect.receipt.replace(b"space-00", client.space.encode())
                client.receipts = Occurrences(marker)

    def run(self, warm_s: float, seconds: float, server_cpu_s: Callable[[], float]) -> Sent:
        """Send for so long (or all that was made), then wait until everything has arrived.

        What happens in the first ``warm_s``, or until a share of all frames is sent, is left
        out: code is compiled and files are made then. It ends when every op is acknowledged,
        where the protocol does that, and every client has received every op of its space.
        Raises Lost where that never comes.
        """
        gc.collect()
        gc.freeze()
        gc.disable()
        began_s = heard_s = time.perf_counter()
        last_s = began_s + warm_s + seconds
        frames = sum(len(client.frames) for client in self._clients)
        warm_frames = frames * WARM_SHARE
        warm = None if warm_s else self._reading(server_cpu_s())
        sending = True
        for client in self._clients:
            self._send_more(client)
        while sending or not self._is_complete():
            events = self._poll.poll(1.0)
            for fd, event in events:
                client = self._by_fd[fd]
                if event & select.EPOLLOUT and client.flush():
                    self._poll.modify(fd, select.EPOLLIN)
                if event & ~select.EPOLLOUT:
                    self._receive(client)
                    if sending:
                        self._send_more(client)
            now_s = time.perf_counter()
            if warm is None and (now_s >= began_s + warm_s or self._sent >= warm_frames):
                warm = self._reading(server_cpu_s())
            sending = sending and now_s < last_s and self._sent < frames
            if events:
                heard_s = now_s
            elif now_s - heard_s > STALL_S:
                raise Lost(self._missing())
        end = self._reading(server_cpu_s())
        gc.enable()
        self._listen_on()
        self._check()
        assert warm is not None, "everything has arrived, so more than a share of it was sent"
        deliveries = end.delivered - warm.delivered
        return Sent(
            deliveries / self._clients[0].members,
            deliveries,
            end.now_s - warm.now_s,
            end.generator_cpu_s - warm.generator_cpu_s,
            end.server_cpu_s - warm.server_cpu_s,
            end.received_bytes - warm.received_bytes,
        )

    def _listen_on(self) -> None:
        """What was delivered twice counted for something that is still to come."""
        while events := self._poll.poll(QUIET_S):
            for fd, _ in events:
                self._receive(self._by_fd[fd])

    def _reading(self, server_cpu_s: float) -> Reading:
        return Reading(
            time.perf_counter(), time.process_time(), server_cpu_s, self._delivered,
            self._received_bytes,
        )  # fmt: skip

    # ── one client ──────────────────────────────────────────────────────────

    def _receive(self, client: Client) -> None:
        buffer = self._buffer
        try:
            size = client.socket.raw.recv_into(buffer)
        except BlockingIOError:
            return
        if not size:
            raise Refused(f"the server cut the connection of client {client.number}")
        self._received_bytes += size
        self._delivered += client.deliveries.add(buffer, size)
        if client.receipts is not None:
            self._acknowledged += client.receipts.add(buffer, size)
            client.acknowledged = client.receipts.seen // self._receipts_per_frame
        else:
            # Nothing is acknowledged. All clients of a space write alike, so this many of
            # what has come must have been its own, or a neighbour may send instead.
            client.acknowledged = client.deliveries.seen // (client.members * self._ops)

    def _send_more(self, client: Client) -> None:
        if client.pending:
            return
        upto = min(client.acknowledged + self._window, len(client.frames))
        if upto > client.sent:
            client.pending = b"".join(client.frames[client.sent : upto])
            self._sent += upto - client.sent
            client.sent = upto
            if not client.flush():
                self._poll.modify(client.socket.raw.fileno(), select.EPOLLIN | select.EPOLLOUT)

    # ── all of them ─────────────────────────────────────────────────────────

    def _expected(self) -> tuple[int, int]:
        deliveries = sum(client.sent * client.members for client in self._clients) * self._ops
        return deliveries, self._sent * self._receipts_per_frame if self._acknowledges else 0

    def _is_complete(self) -> bool:
        deliveries, receipts = self._expected()
        return self._delivered >= deliveries and self._acknowledged >= receipts

    def _missing(self) -> str:
        deliveries, receipts = self._expected()
        return (
            f"{self._delivered} of {deliveries} deliveries and {self._acknowledged} of "
            f"{receipts} receipts came, and then nothing for {STALL_S:.0f} s; the last that came "
            f"began with {bytes(self._buffer[:TOLD_BYTES])!r}"
        )

    def _check(self) -> None:
        """Each client got what its space wrote, and not one more."""
        written: dict[str, int] = {}
        for client in self._clients:
            written[client.space] = written.get(client.space, 0) + client.sent * self._ops
        for client in self._clients:
            if client.deliveries.seen != written[client.space]:
                raise Lost(
                    f"client {client.number} received {client.deliveries.seen} ops of the "
                    f"{written[client.space]} in {client.space}"
                )
            if client.receipts is not None:
                wanted = client.sent * self._receipts_per_frame
                if client.receipts.seen != wanted:
                    raise Lost(
                        f"client {client.number} got {client.receipts.seen} receipts for {wanted}"
                    )


def prepare(dialect: Dialect, clients: Sequence[Client], frames: int, ops: int) -> None:
    """Make what each client sends; ops are numbered through all of them."""
    for place, client in enumerate(clients):
        messages = dialect.messages(client.number, client.space, place * frames * ops, frames, ops)
        client.frames = [frame(message) for message in messages]
