"""Frames of a replica: every kind of message, good ones and spoiled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec

from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    AcknowledgedDigest,
    CursorReport,
    HeadRequest,
    Hello,
    HistoryRequest,
    Landmark,
    Message,
    OutboxSummary,
    Paging,
    Ping,
    Pong,
    Push,
    PushedOp,
    ReceiptsRequest,
    SnapshotRequest,
)
from tests.fuzz.bad_frames import packed, spoil_bytes, spoil_tree
from tests.fuzz.bad_ops import spoil
from tests.fuzz.good_ops import USERS, good_op
from tests.fuzz.hostile import Tree, bad_id, new_id, number, text
from tests.fuzz.known import Known
from tests.fuzz.rules import EPOCH_US, POLICY, RECORDS

SPACES = ("w", "w", "w", "w", "other", "__proto__", "김")


@dataclass
class Sender:
    """Who speaks on a hostile connection."""

    user: str
    replica_id: str
    run: str
    space: str = "w"

    @classmethod
    def drawn(cls, draw: Random, known: Known) -> Sender:
        """A new device, or one that was here before."""
        replica_id = new_id(draw)
        if known.replica_ids and draw.random() < 0.15:
            replica_id = draw.choice(known.replica_ids)
        known.replica_ids.append(replica_id)
        run = known.runs.get(replica_id, new_id(draw)) if draw.random() < 0.8 else new_id(draw)
        known.runs[replica_id] = run
        return cls(draw.choice(USERS), replica_id, run, draw.choice(SPACES))


def frame(draw: Random, known: Known, sender: Sender, now_us: int) -> tuple[bytes, bool]:
    """Any frame but a hello, and whether it was spoiled."""
    make = draw.choices(MAKERS, WEIGHTS)[0]
    if make is push:
        return push_frame(draw, known, sender, now_us)
    message = make(draw, known)
    return _spoiled(draw, message, 0.6)


def hello_frame(draw: Random, known: Known, sender: Sender, now_us: int) -> tuple[bytes, bool]:
    """The first frame, mostly a good one: behind a bad one nothing is heard."""
    return _spoiled(draw, hello(draw, known, sender, now_us), 0.15)


def _spoiled(draw: Random, message: Message, rate: float) -> tuple[bytes, bool]:
    chance = draw.random()
    if chance >= rate:
        return packed(message), False
    if chance < rate * 0.7:
        return spoil_tree(draw, msgspec.msgpack.decode(packed(message))), True
    return spoil_bytes(draw, packed(message)), True


def hello(draw: Random, known: Known, sender: Sender, now_us: int) -> Hello:
    """A hello that fits the world, with landmarks that may not."""
    seq, digest = known.place_in_log(draw, sender.space)
    points = [Landmark(*known.place_in_log(draw, sender.space)) for _ in range(draw.randrange(4))]
    if draw.random() < 0.15:
        points.append(Landmark(abs(number(draw)), draw.randbytes(16)))
    previous = tuple(new_id(draw) for _ in range(draw.randrange(3)))
    if draw.random() < 0.5 and sender.replica_id in known.runs:
        previous = (*previous, known.runs[sender.replica_id])
    return Hello(
        PROTOCOL_VERSION,
        sender.space,
        sender.user,
        None,
        sender.replica_id,
        sender.run,
        previous,
        "fuzz",
        draw.choice((POLICY.version, POLICY.version, POLICY.version - 1)),
        POLICY.hash,
        Landmark(seq, digest),
        tuple(points),
        now_us,
        OutboxSummary(draw.randrange(9)),
        draw.choice(("tablet", text(draw)[:256])),
    )


def push_frame(draw: Random, known: Known, sender: Sender, now_us: int) -> tuple[bytes, bool]:
    """A push of good and bad ops, or a bad push."""
    chance = draw.random()
    if chance < 0.12:
        message = push(draw, known, sender, now_us)
        if chance < 0.08:
            return spoil_tree(draw, msgspec.msgpack.decode(packed(message))), True
        return spoil_bytes(draw, packed(message)), True
    count = draw.choice((1, 1, 1, 2, 3, 6))
    bad = False
    ops: list[Tree] = []
    for _ in range(count):
        op = good_op(draw, known, sender.user, now_us, crowded=True)
        if draw.random() < 0.75:
            bad = True
            tree = spoil(draw, known, op)
        else:
            tree = op
        ops.append([tree, _after(draw, known), *_delivery(draw, now_us)])
    if draw.random() < 0.1 and ops:
        ops.append(ops[0])
    request_id = new_id(draw)
    if draw.random() < 0.04:
        bad, request_id = True, bad_id(draw, request_id)
    return packed(["push", request_id, ops]), bad


def push(draw: Random, known: Known, sender: Sender, now_us: int) -> Push:
    """A good push."""
    ops = tuple(
        PushedOp(good_op(draw, known, sender.user, now_us, crowded=True), None, now_us, 1)
        for _ in range(draw.choice((1, 2, 4)))
    )
    return Push(new_id(draw), ops)


def _after(draw: Random, known: Known) -> str | None:
    chance = draw.random()
    if chance < 0.85:
        return None
    if chance < 0.95:
        return known.op_id(draw)
    return text(draw) if chance < 0.97 else bad_id(draw, known.op_id(draw))


def _delivery(draw: Random, now_us: int) -> list[Tree]:
    if draw.random() < 0.9:
        times: list[Tree] = [now_us, draw.randrange(1, 4)]
    else:
        times = [number(draw) % 2**63, number(draw) % 2**63]
    if draw.random() < 0.8:
        return times
    # What a device tells of earlier attempts decides nothing, whatever it says.
    earlier: list[Tree] = [
        [
            new_id(draw) if draw.random() < 0.7 else bad_id(draw, new_id(draw)),
            number(draw) % 2**63 - draw.choice((0, 2**62)),
            draw.choice(("cut", "no_answer", "transient:disk_full", "refused:", text(draw))),
        ]
        for _ in range(draw.choice((0, 1, 8, 9, 60)))
    ]
    return [*times, earlier]


# ── the other kinds ─────────────────────────────────────────────────────────


def head(draw: Random, known: Known) -> Message:
    return HeadRequest(number(draw) % 2**63)


def receipts(draw: Random, known: Known) -> Message:
    op_ids = known.op_ids(draw, draw.choice((3, 3, 40, 600)))
    if draw.random() < 0.1:
        op_ids.append(bad_id(draw, known.op_id(draw)))
    return ReceiptsRequest(draw.randrange(99), tuple(op_ids))


def cursor(draw: Random, known: Known) -> Message:
    seq = known.seq(draw) if draw.random() < 0.7 else number(draw)
    pending, failed, age_ms, signed_out = (abs(number(draw)) for _ in range(4))
    reasons = {
        draw.choice(("cut", "disk_full", "no such code", "", "x" * 300)): number(draw)
        for _ in range(draw.choice((0, 0, 1, 3, 40)))
    }
    return CursorReport(seq, OutboxSummary(pending, failed, age_ms, signed_out, reasons))


def acknowledged(draw: Random, known: Known) -> Message:
    first, last = sorted((known.seq(draw), known.seq(draw)))
    if draw.random() < 0.3:
        first, last = number(draw), number(draw)
    count = draw.choice((abs(number(draw)), 0, 1, 3))
    op_ids = draw.randbytes(16 * min(count, 1_200) + draw.choice((0, 0, 0, 1)))
    return AcknowledgedDigest(first, last, count, draw.randbytes(16), op_ids)


def snapshots(draw: Random, known: Known) -> Message:
    top = known.seq(draw)
    paging = draw.choice((Paging(top, top + 1, 0), Paging(top, 0, known.seq(draw))))
    if draw.random() < 0.3:
        paging = Paging(number(draw), number(draw), number(draw))
    return SnapshotRequest(1, paging)


def history(draw: Random, known: Known) -> Message:
    record = draw.choice((*RECORDS, text(draw)))
    before = known.seq(draw) if draw.random() < 0.7 else number(draw)
    return HistoryRequest(2, draw.choice(("item", "visit", "x")), record, before)


def ping(draw: Random, known: Known) -> Message:
    return Ping(number(draw))


def pong(draw: Random, known: Known) -> Message:
    return Pong(number(draw), number(draw))


def hello_again(draw: Random, known: Known) -> Message:
    return hello(draw, known, Sender.drawn(draw, known), EPOCH_US)


Maker = Callable[..., Message]
MAKERS: tuple[Maker, ...] = (
    *(push, receipts, head, cursor, acknowledged),
    *(snapshots, history, ping, pong, hello_again),
)
WEIGHTS = (60, 7, 4, 5, 5, 5, 7, 3, 2, 1)
