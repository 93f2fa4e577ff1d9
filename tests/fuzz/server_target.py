"""The real server in memory and virtual time, under hostile frames from many connections.

Beside them an honest replica writes; its writes must go on being accepted. After
each batch the store is checked (store_checks.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from crdtsync.catalogue.reasons import REASON_CODES
from crdtsync.database import InlineExecutor
from crdtsync.documents import identity
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import Decision, decide
from crdtsync.documents.state import RecordState
from crdtsync.protocol.messages import Limits, Receipt, RefusedOp, Transient
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated
from crdtsync_server.service import Service
from crdtsync_server.settings import Settings, Timeouts
from crdtsync_server.simulation.virtual_time import run_virtually
from crdtsync_server.storage import group
from crdtsync_server.storage.store import Store
from tests.fuzz.honest import Around, HonestReplica
from tests.fuzz.hostile_peer import HostilePeer
from tests.fuzz.known import Known
from tests.fuzz.notebook import Notebook
from tests.fuzz.rules import POLICY, ROLES
from tests.fuzz.store_checks import StoreChecks
from tests.fuzz.target import Found
from tests.fuzz.watching_logs import Faults, hearing_faults

BATCH = 25
PEERS = 5
NARROW_BITS = 12
"""Of an item's id in one episode of four: there collisions are ordinary."""

SETTLE_S = 0.0001
"""Virtual: long enough for everything that is ready, too short for any timer."""


class Doorkeeper:
    """Knows users by name, with the roles of a nurse."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        """See ``Authenticator``."""
        if credentials.user == "trudy" and credentials.token is not None:
            raise NotAuthenticated("sign in again")
        return Identity(credentials.user or "", ROLES)


class ServerTarget:
    """``Connection``, session, ingest and store, as one."""

    name = "server"
    frames_per_episode = 1_000
    memory_bytes = 200 * 1_048_576
    frame_limit_s = 10.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        narrow = draw.random() < 0.25
        with narrow_ids() if narrow else nothing():
            run_virtually(_Episode(draw, notebook, narrow).run(self.frames_per_episode))


@contextmanager
def nothing() -> Iterator[None]:
    """No change."""
    yield


@contextmanager
def narrow_ids() -> Iterator[None]:
    """Item ids of a few bits, so that many collide."""
    identity.client_id.cache_clear()
    with patch.object(identity, "CLIENT_ID_MASK", 2**NARROW_BITS - 1):
        yield
    identity.client_id.cache_clear()


class _Episode:
    def __init__(self, draw: Random, notebook: Notebook, narrow: bool) -> None:
        self.draw = draw
        self.notebook = notebook
        self.known = Known()
        self.peers: list[HostilePeer] = []
        self.around = Around(draw)
        self.narrow = narrow
        self.store = Store.in_memory()
        executor = self.store._writer
        assert isinstance(executor, InlineExecutor)
        self.checks = StoreChecks(executor.connection, self.known)
        self.service = Service(
            POLICY,
            Settings(Path("."), "127.0.0.1", 0, True, Limits(), Timeouts()),
            Doorkeeper(),
            now_us=self.around.now_us,
        )
        self.gone: list[HostilePeer] = []

    async def run(self, frames: int) -> None:
        def decide_and_note(state: RecordState, op: Op, *args: Any, **more: Any) -> Decision:
            decision = decide(state, op, *args, **more)
            self.checks.decided[op.op_id, more["received_us"]] = op
            return decision

        with hearing_faults("crdtsync") as faults, patch.object(group, "decide", decide_and_note):
            await self.service.start(self.store)
            honest = HonestReplica(self.service, self.draw, narrow=self.narrow)
            await honest.start()
            self.known.replica_ids.append(honest.replica.replica_id)
            sent = 0
            while sent < frames:
                for _ in range(min(BATCH, frames - sent)):
                    await self._one_frame()
                    sent += 1
                await self._check(faults, honest)
            await self._end(faults, honest)

    async def _one_frame(self) -> None:
        draw = self.draw
        if draw.random() < 0.02:
            await asyncio.sleep(draw.choice((0.05, 1, 15, 61)))
        self._let_go()
        if len(self.peers) < PEERS:
            self.peers.append(HostilePeer(self.service, draw, self.known))
        peer = draw.choice(self.peers)
        data, spoiled = peer.next_frame(self.around.now_us())
        self.notebook.frame(data if isinstance(data, bytes) else data.encode(), spoiled=spoiled)
        peer.send(data)
        if draw.random() < 0.01:
            peer.cut()
        if draw.random() < 0.8:
            await asyncio.sleep(SETTLE_S)

    def _let_go(self) -> None:
        for peer in [one for one in self.peers if one.closed]:
            self.peers.remove(peer)
            self.gone.append(peer)

    def _check_answers(self, peer: HostilePeer) -> None:
        counts = self.notebook.counts
        for op, answer in peer.heard:
            counts[f"ops: {type(answer).__name__.lower()}"] += 1
            if isinstance(answer, RefusedOp):
                counts[f"refused: {answer.code}"] += 1
                if answer.code not in REASON_CODES:
                    raise Found(f"a refusal without words for people: {answer}")
            elif isinstance(answer, Receipt):
                self.checks.check_answer(op, answer)
            elif isinstance(answer, Transient) and answer.reason == "server_error":
                raise Found(f"a fault of the server: {answer}")
        peer.heard.clear()

    async def _check(self, faults: Faults, honest: HonestReplica) -> None:
        await asyncio.sleep(SETTLE_S)
        self.notebook.alive()
        faults.check()
        self.checks.check()
        for peer in (*self.peers, *self.gone):
            self._check_answers(peer)
        await honest.write()
        faults.check()
        self.notebook.alive()

    async def _end(self, faults: Faults, honest: HonestReplica) -> None:
        for peer in self.peers:
            peer.cut()
        self._let_go()
        for peer in self.gone:
            await asyncio.wait_for(peer.task, 60)
        await honest.write()
        self.checks.check()
        self.checks.check_meaning()
        self.notebook.counts["ops in the log"] += self.checks.accepted
        self.notebook.counts["honest writes"] += honest.written
        await honest.close()
        await self.service.drain()
        await self.service.close()
        if self.service._connections or self.service.hub._feeds:
            raise Found("connections are still held after all of them have ended")
        faults.check()
