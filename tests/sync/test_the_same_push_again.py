"""Invariant 3: the same op is applied once and always gets the same receipt."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.protocol.messages import Landmark, Receipt, RefusedOp
from tests.sync.raw import RawClient, increment
from tests.sync.ward import ServerLog, assert_once, device, op_id, server, server_now_us


async def shown_visits(folder: Path, url: str) -> int:
    """What a fresh device reads."""
    async with device(folder, f"fresh-{op_id()}") as fresh:
        fresh.connect(url)
        await fresh.synced(timeout=20)
        return int(fresh.collection("patient")["p1"]["visits"])


async def test_three_times_in_one_connection_is_one_row_and_one_receipt(tmp_path: Path) -> None:
    op, request_id = increment(), op_id()
    async with server(tmp_path) as ward, RawClient(ward.url) as client:
        await client.hello()
        answers = [await client.push(op, request_id=request_id) for _ in range(3)]
        assert isinstance(answers[0][0], Receipt)
        assert answers[0][0].seq == 1
        assert answers[1] == answers[0]
        assert answers[2] == answers[0]
        assert await shown_visits(tmp_path, ward.url) == 1
    assert_once(tmp_path, [op.op_id])


async def test_three_times_within_one_push_is_one_row_and_one_receipt(tmp_path: Path) -> None:
    op = increment()
    async with server(tmp_path) as ward, RawClient(ward.url) as client:
        await client.hello()
        first, second, third = await client.push(op, op, op)
        assert isinstance(first, Receipt)
        assert first == second == third
    assert_once(tmp_path, [op.op_id])


async def test_across_connections_and_devices_it_is_one_row_and_one_receipt(
    tmp_path: Path,
) -> None:
    op = increment()
    answers = []
    head: Landmark | None = None
    async with server(tmp_path) as ward:
        for _ in range(3):
            async with RawClient(ward.url) as client:
                await client.hello(head)
                answers.append(await client.push(op))
            log = ServerLog(tmp_path)
            head = Landmark(log.seq, log.digest)
    assert len(answers) == 3
    assert isinstance(answers[0][0], Receipt)
    assert answers[0] == answers[1] == answers[2]
    assert_once(tmp_path, [op.op_id])


async def test_across_a_restart_of_the_server_it_is_one_row_and_one_receipt(
    tmp_path: Path,
) -> None:
    op = increment()
    answers = []
    head: Landmark | None = None
    for _ in range(3):
        async with server(tmp_path) as ward, RawClient(ward.url) as client:
            await client.hello(head)
            answers.append(await client.push(op))
            log = ServerLog(tmp_path)
            head = Landmark(log.seq, log.digest)
    assert isinstance(answers[0][0], Receipt)
    assert answers[0] == answers[1] == answers[2]
    assert_once(tmp_path, [op.op_id])


@pytest.mark.parametrize(
    "change",
    [
        {"record": "p2"},
        {"time_us": 1},
        {"writes": {"c/visits": FieldWrite(("2",))}},
        {"writes": {"c/visits": FieldWrite(("1",)), "r/name": FieldWrite(('"Kim"',))}},
    ],
    ids=["record", "time", "value", "verbs"],
)
async def test_the_same_op_id_with_other_content_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    op = increment()
    other: Op = msgspec.structs.replace(op, **change)
    async with server(tmp_path) as ward, RawClient(ward.url) as client:
        await client.hello()
        (receipt,) = await client.push(op)
        (refused,) = await client.push(other)
        (again,) = await client.push(op)
    assert isinstance(receipt, Receipt)
    assert isinstance(refused, RefusedOp)
    assert refused.code == "op_id_reused"
    assert again == receipt
    assert_once(tmp_path, [op.op_id])


async def test_the_same_op_with_more_superseded_entries_is_the_same_op(tmp_path: Path) -> None:
    first = Op(op_id(), "raw", "patient", "p1", server_now_us(), {"r/name": FieldWrite(('"A"',))})
    earlier = msgspec.structs.replace(first, op_id=op_id())
    more = {"r/name": FieldWrite(('"A"',), ((earlier.op_id, 0),))}  # type: ignore[arg-type]
    async with server(tmp_path) as ward, RawClient(ward.url) as client:
        await client.hello()
        (receipt,) = await client.push(first)
        (again,) = await client.push(msgspec.structs.replace(first, writes=more))
    assert isinstance(receipt, Receipt)
    assert again == receipt
    assert_once(tmp_path, [first.op_id])
