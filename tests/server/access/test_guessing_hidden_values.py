"""Whoever may not read a field cannot find out what is in it by asking cleverly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crdtsync.documents.ops import FieldWrite, Op
from crdtsync.documents.state import LogEntry, Stub
from crdtsync.policy import Policy
from crdtsync.protocol.messages import Changes, Receipt, Receipts, ReceiptsRequest, RefusedOp
from crdtsync_server.hub import WAYS_OF_SEEING, Frame, changes_frame
from crdtsync_server.service import RunningServer
from crdtsync_server.sight import Sight
from crdtsync_server.storage.receipts import ENTRY_ENCODER
from tests.documents.making import op_id
from tests.documents.test_redaction import POLICY as REDACTED
from tests.documents.test_redaction import entry
from tests.server.serving import Wire, device, hello_of, serving, write

POLICY = Policy.parse(
    """
version = 3
[patient.fields]
name = { type = "string" }
dx   = { type = "string", merge = "manual", read = ["doctor"], write = ["doctor"] }
"""
)


@asynccontextmanager
async def signed_in(
    server: RunningServer, user: str, role: str, **more: str
) -> AsyncIterator[Wire]:
    rules = {"policy_version": POLICY.version, "policy_hash": POLICY.hash}
    async with device(server, user, token=f"{user}:{role}", **rules, **more) as wire:
        yield wire


async def test_a_guess_in_the_author_s_name_is_refused_whether_it_is_right_or_wrong(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, policy=POLICY) as server,
        signed_in(server, "lee", "doctor") as doctor,
        signed_in(server, "kim", "nurse") as nurse,
    ):
        op = write({"r/name": '"Kim"', "r/dx": '"positive"'}, user="lee")
        receipt = await doctor.accept(op)
        await nurse.receive_a(Changes)
        (seen,) = nurse.entries
        assert isinstance(seen, LogEntry)
        assert seen.writes == {"r/name": ('"Kim"',)}
        answers = []
        for guess in ('"negative"', '"positive"'):
            writes = {**op.writes, "r/dx": FieldWrite((guess,))}
            tried = Op(seen.op_id, "lee", seen.collection, seen.record, seen.time_us, writes)
            answers += await nurse.push(tried)
        assert [answer.code for answer in answers if isinstance(answer, RefusedOp)] == [
            "not_the_author",
            "not_the_author",
        ]
        # Its author's own repeat still gets the first receipt.
        assert await doctor.push(op) == [receipt]


async def test_receipts_of_others_tell_nothing_of_hidden_fields(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, policy=POLICY) as server,
        signed_in(server, "lee", "doctor") as doctor,
        signed_in(server, "kim", "nurse") as nurse,
    ):
        both = await doctor.accept(write({"r/name": '"Kim"', "r/dx": '"x"'}, user="lee"))
        hidden = await doctor.accept(write({"r/dx": '"y"'}, user="lee", record="p2"))
        asked = ReceiptsRequest(1, (both.op_id, hidden.op_id))
        await doctor.send(asked)
        assert (await doctor.receive_a(Receipts)).receipts == (both, hidden)
        await nurse.send(asked)
        (told,) = (await nurse.receive_a(Receipts)).receipts
        assert told == Receipt(both.op_id, both.seq, both.received_us, {"r/name": "applied"})


async def test_a_device_that_two_share_hears_of_what_the_other_sent_from_it(
    tmp_path: Path,
) -> None:
    hello = hello_of("lee")
    async with serving(tmp_path, policy=POLICY) as server:
        mine = {"replica_id": hello.replica_id, "run": hello.run}
        async with signed_in(server, "lee", "doctor", **mine) as doctor:
            hidden = await doctor.accept(write({"r/dx": '"y"'}, user="lee"))
        async with signed_in(server, "kim", "nurse", **mine) as nurse:
            await nurse.send(ReceiptsRequest(1, (hidden.op_id,)))
            (told,) = (await nurse.receive_a(Receipts)).receipts
            assert (told.seq, told.outcomes) == (hidden.seq, {})


def test_a_frame_is_redacted_once_for_each_way_of_seeing_not_for_each_reader() -> None:
    hidden = entry(writes={"r/notes": ('"x"',)}, removed=(), outcomes={"r/notes": "applied"})
    shown = entry(user="kim", seq=10, op_id=op_id(10))
    frame = Frame(10, changes_frame(map(ENTRY_ENCODER.encode, (hidden, shown)), 2))
    nurses = REDACTED.visibility({"nurse"})
    copies = {id(frame.seen_by(Sight(f"nurse-{n}", nurses))) for n in range(50)}
    assert len(copies) == 1
    assert frame.seen_by(Sight("lee", REDACTED.visibility({"doctor"}))) is frame.data
    own = frame.seen_by(Sight("lee", nurses))
    assert hidden.op_id.encode() in own
    assert hidden.op_id.encode() not in frame.seen_by(Sight("kim", nurses))
    assert len(frame._redacted) == 1 <= WAYS_OF_SEEING


@pytest.mark.parametrize("user", ["lee", "kim"])
def test_what_is_hidden_is_a_stub_in_a_frame(user: str) -> None:
    from crdtsync.protocol.codec import decode_server

    hidden = entry(writes={"r/notes": ('"x"',)}, removed=(), outcomes={"r/notes": "applied"})
    frame = Frame(9, changes_frame([ENTRY_ENCODER.encode(hidden)], 1))
    message = decode_server(frame.seen_by(Sight(user, REDACTED.visibility({"nurse"}))))
    assert isinstance(message, Changes)
    assert message.entries == (Stub(9, b"d" * 16, hidden.op_id if user == "lee" else None),)
