"""The runner's side of a device: commands as methods, and a journal of what it wrote."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crdtsync.errors import CrdtsyncError
from crdtsync_server.acceptance.journal import Journal, Write
from crdtsync_server.acceptance.processes import Process
from crdtsync_server.acceptance.proxy import Proxy
from crdtsync_server.acceptance.reaching import LASTS_S, Reach

START_S = 30
ANSWER_S = 60
"""For a command that waits for nothing but the device's own disk."""


class DeviceError(CrdtsyncError):
    """A device could not do what it was told. ``name`` is the class of its error."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


class DeviceGone(CrdtsyncError):
    """The process ended while somebody waited for it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a device is started with."""

    name: str
    user: str
    file: Path
    policy_file: Path
    log: Path
    space: str
    seed: str
    secret_file: Path | None = None
    """The secret that it signs its own tokens with, in place of a login service."""
    token_lasts_s: float = LASTS_S
    reach: Reach | None = None
    """A server that somebody else runs."""
    direct: bool = False
    """Whether it goes to that server without a proxy between."""


class Device:
    """A device process with a network of its own; it can be killed and started again."""

    def __init__(self, setup: Setup, proxy: Proxy, journal: Journal) -> None:
        self.setup = setup
        self.name = setup.name
        self.proxy = proxy
        self.journal = journal
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._heard_more = asyncio.Event()

    # ── its life ────────────────────────────────────────────────────────────

    async def start(self, *, clock_s: float = 0.0) -> None:
        """Start the process; when this returns, its file is open."""
        setup = self.setup
        command = [sys.executable, "-m", "crdtsync_server.acceptance.device", str(setup.file)]
        options = {
            "--space": setup.space,
            "--policy": str(setup.policy_file),
            "--user": setup.user,
            "--name": setup.name,
            "--seed": setup.seed,
            "--clock": str(clock_s),
        }
        if setup.secret_file is not None:
            options["--secret-file"] = str(setup.secret_file)
            options["--token-lasts"] = str(setup.token_lasts_s)
        if setup.direct and setup.reach is not None and setup.reach.ca is not None:
            options["--ca"] = str(setup.reach.ca)
        for option, value in options.items():
            command += [option, value]
        self._process = Process(*command, log=setup.log, stdin=True)
        opened = self._answers[0] = asyncio.get_running_loop().create_future()
        await self._process.start()
        self._listening = asyncio.create_task(self._listen(self._process))
        async with asyncio.timeout(START_S):
            await opened

    @property
    def running(self) -> bool:
        """Whether it can be told anything."""
        return self._process is not None and self._process.running

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.send(signal.SIGKILL)
            await self._gone()

    async def stop(self) -> None:
        """End of input: it closes its file and ends."""
        if self._process is not None:
            self._process.close_input()
            await self._gone()

    async def _gone(self) -> None:
        assert self._process is not None
        assert self._listening is not None
        await self._process.ended()
        await self._listening  # everything that it said is in the journal now
        await self._process.errors()
        self._process = None

    async def end(self) -> None:
        """Whatever its state, it is gone afterwards."""
        if self._process is not None:
            try:
                await self.kill()
            finally:
                if self._listening is not None:
                    self._listening.cancel()

    # ── what it is told ─────────────────────────────────────────────────────

    async def ask(self, do: str, *, answer_s: float = ANSWER_S, **params: Any) -> Any:
        """Send a command and wait for its answer. Raises DeviceError, DeviceGone."""
        return await self.answer_to(await self.tell(do, **params), answer_s)

    async def tell(self, do: str, **params: Any) -> int:
        """Send a command; its number, for ``answer_to``."""
        if self._process is None:
            raise DeviceGone(f"{self.name} does not run")
        self._number += 1
        number = self._number
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._process.write_line(json.dumps({"n": number, "do": do, **params}))
        except OSError as error:
            raise DeviceGone(f"{self.name} ended: {error}") from error
        return number

    async def answer_to(self, number: int, answer_s: float = ANSWER_S) -> Any:
        """The answer to a command that was told."""
        try:
            async with asyncio.timeout(answer_s):
                return await self._answers[number]
        except TimeoutError:
            raise DeviceError("TimeoutError", f"{self.name} did not answer in time") from None
        finally:
            self._answers.pop(number, None)

    async def write(self, writes: Sequence[Write]) -> None:
        """One after another; when this returns, all are on the device's disk."""
        # Generous: 5,000 writes are 5,000 times a disk that has to say "saved".
        answer_s = ANSWER_S + 0.05 * len(writes)
        await self.ask("write", writes=list(writes), answer_s=answer_s)

    async def connect(self) -> None:
        """Connect through its own network; connected already, try at once."""
        reach = self.setup.reach
        if reach is None:
            await self.ask("connect", url=self.proxy.url)
        elif self.setup.direct:
            await self.ask("connect", url=reach.url)
        else:
            # By the server's own name, which a proxy in front of it may go by.
            await self.ask("connect", url=reach.plain_url, via=self.proxy.port)

    async def synced(self, timeout_s: float) -> None:
        """Until it is in step."""
        await self.ask("synced", timeout=timeout_s, answer_s=timeout_s + 10)

    async def until(self, what: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Until something is so (``device.CONDITIONS``); the status then."""
        status: dict[str, Any] = await self.ask(
            "until", what=what, timeout=timeout_s, answer_s=timeout_s + 10
        )
        return status

    async def asked_for_token(self, times: int, timeout_s: float) -> None:
        """Until it has asked its login service so many times in all."""
        await self.ask("asked", times=times, timeout=timeout_s, answer_s=timeout_s + 10)

    async def status(self) -> dict[str, Any]:
        """How sync stands there."""
        status: dict[str, Any] = await self.ask("status")
        return status

    async def records(self) -> dict[str, dict[str, Any]]:
        """All that it shows."""
        records: dict[str, dict[str, Any]] = await self.ask("records")
        return records

    async def outbox(self) -> list[dict[str, Any]]:
        """What waits there."""
        waiting: list[dict[str, Any]] = await self.ask("outbox")
        return waiting

    async def discard(self, op_id: str) -> None:
        """A person takes a change back."""
        await self.ask("discard", op_id=op_id)
        self.journal.taken_back(op_id)

    async def saved(self, count: int) -> None:
        """Until so many more writes have returned there, or it has ended."""
        wanted = self._saved_count() + count
        while self._saved_count() < wanted and self.running:
            await self._heard_more.wait()
            self._heard_more.clear()

    def _saved_count(self) -> int:
        return sum(one.done for one in self.journal.notes.values() if one.device == self.name)

    async def choose(self, record: str, field: str, value: object) -> str:
        """A person chooses in a conflict; the op_id of the choice."""
        op_id: str = await self.ask("resolve", record=record, field=field, value=value)
        return op_id

    # ── its file ────────────────────────────────────────────────────────────

    def back_up(self) -> Path:
        """Copy the file of a device that does not run, as a backup program does."""
        target = self.setup.file.with_name(f"{self.name}.backup")
        for ending in ("", "-wal"):
            if os.path.exists(f"{self.setup.file}{ending}"):
                shutil.copyfile(f"{self.setup.file}{ending}", f"{target}{ending}")
        return target

    def lose_file(self) -> None:
        """The device's disk is gone."""
        for path in self.setup.file.parent.glob(f"{self.setup.file.name}*"):
            path.unlink()

    def put_back(self, backup: Path) -> None:
        """The old copy takes the place of the file."""
        self.lose_file()
        for ending in ("", "-wal"):
            if os.path.exists(f"{backup}{ending}"):
                shutil.copyfile(f"{backup}{ending}", f"{self.setup.file}{ending}")

    # ── listening ───────────────────────────────────────────────────────────

    async def _listen(self, process: Process) -> None:
        while line := await process.next_line():
            if line.endswith("\n"):  # a killed process may leave half a line
                self._heard(json.loads(line))
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(DeviceGone(f"{self.name} ended; see {self.setup.log}"))
                waiting.exception()  # nobody may be waiting any more
        self._answers.clear()

    def _heard(self, message: dict[str, Any]) -> None:
        self._heard_more.set()
        if "begun" in message:
            self.journal.begun(self.name, message["begun"], message["write"])
        elif "done" in message:
            self.journal.done(message["done"])
        elif "fault" in message:
            self.journal.faults.append(f"{self.name}: {message['fault']}")
        else:
            waiting = self._answers.get(message["n"])
            if waiting is None or waiting.done():
                return
            if "error" in message:
                waiting.set_exception(DeviceError(message["error"], message["words"]))
                waiting.exception()
            else:
                waiting.set_result(message["ok"])
