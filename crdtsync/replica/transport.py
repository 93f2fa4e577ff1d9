"""The socket: WebSocket connections for the sync shell, and the seam for others."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from crdtsync.documents.errors import UsageError
from crdtsync.errors import CrdtsyncError
from crdtsync.protocol.codec import MAX_SERVER_FRAME_BYTES
from crdtsync.protocol.messages import SUBPROTOCOL
from crdtsync.version import __version__

FRAMES_LOGGER = logging.getLogger("crdtsync.replica.frames")
# At DEBUG websockets would write down frames, and with the hello its token.
FRAMES_LOGGER.setLevel(logging.WARNING)

OPEN_TIMEOUT_S = 10
CLOSE_TIMEOUT_S = 2
MAX_WAITING_FRAMES = 16
"""Frames read ahead of the store. Beyond it the socket is left unread, and the
server notices a slow reader."""


class ConnectionLost(CrdtsyncError):
    """The connection could not be made, or ended."""


class Transport(Protocol):
    """One connection. ``receive`` raises ConnectionLost when it ends."""

    async def send(self, frame: bytes) -> None:
        """Hand a frame to the network; waits while the network is slow."""
        ...

    async def receive(self) -> bytes | str:
        """The next frame. Cancelling loses no frame."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """End the connection. Never raises."""
        ...


class Dial(Protocol):
    """How a transport is made; the seam for tests and other networks."""

    async def __call__(self, url: str) -> Transport:
        """Connect or raise ConnectionLost."""
        ...


class WebSocketTransport:
    """A transport over the websockets library."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: bytes) -> None:
        """See ``Transport.send``."""
        try:
            await self._connection.send(frame)
        except (websockets.WebSocketException, OSError) as error:
            raise ConnectionLost(_why(error)) from error

    async def receive(self) -> bytes | str:
        """See ``Transport.receive``."""
        try:
            return await self._connection.recv()
        except (websockets.WebSocketException, OSError) as error:
            raise ConnectionLost(_why(error)) from error

    async def close(self, code: int, reason: str) -> None:
        """See ``Transport.close``."""
        # A close reason is at most 123 bytes of UTF-8.
        text = reason.encode()[:120].decode(errors="ignore")
        try:
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._connection.close(code, text)
        except TimeoutError:
            # A network that takes nothing does not take the close frame either.
            self._connection.transport.abort()


async def dial(url: str, **options: Any) -> Transport:
    """Open a WebSocket; one attempt (the shell has its own schedule).

    ``options`` go to ``websockets.connect``: ``functools.partial(dial, ssl=context)`` makes a
    dial for ``Replica.open(dial=…)`` that trusts a certificate authority of one's own. A
    ``wss://`` address is checked against the system's authorities otherwise.
    """
    try:
        connection = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_SERVER_FRAME_BYTES,
            max_queue=MAX_WAITING_FRAMES,
            user_agent_header=f"crdtsync/{__version__}",
            logger=FRAMES_LOGGER,
            **options,
        )
    except (websockets.WebSocketException, OSError, TimeoutError) as error:
        raise ConnectionLost(_why(error)) from error
    if connection.subprotocol != SUBPROTOCOL:
        await connection.close(1002, "wrong subprotocol")
        raise ConnectionLost(f"{url} answers, but does not speak {SUBPROTOCOL}")
    return WebSocketTransport(connection)


def check_url(url: str) -> None:
    """Refuse what is not the address of a server, at the call that names it."""
    try:
        parts = urlsplit(url)
        sensible = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sensible = False
    if not sensible:
        raise UsageError(f"{url!r} is not a server's address; use ws://host:port or wss://host")


def _why(error: BaseException) -> str:
    if isinstance(error, websockets.ConnectionClosed):
        close = error.rcvd
        if close is None:
            return "the connection was cut"
        return f"the server closed the connection ({close.code} {close.reason})".strip()
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "no server is reachable at this address"
    return str(error) or type(error).__name__
