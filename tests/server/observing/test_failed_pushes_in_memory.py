"""What is kept of pushes that nobody decided, until a transaction takes it: little, and bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from crdtsync.documents.ops import Op
from crdtsync.protocol.earlier import MAX_EARLIER
from crdtsync.protocol.messages import EarlierAttempt, Push, PushedOp
from crdtsync_server.observing.notes import (
    MAX_FAILED_BYTES,
    MAX_FAILED_OPS,
    MAX_NAME_CHARS,
    FailedPush,
    TraceNotes,
)
from crdtsync_server.storage.keys import uuid_bytes
from crdtsync_server.work import Origin
from tests.server.serving import new_id, write

WIDE = "\U0001f9ec"
"""A character that takes four bytes in memory."""


def failed(*ops: Op, user: str = "kim", earlier: int = 0) -> FailedPush:
    """A push of ops that a full disk sent back, each with so many attempts before."""
    pushed = tuple(
        PushedOp(op, None, 1, 2, tuple(EarlierAttempt(new_id(), 1, "cut") for _ in range(earlier)))
        for op in ops
    )
    origin = Origin("ward-3", new_id(), user, frozenset())
    return FailedPush.of(origin, Push(new_id(), pushed), 1, "disk_full")


@contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """What is still in memory after the block is no more than this."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        after, _ = tracemalloc.get_traced_memory()
        assert 0 < after - before <= size_bytes
    finally:
        tracemalloc.stop()


def test_nothing_is_kept_of_the_values_that_a_failed_op_wrote() -> None:
    notes = TraceNotes()
    with at_most(10 * 1_000):
        for _ in range(5):
            notes.failed.add(failed(write({"r/name": '"' + "x" * 100_000 + '"'})))
    assert notes.failed.ops == 5


def test_what_is_kept_is_what_a_row_about_the_op_holds() -> None:
    op = write({"c/visits": "1"}, collection="c" * 5_000, record="p" * 5_000)
    push = failed(op, earlier=MAX_EARLIER + 3)
    (kept,) = push.ops
    assert (kept.op_key, kept.created_us, kept.attempts) == (uuid_bytes(op.op_id), 1, 2)
    assert (kept.collection, kept.record) == ("c" * MAX_NAME_CHARS, "p" * MAX_NAME_CHARS)
    assert len(kept.earlier) == MAX_EARLIER
    (of_another,) = failed(op, user="eve", earlier=3).ops
    assert of_another.earlier == (), "only its author tells of an op's attempts"


def test_an_op_whose_id_is_none_is_counted_and_not_kept() -> None:
    push = failed(write({"c/visits": "1"}), write({"c/visits": "1"}, op_id="x" * 10_000))
    assert (push.count, len(push.ops)) == (2, 1)


def test_failed_pushes_are_bounded_in_number_and_the_newest_stay() -> None:
    def many(number: int) -> FailedPush:
        return failed(*(write({"c/visits": "1"}) for _ in range(1_000)), user=f"user-{number}")

    notes = TraceNotes()
    for number in range(8):
        notes.failed.add(many(number))
    assert notes.failed.ops == MAX_FAILED_OPS
    assert [push.user for push in notes.failed.pushes] == [f"user-{n}" for n in range(3, 8)]
    notes.extend(TraceNotes(groups=[(1, 2, 3)]))
    newer = TraceNotes()
    newer.failed.add(many(8))
    notes.extend(newer)
    assert notes.failed.pushes[-1].user == "user-8"
    assert notes.groups == [(1, 2, 3)]
    assert notes.failed.ops == sum(len(push.ops) for push in notes.failed.pushes) == MAX_FAILED_OPS


def test_failed_pushes_are_bounded_in_bytes_where_names_and_attempts_are_long() -> None:
    notes = TraceNotes()
    with at_most(MAX_FAILED_BYTES):
        for number in range(2_500):
            op = write({"c/visits": "1"}, record=WIDE * MAX_NAME_CHARS + str(number))
            notes.failed.add(failed(op, earlier=MAX_EARLIER))
    kept = notes.failed
    assert 500 < len(kept) == kept.ops < 2_500
    assert kept.size_bytes == sum(push.size_bytes for push in kept.pushes) <= MAX_FAILED_BYTES


def test_a_single_push_beyond_the_bounds_is_cut_and_its_count_stays() -> None:
    op = write({"c/visits": "1"})
    push = failed(*[op] * (MAX_FAILED_OPS + 10))
    assert (push.count, len(push.ops)) == (MAX_FAILED_OPS + 10, MAX_FAILED_OPS)
    long = write({"c/visits": "1"}, record=WIDE * MAX_NAME_CHARS)
    push = failed(*[long] * MAX_FAILED_OPS, earlier=MAX_EARLIER)
    assert 0 < len(push.ops) < push.count == MAX_FAILED_OPS
    notes = TraceNotes()
    notes.failed.add(push)
    assert len(notes.failed) == 1


def test_adding_one_does_not_look_at_those_that_wait() -> None:
    notes = TraceNotes()
    notes.failed.add(failed(write({"c/visits": "1"})))
    # Somebody who counted anew would find out what stands here.
    notes.failed.ops = MAX_FAILED_OPS - 1
    notes.failed.add(failed(write({"c/visits": "1"})))
    assert (notes.failed.ops, len(notes.failed)) == (MAX_FAILED_OPS, 2)
