"""``GET /v1/overview`` and ``/v1/report``: who may ask, what they are told, and in which form."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest

from crdtsync.protocol.messages import AcknowledgedDigest
from crdtsync_server.authentication import Credentials, Identity
from crdtsync_server.report.measures import Overview
from crdtsync_server.service import RunningServer
from crdtsync_server.storage.store import Store
from tests.server.report.books import new_id
from tests.server.serving import device, serving, write


async def get(
    server: RunningServer, path: str, token: str = "kim"
) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(server.url.replace("ws", "http", 1) + path, headers=headers)

    def fetch() -> tuple[int, dict[str, str], bytes]:
        try:
            with urlopen(request) as response:
                return response.status, dict(response.headers), response.read()
        except HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    return await asyncio.to_thread(fetch)


async def overview(server: RunningServer, query: str = "") -> Overview:
    status, _, body = await get(server, f"/v1/overview{query}")
    assert status == 200, body
    return msgspec.json.decode(body, type=Overview)


async def test_the_dashboard_gets_what_is_measured_now(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server, device="tablet") as wire:
        await wire.accept(write({"r/name": '"Kim"'}))
        found = await overview(server, "?window=1h")
    assert found.failures.attempts == 1
    assert found.spaces == ("ward-3",)
    assert found.connections.open == 1
    assert [one.device for one in found.devices.listed] == ["tablet"]
    assert found.devices.listed[0].connected is True
    assert found.storage.files[0].name == "crdtsync.db"
    assert found.window.name == "1h"


async def test_a_server_in_memory_is_measured_too(tmp_path: Path) -> None:
    async with serving(tmp_path / "none", store=Store.in_memory()) as server:
        async with device(server) as wire:
            await wire.accept(write({"r/name": '"Kim"'}))
        found = await overview(server)
    assert found.failures.attempts == 1
    assert found.storage.files == ()


async def test_both_languages_say_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(write({"r/name": '"Kim"'}))
        korean = await overview(server, "?lang=ko&space=ward-3")
        english = await overview(server, "?lang=en&space=ward-3")
    assert korean.measure("recovery_success_rate").name == "복구 시 동기화 성공률"
    assert english.measure("recovery_success_rate").name == "Recovery success rate"
    assert korean.failures.attempts == english.failures.attempts == 1


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/v1/overview", "", 401, "unauthorized"),
        ("/v1/report", "", 401, "unauthorized"),
        ("/v1/overview?window=yesterday", "kim", 422, "bad_window"),
        ("/v1/overview?window=0d", "kim", 422, "bad_window"),
        ("/v1/overview?window=9999w", "kim", 422, "bad_window"),
        ("/v1/overview?lang=de", "kim", 422, "bad_lang"),
        ("/v1/overview?space=%00", "kim", 422, "bad_space"),
        ("/v1/report?format=pdf", "kim", 422, "bad_format"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem_in_words(
    tmp_path: Path, path: str, token: str, status: int, code: str
) -> None:
    async with serving(tmp_path) as server:
        found, headers, body = await get(server, path, token)
    problem: dict[str, Any] = json.loads(body)
    assert (found, problem["code"]) == (status, code)
    assert headers["content-type"] == "application/problem+json"
    assert problem["detail"]


async def test_the_report_comes_as_json_html_and_markdown(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(write({"r/name": '"Kim"'}))
        for form, kind, beginning in (
            ("json", "application/json", b"{"),
            ("html", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
            ("md", "text/markdown; charset=utf-8", b"# "),
        ):
            status, headers, body = await get(server, f"/v1/report?format={form}&since=1h")
            assert (status, headers["content-type"]) == (200, kind)
            assert body.startswith(beginning)


async def test_what_a_device_reports_is_compared(tmp_path: Path) -> None:
    """A hostile device may claim anything; it is told as a disagreement with that device."""
    async with serving(tmp_path) as server:
        async with device(server, device="liar") as wire:
            receipt = await wire.accept(write({"r/name": '"Kim"'}))
            claimed = bytes.fromhex(new_id().replace("-", ""))
            await wire.send(AcknowledgedDigest(0, receipt.seq, 1, bytes(16), claimed))
            await wire.push(write({"r/name": '"Lee"'}))  # its group takes the report along
            await wire.push(write({"r/name": '"Lee"'}))
        found = await overview(server)
    (finding,) = found.reconciliation.findings
    assert (finding.kind, finding.device) == ("missing", "liar")


async def test_many_who_ask_the_same_share_one_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crdtsync_server.report import routes

    monkeypatch.setattr(routes, "FRESH_S", 3_600.0)
    async with serving(tmp_path) as server, device(server) as wire:
        first = await overview(server)
        await wire.accept(write({"r/name": '"Kim"'}))
        assert (await overview(server)).server_us == first.server_us
        assert (await overview(server, "?lang=ko")).failures.attempts == 1


async def test_too_many_at_once_are_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crdtsync_server.report import routes

    monkeypatch.setattr(routes, "WAITING", 0)
    async with serving(tmp_path) as server:
        status, headers, body = await get(server, "/v1/overview")
    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert headers["retry-after"] == "5"


async def test_other_windows_are_no_way_to_keep_the_thorough_report_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crdtsync_server.report import routes, shares

    # So small that one report of a few milliseconds uses up a day.
    monkeypatch.setattr(shares, "THOROUGH_SHARE", 1e-9)
    monkeypatch.setattr(shares, "THOROUGH_SHARE_OF_USER", 1e-9)
    monkeypatch.setattr(routes, "FRESH_S", 0.0)
    monkeypatch.setattr(routes, "SHARE_OF_TIME", 1e9)  # nothing is fresh
    async with serving(tmp_path) as server:
        status, _, first = await get(server, "/v1/report?window=61m")
        assert status == 200
        status, headers, body = await get(server, "/v1/report?window=62m")
        assert (status, json.loads(body)["code"]) == (429, "rate_limited")
        assert int(headers["retry-after"]) > 60
        assert f"measured in {headers['retry-after']} s" in json.loads(body)["detail"]
        # Another user is not told that it was they, and waits for the whole all the same.
        status, headers, body = await get(server, "/v1/report?window=62m", "lee")
        assert (status, json.loads(body)["code"]) == (503, "overloaded")
        assert int(headers["retry-after"]) > 60
        # What is kept is told to both, and the dashboard goes on.
        for user in ("kim", "lee"):
            assert (await get(server, "/v1/report?window=61m", user))[2] == first
        assert (await get(server, "/v1/overview?window=62m"))[0] == 200


async def test_files_of_the_server_are_shown_to_those_who_may_enter_every_space(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"dev": False, "authenticator": Somewhere()}
    async with serving(tmp_path, **options) as server:
        found = {}
        for token in ("kim@", "kim@ward-3"):
            status, _, body = await get(server, "/v1/overview?space=ward-3", token)
            assert status == 200
            found[token] = msgspec.json.decode(body, type=Overview).storage
    assert found["kim@"].files
    assert found["kim@"].free_bytes
    of_one = found["kim@ward-3"]
    assert (of_one.files, of_one.free_bytes) == ((), None)
    assert of_one.words == (
        "Files and free space are shown to those whose sign-in opens every space."
    )
    assert {one.table for one in of_one.rows} == {"log", "records", "spaces"}


class Somewhere:
    """``kim@ward-3`` may enter ward-3, ``kim@`` every space."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        name, _, spaces = (credentials.token or "").partition("@")
        return Identity(name, frozenset(), spaces=frozenset([spaces]) if spaces else None)
