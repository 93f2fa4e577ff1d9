"""A WebSocket client that costs next to nothing: for a load generator, not for anything else.

Frames are masked with a key of zeros, so that a payload is its own masked form and can be
made ready before a clock runs; the server does the same work for it as for any other key.
"""

from __future__ import annotations

import base64
import os
import socket

BINARY, CLOSE = 0x2, 0x8
FIN, MASKED = 0x80, 0x80
SHORT, TWO_BYTES, EIGHT_BYTES = 125, 126, 127
ZERO_KEY = bytes(4)
READ_BYTES = 65_536
ANSWER_TIMEOUT_S = 30.0


class Refused(Exception):
    """The server did not open, or closed, the connection; says what it answered."""


def frame(payload: bytes, kind: int = BINARY) -> bytes:
    """One message as a client sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size <= SHORT:
        head = bytes((FIN | kind, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FIN | kind, MASKED | TWO_BYTES)) + size.to_bytes(2, "big")
    else:
        head = bytes((FIN | kind, MASKED | EIGHT_BYTES)) + size.to_bytes(8, "big")
    return head + ZERO_KEY + payload


def first_frame(received: bytes) -> tuple[tuple[int, bytes] | None, int]:
    """The first frame of a server as (kind, payload) with its size; None if it is not whole."""
    if len(received) < 2:
        return None, 0
    kind, size, start = received[0] & 0x0F, received[1] & 0x7F, 2
    if size >= TWO_BYTES:
        start += 2 if size == TWO_BYTES else 8
        size = int.from_bytes(received[2:start], "big")
    if len(received) < start + size:
        return None, 0
    return (kind, received[start : start + size]), start + size


class Socket:
    """One connection: blocking while it is set up, without blocking under load."""

    def __init__(self, port: int) -> None:
        self.raw = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask_to_open(self, path: str, subprotocol: str | None) -> None:
        """Send the opening handshake; ``opened`` reads the answer."""
        key = base64.b64encode(os.urandom(16)).decode()
        spoken = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        self.raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n{spoken}"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def opened(self) -> None:
        """Read the answer to the opening handshake. Raises Refused."""
        while b"\r\n\r\n" not in self._rest:
            self._read()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise Refused(head.splitlines()[0].decode(errors="replace"))

    def send(self, payload: bytes) -> None:
        """Send one message, waiting until it is taken."""
        self.raw.sendall(frame(payload))

    def message(self) -> bytes:
        """The next message of the server, waiting for it. Raises Refused."""
        while True:
            found, size = first_frame(self._rest)
            if found is None:
                self._read()
                continue
            self._rest = self._rest[size:]
            kind, payload = found
            if kind == CLOSE:
                raise Refused(f"the server closed: {payload[2:].decode(errors='replace')}")
            if kind == BINARY:
                return payload

    def rest(self) -> bytes:
        """What arrived behind the last message that was read; taken once."""
        rest, self._rest = self._rest, b""
        return rest

    def _read(self) -> None:
        received = self.raw.recv(READ_BYTES)
        if not received:
            raise Refused("the server cut the connection")
        self._rest += received
