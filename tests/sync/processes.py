"""Servers and devices as processes of their own, so that they can be killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from crdtsync import Policy
from tests.sync.ward import WAIT_S, policy

ROOT = Path(__file__).parents[2]

SERVE = """
import typer
from crdtsync_server.cli import register
app = typer.Typer()
register(app)
app.callback()(lambda: None)
app()
"""
"""The ``serve`` command alone, as ``crdtsync serve`` registers it."""


class Process:
    """One process of ours, and what it said."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[bytes] | None = None

    async def start(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'server'}"},
        )
        assert self._process.stderr is not None
        self._errors = asyncio.create_task(self._process.stderr.read())

    async def line(self) -> str:
        """The next line on its standard output; empty at the end."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            return (await self._process.stdout.readline()).decode()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to this process only."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            while await self._process.stdout.read(65_536):
                pass
            return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        await self.wait()

    async def errors(self) -> str:
        """All that it wrote to standard error, once it has ended."""
        assert self._errors is not None
        return (await self._errors).decode(errors="replace")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()
        if self._errors is not None:
            await self._errors


class ServerProcess(Process):
    """``crdtsync serve --dev`` over ``folder / server`` on a free port."""

    def __init__(self, folder: Path, rules: Policy | None = None) -> None:
        rules_file = folder / "policy.toml"
        rules_file.write_text((rules or policy()).text, encoding="utf-8")
        super().__init__(
            sys.executable,
            "-c",
            SERVE,
            "serve",
            "--policy",
            str(rules_file),
            "--data",
            str(folder / "server"),
            "--port",
            "0",
            "--dev",
        )
        self.port = 0

    async def start(self) -> None:
        """Start it; when this returns, it listens."""
        await super().start()
        while line := await self.line():
            if found := re.search(r"listening on ws://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError(f"the server did not start: {await self.errors()}")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}"
