"""Where a scenario plays: a server, devices with a network each, a journal, and the end
that every scenario has: is everything there, once, and does everyone read the same?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

from crdtsync.errors import CrdtsyncError
from crdtsync.policy import Policy
from crdtsync_server.acceptance.disks import small_disk
from crdtsync_server.acceptance.handles import Device, DeviceError, Setup
from crdtsync_server.acceptance.journal import Journal, Write
from crdtsync_server.acceptance.outcome import Check, Said
from crdtsync_server.acceptance.proxy import Proxy
from crdtsync_server.acceptance.reaching import LASTS_S, Reach
from crdtsync_server.acceptance.reconciling import candidates_in
from crdtsync_server.acceptance.servers import NamedServer, OwnServer
from crdtsync_server.demo.repeats import BareClient

RECOVERY_LIMIT_S = 120
"""Everybody is in step so long after the network is back, or the scenario fails: a minute
in which a dead connection is noticed, and what the work itself takes."""

QUICK_LIMIT_S = 40
"""The same where no connection dies unnoticed and there is little work."""

NEWCOMER = "newcomer"


class NotInStep(CrdtsyncError):
    """Devices and server did not come into step; the check that says so is noted."""


class Stage:
    """Hands a scenario what it needs, and notes what it does and sees."""

    def __init__(
        self,
        *,
        folder: Path,
        space: str,
        policy: Policy,
        seed: str,
        quick: bool,
        reach: Reach | None,
        on_step: Callable[[Said], None],
    ) -> None:
        self.folder = folder
        self.space = space
        self.policy = policy
        self.quick = quick
        self.draw = Random(seed)
        self.journal = Journal()
        self.devices: dict[str, Device] = {}
        self.steps: list[Said] = []
        self.checks: list[Check] = []
        self.recovery_s: float | None = None
        self.candidates: dict[tuple[str, str], list[Any]] = {}
        self.values: dict[tuple[str, str], Any] = {}
        self.reach = reach
        self.secret_file = None if reach is None else reach.secret_file
        self.token_lasts_s = LASTS_S
        self._seed = seed
        self._server: OwnServer | NamedServer | None = None
        self._on_step = on_step
        self._back_at: float | None = None
        self._ending = AsyncExitStack()

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            ending = [device.end() for device in self.devices.values()]
            await asyncio.gather(*ending, return_exceptions=True)
        finally:
            if isinstance(self._server, OwnServer):
                await self._server.kill()
            await self._ending.aclose()

    # ── the cast ────────────────────────────────────────────────────────────

    @property
    def server(self) -> OwnServer | NamedServer:
        """The server that devices reach."""
        assert self._server is not None, "the scenario has not opened"
        return self._server

    @property
    def own(self) -> OwnServer:
        """The server as something that can be killed; scenarios that need it say so."""
        assert isinstance(self._server, OwnServer)
        return self._server

    async def begin(self, *names: str, token_lasts_s: float | None = None) -> list[Device]:
        """Start the server and these devices, and connect them."""
        devices = await self.open(*names, token_lasts_s=token_lasts_s)
        self.step("began", n=len(devices))
        await self.connect(*devices)
        await self.in_step(*devices)
        return devices

    async def open(
        self, *names: str, data: Path | None = None, token_lasts_s: float | None = None
    ) -> list[Device]:
        """Start the server and these devices; they are not connected yet.

        With ``token_lasts_s`` the server checks tokens, and each token of a device is
        good for so long.
        """
        self.token_lasts_s = token_lasts_s or LASTS_S
        if self.reach is None:
            self._server = OwnServer(self.folder, self.folder / "server.log", self._server_moved)
            if data is not None:
                self._server.data = data
            if token_lasts_s is not None:
                self._sign_in_by_token(self._server)
            await self._server.start(self.policy)
        else:
            self._server = NamedServer(self.reach)
        # One by one: all at once, they would race for the same processor.
        return [await self.device(name) for name in names]

    async def device(
        self, name: str, *, folder: Path | None = None, clock_s: float = 0.0
    ) -> Device:
        """A further device, started, with a network of its own."""
        policy_file = self.folder / "policy.toml"
        policy_file.write_text(self.policy.text, encoding="utf-8")
        proxy = Proxy(
            self.server.port,
            host=self.server.host,
            seed=self.draw.randrange(1 << 30),
            tls=None if self.reach is None else self.reach.tls,
        )
        await self._ending.enter_async_context(proxy)
        setup = Setup(
            name=name,
            user=f"{name}-user",
            file=(folder or self.folder) / f"{name}.db",
            policy_file=policy_file,
            log=self.folder / f"{name}.log",
            space=self.space,
            seed=f"{self._seed}:{name}",
            secret_file=self.secret_file,
            token_lasts_s=self.token_lasts_s,
            reach=self.reach,
            # One device goes without our network between, so that its own TLS is tried too.
            direct=name == NEWCOMER and self.reach is not None and self.reach.tls is not None,
        )
        device = self.devices[name] = Device(setup, proxy, self.journal)
        await device.start(clock_s=clock_s)
        return device

    def _sign_in_by_token(self, server: OwnServer) -> None:
        from crdtsync_server.access.making import write_secret

        self.secret_file = self.folder / "jwt-secret"
        write_secret(self.secret_file)
        # No leeway: what has expired is refused on the second.
        server.options = ("--jwt-secret-file", str(self.secret_file), "--leeway-s", "0")

    def stranger(self, user: str) -> BareClient:
        """A client that uses nothing of the replica, signed in if the server asks for it."""
        reach = self.reach or Reach(self.server.url, secret_file=self.secret_file)
        return reach.client(self.space, user, self.policy)

    def _server_moved(self) -> None:
        for device in self.devices.values():
            device.proxy.upstream_port = self.server.port

    def small_disk(self, name: str) -> Path:
        """A file system that can be filled; gone when the scenario is over."""
        return self._ending.enter_context(small_disk(self.folder, name))

    @property
    def limit_s(self) -> int:
        """How long everybody may take to be in step."""
        return QUICK_LIMIT_S if self.quick else RECOVERY_LIMIT_S

    def count(self, full: int, quick: int) -> int:
        """How many: the full number, or the one of ``--quick``."""
        return quick if self.quick else full

    # ── what happens ────────────────────────────────────────────────────────

    def step(self, key: str, **params: object) -> None:
        """Something is about to be done."""
        said = Said(f"did_{key}", dict(params))
        self.steps.append(said)
        self._on_step(said)

    @property
    def failed(self) -> bool:
        """Whether something did not hold already."""
        return not all(check.ok for check in self.checks)

    def check(self, key: str, ok: bool, **params: object) -> None:
        """Something had to be so."""
        self.checks.append(Check(key, ok, dict(params)))

    async def connect(self, *devices: Device) -> None:
        """Connect these devices; connected already, they try at once, as an app does when
        the phone tells it that the network is back."""
        for device in devices:
            await device.connect()

    async def offline(self, *devices: Device) -> None:
        """Airplane mode."""
        for device in devices:
            await device.proxy.go_offline()

    async def online(self, *devices: Device) -> None:
        """Airplane mode off. The clock of the recovery starts."""
        for device in devices:
            device.proxy.go_online()
        self.network_is_back()
        await self.connect(*devices)

    def network_is_back(self) -> None:
        """From now on the time to recover counts."""
        self._back_at = asyncio.get_running_loop().time()

    async def in_step(self, *devices: Device, limit_s: float | None = None) -> None:
        """Wait until everything is sent and everyone has everything. Raises NotInStep."""
        limit_s = self.limit_s if limit_s is None else limit_s
        try:
            for _ in range(2):  # when every outbox is empty, the head is final
                await asyncio.gather(*(one.synced(limit_s) for one in devices))
        except DeviceError as error:
            self.check("not_in_step", False, limit=self.limit_s, why=str(error))
            raise NotInStep(str(error)) from error
        if self._back_at is not None:
            took_s = asyncio.get_running_loop().time() - self._back_at
            self.recovery_s = max(self.recovery_s or 0.0, round(took_s, 1))
            self._back_at = None

    async def candidates_on(self, device: Device, record: str, field: str) -> list[Any] | None:
        """The values that a device shows side by side; None where it shows one value."""
        values = candidates_in((await device.records()).get(record, {}).get(field))
        return None if values is None else sorted(values, key=str)

    # ── what must be true at the end ────────────────────────────────────────

    def expect(self, record: str, field: str, value: Any) -> None:
        """Everyone must read this value in the end."""
        self.values[record, field] = value
        self.candidates.pop((record, field), None)

    def expect_conflict(self, record: str, field: str, values: Sequence[Any]) -> None:
        """Everyone must see exactly these values side by side, none chosen."""
        self.candidates[record, field] = list(values)
        self.values.pop((record, field), None)

    def writes_for(self, count: int, records: int, label: str) -> list[Write]:
        """A mixture of changes as people make them, drawn from the seed."""
        made: list[Write] = []
        for n in range(count):
            record = f"item-{self.draw.randrange(records)}"
            match self.draw.randrange(4):
                case 0:
                    write: Write = {
                        "kind": "update",
                        "record": record,
                        "fields": {"name": f"{label} {n}"},
                    }
                case 1:
                    write = {"kind": "tag", "record": record, "tags": [f"{label}-{n % 5}"]}
                case _:
                    by = 1 + self.draw.randrange(3)
                    write = {"kind": "increment", "record": record, "by": by}
            made.append(write)
        return made


def quoted(words: dict[str, Any]) -> dict[str, str]:
    """What a device told its user, for a check: each reader sees it in their language."""
    return {"en": f"“{words['en']}”", "ko": f"“{words['ko']}”"}
