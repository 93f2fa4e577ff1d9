"""Frames: msgpack to messages and back.

Decoding is strict in types and bounded in size before anything is read, and
every failure is a ``ProtocolError`` that says what was wrong with the frame.
"""

from __future__ import annotations

import msgspec

from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import ClientMessage, Message, ServerMessage

MAX_CLIENT_FRAME_BYTES = 1_048_576
"""What a server reads at once. The largest op is half of it."""

MAX_SERVER_FRAME_BYTES = 16 * 1_048_576
"""What a replica reads at once: a page of snapshots with one very large record."""

_BYTES = (bytes, bytearray, memoryview)
_ENCODER = msgspec.msgpack.Encoder()
_CLIENT: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_SERVER: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)


def encode(message: Message) -> bytes:
    """The frame of a message."""
    return _ENCODER.encode(message)


def decode_client(frame: object) -> ClientMessage:
    """Read a frame that a replica sent."""
    data = _binary(frame, MAX_CLIENT_FRAME_BYTES)
    try:
        return _CLIENT.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _unreadable(error) from error


def decode_server(frame: object) -> ServerMessage:
    """Read a frame that a server sent."""
    data = _binary(frame, MAX_SERVER_FRAME_BYTES)
    try:
        return _SERVER.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _unreadable(error) from error


def _binary(frame: object, limit_bytes: int) -> bytes:
    if not isinstance(frame, _BYTES):
        raise ProtocolError("a text frame arrived; crdtsync.v1 speaks binary frames only")
    if len(frame) > limit_bytes:
        raise ProtocolError(f"a frame of {len(frame)} bytes arrived; the limit is {limit_bytes}")
    return bytes(frame)


def _unreadable(error: Exception) -> ProtocolError:
    return ProtocolError(f"a frame could not be read as a message of crdtsync.v1: {error}")
