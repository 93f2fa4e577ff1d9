"""How long it takes from sending an op on one client until another one has it."""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.harness.percentiles import percentile
from benchmarks.live.dialects import DIGITS, MARKER, Lost
from benchmarks.live.load import QUIET_S, STALL_S, Client

READ_BYTES = 65_536
WHOLE = len(MARKER) + DIGITS
POLL_STEP_S = 0.001
"""``epoll`` waits for whole milliseconds, rounded up; the rest is waited for awake."""


@dataclass(frozen=True)
class Latencies:
    """Of every delivery to a client that did not write the op itself, from the time at which the
    op was due: that the generator is late is no merit of the server."""

    sorted_ms: list[float]
    late_ms: list[float]
    """How long after its time each op was sent."""
    took_s: float
    generator_cpu_s: float
    server_cpu_s: float

    def at(self, share: float) -> float:
        """The latency that this share of the deliveries did not exceed."""
        return percentile(self.sorted_ms, share)


def numbers_in(received: bytes) -> tuple[list[int], bytes]:
    """The numbers of the ops in what was received, and the end that may be half a marker."""
    found, place = [], received.find(MARKER)
    done = 0
    while place >= 0 and place + WHOLE <= len(received):
        start = place + len(MARKER)
        found.append(int(received[start : start + DIGITS]))
        done = place + WHOLE
        place = received.find(MARKER, done)
    return found, received[max(done, len(received) - WHOLE + 1) :]


class Pacer:
    """Sends at fixed times, whether or not the server keeps up, each time from the next client."""

    def __init__(self, clients: Sequence[Client], ops_per_s: float) -> None:
        self._clients, self._every_s = list(clients), 1.0 / ops_per_s
        self._poll = select.epoll()
        self._by_fd = {client.socket.raw.fileno(): client for client in clients}
        self._rest: dict[int, bytes] = dict.fromkeys(self._by_fd, b"")
        self._received = dict.fromkeys(self._by_fd, 0)
        self._due_s: dict[int, float] = {}
        self._late_s: list[float] = []
        self._author: dict[int, Client] = {}
        self._found_s: list[float] = []
        self._delivered = 0
        for client in clients:
            client.socket.raw.setblocking(False)
            self._poll.register(client.socket.raw.fileno(), select.EPOLLIN)

    def run(self, ops: int, warm: int, server_cpu_s: Callable[[], float]) -> Latencies:
        """Send ``ops`` ops and wait for the last delivery. Raises Lost.

        The first ``warm`` of them are left out: code is compiled and files are made then.
        """
        gc.collect()
        gc.freeze()
        gc.disable()
        start_s = time.perf_counter()
        cpu_s, server_s, began_s = time.process_time(), server_cpu_s(), start_s
        sent, heard_s, wanted = 0, start_s, ops * len(self._clients)
        while sent < ops or self._delivered < wanted:
            now_s = time.perf_counter()
            while sent < ops and now_s >= start_s + sent * self._every_s:
                if sent == warm:
                    cpu_s, server_s, began_s = time.process_time(), server_cpu_s(), now_s
                self._send(sent, start_s + sent * self._every_s if sent >= warm else None)
                sent += 1
            due_s = start_s + sent * self._every_s if sent < ops else now_s + 1.0
            left_s = due_s - time.perf_counter()
            events = self._poll.poll(left_s - POLL_STEP_S if left_s > POLL_STEP_S else 0.0)
            for fd, _ in events:
                self._receive(fd)
            heard_s = time.perf_counter() if events else heard_s
            if time.perf_counter() - heard_s > STALL_S:
                raise Lost(f"{self._delivered} of {wanted} deliveries came, and then nothing")
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        server_s = server_cpu_s() - server_s
        gc.enable()
        found_s = list(self._found_s)
        while events := self._poll.poll(QUIET_S):
            for fd, _ in events:
                self._receive(fd)
        for fd, received in self._received.items():
            if received != ops:
                number = self._by_fd[fd].number
                raise Lost(f"client {number} received {received} ops of the {ops} that were sent")
        return Latencies(
            sorted(one * 1e3 for one in found_s), [one * 1e3 for one in self._late_s],
            took_s, cpu_s, server_s,
        )  # fmt: skip

    def _send(self, turn: int, due_s: float | None) -> None:
        """One op that was due then; None while the server warms up, which is not timed."""
        client = self._clients[turn % len(self._clients)]
        made = client.frames[client.sent]
        client.sent += 1
        (number,), _ = numbers_in(made)
        self._author[number] = client
        if due_s is not None:
            self._due_s[number] = due_s
            self._late_s.append(time.perf_counter() - due_s)
        client.socket.raw.sendall(made)

    def _receive(self, fd: int) -> None:
        client = self._by_fd[fd]
        try:
            received = client.socket.raw.recv(READ_BYTES)
        except BlockingIOError:
            return
        now_s = time.perf_counter()
        if not received:
            raise Lost(f"the server cut the connection of client {client.number}")
        numbers, self._rest[fd] = numbers_in(self._rest[fd] + received)
        self._delivered += len(numbers)
        self._received[fd] += len(numbers)
        for number in numbers:
            due_s = self._due_s.get(number)
            if due_s is not None and self._author[number] is not client:
                self._found_s.append(now_s - due_s)
