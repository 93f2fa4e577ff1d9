"""uvicorn's HTTP protocol, for peers that are slow on purpose or come in crowds.

uvicorn itself waits for ever for the rest of a request's head (slowloris), and
takes as many sockets as the process may have.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""From a socket's opening, or the first byte of a further request, to the whole head."""

UNREAD_S = 30.0
"""How long a peer may leave an answer lying without taking a byte of it."""

SPARE_SOCKETS = 2_000
"""Beyond the connections of replicas: hellos that are awaited, and HTTP."""


def http_protocol(connections: int) -> type[H11Protocol]:
    """The protocol of a server that takes ``connections`` replicas."""

    class PatientButNotForEver(H11Protocol):
        """HTTP/1.1 that ends what does not come to the point."""

        _head_timer: asyncio.TimerHandle | None = None
        _reader_timer: asyncio.TimerHandle | None = None

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
            self._reader_is_there()
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

        def pause_writing(self) -> None:
            """The peer reads more slowly than the application writes."""
            super().pause_writing()
            self._watch_reader(self.transport.get_write_buffer_size())

        def resume_writing(self) -> None:
            """It has caught up."""
            self._reader_is_there()
            super().resume_writing()

        def _watch_reader(self, unread_bytes: int) -> None:
            self._reader_timer = self.loop.call_later(UNREAD_S, self._look_at_reader, unread_bytes)

        def _look_at_reader(self, unread_bytes: int) -> None:
            left_bytes = self.transport.get_write_buffer_size()
            if left_bytes >= unread_bytes:
                self.transport.abort()
            else:
                self._watch_reader(left_bytes)

        def _reader_is_there(self) -> None:
            if self._reader_timer is not None:
                self._reader_timer.cancel()
                self._reader_timer = None

        def _head_is_there(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return PatientButNotForEver
