"""One op that failed twice and was accepted at the third attempt: its whole way, by every key."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crdtsync.protocol.messages import CursorReport, EarlierAttempt, Receipt, Transient
from crdtsync_server.service import RunningServer
from tests.server.observing.traced import (
    Clock,
    again,
    greeting,
    observed,
    recorded,
    steps,
    trace,
)
from tests.server.serving import (
    START_US,
    device,
    new_id,
    write,
)

CUT_US = START_US + 1_000_000


class Case:
    """What happened, for the questions about it."""

    def __init__(self) -> None:
        self.op = write({"r/name": '"Kim"', "r/phone": '"1"'})
        self.cut = new_id()
        self.transient = ""
        self.accepted = ""


async def no_disk(job: Any) -> Any:
    raise sqlite3.OperationalError("disk I/O error")


async def failed_twice(server: RunningServer, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut on the way, then a disk that fails, then accepted; another device gets it."""
    lost = EarlierAttempt(case.cut, CUT_US, "cut")
    async with device(server, **greeting(), client_us=START_US, device="tablet") as tablet:
        push = again(case.op, attempts=2, earlier=(lost,))
        case.transient = push.request_id
        with monkeypatch.context() as faulty:
            faulty.setattr(server.service.store, "write", no_disk)
            (answer,) = await tablet.push_frame(push)
        assert isinstance(answer, Transient)
        failed = EarlierAttempt(push.request_id, CUT_US + 1_000_000, f"transient:{answer.reason}")
        push = again(case.op, attempts=3, earlier=(lost, failed))
        case.accepted = push.request_id
        (answer,) = await tablet.push_frame(push)
        assert isinstance(answer, Receipt)
        async with device(server, "lee", **greeting(), device="ward phone") as phone:
            await phone.send(CursorReport(1))
            await tablet.accept(write({"c/visits": "1"}, record="p2"))


@pytest.mark.parametrize("key", ["op_id", "cut", "transient", "accepted", "user", "record"])
async def test_the_whole_way_of_an_op_that_failed_twice_is_found_by_every_key(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, case = Clock(START_US + 5_000_000), Case()
    async with observed(tmp_path, now_us=clock) as server:
        await failed_twice(server, case, monkeypatch)
        await recorded(tmp_path, "SELECT 1 FROM groups WHERE published_us > 0")
        await recorded(tmp_path, "SELECT 1 FROM attempts WHERE result = 'transient'")
        query = {
            "op_id": case.op.op_id,
            "cut": case.cut,
            "transient": case.transient,
            "accepted": case.accepted,
            "user": "kim",
            "record": "patient/p1",
        }[key]
        answer = await trace(server, query)
        found = {op["op_id"]: op for op in answer["ops"]}[case.op.op_id]
    assert answer["kind"] == {"op_id": "op", "user": "user", "record": "record"}.get(key, "request")
    assert steps(found) == [
        *("created", "queued", "lost", "sent", "received", "transient"),
        *("received", "decided", "committed", "broadcast", "delivered"),
    ]
    requests = [step["request_id"] for step in found["timeline"] if step["request_id"]]
    assert list(dict.fromkeys(requests)) == [case.cut, case.transient, case.accepted]
    assert (found["status"], found["seq"]) == ("synced", 1)
    assert found["fields"] == ["name", "phone"]
    assert "tablet" in found["timeline"][0]["words"]
    assert found["device"] == "tablet"
    times = [step["at_us"] for step in found["timeline"]]
    assert times == sorted(times)
    assert any("ward phone" in step["words"] for step in found["timeline"])


async def test_the_words_are_korean_for_those_who_ask_in_korean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case()
    async with observed(tmp_path, now_us=Clock(START_US + 5_000_000)) as server:
        await failed_twice(server, case, monkeypatch)
        (op,) = (await trace(server, case.op.op_id, lang="ko"))["ops"]
        (english,) = (await trace(server, case.op.op_id, lang="en"))["ops"]
    assert all(any("가" <= char <= "힣" for char in step["words"]) for step in op["timeline"])
    assert not any("가" <= char <= "힣" for step in english["timeline"] for char in step["words"])
