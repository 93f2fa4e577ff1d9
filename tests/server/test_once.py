"""Invariant 3: an op is applied at most once, and a repeat gets the original receipt."""

from __future__ import annotations

import asyncio
from pathlib import Path

from crdtsync.documents.ops import EntryId
from crdtsync.protocol.messages import Answers, Push, Receipt, Receipts, ReceiptsRequest, RefusedOp
from tests.server.serving import (
    device,
    new_id,
    push_of,
    rows_of,
    serving,
    write,
)


async def test_invariant_3_the_same_push_three_times_in_one_connection_is_one_row_and_one_receipt(
    tmp_path: Path,
) -> None:
    push = push_of(write({"r/name": '"Kim"'}), write({"r/phone": '"010"'}))
    async with serving(tmp_path) as server, device(server) as wire:
        answers = [await wire.push_frame(push) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert [type(answer) for answer in answers[0]] == [Receipt, Receipt]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(2,)]
    assert rows_of(tmp_path, "SELECT count(*) FROM receipts") == [(2,)]


async def test_invariant_3_the_same_push_three_times_without_waiting_is_one_row(
    tmp_path: Path,
) -> None:
    push = push_of(write({"c/visits": "1"}))
    async with serving(tmp_path) as server, device(server) as wire:
        for _ in range(3):
            await wire.send(push)
        answers = [await wire.receive_a(Answers) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_invariant_3_the_same_push_over_three_connections_is_one_row_and_one_receipt(
    tmp_path: Path,
) -> None:
    push = push_of(write({"r/name": '"Kim"'}))
    answers = []
    async with serving(tmp_path) as server:
        for _ in range(3):
            async with device(server) as wire:
                answers.append(await wire.push_frame(push))
    assert answers[0] == answers[1] == answers[2]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_invariant_3_two_connections_that_send_the_same_op_at_once_apply_it_once(
    tmp_path: Path,
) -> None:
    push = push_of(write({"c/visits": "1"}))
    async with serving(tmp_path) as server, device(server) as one, device(server) as other:
        answers = await asyncio.gather(one.push_frame(push), other.push_frame(push))
        assert answers[0] == answers[1]
        assert len(await one.entries_to(1)) == 1
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_invariant_3_the_same_push_across_a_server_restart_is_one_row_and_one_receipt(
    tmp_path: Path,
) -> None:
    push = push_of(write({"r/name": '"Kim"'}))
    answers = []
    for _ in range(3):
        async with serving(tmp_path) as server, device(server) as wire:
            answers.append(await wire.push_frame(push))
    assert isinstance(answers[0][0], Receipt)
    assert answers[0] == answers[1] == answers[2]
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_a_repeat_after_later_writes_still_gets_its_first_outcome(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    async with serving(tmp_path) as server, device(server) as wire:
        first = await wire.accept(op)
        await wire.accept(write({"r/name": '"Lee"'}))
        assert await wire.accept(op) == first
        assert first.outcomes == {"r/name": "applied"}


async def test_the_same_op_id_with_other_content_is_refused(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    others = [
        write({"r/name": '"Lee"'}, op_id=op.op_id),
        write({"r/note": '"Kim"'}, op_id=op.op_id),
        write({"r/name": '"Kim"'}, record="p2", op_id=op.op_id),
        write({"r/name": '"Kim"'}, time_us=5, op_id=op.op_id),
    ]
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(op)
        for other in others:
            (answer,) = await wire.push(other)
            assert isinstance(answer, RefusedOp)
            assert answer.code == "op_id_reused"
        (answer,) = await wire.push(write({"r/name": '"Kim"'}, user="lee", op_id=op.op_id))
        assert isinstance(answer, RefusedOp)
        assert answer.code == "not_the_author"
        # In one group with the op that it imitates, too.
        fresh = write({"r/name": '"Choi"'})
        answers = await wire.push(fresh, write({"r/name": '"Park"'}, op_id=fresh.op_id))
        assert isinstance(answers[0], Receipt)
        assert isinstance(answers[1], RefusedOp)
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(2,)]


async def test_the_same_op_with_extended_supersedes_is_a_repeat(tmp_path: Path) -> None:
    first = write({"r/name": '"Kim"'})
    op = write({"r/name": '"Lee"'})
    extended = write(
        {"r/name": '"Lee"'}, op_id=op.op_id, supersedes={"r/name": [EntryId(first.op_id, 0)]}
    )
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(first)
        assert await wire.accept(op) == await wire.accept(extended)


async def test_an_op_of_one_space_is_no_receipt_in_another(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    async with (
        serving(tmp_path) as server,
        device(server) as here,
        device(server, space="ward-4") as there,
    ):
        await here.accept(op)
        (answer,) = await there.push(op)
        assert isinstance(answer, RefusedOp)
        assert answer.code == "op_id_reused"
        await there.send(ReceiptsRequest(1, (op.op_id,)))
        assert (await there.receive_a(Receipts)).receipts == ()
        await here.send(ReceiptsRequest(1, (op.op_id,)))
        assert len((await here.receive_a(Receipts)).receipts) == 1


async def test_receipts_are_answered_after_everything_that_was_pushed_before(
    tmp_path: Path,
) -> None:
    ops = [write({"c/visits": "1"}) for _ in range(5)]
    never = new_id()
    async with serving(tmp_path) as server, device(server) as wire:
        for op in ops:
            await wire.send(push_of(op))
        asked = ReceiptsRequest(9, (*[op.op_id for op in ops], never))
        await wire.send(asked)
        answers = [await wire.receive_a(Answers) for _ in ops]
        receipts = await wire.receive_a(Receipts)
    assert receipts.request == 9
    assert list(receipts.receipts) == [answer.answers[0] for answer in answers]


async def test_one_push_may_hold_an_op_twice(tmp_path: Path) -> None:
    op = write({"c/visits": "1"})
    push = Push(new_id(), push_of(op, op).ops)
    async with serving(tmp_path) as server, device(server) as wire:
        one, other = await wire.push_frame(push)
        assert one == other
        assert isinstance(one, Receipt)
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]
