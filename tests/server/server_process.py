"""``crdtsync serve`` in a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import crdtsync
import crdtsync_server
from tests.server.serving import POLICY_TEXT

RUNNER = """
import os, signal, sys
import typer
from crdtsync_server import cli
from crdtsync_server.storage import ledger

moment, _, count = os.environ.get("DIE_AT", "").partition(" ")
left = [int(count or 0)]

class deadly(ledger.transaction):
    def __exit__(self, kind, *rest):
        grown = self._connection.total_changes > self.changes
        left[0] -= grown
        if moment == "before" and grown and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__exit__(kind, *rest)
        if moment == "after" and grown and left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def __enter__(self):
        self.changes = self._connection.total_changes
        return super().__enter__()

if moment:
    ledger.transaction = deadly
app = typer.Typer()
app.callback()(lambda: None)
cli.register(app)
app()
"""


class ServerProcess:
    """A server that a test may kill. ``die_at``: "before 3" dies right before the third commit."""

    def __init__(self, folder: Path, *options: str, die_at: str = "", policy: str = POLICY_TEXT):
        self._folder = folder
        self._options = options
        self._die_at = die_at
        self._policy = folder / "policy.toml"
        self._policy.write_text(policy, encoding="utf-8")
        self.url = ""
        self.said = ""

    async def spawn(self) -> asyncio.subprocess.Process:
        """Start the process without waiting for it to listen."""
        paths = [Path(crdtsync_server.__file__).parents[1], Path(crdtsync.__file__).parents[1]]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "DIE_AT": self._die_at,
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }
        arguments = ["serve", "--policy", str(self._policy), "--data", str(self._folder / "data")]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUNNER,
            *arguments,
            *self._options,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        return self.process

    async def ended(self) -> tuple[int, str]:
        """Run to the end: the exit code, and everything that was said."""
        process = await self.spawn()
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (out + err).decode()

    async def __aenter__(self) -> Self:
        process = await self.spawn()
        assert process.stdout is not None
        while not self.url:
            line = (await process.stdout.readline()).decode()
            if not line:
                assert process.stderr is not None
                raise AssertionError((await process.stderr.read()).decode())
            self.said += line
            if found := re.search(r"ws://\S+:\d+", line):
                self.url = found[0].rstrip(",")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait(self) -> int:
        """The exit code, minus the signal's number if one ended it."""
        out, _ = await self.process.communicate()
        self.said += out.decode()
        assert self.process.returncode is not None
        return self.process.returncode
