"""The load generator of live sync: what it sends, what it counts, and what it notices."""

from __future__ import annotations

import socket
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pycrdt import Doc, Map

from benchmarks.live import latency, load
from benchmarks.live.counting import Occurrences
from benchmarks.live.dialects import (
    MARKER,
    Crdtsync,
    Hocuspocus,
    Lost,
    updates_of,
    value_of,
    var_uint,
)
from benchmarks.live.latency import numbers_in
from benchmarks.live.measures import idle, throughput
from benchmarks.live.measures import latency as measure_latency
from benchmarks.live.processes import NotStarted
from benchmarks.live.sockets import first_frame, frame
from crdtsync.protocol.codec import decode_client, decode_server, encode
from crdtsync.protocol.messages import (
    Answers,
    Head,
    HeadRequest,
    Landmark,
    Push,
    Receipt,
    Receipts,
    ReceiptsRequest,
)


def in_pieces(whole: bytes, size: int) -> list[bytes]:
    return [whole[place : place + size] for place in range(0, len(whole), size)]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 64])
def test_markers_are_counted_wherever_the_stream_is_cut(size: int) -> None:
    whole = b"~live" + MARKER + b"x" + MARKER + MARKER + b"~~live@" + b"y" * 70 + MARKER + b"~live"
    buffer, counted = bytearray(100), Occurrences(MARKER)
    for piece in in_pieces(whole, size):
        buffer[: len(piece)] = piece
        counted.add(buffer, len(piece))
    assert counted.seen == whole.count(MARKER) == 5


def test_what_the_buffer_held_before_is_not_counted() -> None:
    buffer, counted = bytearray(MARKER * 3), Occurrences(MARKER)
    assert counted.add(buffer, len(MARKER) + 2) == 1
    assert counted.add(buffer, 0) == 0


def test_a_marker_that_overlaps_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="overlaps itself"):
        Occurrences(b"abca")


@pytest.mark.parametrize("size", [1, 3, 13, 14, 15, 200])
def test_the_numbers_of_ops_are_read_wherever_the_stream_is_cut(size: int) -> None:
    whole = b"".join(b"\x01" + value_of(number).encode() for number in (7, 70_000_001, 0, 12))
    found: list[int] = []
    rest = b""
    for piece in in_pieces(whole, size):
        numbers, rest = numbers_in(rest + piece)
        found += numbers
    assert found == [7, 70_000_001, 0, 12]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_hold_their_payload(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    sent = frame(payload)
    assert sent.endswith(payload)
    # A server's frame is a client's without the mask's bit and its four bytes.
    head = sent[: len(sent) - size - 4]
    received = bytes((head[0], head[1] & 0x7F)) + head[2:] + payload
    assert first_frame(received + b"more") == ((2, payload), len(received))
    assert first_frame(received[:-1] if size else received[:1]) == (None, 0)


@pytest.mark.parametrize("ops", [1, 100])
def test_the_updates_of_a_client_are_one_history_with_one_marker_an_op(ops: int) -> None:
    made = updates_of(3, 500, 4, ops)
    document: Doc[Any] = Doc()
    for update in made:
        assert update.count(MARKER) == ops
        document.apply_update(update)
    values = document.get("values", type=Map).to_py()
    assert values is not None
    assert len(values) == min(4 * ops, 200)
    assert values["p-3-0"] == value_of(500 if ops == 1 else 700)


def test_pushes_name_the_value_that_they_replace_and_carry_one_marker_an_op() -> None:
    made = Crdtsync().messages(2, "space-00", 0, 21, 1)
    pushes = [decode_client(message) for message in made]
    assert all(message.count(MARKER) == 1 for message in made)
    assert isinstance(pushes[0], Push)
    assert isinstance(pushes[20], Push)
    first, again = pushes[0].ops[0].op, pushes[20].ops[0].op
    assert first.record == again.record
    assert [seen.op_id for seen in again.writes["r/phone"].supersedes] == [first.op_id]


def test_every_receipt_holds_its_marker_once() -> None:
    receipt = Receipt(str(uuid.uuid4()), 5, 1, {"r/phone": "applied"})
    answers = encode(Answers(str(uuid.uuid4()), (receipt, receipt)))
    assert answers.count(Crdtsync.receipt or b"") == 2
    assert Hocuspocus.receipt == var_uint(8) + b"space-00" + b"\x08\x01"


class FakeSocket:
    """A server that knows ``known`` op_ids and has ``head`` entries."""

    def __init__(self, head: int, known: int) -> None:
        self._head, self._known = head, known
        self._answers: list[bytes] = []

    def send(self, payload: bytes) -> None:
        asked = decode_client(payload)
        if isinstance(asked, HeadRequest):
            answer = encode(Head(asked.request, Landmark(self._head, b"")))
        else:
            assert isinstance(asked, ReceiptsRequest)
            found = tuple(Receipt(one, 1, 1, {}) for one in asked.op_ids[: self._known])
            answer = encode(Receipts(asked.request, found))
        assert decode_server(answer)
        self._answers.append(answer)

    def message(self) -> bytes:
        return self._answers.pop(0)


@pytest.mark.parametrize(
    ("head", "known", "is_right"), [(6, 6, True), (7, 6, False), (6, 5, False)]
)
def test_a_log_that_is_not_exactly_what_was_sent_is_noticed(
    head: int, known: int, is_right: bool
) -> None:
    dialect = Crdtsync()
    dialect.messages(0, "space-00", 0, 5, 2)
    socket: Any = FakeSocket(head, known)
    if is_right:
        dialect.check(socket, "space-00", [(0, 3)])
    else:
        with pytest.raises(Lost, match=f"6 ops were sent, the log has {head}, and {known}"):
            dialect.check(socket, "space-00", [(0, 3)])


def drive(fault: str) -> dict[str, float]:
    return throughput(
        {
            "dialect": "bare updates", "clients": 3, "spaces": 1, "ops_per_frame": 1,
            "window": 16, "warm_s": 0, "seconds": 5, "most_ops": 30,
            "server_command": [sys.executable, "-m", "tests.benchmarks.careless_server", fault],
        }
    )  # fmt: skip


def test_a_server_that_does_its_work_is_measured() -> None:
    found = drive("nothing")
    assert found["ops_per_s"] > 0
    assert found["bytes_per_delivery"] > len(MARKER)
    assert found["server_memory_bytes"] > 1_000_000


def test_a_server_that_loses_an_op_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "STALL_S", 0.5)
    with pytest.raises(Lost, match="87 of 90 deliveries"):
        drive("lose")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the delivery too many may take its time."""
    monkeypatch.setattr(load, "QUIET_S", 3.0)
    monkeypatch.setattr(latency, "QUIET_S", 3.0)


@pytest.mark.usefixtures("patient")
def test_a_server_that_delivers_an_op_twice_is_noticed() -> None:
    with pytest.raises(Lost, match="received 31 ops of the 30"):
        drive("double")


@pytest.mark.usefixtures("patient")
def test_a_server_that_delivers_twice_is_noticed_where_latencies_are_measured() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.careless_server", "double"]
    params = {
        "dialect": "bare updates", "clients": 3, "ops_per_s": 1_000, "seconds": 0.03, "warm_s": 0.0,
    }  # fmt: skip
    with pytest.raises(Lost, match="received 31 ops of the 30"):
        measure_latency({**params, "server_command": command})


def test_a_server_that_does_not_start_is_told_with_its_complaint() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no disk today')"]
    with pytest.raises(NotStarted, match="no disk today"):
        idle({"dialect": "bare updates", "clients": 1, "spaces": 1, "server_command": command})


def test_shares_of_latencies_are_those_of_the_sorted_list() -> None:
    found = latency.Latencies([float(ms) for ms in range(1, 101)], [], 1.0, 0.1, 0.1)
    assert (found.at(0.5), found.at(0.99), found.at(1.0)) == (50.0, 99.0, 100.0)


def test_an_op_that_is_sent_late_is_timed_from_when_it_was_due() -> None:
    clients, theirs = [], []
    for place in range(2):
        ours, other = socket.socketpair()
        theirs.append(other)
        clients.append(load.Client(place, "space-00", 2, cast(Any, SimpleNamespace(raw=ours))))
        clients[-1].frames = [MARKER + f"{place:08d}".encode()]
    pacer = latency.Pacer(clients, ops_per_s=10.0)
    pacer._send(0, time.perf_counter() - 30.0)
    theirs[1].sendall(theirs[0].recv(100))
    pacer._receive(clients[1].socket.raw.fileno())
    (late_s,), (found_s,) = pacer._late_s, pacer._found_s
    assert 30.0 <= late_s <= found_s
    for one in (*theirs, *(client.socket.raw for client in clients)):
        one.close()


def test_the_ops_that_warm_a_server_up_are_not_among_the_latencies() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.careless_server", "nothing"]
    params = {
        "dialect": "bare updates", "clients": 3, "ops_per_s": 1_000, "seconds": 0.03,
        "warm_s": 0.02, "server_command": command,
    }  # fmt: skip
    found = measure_latency(params)
    assert found["deliveries"] == 30 * 2
    assert found["late_p99_ms"] >= 0.0
    assert found["p50_ms"] > 0.0
