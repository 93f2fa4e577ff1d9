"""Where the frames of a WebSocket begin and end, and which message each one carries."""

from __future__ import annotations

CONTROL = {8: "(close)", 9: "(ping)", 10: "(pong)"}


class Splitter:
    """Cuts one direction of a WebSocket into its HTTP head and its frames (RFC 6455, 5.2)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._upgraded = False

    def feed(self, data: bytes) -> list[tuple[str | None, bytes]]:
        """What is complete now: (None, the head) or (name of the message, its frame)."""
        self._buffer += data
        found: list[tuple[str | None, bytes]] = []
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return found
            found.append((None, self._take(end + 4)))
            self._upgraded = True
        while (size := self._frame_size()) is not None:
            frame = self._take(size)
            found.append((message_name(frame), frame))
        return found

    def _take(self, size: int) -> bytes:
        part = bytes(self._buffer[:size])
        del self._buffer[:size]
        return part

    def _frame_size(self) -> int | None:
        if len(self._buffer) < 2:
            return None
        head, length = head_and_length(self._buffer)
        if length is None or len(self._buffer) < head + length:
            return None
        return head + length


def head_and_length(data: bytes | bytearray) -> tuple[int, int | None]:
    """The size of a frame's header (its mask included) and of its payload, if known."""
    short = data[1] & 0x7F
    mask = 4 if data[1] & 0x80 else 0
    if short < 126:
        return 2 + mask, short
    wide = 2 if short == 126 else 8
    if len(data) < 2 + wide:
        return 2 + wide + mask, None
    return 2 + wide + mask, int.from_bytes(data[2 : 2 + wide], "big")


def message_name(frame: bytes) -> str:
    """The tag of the msgpack array in a binary frame, or the kind of a control frame."""
    opcode = frame[0] & 0x0F
    if opcode != 2:
        return CONTROL.get(opcode, "(text)")
    head, _ = head_and_length(frame)
    start = frame[head : head + 64]
    if frame[1] & 0x80:
        mask = frame[head - 4 : head]
        start = bytes(byte ^ mask[n % 4] for n, byte in enumerate(start))
    at = {0xDC: 3, 0xDD: 5}.get(start[0], 1) if start else 0
    if at >= len(start) or not 0xA0 <= start[at] <= 0xBF:
        return "(unreadable)"
    return start[at + 1 : at + 1 + (start[at] & 0x1F)].decode(errors="replace")
