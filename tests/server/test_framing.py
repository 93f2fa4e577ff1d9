"""The short way of frames: it reads what the library reads, and leaves it the rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from crdtsync.protocol.codec import encode
from crdtsync.protocol.messages import Answers, Head, HeadRequest, Receipt
from crdtsync_server import framing, websocket
from crdtsync_server.framing import Deframer, header
from tests.server.serving import Wire, device, hello_of, push_of, serving, write

LIMIT_BYTES = 70_000


def masked(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """A client's frame, as the library writes it."""
    return Frame(opcode, data, fin).serialize(mask=True)


def read(stream: bytes, cuts: Sequence[int]) -> tuple[list[tuple[bool, bytes]], Deframer]:
    """What a deframer takes out of a stream that comes in these pieces."""
    deframer, found, last = Deframer(LIMIT_BYTES), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        if deframer.is_over:
            deframer.rest = bytes(deframer.rest) + stream[last:cut]
        else:
            found += deframer.take(stream[last:cut])
        last = cut
    return found, deframer


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([Opcode.BINARY, Opcode.BINARY, Opcode.PING, Opcode.PONG]),
        st.sampled_from([0, 1, 3, 125, 126, 127, 300, 65_535, 65_536]),
    ),
    max_size=6,
)


@given(MESSAGES, st.lists(st.integers(0, 200_000), max_size=8), st.integers(0, 2**32))
def test_whole_messages_come_out_as_they_were_put_in_however_they_are_cut(
    kinds: list[tuple[Opcode, int]], cuts: list[int], seed: int
) -> None:
    chance = random.Random(seed)
    sent, expected = b"", []
    for opcode, size_bytes in kinds:
        is_message = opcode is Opcode.BINARY
        data = chance.randbytes(size_bytes if is_message else min(size_bytes, 125))
        frame = masked(opcode, data)
        expected.append((True, data) if is_message else (False, frame))
        sent += frame
    found, deframer = read(sent, [cut for cut in cuts if cut <= len(sent)])
    assert found == expected
    assert not deframer.is_over
    assert not deframer.rest


def test_a_frame_that_trickles_in_byte_by_byte_is_read() -> None:
    data = random.Random(1).randbytes(300)
    frame = masked(Opcode.BINARY, data)
    found, deframer = read(frame * 2, range(1, 2 * len(frame)))
    assert found == [(True, data), (True, data)]
    assert not deframer.rest


@pytest.mark.parametrize(
    "other",
    [
        masked(Opcode.TEXT, b"text"),
        masked(Opcode.BINARY, b"part", fin=False),
        masked(Opcode.CONT, b"part"),
        masked(Opcode.BINARY, b"x" * (LIMIT_BYTES + 1)),
        Frame(Opcode.BINARY, b"without a mask").serialize(mask=False),
        b"\xc2" + masked(Opcode.BINARY, b"a reserved bit")[1:],
        b"\x89\xfe\x00\x80" + b"0000" + b"x" * 128,  # a ping that is too long
    ],
    ids=["text", "fragment", "continuation", "too large", "unmasked", "reserved", "long ping"],
)
def test_anything_else_is_left_to_the_library_byte_for_byte(other: bytes) -> None:
    before, after = masked(Opcode.BINARY, b"before"), masked(Opcode.BINARY, b"after")
    for cuts in ([], [len(before)], [len(before) + 1], [len(before) + 3]):
        found, deframer = read(before + other + after, cuts)
        assert found == [(True, b"before")]
        assert deframer.is_over
        assert bytes(deframer.rest) == other + after


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masks_are_taken_off_without_the_library_s_c_part_too(data: bytes, key: bytes) -> None:
    assert framing._unmask(framing.unmask(data, key), key) == data
    assert framing._unmask(data, key) == framing.unmask(data, key)


@pytest.mark.parametrize("size_bytes", [0, 125, 126, 65_535, 65_536, 100_000])
def test_headers_are_those_of_the_library(size_bytes: int) -> None:
    data = b"x" * size_bytes
    assert header(size_bytes) + data == Frame(Opcode.BINARY, data).serialize(mask=False)


async def test_pushes_in_one_piece_and_in_fragments_are_answered_alike(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        frames = [encode(push_of(write({"c/visits": "1"}))) for _ in range(6)]

        async def pieces(frame: bytes) -> AsyncIterator[bytes]:
            yield frame[:10]
            yield frame[10:]

        for n, frame in enumerate(frames):
            await kim.socket.send(pieces(frame) if n == 3 else frame)
        for _ in frames:
            answers = await kim.receive_a(Answers)
            assert [type(one) for one in answers.answers] == [Receipt]
        assert [entry.seq for entry in await kim.entries_to(6)] == [1, 2, 3, 4, 5, 6]


async def test_messages_keep_their_order_whichever_way_they_take(tmp_path: Path) -> None:
    """A push is taken as it comes, a question waits for the reader: neither overtakes."""
    async with serving(tmp_path) as server, device(server) as kim:
        for n in range(5):
            await kim.send(HeadRequest(n))
            await kim.send(push_of(write({"c/visits": "1"})))
            pong = await kim.socket.ping(f"{n}".encode())
            await asyncio.wait_for(pong, 30)
            assert (await kim.receive_a(Head)).request == n
            await kim.receive_a(Answers)
        assert [entry.seq for entry in await kim.entries_to(5)] == [1, 2, 3, 4, 5]


async def test_a_peer_that_sends_fragments_only_is_served_by_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the protocol needs the short way."""

    class Never(Deframer):
        def take(self, data: bytes) -> list[tuple[bool, bytes]]:
            self.is_over = True
            self.rest = data
            return []

    monkeypatch.setattr(websocket, "Deframer", Never)
    async with serving(tmp_path) as server, await Wire.open(server.url) as kim:
        welcome = await kim.greet(hello_of())
        await kim.page_all(welcome.paging)
        await kim.accept(write({"c/visits": "1"}))
        assert len(await kim.entries_to(1)) == 1
