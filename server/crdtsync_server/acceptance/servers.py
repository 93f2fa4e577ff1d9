"""The server of a scenario: a process of our own, or one that was named with --server."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from crdtsync.policy import Policy
from crdtsync_server.acceptance.evidence import LogCopy, log_from_file, log_over_protocol
from crdtsync_server.acceptance.processes import ServerProcess


class OwnServer:
    """``crdtsync serve`` in a process of its own, on its own data folder."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, log: Path, told: Callable[[], None]) -> None:
        self.data = folder / "server"
        self.policy_file = folder / "server-policy.toml"
        self.port = 0
        self._log = log
        self._told = told
        self._process: ServerProcess | None = None
        self.starts = 0

    @property
    def url(self) -> str:
        """Its own address, without the proxies."""
        return f"ws://{self.host}:{self.port}"

    async def start(self, policy: Policy | None = None) -> None:
        """Start it, with other rules if they are given; it listens when this returns."""
        if policy is not None:
            self.policy_file.write_text(policy.text, encoding="utf-8")
        self._process = ServerProcess(self.data, self.policy_file, log=self._log)
        await self._process.start()
        self.starts += 1
        self.port = self._process.port
        self._told()

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            await self._process.kill()
            await self._process.errors()
            self._process = None
        self.port = 0
        self._told()

    async def stop(self) -> int:
        """Ask it to stop (SIGTERM); its exit code."""
        assert self._process is not None
        self._process.send(signal.SIGTERM)
        code = await self._process.wait()
        await self._process.errors()
        self._process = None
        self.port = 0
        self._told()
        return code

    async def log_copy(self, space: str, policy: Policy) -> LogCopy:
        """The log, from the database file."""
        return log_from_file(self.data / "crdtsync.db", space)


class NamedServer:
    """A server that somebody else runs. It can be talked to, and nothing else."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80

    async def log_copy(self, space: str, policy: Policy) -> LogCopy:
        """The log, over the protocol alone."""
        return await log_over_protocol(self.url, space, policy)
