"""uvicorn's WebSocket protocol, with a way to cut a peer that does not read."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ABORT = "crdtsync.abort"
"""Key of the extension in an ASGI scope: cuts the connection at once.

Closing, all that ASGI knows, first waits until everything written is taken, and
a peer that does not read never takes it.
"""


class SyncWebSocketProtocol(WebSocketsSansIOProtocol):
    """``ws="websockets-sansio"`` that hands its application ``ABORT``."""

    async def run_asgi(self) -> None:
        """Serve one connection."""
        extensions: dict[str, Any] = {**self.scope["extensions"], ABORT: self.transport.abort}
        self.scope["extensions"] = extensions
        await super().run_asgi()
