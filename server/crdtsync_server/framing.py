"""WebSocket frames as bytes (RFC 6455, 5.2): what most of them look like, and nothing else.

Nearly every frame of crdtsync.v1 is one whole binary message. Those are taken apart and put
together here, in a fraction of the time that a parser of the whole standard needs; whatever
else a peer sends is that parser's (websocket.py).
"""

from __future__ import annotations

from collections.abc import Callable

BINARY = 0x82
"""The first byte of a frame that is one whole binary message."""

CONTROL = frozenset({0x88, 0x89, 0x8A})
"""First bytes of a close, a ping and a pong."""

MASKED = 0x80
"""In the second byte of whatever a client sends."""

SHORT = 126
"""Payloads from this size on have their length in two bytes, from 65,536 on in eight."""

KEY_BYTES = 4

Unmask = Callable[[bytes, bytes], bytes]


def _unmask(data: bytes, key: bytes) -> bytes:
    size_bytes = len(data)
    stream = (key * (size_bytes // KEY_BYTES + 1))[:size_bytes]
    number = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return number.to_bytes(size_bytes, "little")


try:
    from websockets.speedups import apply_mask as _fast

    unmask: Unmask = _fast
except ImportError:  # pragma: no cover - websockets was built without its C part
    unmask = _unmask


def header(size_bytes: int) -> bytes:
    """What goes before a binary message of a server."""
    if size_bytes < SHORT:
        return bytes((BINARY, size_bytes))
    if size_bytes < 65_536:
        return b"\x82\x7e" + size_bytes.to_bytes(2, "big")
    return b"\x82\x7f" + size_bytes.to_bytes(8, "big")


def _extent(data: bytes | bytearray, at: int, limit_bytes: int) -> tuple[int, int]:
    """(bytes of the head, bytes of the payload) of the frame at ``at``.

    The head is ``UNKNOWN`` where it is not there yet, and ``OTHER`` where the frame is
    neither a whole binary message within the limit nor a control frame.
    """
    left_bytes = len(data) - at
    if left_bytes < 2:
        return UNKNOWN, 0
    first, size_bytes, head_bytes = data[at], data[at + 1] - MASKED, 2 + KEY_BYTES
    if size_bytes < 0 or (first != BINARY and (first not in CONTROL or size_bytes >= SHORT)):
        return OTHER, 0
    if size_bytes >= SHORT:
        head_bytes = 8 if size_bytes == SHORT else 14
        if left_bytes < head_bytes:
            return UNKNOWN, 0
        size_bytes = int.from_bytes(data[at + 2 : at + head_bytes - KEY_BYTES], "big")
        if size_bytes > limit_bytes:
            return OTHER, 0
    return head_bytes, size_bytes


UNKNOWN, OTHER = 0, -1


class Deframer:
    """Takes whole binary messages out of a stream of masked frames.

    At the first byte of anything else (a text, a fragment, a frame without a mask or beyond
    the limit) it stops for good: ``is_over`` is set, and ``rest`` is what is left for a
    parser of the whole standard.
    """

    __slots__ = ("_limit_bytes", "is_over", "rest")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.rest: bytes | bytearray = b""
        self.is_over = False

    def take(self, data: bytes) -> list[tuple[bool, bytes]]:
        """What is complete with these bytes: (True, payload) of each message, and
        (False, the whole frame as it came) of a control frame."""
        if self.rest:
            rest = self.rest
            if not isinstance(rest, bytearray):
                # A frame that trickles in must not be copied with every byte of it.
                rest = self.rest = bytearray(rest)
            rest += data
            head_bytes, size_bytes = _extent(rest, 0, self._limit_bytes)
            if head_bytes == UNKNOWN or len(rest) < head_bytes + size_bytes:
                return []
            data = bytes(rest)
        found: list[tuple[bool, bytes]] = []
        at, end = 0, len(data)
        while at < end:
            head_bytes, size_bytes = _extent(data, at, self._limit_bytes)
            start = at + head_bytes
            if head_bytes <= 0 or end < start + size_bytes:
                self.is_over = head_bytes == OTHER
                break
            if data[at] == BINARY:
                payload = data[start : start + size_bytes]
                found.append((True, unmask(payload, data[start - KEY_BYTES : start])))
            else:
                found.append((False, data[at : start + size_bytes]))
            at = start + size_bytes
        self.rest = data[at:]
        return found
