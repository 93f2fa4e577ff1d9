"""The server of a scenario: a process of our own, or one that was named with --server."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from crdtsync.policy import Policy
from crdtsync_server.acceptance.evidence import LogCopy, log_from_file, log_over_protocol
from crdtsync_server.acceptance.processes import ServerProcess
from crdtsync_server.acceptance.reaching import Reach


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
        self.options: tuple[str, ...] = ("--dev",)
        self.starts = 0

    @property
    def url(self) -> str:
        """Its own address, without the proxies."""
        return f"ws://{self.host}:{self.port}"

    async def start(self, policy: Policy | None = None) -> None:
        """Start it, with other rules if they are given; it listens when this returns."""
        if policy is not None:
            self.policy_file.write_text(policy.text, encoding="utf-8")
        self._process = ServerProcess(
            self.data, self.policy_file, log=self._log, options=self.options
        )
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

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self.url = reach.url
        self.host = reach.host
        self.port = reach.port

    async def log_copy(self, space: str, policy: Policy) -> LogCopy:
        """The log, over the protocol alone."""
        return await log_over_protocol(self.reach, space, policy)
