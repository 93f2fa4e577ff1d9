"""Log lines carry request_id and user_id as fields, and never a token or a value."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtsync_server.observing.logs import event, start_logging
from crdtsync_server.observing.settings import LogFormat, LogLevel, ObservingSettings
from tests.server.access.asking import ask
from tests.server.observing.traced import greeting, observed, trace
from tests.server.serving import device, push_of, write

SECRET = "kim:nurse,very-secret"
VALUE = "Kim-Minji-090909"


@pytest.fixture
def root() -> Iterator[None]:
    """Gives the process its own handlers back."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    levels = {n: logging.getLogger(n).level for n in ("crdtsync", "uvicorn", "websockets")}
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def logging_to(form: LogFormat, level: LogLevel = "info") -> io.StringIO:
    stream = io.StringIO()
    start_logging(ObservingSettings(log_format=form, log_level=level), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.usefixtures("root")
async def test_what_happens_stands_in_json_with_its_ids(tmp_path: Path) -> None:
    stream = logging_to("json", "debug")
    refused = push_of(write({"r/name": "7"}))
    accepted = push_of(write({"r/name": f'"{VALUE}"'}))
    async with observed(tmp_path) as server:
        async with device(server, **greeting(), token=SECRET) as wire:
            await wire.push_frame(refused)
            await wire.push_frame(accepted)
        await trace(server, "kim", token=SECRET)
        answer = await ask(server, "/nowhere", Authorization=f"Bearer {SECRET}")
    told = lines(stream)
    pushes = {line["request_id"]: line for line in told if line["event"] == "push"}
    assert pushes[refused.request_id]["level"] == "info"
    assert pushes[refused.request_id]["not_accepted"] == {"refused:wrong_type": 1}
    assert pushes[refused.request_id]["user_id"] == "kim"
    assert pushes[accepted.request_id]["level"] == "debug"
    (connected,) = (line for line in told if line["event"] == "connected")
    assert (connected["user_id"], connected["device"]) == ("kim", "a test")
    (ended,) = (line for line in told if line["event"] == "disconnected")
    assert (ended["code"], ended["user_id"]) == (1000, "kim")
    asked = {line["path"]: line for line in told if line["event"] == "request"}
    assert asked["/v1/trace"]["user_id"] == "kim"
    assert asked["/nowhere"]["request_id"] == answer.headers["x-request-id"]
    assert asked["/nowhere"]["status"] == 404
    assert all({"event", "level", "logger", "time"} <= set(line) for line in told)
    everything = stream.getvalue()
    assert VALUE not in everything
    assert "very-secret" not in everything
    assert "q=kim" not in everything


@pytest.mark.usefixtures("root")
async def test_at_info_only_pushes_that_need_somebody_are_told(tmp_path: Path) -> None:
    stream = logging_to("console")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        good, bad = push_of(write({"r/name": '"a"'})), push_of(write({"r/name": "7"}))
        await wire.push_frame(good)
        await wire.push_frame(bad)
        await ask(server, "/healthz")
    text = stream.getvalue()
    assert bad.request_id in text
    assert good.request_id not in text
    assert "/healthz" not in text
    assert "user_id=kim" in text


@pytest.mark.usefixtures("root")
async def test_a_fault_of_the_server_is_an_error_with_the_request_id_and_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = logging_to("json")

    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("crdtsync_server.storage.group.check_against_policy", broken)
    push = push_of(write({"r/name": '"a"'}))
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.push_frame(push)
    (fault,) = (line for line in lines(stream) if line["level"] == "error")
    assert (fault["request_id"], fault["user_id"]) == (push.request_id, "kim")
    assert "planted" in fault["exception"]


@pytest.mark.usefixtures("root")
def test_lines_of_other_libraries_go_the_same_way() -> None:
    stream = logging_to("json")
    logging.getLogger("some.library").info("hello %s", "you")
    logging.getLogger("uvicorn.error").info("too much")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("hello you", "some.library", "info")


def test_an_event_reads_as_text_where_a_handler_knows_no_fields() -> None:
    assert str(event("connected", user_id="kim", n=1)) == "connected user_id='kim' n=1"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("form", ["console", "json"])
def test_a_name_with_line_breaks_stays_on_one_line_in_json_and_is_quoted(form: LogFormat) -> None:
    stream = logging_to(form)
    logging.getLogger("crdtsync.server").info(event("connected", device="a\nlevel=error"))
    assert len(stream.getvalue().splitlines()) == 1
