"""uvicorn's HTTP protocol, for peers that are slow on purpose or come in crowds.

uvicorn itself waits for ever for the rest of a request's head (slowloris), and
takes as many sockets as the process may have.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from crdtsync_server.websocket import ABORT

HEAD_S = 10.0
"""From a socket's opening, or the first byte of a further request, to the whole head."""

SPARE_SOCKETS = 2_000
"""Beyond the connections of replicas: hellos that are awaited, and HTTP."""


def http_protocol(connections: int) -> type[H11Protocol]:
    """The protocol of a server that takes ``connections`` replicas."""

    class PatientButNotForEver(H11Protocol):
        """HTTP/1.1 that ends what does not come to the point."""

        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """A socket was accepted."""
            super().connection_made(transport)
            if len(self.connections) > connections + SPARE_SOCKETS:
                transport.abort()
            else:
                self._head_timer = self.loop.call_later(HEAD_S, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            """It is gone."""
            self._head_is_there()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Some bytes came: a head, part of one, or of a body."""
            super().data_received(data)
            if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
                self._head_is_there()
            elif self._head_timer is None:
                # The head of a further request has begun. Bytes that trickle in do not
                # move its deadline.
                self._head_timer = self.loop.call_later(HEAD_S, self.transport.abort)

        def handle_events(self) -> None:
            """Hands the application a way to cut a peer that does not read."""
            super().handle_events()
            scope: Any = self.scope
            if scope is not None:
                scope.setdefault("extensions", {})[ABORT] = self.transport.abort

        def _head_is_there(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return PatientButNotForEver
