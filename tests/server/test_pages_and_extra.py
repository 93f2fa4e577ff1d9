"""The two pages for whoever watches a server, and the command without its extra."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

import crdtsync
import crdtsync_server
from crdtsync_server.service import RunningServer
from crdtsync_server.settings import BadSettings
from tests.server.serving import POLICY, device, serving, write

WITHOUT_EXTRA = """
import sys
for name in ("starlette", "uvicorn"):
    sys.modules[name] = None
import typer
from crdtsync_server import cli
app = typer.Typer()
app.callback()(lambda: None)
cli.register(app)
app()
"""


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_a_running_server_is_healthy_and_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert await get(server.port, "/healthz") == (200, "ok\n")
        assert await get(server.port, "/readyz") == (200, "ready\n")
        status, words = await get(server.port, "/")
        assert status == 426
        assert "crdtsync.v1" in words
        server.service.draining = True
        assert (await get(server.port, "/readyz"))[0] == 503


async def test_a_server_may_be_stopped_twice_and_started_again(tmp_path: Path) -> None:
    server = serving(tmp_path)
    await server.start()
    async with device(server) as wire:
        await wire.accept(write({"c/visits": "1"}))
    await server.stop()
    await server.stop()
    async with serving(tmp_path) as again, device(again) as wire:
        assert (await wire.accept(write({"c/visits": "1"}))).seq == 2


@pytest.mark.parametrize(
    ("options", "words"), [({"dev": False}, "--dev"), ({"dev": True, "host": "0.0.0.0"}, "0.0.0.0")]
)
def test_an_open_server_is_never_started_by_accident(
    tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(BadSettings, match=words):
        RunningServer(policy=POLICY, data=tmp_path, **options)  # type: ignore[arg-type]


async def test_serve_without_the_server_extra_says_what_to_install(tmp_path: Path) -> None:
    paths = [Path(crdtsync_server.__file__).parents[1], Path(crdtsync.__file__).parents[1]]
    arguments = ["serve", "--policy", "p.toml", "--data", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WITHOUT_EXTRA,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
    )
    out, _ = await process.communicate()
    assert process.returncode == 2
    assert "pip install 'crdtsync[server]'" in out.decode()


async def test_a_fault_of_ours_is_told_with_its_request_id_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a planted fault")

    async with serving(tmp_path) as server:
        monkeypatch.setattr(server.service.authenticator, "authenticate", broken)
        monkeypatch.setattr("crdtsync_server.http.Credentials", broken)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = "GET /v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        writer.write(f"{head}Authorization: Bearer kim\r\n\r\n".encode())
        text = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    assert text.startswith("HTTP/1.1 50")
    assert "application/problem+json" in text
    request_id = text.partition("x-request-id: ")[2].partition("\r\n")[0]
    assert f'"request_id":"{request_id}"' in text
