"""A connection in memory to the real server, with somebody hostile at the other end."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from crdtsync.documents.ops import Op
from crdtsync.protocol.codec import decode_client, decode_server
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    Answer,
    Answers,
    Paging,
    Push,
    ServerMessage,
    SnapshotPage,
    SnapshotRequest,
    Welcome,
)
from crdtsync_server.connection import Connection
from crdtsync_server.service import Service
from tests.fuzz.bad_frames import packed
from tests.fuzz.client_frames import Sender, frame, hello_frame
from tests.fuzz.known import Known
from tests.fuzz.target import Found


class HostilePeer:
    """Sends what it likes; reads, reads slowly, or not at all."""

    def __init__(self, service: Service, draw: Random, known: Known) -> None:
        self.sender = Sender.drawn(draw, known)
        self.closed = False
        self.reads = draw.random() < 0.93
        self.heard: list[tuple[Op, Answer]] = []
        self.unanswered: dict[str, tuple[Op, ...]] = {}
        self._draw = draw
        self._known = known
        self._greeted = False
        self._paging: Paging | None = None
        self._up: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._cut = asyncio.Event()
        connection = Connection(service, self._up.get, self._take, self.cut)
        self.task = asyncio.create_task(service.serve_connection(connection))

    # ── the server's end ────────────────────────────────────────────────────

    async def _take(self, message: dict[str, Any]) -> None:
        if not self.reads:
            await self._cut.wait()
        if self._cut.is_set():
            raise OSError("the peer is gone")
        if message["type"] == "websocket.close":
            if not isinstance(message["code"], int) or len(message["reason"].encode()) > 123:
                raise Found(f"a close frame that no WebSocket takes: {message}")
            self.closed = True
            self._up.put_nowait({"type": "websocket.disconnect"})
        else:
            self._hear(decode_server(message["bytes"]))

    def _hear(self, message: ServerMessage) -> None:
        if isinstance(message, Answers):
            asked = self.unanswered.pop(message.request_id, None)
            answered = [answer.op_id for answer in message.answers]
            if asked is None or [op.op_id for op in asked] != answered:
                raise Found(f"answers that fit no push: {message}")
            self.heard.extend(zip(asked, message.answers, strict=True))
        elif isinstance(message, Welcome | SnapshotPage):
            self._paging = message.paging

    # ── the hostile end ─────────────────────────────────────────────────────

    def next_frame(self, now_us: int) -> tuple[bytes | str, bool]:
        """What to send next, and whether something is wrong with it."""
        draw = self._draw
        if not self._greeted:
            self._greeted = True
            if draw.random() < 0.97:
                return hello_frame(draw, self._known, self.sender, now_us)
        if self._paging is not None and draw.random() < 0.8:
            return packed(SnapshotRequest(1, self._paging)), False
        if draw.random() < 0.005:
            return "a text frame", True
        return frame(draw, self._known, self.sender, now_us)

    def send(self, data: bytes | str) -> None:
        """Put a frame on the wire."""
        if isinstance(data, str):
            self._up.put_nowait({"type": "websocket.receive", "text": data})
            return
        self._note_push(data)
        self._up.put_nowait({"type": "websocket.receive", "bytes": data})

    def _note_push(self, data: bytes) -> None:
        try:
            message = decode_client(data)
        except ProtocolError:
            return
        if isinstance(message, Push):
            self.unanswered[message.request_id] = tuple(pushed.op for pushed in message.ops)

    def cut(self) -> None:
        """The network ends the connection, in both directions."""
        if not self._cut.is_set():
            self._cut.set()
            self._up.put_nowait({"type": "websocket.disconnect"})
        self.closed = True
