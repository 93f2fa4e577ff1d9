"""Handing out the log: order, shared frames, slow readers, fencing."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crdtsync.documents.state import LogEntry, Stub
from crdtsync.protocol import close_codes
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    CursorReport,
    Head,
    HeadRequest,
    Landmark,
    Limits,
    Ping,
    Pong,
    Receipt,
    Receipts,
    ReceiptsRequest,
    Refused,
    Welcome,
)
from crdtsync.protocol.server_session import ServerSession
from crdtsync_server import hub, sending
from crdtsync_server.connection import Connection
from crdtsync_server.settings import Timeouts
from crdtsync_server.storage.reading import read_log
from crdtsync_server.work import Published
from tests.server.serving import (
    START_US,
    Wire,
    device,
    hello_of,
    new_id,
    push_of,
    rows_of,
    serving,
    write,
)
from tests.server.test_group_faults import faulty_store


async def test_every_reader_gets_every_entry_once_and_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        async with device(server, "a") as a, device(server, "b") as b, device(server, "c") as c:
            writers = [(a, "a"), (b, "b"), (c, "c")]
            for _ in range(10):
                await asyncio.gather(
                    *[w.accept(write({"c/visits": "1"}, user=user)) for w, user in writers]
                )
            logs = [await wire.entries_to(30) for wire, _ in writers]
        for log in logs:
            assert [entry.seq for entry in log] == list(range(1, 31))
        assert logs[0] == logs[1] == logs[2]


async def test_a_reader_that_was_away_catches_up_from_its_cursor(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        for _ in range(5):
            await kim.accept(write({"c/visits": "1"}))
        entry = (await kim.entries_to(5))[1]
        cursor = Landmark(entry.seq, entry.digest)
        async with device(server, "lee", cursor=cursor) as lee:
            assert [one.seq for one in await lee.entries_to(5)] == [3, 4, 5]
            await kim.accept(write({"c/visits": "1"}))
            assert [one.seq for one in await lee.entries_to(6)] == [3, 4, 5, 6]


async def test_spaces_do_not_see_each_other(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as server,
        device(server) as here,
        device(server, space="ward-4") as there,
    ):
        await here.accept(write({"r/name": '"here"'}))
        receipt = await there.accept(write({"r/name": '"there"'}))
        assert receipt.seq == 1
        (entry,) = await there.entries_to(1)
        assert entry.writes == {"r/name": ('"there"',)}


def small_socket(port: int) -> socket.socket:
    """A client socket that takes little before the server has to wait."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    one.connect(("127.0.0.1", port))
    one.setblocking(False)
    return one


async def slow_wire(server: Any, user: str) -> Wire:
    wire = await Wire.open(server.url, sock=small_socket(server.port), max_queue=1)
    await wire.greet(hello_of(user))
    return wire


async def push_megabytes(wire: Wire, count: int) -> None:
    for n in range(count):
        ops = [write({"r/note": '"' + "x" * 50_000 + '"'}, record=f"n{n}-{m}") for m in range(16)]
        answers = await wire.push(*ops)
        assert {type(answer) for answer in answers} == {Receipt}


async def test_a_slow_reader_falls_back_to_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: nothing is buffered per reader, and nothing is lost for it."""
    monkeypatch.setattr(hub, "TAIL_BYTES", 100_000)
    pages: list[int] = []

    def counted(*arguments: Any) -> Any:
        pages.append(arguments[-1])
        return read_log(*arguments)

    monkeypatch.setattr(sending, "read_log", counted)
    async with serving(tmp_path) as server, device(server) as kim:
        async with await slow_wire(server, "lee") as lee:
            for _ in range(5):
                await kim.accept(write({"c/visits": "1"}))
            await lee.entries_to(5)
            assert pages == [], "whoever keeps up reads nothing from the log"
            await push_megabytes(kim, 12)
            entries = await lee.entries_to(197)
        assert pages != []
        assert [entry.seq for entry in entries] == list(range(1, 198))


async def test_a_reader_that_reads_nothing_is_dropped_as_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = asyncio.Event()
    too_slow = ServerSession.too_slow

    def seen(session: ServerSession) -> Any:
        dropped.set()
        return too_slow(session)

    monkeypatch.setattr(ServerSession, "too_slow", seen)
    options = {"timeouts": Timeouts(0.3, 30.0, 5.0), "limits": Limits(heartbeat_ms=200)}
    async with (
        serving(tmp_path, **options) as server,
        device(server) as kim,
        await slow_wire(server, "lee") as lee,
    ):
        await push_megabytes(kim, 12)
        await dropped.wait()
        # One dead peer does not end the room.
        await kim.accept(write({"c/visits": "1"}))
        assert await lee.closed() == close_codes.TOO_SLOW


async def test_a_peer_that_never_reads_again_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = asyncio.Event()
    ended = Connection._log_end

    def seen(one: Connection) -> None:
        ended(one)
        cut.set()

    options = {"timeouts": Timeouts(0.2, 0.2, 5.0), "limits": Limits(heartbeat_ms=200)}
    async with serving(tmp_path, **options) as server, device(server) as kim:
        lee = await slow_wire(server, "lee")
        monkeypatch.setattr(Connection, "_log_end", seen)
        await push_megabytes(kim, 12)
        await cut.wait()
        await kim.accept(write({"c/visits": "1"}))
        assert await lee.closed() in (None, close_codes.TOO_SLOW)


def masked_ping() -> bytes:
    """A ping of 125 bytes, as a client sends it."""
    return bytes((0x89, 0x80 | 125, 0, 0, 0, 0)) + b"x" * 125


async def test_pings_of_a_peer_that_reads_nothing_fill_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9, for somebody who has not even signed in."""
    looked_at_all = asyncio.Event()
    authenticate = Connection._authenticate

    async def seen(one: Connection, action: Any) -> None:
        looked_at_all.set()
        await authenticate(one, action)

    monkeypatch.setattr(Connection, "_authenticate", seen)
    async with serving(tmp_path, now_us=lambda: START_US) as server:
        wire = await Wire.open(server.url, sock=small_socket(server.port), max_queue=1)
        wire.socket.transport.pause_reading()
        (connection,) = server.service._connections
        assert connection._wire is not None
        for _ in range(100):
            wire.socket.transport.write(masked_ping() * 1_000)
            await asyncio.sleep(0)
        await wire.send(hello_of())
        await looked_at_all.wait()
        waiting_bytes = connection._wire.transport.get_write_buffer_size()
        assert waiting_bytes < 2 * 1_048_576, "of 12 megabytes of pongs"
        # Whoever reads again is served and answered.
        wire.socket.transport.resume_reading()
        await wire.receive_a(Welcome)
        await (await wire.socket.ping())
        await wire.socket.close()


async def test_a_server_stops_although_a_peer_does_not_read(tmp_path: Path) -> None:
    options = {"timeouts": Timeouts(30.0, 30.0, 0.2)}
    async with serving(tmp_path, **options) as server, device(server) as kim:
        lee = await slow_wire(server, "lee")
        await push_megabytes(kim, 12)
    assert await lee.closed() is None


async def test_a_silent_peer_is_pinged_and_then_dropped(tmp_path: Path) -> None:
    limits = Limits(heartbeat_ms=50, silence_ms=200)
    at_us = [1_700_000_000_000_000]
    async with (
        serving(tmp_path, limits=limits, now_us=lambda: at_us[0]) as server,
        await Wire.open(server.url) as wire,
    ):
        await wire.greet(hello_of())
        at_us[0] += 60_000
        assert isinstance(await wire.receive(), Ping)
        at_us[0] += 200_000
        while isinstance(message := await wire.receive(), Ping):
            pass
        assert message.code == close_codes.SILENT  # type: ignore[union-attr]
        assert await wire.closed() == close_codes.SILENT


async def test_a_ping_of_the_replica_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.send(Ping(5))
        assert (await wire.receive_a(Pong)).sent_us == 5


async def test_a_head_request_names_the_committed_head(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
        (entry,) = await wire.entries_to(1)
        await wire.send(HeadRequest(4))
        assert await wire.receive_a(Head) == Head(4, Landmark(1, entry.digest))


async def test_a_newer_connection_of_a_replica_closes_the_older_one(tmp_path: Path) -> None:
    replica = {"replica_id": new_id(), "run": new_id()}
    async with (
        serving(tmp_path) as server,
        device(server, **replica) as old,
        device(server, "lee") as other,
        device(server, **replica) as new,
    ):
        assert (await old.goodbye()).code == close_codes.REPLACED
        await new.accept(write({"c/visits": "1"}))
        await other.entries_to(1)


async def test_nothing_of_a_fenced_connection_is_accepted_afterwards(tmp_path: Path) -> None:
    """What a person discards on a fresh connection must not be accepted behind their back."""
    store, writer = faulty_store(tmp_path)
    replica = {"replica_id": new_id(), "run": new_id()}
    async with serving(tmp_path, store=store) as server, device(server, **replica) as old:
        op = write({"c/visits": "1"})
        writer.entered.clear()
        writer.gate.clear()
        first = push_of(write({"r/name": '"in the group at the gate"'}))
        await old.send(first)
        await writer.entered.wait()
        # These wait for the next group, and the hello of the new connection too.
        await old.send(push_of(op))
        await old.send(HeadRequest(1))
        await old.receive_a(Head)
        async with await Wire.open(server.url) as new:
            await new.send(hello_of(**replica))
            # Its hello was read before this second one of another replica is answered below.
            writer.gate.set()
            answers = [await old.receive_a(Answers)]
            assert answers[0].request_id == first.request_id
            await new.receive()
            asked = (first.ops[0].op.op_id, op.op_id)
            await new.send(ReceiptsRequest(1, asked))
            before = await new.receive_a(Receipts)
            accepted = {receipt.op_id for receipt in before.receipts}
            assert first.ops[0].op.op_id in accepted
    logged = {row[0] for row in rows_of(tmp_path, "SELECT hex(op_id) FROM receipts")}
    expected = {op_id.replace("-", "").upper() for op_id in accepted}
    assert logged == expected, "what the fresh connection was told is what holds"


async def test_a_copied_replica_file_is_noticed(tmp_path: Path) -> None:
    replica_id, first, second = new_id(), new_id(), new_id()
    async with serving(tmp_path) as server:
        async with device(server, replica_id=replica_id, run=first):
            pass
        async with device(server, replica_id=replica_id, run=second, previous_runs=(first,)):
            pass
        async with await Wire.open(server.url) as copy:
            # The copy was taken before the second run, and knows nothing of it.
            hello = hello_of(replica_id=replica_id, run=new_id(), previous_runs=(first,))
            refused = await copy.refused(hello)
            assert refused.code == "replica_copied"
            assert (refused.retry, refused.retry_after_ms) == (True, 0)
        async with device(server, replica_id=new_id(), run=hello.run) as copy:
            await copy.accept(write({"c/visits": "1"}))
        async with device(server, replica_id=replica_id, run=second):
            pass


async def test_a_refused_copy_does_not_close_the_connection_of_the_original(
    tmp_path: Path,
) -> None:
    replica_id, run = new_id(), new_id()
    async with serving(tmp_path) as server, device(server, replica_id=replica_id, run=run) as old:
        async with await Wire.open(server.url) as copy:
            refused = await copy.refused(hello_of(replica_id=replica_id))
            assert isinstance(refused, Refused)
        await old.accept(write({"c/visits": "1"}))


async def test_no_pushes_before_the_first_sync_is_done(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await kim.accept(write({"c/visits": "1"}))
        async with await Wire.open(server.url) as wire:
            assert (await wire.greet(hello_of("lee"))).paging is not None
            await wire.send(push_of(write({"c/visits": "1"}, user="lee")))
            assert (await wire.goodbye()).code == close_codes.PROTOCOL_ERROR
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_more_ops_in_flight_than_the_window_end_the_connection(tmp_path: Path) -> None:
    store, writer = faulty_store(tmp_path)
    limits = Limits(ops_in_flight=2)
    async with serving(tmp_path, store=store, limits=limits) as server, device(server) as wire:
        writer.entered.clear()
        writer.gate.clear()
        for _ in range(3):
            await wire.send(push_of(write({"c/visits": "1"})))
        goodbye = await wire.goodbye()
        writer.gate.set()
        assert goodbye.code == close_codes.PROTOCOL_ERROR
        assert "in flight" in goodbye.words


async def test_a_cursor_report_is_stored_with_what_is_left_to_send(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1))
        await wire.accept(write({"c/visits": "1"}))
    (row,) = rows_of(tmp_path, "SELECT cursor_seq, user, device, outbox FROM replicas")
    assert row[:3] == (1, "kim", "a test")
    assert row[3] == b"\x95\x00\x00\x00\x00\x80"


def test_frames_are_built_once_and_split_at_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "FRAME_BYTES", 300)
    entries = [
        LogEntry(n, b"d", new_id(), "kim", "patient", "p", 0, 0, 0, {}, (), {}, 0)
        for n in range(1, 8)
    ]
    feed = hub.Feed("ward-3", Landmark(0, b""))
    encoded = [msgspec.msgpack.encode(entry) for entry in entries]
    feed.publish(Published("ward", 1, encoded, Landmark(7, b"d")))
    seq, found = 0, list[LogEntry | Stub]()
    while (frame := feed.frame_after(seq)) is not None:
        message = decode_server(frame.data)
        assert isinstance(message, Changes)
        assert len(encode(message)) <= len(frame.data)
        found += message.entries
        seq = frame.last_seq
    assert found == entries
    assert len(feed._frames) > 1


class Quiet:
    """A reader that takes nothing."""

    replica_id = ""

    def wake(self) -> None:
        """Nothing to do."""

    def fence(self) -> None:
        """Nothing to do."""


def test_recent_frames_of_all_spaces_together_are_bounded() -> None:
    """Invariant 9: a reader in each of a thousand spaces that fill up one after the other."""
    rooms = hub.Hub()
    readers = [(f"ward-{n}", Quiet()) for n in range(1_000)]
    feeds = [rooms.join(space, reader, Landmark(0, b"")) for space, reader in readers]
    big = [bytes(hub.FRAME_BYTES)]
    for seq in (1, 2):
        for space, _ in readers:
            rooms.publish(Published(space, seq, big, Landmark(seq, b"d")))
            kept_bytes = sum(len(one.data) for feed in feeds for one in feed._frames.values())
            assert kept_bytes <= hub.TAILS_BYTES
    assert [feed.head.seq for feed in feeds] == [2] * len(feeds)
    assert feeds[-1].frame_after(1) is not None
    assert feeds[0].frame_after(1) is None, "silent for longest: its readers read the log"
    for space, reader in readers:
        rooms.leave(space, reader)
    assert (rooms._tails, rooms._tails_bytes) == ({}, 0)


async def test_who_finds_no_recent_frames_reads_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "TAILS_BYTES", 0)
    async with (
        serving(tmp_path) as server,
        device(server) as here,
        device(server, space="ward-4") as there,
    ):
        for _ in range(5):
            await asyncio.gather(
                here.push(write({"c/visits": "1"})), there.push(write({"c/visits": "1"}))
            )
        for wire in (here, there):
            assert [one.seq for one in await wire.entries_to(5)] == [1, 2, 3, 4, 5]
