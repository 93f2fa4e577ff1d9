"""``crdtsync serve`` as a process: killed, stopped, refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from crdtsync.documents.ops import Op
from crdtsync.protocol import close_codes
from crdtsync.protocol.messages import Answers, Goodbye, Receipt
from tests.server.server_process import ServerProcess
from tests.server.serving import (
    POLICY_TEXT,
    Wire,
    device,
    hello_of,
    push_of,
    rows_of,
    write,
)

DEV = ("--dev", "--port", "0")


async def push_until_death(url: str, ops: list[Op]) -> dict[str, Receipt]:
    """Send each op in a push of its own, all at once; the receipts that came back."""
    receipts: dict[str, Receipt] = {}
    async with device(url) as wire:
        try:
            for op in ops:
                await wire.send(push_of(op))
            while len(receipts) < len(ops):
                answers = await wire.receive_a(Answers)
                for answer in answers.answers:
                    assert isinstance(answer, Receipt)
                    receipts[answer.op_id] = answer
        except ConnectionClosed:
            pass
    return receipts


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_invariants_2_and_3_a_server_killed_around_commit_loses_and_doubles_nothing(
    tmp_path: Path, moment: str
) -> None:
    ops = [write({"c/visits": "1", "r/name": f'"{n}"'}, record=f"p{n % 3}") for n in range(40)]
    acknowledged: dict[str, Receipt] = {}
    died = 0
    # The hello's group counts too, so the second to the fourth are groups of ops.
    for nth in (2, 3, 4):
        async with ServerProcess(tmp_path, *DEV, die_at=f"{moment} {nth}") as server:
            receipts = await push_until_death(server.url, ops)
            for op_id, receipt in receipts.items():
                assert acknowledged.setdefault(op_id, receipt) == receipt
            if len(receipts) < len(ops):
                assert await server.wait() == -signal.SIGKILL
                died += 1
    assert died > 0
    async with ServerProcess(tmp_path, *DEV) as server:
        receipts = await push_until_death(server.url, ops)
        assert receipts.keys() == {op.op_id for op in ops}
        for op_id, receipt in acknowledged.items():
            assert receipts[op_id] == receipt
        async with await Wire.open(server.url) as wire:
            welcome = await wire.greet(hello_of("lee"))
            rows, head = await wire.page_all(welcome.paging)
    assert head.seq == len(ops)
    assert sorted(receipt.seq for receipt in receipts.values()) == list(range(1, len(ops) + 1))
    deltas = [e for row in rows for e in row.stored.fields["c/visits"]]
    assert sum(int(entry.value) for entry in deltas) == len(ops)
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM receipts") == [(len(ops),)]
    assert rows_of(tmp_path / "data", "PRAGMA integrity_check") == [("ok",)]


async def test_a_server_killed_at_any_time_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """Invariant 2: killed from outside, with answers on the way."""
    ops = [write({"c/visits": "1"}, record=f"p{n % 5}") for n in range(300)]
    acknowledged: dict[str, Receipt] = {}
    for stop_after in (1, 40, 120):
        async with ServerProcess(tmp_path, *DEV) as server, device(server.url) as wire:
            for op in ops:
                await wire.send(push_of(op))
            for _ in range(stop_after):
                (answer,) = (await wire.receive_a(Answers)).answers
                assert isinstance(answer, Receipt)
                assert acknowledged.setdefault(answer.op_id, answer) == answer
            server.send_signal(signal.SIGKILL)
            await server.wait()
    async with ServerProcess(tmp_path, *DEV) as server:
        receipts = await push_until_death(server.url, ops)
    assert len(receipts) == len(ops)
    assert {op_id: receipts[op_id] for op_id in acknowledged} == acknowledged
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM log") == [(len(ops),)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopping_server_answers_what_it_has_and_says_when_to_come_back(
    tmp_path: Path, number: signal.Signals
) -> None:
    ops = [write({"c/visits": "1"}) for _ in range(50)]
    accepted = 0
    goodbye = None
    async with ServerProcess(tmp_path, *DEV) as server, device(server.url) as wire:
        await wire.accept(ops[0])
        for op in ops[1:]:
            await wire.send(push_of(op))
        server.send_signal(number)
        while goodbye is None:
            message = await wire.receive()
            if isinstance(message, Answers):
                accepted += isinstance(message.answers[0], Receipt)
            elif isinstance(message, Goodbye):
                goodbye = message
        assert await wire.closed() == close_codes.SERVICE_RESTART
        assert await server.wait() == 0
    assert (goodbye.code, goodbye.retry_after_ms) == (close_codes.SERVICE_RESTART, 1_000)
    # Whatever is in the log was answered, and whatever was answered is in the log.
    assert rows_of(tmp_path / "data", "SELECT count(*) FROM log") == [(accepted + 1,)]


async def test_a_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, *DEV) as server, await Wire.open(server.url) as wire:
        await wire.greet(hello_of())
        wire.socket.transport.pause_reading()
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGTERM)
        assert await server.wait() in (0, 128 + signal.SIGTERM)
        wire.socket.transport.resume_reading()


async def test_a_dev_server_says_loudly_what_it_is(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, *DEV) as server:
        assert "trusts every name" in server.said
        async with device(server.url) as wire:
            await wire.accept(write({"r/name": '"Kim"'}))


async def test_a_server_without_authentication_refuses_to_start(tmp_path: Path) -> None:
    code, said = await ServerProcess(tmp_path, "--port", "0").ended()
    assert code == 2
    assert "--dev" in said


async def test_dev_is_for_loopback_only(tmp_path: Path) -> None:
    code, said = await ServerProcess(tmp_path, *DEV, "--host", "0.0.0.0").ended()
    assert code == 2
    assert "127.0.0.1" in said


async def test_a_second_server_on_the_same_folder_names_the_first(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, *DEV) as server:
        code, said = await ServerProcess(tmp_path, *DEV).ended()
        assert code == 2
        assert f"pid {server.process.pid}" in said
        async with device(server.url) as wire:
            await wire.accept(write({"r/name": '"Kim"'}))


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with ServerProcess(tmp_path, *DEV) as server:
        port = server.url.rpartition(":")[2]
        other = ServerProcess(tmp_path / "other", "--dev", "--port", port)
        code, said = await other.ended()
    assert code == 2
    assert f"127.0.0.1:{port}" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = ", "policy.toml"),
        (POLICY_TEXT + "\n# changed\n", "version = 4"),
        (POLICY_TEXT.replace("version = 3", "version = 2"), "already used version 3"),
        (
            POLICY_TEXT.replace("version = 3", "version = 4").replace(
                'type = "integer", merge = "counter"', 'type = "integer"'
            ),
            "patient.fields.visits",
        ),
    ],
)
async def test_a_policy_that_cannot_follow_is_refused_with_the_way_out(
    tmp_path: Path, text: str, words: str
) -> None:
    async with ServerProcess(tmp_path, *DEV) as server, device(server.url) as wire:
        await wire.accept(write({"c/visits": "1"}))
    code, said = await ServerProcess(tmp_path, *DEV, policy=text).ended()
    assert code == 2
    assert words in said
    assert "Traceback" not in said
    async with ServerProcess(tmp_path, *DEV) as server, device(server.url) as wire:
        await wire.accept(write({"c/visits": "1"}))


async def test_a_newer_policy_that_is_safe_is_taken_and_the_older_one_is_not_taken_back(
    tmp_path: Path,
) -> None:
    newer = POLICY_TEXT.replace("version = 3", "version = 4") + 'ward = { type = "string" }\n'
    async with ServerProcess(tmp_path, *DEV):
        pass
    async with (
        ServerProcess(tmp_path, *DEV, policy=newer) as server,
        await Wire.open(server.url) as wire,
    ):
        assert (await wire.greet(hello_of())).policy == newer
        await wire.accept(write({"r/ward": '"3"'}))
    code, _ = await ServerProcess(tmp_path, *DEV).ended()
    assert code == 2


async def test_a_data_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    code, said = await ServerProcess(tmp_path, *DEV).ended()
    assert code == 2
    assert "data" in said
    assert "Traceback" not in said


async def test_a_database_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "crdtsync.db").write_bytes(b"no database at all" * 1_000)
    code, said = await ServerProcess(tmp_path, *DEV).ended()
    assert code == 2
    assert "not a readable SQLite file" in said
