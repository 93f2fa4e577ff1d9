"""Frames: what comes in is a message or a ``ProtocolError`` in words, never anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtsync.protocol.codec import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_SERVER_FRAME_BYTES,
    decode_client,
    decode_server,
    encode,
)
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    Landmark,
    Ping,
    Push,
    PushedOp,
    Receipt,
    SnapshotPage,
)
from tests.replica.scripted_server import Ledger
from tests.replica.wards import POLICY, foreign_op


def examples() -> list[bytes]:
    """Real frames of the server."""
    ledger = Ledger(POLICY)
    for n in range(5):
        ledger.accept(foreign_op(f"p{n}", {"r/name": '"김민지"', "c/visits": "1"}))
    return [
        encode(ledger.since(0)),
        encode(Answers("r", tuple(ledger.receipts.values()))),
        encode(SnapshotPage(1, ledger.rows(), None, ledger.head, 0)),
        encode(Ping(1)),
    ]


FRAMES = examples()


def test_a_message_survives_the_way() -> None:
    op = foreign_op("p1", {"r/name": '"김"'})
    push = Push("r", (PushedOp(op, None, 1, 1),))
    assert decode_client(encode(push)) == push
    for frame in FRAMES:
        assert encode(decode_server(frame)) == frame


@pytest.mark.parametrize("decode", [decode_client, decode_server])
@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"\x90",
        b"\x91\xa4nope",
        b"\x92\xa4ping\xa1x",
        b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x92\xa4ping\xd9\x02\xff\xfe",
        b"\x92\xa4ping\x01\x00",
        msgspec.msgpack.encode({"ping": 1}),
        msgspec.msgpack.encode(["changes", [[7, 1, b""]]]),
    ],
)
def test_garbage_is_a_protocol_error(decode: Callable[[object], object], frame: bytes) -> None:
    with pytest.raises(ProtocolError, match="frame"):
        decode(frame)


@pytest.mark.parametrize("frame", ["text", None, 7, ["ping", 1]])
def test_what_is_not_binary_is_refused(frame: object) -> None:
    for decode in (decode_client, decode_server):
        with pytest.raises(ProtocolError, match="binary frames only"):
            decode(frame)


def test_a_frame_that_is_too_large_is_not_read() -> None:
    with pytest.raises(ProtocolError, match="limit"):
        decode_client(bytes(MAX_CLIENT_FRAME_BYTES + 1))
    with pytest.raises(ProtocolError, match="limit"):
        decode_server(bytes(MAX_SERVER_FRAME_BYTES + 1))


@given(
    frame=st.sampled_from(FRAMES),
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 5_000),
)
@settings(max_examples=400, deadline=None)
def test_damaged_frames_are_messages_or_protocol_errors(
    frame: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(frame)
    for place, byte in changes:
        data[place % len(data)] = byte
    with contextlib.suppress(ProtocolError):
        decode_server(bytes(data[: len(data) - cut % 3]))


@given(st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_messages_or_protocol_errors(data: bytes) -> None:
    for decode in (decode_server, decode_client):
        with contextlib.suppress(ProtocolError):
            decode(data)


def test_fields_that_a_newer_peer_adds_at_the_end_are_passed_over() -> None:
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(Receipt("o", 1, 2, {})))
    message = msgspec.msgpack.encode(["answers", "r", [[*plain, "new", 7]], "newer still"])
    decoded = decode_server(message)
    assert decoded == Answers("r", (Receipt("o", 1, 2, {}),))
    ping = msgspec.msgpack.encode(["ping", 5, {"more": 1}])
    assert decode_client(ping) == Ping(5)
    assert isinstance(decode_server(encode(Changes(()))), Changes)
    assert Landmark(1, b"").seq == 1
