"""Signing in by token over a WebSocket: who comes in, as whom, and for how long."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.ops import Op
from crdtsync.protocol.messages import Hello, RefusedOp
from tests.server.access.asking import ask
from tests.server.access.signing import OTHER_SECRET, secured, signed_hello, token
from tests.server.serving import Wire, device, hello_of, push_of, rows_of, serving, write


async def refused(url: str, hello: Hello, **options: Any) -> tuple[str, bool, str]:
    """Code, whether to come back, and words of a hello that is refused."""
    async with await Wire.open(url, **options) as wire:
        answer = await wire.refused(hello)
        return answer.code, answer.retry, answer.words


async def test_a_good_token_lets_its_user_in_with_its_roles(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, await Wire.open(server.url) as wire:
        welcome = await wire.greet(signed_hello())
        assert (welcome.user, welcome.roles) == ("kim", ("nurse",))
        await wire.accept(write({"r/allergies": '["latex"]'}))


async def test_the_token_may_stand_in_the_openings_authorization_header(tmp_path: Path) -> None:
    good = {"additional_headers": {"Authorization": f"Bearer {token()}"}}
    async with secured(tmp_path) as server:
        async with await Wire.open(server.url, **good) as wire:
            await wire.greet(hello_of())
        # The hello's own token goes first.
        code, _, _ = await refused(server.url, hello_of(token=token(key=OTHER_SECRET)), **good)
        assert code == "unauthorized"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (None, "no token"),
        ("", "no token"),
        ("nonsense", "not a token"),
        (token(key=OTHER_SECRET), "signature"),
        (token(exp=1), "expired"),
        (token("lee"), "not kim's"),
    ],
)
async def test_without_a_good_token_of_its_own_nobody_comes_in(
    tmp_path: Path, shown: str | None, words: str
) -> None:
    async with secured(tmp_path) as server:
        code, retry, said = await refused(server.url, hello_of(token=shown))
        assert (code, retry) == ("unauthorized", False)
        assert words in said
    assert rows_of(tmp_path, "SELECT count(*) FROM replicas") == [(0,)]


async def test_another_space_is_closed_and_nobody_learns_whether_it_exists(tmp_path: Path) -> None:
    async with secured(tmp_path) as server:
        async with await Wire.open(server.url) as wire:
            await wire.greet(signed_hello(token=token(spaces="*"), space="ward-4"))
            await wire.accept(write({"c/visits": "1"}))
        answers = []
        for space in ("ward-4", "ward-5"):
            code, retry, words = await refused(server.url, signed_hello(space=space))
            answers.append((code, retry, words.replace(space, "SPACE")))
        assert answers[0] == answers[1]
        assert answers[0][:2] == ("no_access", False)
    assert rows_of(tmp_path, "SELECT name FROM spaces") == [("ward-4",)]


async def test_an_op_in_someone_elses_name_is_refused(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, await Wire.open(server.url) as wire:
        await wire.greet(signed_hello())
        (answer,) = await wire.push(write({"r/name": '"x"'}, user="lee"))
        assert isinstance(answer, RefusedOp)
        assert answer.code == "not_the_author"
        (answer,) = await wire.push(write({"r/allergies": '["latex"]'}))
        assert not isinstance(answer, RefusedOp)


async def test_roles_that_the_token_does_not_name_are_not_there(tmp_path: Path) -> None:
    async with secured(tmp_path) as server, await Wire.open(server.url) as wire:
        await wire.greet(signed_hello(token=token(roles=[])))
        (answer,) = await wire.push(write({"r/allergies": '["latex"]'}))
        assert isinstance(answer, RefusedOp)
        assert answer.code == "not_permitted"


async def test_a_live_connection_ends_when_its_sign_in_does(tmp_path: Path) -> None:
    at_us = [time.time_ns() // 1_000 + 5_000_000]
    async with (
        secured(tmp_path, other={"now_us": lambda: at_us[0]}) as server,
        await Wire.open(server.url) as wire,
    ):
        await wire.greet(signed_hello(token=token(exp=at_us[0] / 1e6 + 0.1)))
        at_us[0] += 1_000_000
        goodbye = await wire.goodbye()
        assert goodbye.code == 4003
        assert "sign in again" in goodbye.words


async def test_frames_after_the_end_of_the_sign_in_are_not_looked_at(tmp_path: Path) -> None:
    """The timer may be late: the clock alone decides."""
    at_us = [time.time_ns() // 1_000 + 5_000_000]
    op: Op = write({"c/visits": "1"})
    async with (
        secured(tmp_path, other={"now_us": lambda: at_us[0]}) as server,
        await Wire.open(server.url) as wire,
    ):
        await wire.greet(signed_hello())
        await wire.accept(write({"c/visits": "1"}))
        at_us[0] += 3_700_000_000
        await wire.send(push_of(op))
        assert (await wire.goodbye()).code == 4003
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_no_token_stands_in_any_log_or_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [token(), token(exp=1), token(key=OTHER_SECRET), token("lee"), "not-a-token-at-all"]
    shown.append(token(spaces=["elsewhere"]))
    async with secured(tmp_path) as server:
        for one in shown:
            in_header = {"additional_headers": {"Authorization": f"Bearer {one}"}}
            for hello, options in ((hello_of(token=one), {}), (hello_of(), in_header)):
                async with await Wire.open(server.url, **options) as wire:
                    await wire.send(hello)
                    first = await wire.receive()
                    assert one not in str(first)
            answer = await ask(server, "/v1/me", authorization=f"Bearer {one}")
            assert one.encode() not in answer.body
            await ask(server, "/v1/nothing", method="POST", authorization=f"Bearer {one}")
    assert "connected user_id='kim'" in caplog.text  # it does log
    text = "\n".join(
        [caplog.text, *(f"{one.getMessage()} {one.__dict__}" for one in caplog.records)]
    )
    # websockets.client is this test's own end of the line.
    text = "\n".join(line for line in text.splitlines() if "websockets.client" not in line)
    for one in shown:
        signature = one.rpartition(".")[2]
        assert one not in text
        assert signature not in text


async def test_dev_still_takes_any_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server, "anybody") as wire:
        await wire.accept(write({"c/visits": "1"}, user="anybody"))
