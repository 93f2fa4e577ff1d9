"""uvicorn's WebSocket protocol, with a way to cut a peer that does not read."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

FRAMES_LOGGER = logging.getLogger("crdtsync.server.frames")
FRAMES_LOGGER.setLevel(logging.WARNING)

ABORT = "crdtsync.abort"
"""Key of the extension in an ASGI scope: cuts the connection at once.

Closing, all that ASGI knows, first waits until everything written is taken, and
a peer that does not read never takes it.
"""


class SyncWebSocketProtocol(WebSocketsSansIOProtocol):
    """``ws="websockets-sansio"`` that hands its application ``ABORT``, and logs no token."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # At DEBUG it would write down every header and the beginning of every frame:
        # the Authorization header and the token of the hello among them.
        self.conn.logger = FRAMES_LOGGER
        self.conn.debug = False

    async def run_asgi(self) -> None:
        """Serve one connection."""
        extensions: dict[str, Any] = {**self.scope["extensions"], ABORT: self.transport.abort}
        self.scope["extensions"] = extensions
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # An opening that was answered with plain HTTP is complete: uvicorn would log an
            # error for each of them.
            self.handshake_complete = True
