"""Servers and devices as processes of their own, so that they can be killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from crdtsync.errors import CrdtsyncError

WAIT_S = 40
"""Long beside what any step takes, so that a loaded machine does not fail a test."""

LINE_BYTES = 64 * 1_048_576
"""The longest line that a process may say: all records of a device are one line."""

PROGRAM = "from crdtsync.cli import main; main()"
"""The installed ``crdtsync`` command, without looking for it on the path."""


class DidNotStart(CrdtsyncError):
    """A process ended before it could be used; its own words are in the message."""


class Process:
    """One process of ours, and what it said.

    It has a session of its own: Ctrl-C in the terminal reaches the program that
    started it, which ends it in order.
    """

    def __init__(
        self,
        *command: str,
        cwd: Path | None = None,
        log: Path | None = None,
        stdin: bool = False,
    ) -> None:
        self._command = command
        self._cwd = cwd
        self._log = log
        self._stdin = stdin
        self._process: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[bytes] | None = None

    async def start(self) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE if self._stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            limit=LINE_BYTES,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._errors = asyncio.create_task(self._keep_errors(self._process.stderr))

    @property
    def pid(self) -> int:
        """Its number; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def line(self) -> str:
        """The next line on its standard output; empty at the end."""
        async with asyncio.timeout(WAIT_S):
            return await self.next_line()

    async def next_line(self) -> str:
        """The same, however long it takes."""
        assert self._process is not None
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def write_line(self, text: str) -> None:
        """A line on its standard input. Raises OSError when it is gone."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        await self._process.stdin.drain()

    def close_input(self) -> None:
        """No more lines will come."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()

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

    async def ended(self) -> int:
        """Its exit code, once it has ended; what it says is read by somebody else."""
        assert self._process is not None
        async with asyncio.timeout(WAIT_S):
            code = await self._process.wait()
        if self._process.stdin is not None:
            # asyncio notices late that nobody reads it any more, perhaps after its loop's end.
            self._process.stdin.close()
        return code

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
        if self.running:
            await self.kill()
        if self._errors is not None:
            await self._errors

    async def _keep_errors(self, stream: asyncio.StreamReader) -> bytes:
        if self._log is None:
            return await stream.read()
        kept = bytearray()
        with self._log.open("ab", buffering=0) as log:
            while data := await stream.read(65_536):
                kept += data
                log.write(data)
        return bytes(kept)


class ServerProcess(Process):
    """``crdtsync serve`` over a data folder, on a free port; ``--dev`` if nothing else is said."""

    def __init__(
        self,
        data: Path,
        policy_file: Path,
        *,
        log: Path | None = None,
        options: Sequence[str] = ("--dev",),
    ) -> None:
        command = [sys.executable, "-c", PROGRAM, "serve", *options, "--port", "0"]
        super().__init__(*command, "--policy", str(policy_file), "--data", str(data), log=log)
        self.port = 0

    async def start(self) -> None:
        """Start it; when this returns, it listens."""
        await super().start()
        while line := await self.line():
            if found := re.search(r"listening on ws://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise DidNotStart(f"the server did not start: {await self.errors()}")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}"
