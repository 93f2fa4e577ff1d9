"""``crdtsync trace``: from a server, beside a server, and from a device's own file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from crdtsync import Replica
from crdtsync.cli import make_app
from crdtsync.protocol.messages import Answers, Hello, Push, RefusedOp
from tests.replica.scripted_server import URL, Ledger, ScriptedServer
from tests.replica.wards import POLICY as WARD
from tests.replica.wards import replica, until
from tests.server.observing.traced import POLICY, greeting, observed
from tests.server.serving import device, new_id, push_of, write


async def crdtsync(*words: str, **environment: str) -> Result:
    """Run the command as a person would, beside the server of this test."""
    runner = CliRunner()
    return await asyncio.to_thread(
        runner.invoke, make_app(), list(words), env={"COLUMNS": "200", **environment}
    )


async def test_a_running_server_is_asked_and_tells_one_line_per_step(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    push = push_of(op)
    async with observed(tmp_path) as server, device(server, **greeting(), device="tablet") as wire:
        await wire.push_frame(push)
        url = server.url  # what replicas connect to will do
        for query in (op.op_id, push.request_id, "kim", "patient/p1", f"op:{op.op_id.upper()}"):
            told = await crdtsync("trace", query, "--server", url, "--token", "kim")
            assert told.exit_code == 0, told.output
            assert "patient/p1, written by kim" in told.stdout
            assert "accepted as number 1" in told.stdout
            assert "Device: tablet" in told.stdout
            assert f"request_id {push.request_id}" in told.stdout
        korean = await crdtsync(
            "trace", "kim", "--server", url, "--lang", "ko", CRDTSYNC_TOKEN="kim"
        )
        assert "쓴 사람: kim" in korean.stdout
        found = await crdtsync("trace", "kim", "--server", url, "--token", "kim", "--json")
        assert json.loads(found.stdout)["ops"][0]["op_id"] == op.op_id


async def test_the_data_folder_is_read_beside_the_server_and_without_it(tmp_path: Path) -> None:
    op = write({"r/diagnosis": '"x"'}, user="lee")
    async with observed(tmp_path) as server, device(server, "lee", **greeting()) as wire:
        await wire.accept(op)
        beside = await crdtsync("trace", op.op_id, "--data", str(tmp_path))
        assert beside.exit_code == 0, beside.output
        assert "diagnosis" in beside.stdout  # whoever has the data may read it
        await wire.accept(write({"c/visits": "1"}, user="lee"))
    without = await crdtsync("trace", "lee", "--data", str(tmp_path), "--limit", "1", "--json")
    page = json.loads(without.stdout)
    assert page["next"] is not None
    rest = await crdtsync("trace", "lee", "--data", str(tmp_path), "--after", page["next"])
    assert op.op_id in rest.stdout
    first = await crdtsync("trace", "lee", "--data", str(tmp_path), "--limit", "1")
    assert f"--after {page['next']}" in first.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["kim"], 2, "--server URL, --data DIR or --replica FILE"),
        (["kim", "--data", ".", "--server", "http://x"], 2, "just one place"),
        (["kim", "--data", "nowhere"], 3, "no server's database"),
        (["kim", "--server", "ftp://x"], 2, "not the address of a server"),
        (["kim", "--server", "http://[::"], 2, "not the address of a server"),
        (["kim", "--server", "http://127.0.0.1:1"], 4, "cannot be reached"),
        (["kim", "--replica", "nowhere.db"], 3, "nowhere.db"),
        (["kim", "--limit", "0", "--data", "."], 2, "limit"),
    ],
)
async def test_what_cannot_be_done_is_said_with_the_cure(
    words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = await crdtsync("trace", *words)
    assert told.exit_code == code, told.output
    assert said in told.output


async def test_nothing_found_and_questions_that_are_none_have_their_exit_codes(
    tmp_path: Path,
) -> None:
    async with observed(tmp_path) as server:
        for where in (["--data", str(tmp_path)], ["--server", server.url, "--token", "kim"]):
            nothing = await crdtsync("trace", new_id(), *where)
            assert nothing.exit_code == 1
            assert "--replica FILE" in nothing.output
            wrong = await crdtsync("trace", "op:123", *where)
            assert wrong.exit_code == 2
            assert "UUID" in wrong.output
        assert (await crdtsync("trace", "x", "--server", server.url)).exit_code == 2  # no sign-in
        silent = await crdtsync("trace", "x", "--data", str(tmp_path), "--json")
        assert (silent.exit_code, json.loads(silent.stdout)["ops"]) == (1, [])


async def test_what_a_name_holds_does_not_reach_the_terminal_as_it_is(tmp_path: Path) -> None:
    evil = "tablet\x1b[2J\u202e"
    async with observed(tmp_path) as server, device(server, **greeting(), device=evil) as wire:
        await wire.accept(write({"c/visits": "1"}))
        told = await crdtsync("trace", "kim", "--data", str(tmp_path))
    assert "\x1b" not in told.stdout
    assert "\u202e" not in told.stdout
    assert "tablet" in told.stdout


async def refused_twice(path: Path) -> tuple[str, list[str]]:
    """A replica whose op was cut off once, and then refused: (op_id, request_ids)."""
    server, ledger = ScriptedServer(), Ledger(WARD)
    requests: list[str] = []

    async def attempt(tablet: Replica, answered: bool) -> str:
        tablet.connect(URL)
        link = await server.connection()
        link.say(ledger.welcome(await link.next(Hello)))
        push = await link.next(Push)
        requests.append(push.request_id)
        op_id = push.ops[0].op.op_id
        if answered:
            link.say(Answers(push.request_id, (RefusedOp(op_id, "not_permitted", "name", "no"),)))
            await until(tablet, lambda: tablet.outbox[0].needs_person)
        else:
            link.cut()
            await until(tablet, lambda: bool(tablet.outbox[0].earlier))
        return op_id

    for answered in (False, True):
        async with replica(path, dial=server.dial) as tablet:
            if not answered:
                await tablet.collection("patient").update("p1", name="Kim")
            op_id = await attempt(tablet, answered)
    return op_id, requests


async def test_a_device_tells_what_it_knows_of_its_own_change(tmp_path: Path) -> None:
    path = tmp_path / "tablet.db"
    op_id, requests = await refused_twice(path)
    told = await crdtsync("trace", op_id[:8], "--replica", str(path), "--json")
    assert told.exit_code == 0, told.output
    (op,) = json.loads(told.stdout)["ops"]
    assert [step["what"] for step in op["timeline"]] == [
        *("created", "queued", "unheard", "sent", "refused"),
    ]
    assert (op["status"], op["op_id"], op["fields"]) == ("refused", op_id, ["name"])
    seen: list[Any] = [step["request_id"] for step in op["timeline"] if step["request_id"]]
    assert list(dict.fromkeys(seen)) == requests
    words = await crdtsync("trace", op_id, "--replica", str(path), "--lang", "ko")
    assert "지금 역할로는 바꿀 수 없어요" in words.stdout
    unknown = await crdtsync("trace", new_id(), "--replica", str(path))
    assert unknown.exit_code == 1
    named = await crdtsync("trace", f"op:{op_id}", "--replica", str(path), "--json")
    assert json.loads(named.stdout)["ops"] == [op]


async def test_a_device_s_file_that_is_asked_for_a_record_says_what_it_finds_changes_by(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tablet.db"
    await refused_twice(path)
    told = await crdtsync("trace", "patient/p1", "--replica", str(path))
    assert told.exit_code == 1
    assert "by its number only" in told.output


async def test_a_device_tells_of_a_change_that_is_waiting_and_of_one_that_is_in_the_log(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tablet.db"
    async with observed(tmp_path / "data") as server:
        async with Replica.open(
            path, space="ward-3", policy=POLICY, user="kim", device="tablet"
        ) as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
            op_id = tablet.outbox[0].op_id
            waiting = await crdtsync("trace", op_id, "--replica", str(path), "--json")
            assert json.loads(waiting.stdout)["ops"][0]["status"] == "pending"
            tablet.connect(server.url)
            await tablet.synced(timeout=30)
        done = await crdtsync("trace", op_id, "--replica", str(path), "--json")
        (op,) = json.loads(done.stdout)["ops"]
        assert (op["status"], op["seq"]) == ("synced", 1)
        assert [step["what"] for step in op["timeline"]] == ["created", "queued", "committed"]
