"""uvicorn's WebSocket protocol, with a short way for the frames that a replica sends and gets.

The opening, control frames and whatever is out of the ordinary go the library's way. Whole
binary messages, once the connection stands, do not: they are taken apart by framing.py and
handed to whoever serves the connection as they come, and what is sent goes straight into
the transport. The library's way costs a parser of the whole standard, a queue and several
layers of ASGI for each frame in each direction, and a server of many readers does little else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from crdtsync_server.framing import Deframer

FRAMES_LOGGER = logging.getLogger("crdtsync.server.frames")
FRAMES_LOGGER.setLevel(logging.WARNING)

WIRE = "crdtsync.wire"
"""Key of the extension in an ASGI scope: the connection itself, for what ASGI has no way to
say. Cutting it, for one: closing, all that ASGI knows, first waits until everything written
is taken, and a peer that does not read never takes it."""

Take = Callable[[bytes], bool]
"""Is handed a message as it comes; False: not now, let ``receive`` give it."""


class SyncWebSocketProtocol(WebSocketsSansIOProtocol):
    """``ws="websockets-sansio"`` that hands itself to its application, and logs no token."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # At DEBUG it would write down every header and the beginning of every frame:
        # the Authorization header and the token of the hello among them.
        self.conn.logger = FRAMES_LOGGER
        self.conn.debug = False
        self._take: Take | None = None
        self._deframer: Deframer | None = None
        self._has_seen_bytes = False
        self._pong = b""

    async def run_asgi(self) -> None:
        """Serve one connection."""
        extensions: dict[str, Any] = {**self.scope["extensions"], WIRE: self}
        self.scope["extensions"] = extensions
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # An opening that was answered with plain HTTP is complete: uvicorn would log an
            # error for each of them.
            self.handshake_complete = True

    # ── for whoever serves the connection ───────────────────────────────────

    def abort(self) -> None:
        """Cut the connection at once."""
        self.transport.abort()

    def hand_to(self, take: Take | None) -> None:
        """From now on ``take`` gets each message first; None: nobody does any more."""
        self._take = take

    @property
    def has_room(self) -> bool:
        """Whether the peer takes what is written; else ``send`` waits until it does."""
        return (
            self.writable.is_set()
            and self.handshake_complete
            and not (self.close_sent or self.disconnected or self.transport.is_closing())
        )

    def write(self, parts: Iterable[bytes]) -> None:
        """Whole frames, or parts of them in order. While ``has_room``."""
        self.transport.writelines(parts)

    # ── for the transport ───────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Some bytes came."""
        deframer = self._deframer
        if deframer is None or deframer.is_over:
            super().data_received(data)
            if deframer is None and self.handshake_initiated and not self._has_seen_bytes:
                # What came was the request and nothing else, as uvicorn writes it anew: the
                # library stands exactly before the first frame.
                self._deframer = Deframer(self.config.ws_max_size)
            self._has_seen_bytes = True
            return
        for is_message, frame in deframer.take(data):
            if not is_message:
                super().data_received(frame)
                if self.conn.close_rcvd is not None:
                    return  # nothing counts after a peer's close
            elif (
                self._take is None
                or self.close_sent
                or not self.queue.empty()
                or not self._take(frame)
            ):
                self.curr_msg_data_type, self.frames = "bytes", [frame]
                self.send_receive_event_to_app()
        if deframer.is_over:
            super().data_received(bytes(deframer.rest))
            deframer.rest = b""

    def handle_ping(self) -> None:
        """Answer a ping. One whose peer does not read its answers gets the newest only, once it
        reads again (RFC 6455, 5.5.3): else whoever sends pings and never reads would fill the
        memory."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._pong = pong

    def resume_writing(self) -> None:
        """The peer takes what is written again."""
        super().resume_writing()
        pong, self._pong = self._pong, b""
        if pong and not self.close_sent:
            self.transport.write(pong)
