"""A running server: the store, ingest, the hub and whoever is connected."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from crdtsync.database import StorageError, explain
from crdtsync.policy import Policy
from crdtsync.protocol.admission import PolicyOffer
from crdtsync.protocol.messages import Limits
from crdtsync_server.access.access import REVOKED_WORDS, Access, token_authenticator
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.access.sockets import http_protocol
from crdtsync_server.app import make_app
from crdtsync_server.authentication import Authenticator, DevAuthenticator, Identity
from crdtsync_server.connection import Connection
from crdtsync_server.hub import Hub
from crdtsync_server.ingest import Ingest
from crdtsync_server.observing.observer import Observer
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.observing.store_watch import StoreWatch
from crdtsync_server.sending import Turn
from crdtsync_server.settings import ProxySettings, Retention, Settings, Timeouts
from crdtsync_server.storage.bounds import Bounds
from crdtsync_server.storage.policies import adopt_policy
from crdtsync_server.storage.store import Store
from crdtsync_server.trimming import Trimmer
from crdtsync_server.websocket import SyncWebSocketProtocol
from crdtsync_server.work import Origin

logger = logging.getLogger("crdtsync.server")

LISTEN_BACKLOG = 2_048
"""Replicas come back all at once after a restart."""


def wall_clock_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1_000


class Service:
    """Everything of a server but the socket it listens on.

    ``start`` opens the store and adopts the policy; ``drain`` takes nothing
    new, commits and answers what is queued, and says goodbye; ``close`` ends
    what is left. ``now_us`` is the only clock.
    """

    def __init__(
        self,
        policy: Policy,
        settings: Settings,
        authenticator: Authenticator,
        *,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> None:
        self.policy = policy
        self.offer = PolicyOffer(policy.version, policy.hash, policy.text)
        self.settings = settings
        self.access = Access(settings.access, now_us=now_us, revoked=self.end_sign_ins)
        self.authenticator = self.access.guard(authenticator)
        self.now_us = now_us
        self.hub = Hub()
        self.turn = Turn()
        self.observer = Observer(settings.observing, now_us=now_us, skews_us=self._skews_us)
        self.metrics, self.tracer = self.observer.metrics, self.observer.tracer
        self.store_watch = StoreWatch(self.metrics, now_us=now_us)
        self.draining = False
        self._connections: dict[Connection, asyncio.Task[None] | None] = {}
        self._store: Store | None = None
        self._ingest: Ingest | None = None
        self._trimmer: Trimmer | None = None

    @property
    def store(self) -> Store:
        """The open store."""
        assert self._store is not None, "the service was not started"
        return self._store

    @property
    def ingest(self) -> Ingest:
        """Where connections submit their work."""
        assert self._ingest is not None, "the service was not started"
        return self._ingest

    @property
    def trimmer(self) -> Trimmer:
        """What trims the log; ``await trimmer.trim()`` is one round at once."""
        assert self._trimmer is not None, "the service was not started"
        return self._trimmer

    async def start(self, store: Store | None = None) -> None:
        """Open the store (or take this one). Raises StorageError, PolicyRefused, or
        BadAccessSettings where the file of revocations cannot be read."""
        self.access.load()
        self._store = store if store is not None else await Store.open(self.settings.folder)
        self.draining = False
        try:
            sql, policy, now_us = self._store.sql, self.policy, self.now_us()
            await self._store.write(
                lambda connection: adopt_policy(connection, sql, policy, now_us)
            )
            await self.observer.start(self._store)
        except sqlite3.Error as error:
            await self._store.close()
            raise explain(error, self._store.what) from error
        except BaseException:
            await self._store.close()
            raise
        self._ingest = Ingest(
            self._store,
            self.policy,
            now_us=self.now_us,
            publish=self.hub.publish,
            allowance=self._allowance,
            bounds=Bounds(
                self.settings.access.records_per_space, self.settings.access.graves_per_space
            ),
            observer=self.observer,
        )
        self._ingest.start()
        self._trimmer = Trimmer(self._store, self.settings.retention, now_us=self.now_us)
        self._trimmer.start()
        self.access.start()

    def _allowance(self, origin: Origin, count: int, now_us: int) -> int:
        """Milliseconds that ``origin`` has to wait before it may send ``count`` ops."""
        quotas = self.access.quotas
        return quotas.ops(origin.allowance, origin.user, origin.space, count, now_us)

    def _skews_us(self) -> list[int | None]:
        return [connection.skew_us for connection in self._connections]

    def end_sign_ins(self, is_over: Callable[[Identity], bool]) -> None:
        """Some sign-ins were taken back: whoever is connected with one has to go."""
        for connection in list(self._connections):
            connection.end_sign_in(is_over, REVOKED_WORDS)
        self.hub.wake_all()  # whoever follows over HTTP looks whether it may go on

    async def serve_connection(self, connection: Connection) -> None:
        """Serve one connection until it ends."""
        self._connections[connection] = asyncio.current_task()
        self.access.wait(connection)
        try:
            await connection.serve()
        finally:
            self.access.waited(connection)
            del self._connections[connection]

    async def drain(self) -> None:
        """No new ops; commit what is queued, answer it, say goodbye, wait for the last."""
        self.draining = True
        self.hub.wake_all()
        await self.access.stop()
        await self.trimmer.stop()
        for connection in self._connections:
            connection.stop_reading()
        await self.ingest.stop()
        for connection in list(self._connections):
            connection.restart()
        tasks = [task for task in self._connections.values() if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=self.settings.timeouts.drain_s)
        for connection in list(self._connections):
            connection.cut()

    async def close(self) -> None:
        """Close the store, whatever else fails to end. After ``drain``."""
        try:
            await self.access.stop()
            await self.trimmer.stop()
            await self.tracer.finish(self.store)
        finally:
            await self.store.close()


class RunningServer:
    """A server in the current event loop: ``async with RunningServer(…) as server``.

    For tests, the demo and programs that bring their own server. The same code
    runs behind ``crdtsync serve``. Raises StorageError, PolicyRefused,
    BadSettings or BadAccessSettings when it cannot start.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        data: str | Path,
        dev: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        authenticator: Authenticator | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retention: Retention | None = None,
        access: AccessSettings | None = None,
        observing: ObservingSettings | None = None,
        proxy: ProxySettings | None = None,
        now_us: Callable[[], int] = wall_clock_us,
        store: Store | None = None,
    ) -> None:
        settings = Settings(
            Path(data),
            host,
            port,
            dev,
            limits or Limits(),
            timeouts or Timeouts(),
            retention or Retention(),
            access or AccessSettings(),
            observing or ObservingSettings(),
            proxy or ProxySettings(),
        )
        settings.check(authenticated=authenticator is not None)
        self._settings = settings
        self._store = store
        self.service = Service(
            policy,
            settings,
            authenticator
            or token_authenticator(settings.access, now_us=now_us)
            or DevAuthenticator(policy),
            now_us=now_us,
        )
        self.port = 0
        self._uvicorn: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        """Where replicas connect."""
        host = self._settings.host
        return f"ws://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; when it returns, replicas can connect."""
        listener = listen(self._settings.host, self._settings.port)
        try:
            await self.service.start(self._store)
        except BaseException:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(self.service),
            http=http_protocol(self._settings.access.connections),
            server_header=False,
            ws=SyncWebSocketProtocol,
            ws_per_message_deflate=False,
            ws_max_size=self._settings.limits.frame_bytes,
            # Our own heartbeats tell more than WebSocket pings: they go through the session.
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            # Unless a proxy is named, nobody is believed (uvicorn would trust this machine).
            proxy_headers=bool(self._settings.proxy.trusted),
            forwarded_allow_ips=list(self._settings.proxy.trusted),
            timeout_graceful_shutdown=2,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        self._uvicorn = server
        self._listener = listener

    async def stop(self) -> None:
        """Stop as on SIGTERM: commit, answer, say goodbye, close."""
        server = self._uvicorn
        if server is None:
            return
        self._uvicorn = None
        self.service.draining = True
        await asyncio.sleep(self._settings.timeouts.notice_s)
        for listening in server.servers:
            listening.close()
        try:
            await self.service.drain()
            await self._let_peers_close(server)
        finally:
            for protocol in list(server.server_state.connections):
                protocol.transport.abort()
            await server.shutdown(sockets=[self._listener])
            await self.service.close()

    async def _let_peers_close(self, server: uvicorn.Server) -> None:
        """Peers that heard the goodbye close by themselves; cutting them could lose it."""
        loop = asyncio.get_running_loop()
        last_s = loop.time() + min(self._settings.timeouts.close_s, 1.0)
        # uvicorn has no event for "the last connection is gone".
        while server.server_state.connections and loop.time() < last_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises StorageError-like errors in words."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host.strip("[]"), port), family=family, backlog=LISTEN_BACKLOG
        )
        # Accepted sockets inherit it. asyncio sets it only on sockets that say they are TCP,
        # which these do not, and every answer of two parts would wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another port (--port 0 takes a free one), or stop what uses it"
        ) from error


class CannotListen(StorageError):
    """The address is taken or not ours."""
