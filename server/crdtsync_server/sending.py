"""What goes out to one peer: answers in the order in which they came, and the space's log.

A writer task waits for something to send, and rests most of the time: what there is while it
waits and the peer keeps up is written once a turn of the loop (``flush``), with one write for a
group's entries and its answers. Whatever has to be waited for is the task's: a peer that does
not read, a page of the log, the end. Waking a task for every frame would be most of what a
frame costs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crdtsync.database import StorageError
from crdtsync.protocol.server_actions import Close
from crdtsync_server.framing import header
from crdtsync_server.hub import Feed, Frame, changes_frame
from crdtsync_server.sight import Sight
from crdtsync_server.storage.reading import read_log

if TYPE_CHECKING:
    from crdtsync_server.service import Service
    from crdtsync_server.websocket import SyncWebSocketProtocol

logger = logging.getLogger("crdtsync.server.connection")

OUTGOING_BYTES = 4 * 1_048_576
OUTGOING_FRAMES = 1_000
"""Answers that wait to be sent. Beyond it no further frame is read from the peer."""

MAX_REASON_BYTES = 123
"""Of a WebSocket close frame (RFC 6455, 5.5)."""

AsgiMessage = dict[str, Any]


class Sending:
    """The sending side of a connection. ``write`` is its task; all else returns at once."""

    def __init__(
        self,
        service: Service,
        send: Callable[[AsgiMessage], Any],
        abort: Callable[[], None],
        wire: SyncWebSocketProtocol | None,
    ) -> None:
        """Without a ``wire`` every frame takes the way of ``send``."""
        self.has_room = asyncio.Event()
        """Whether the answers that wait are few enough to read on."""
        self.has_room.set()
        self.since_us: int | None = None
        """Since when the peer has not taken what is being sent."""
        self._service = service
        self._asgi_send = send
        self._abort = abort
        self._wire = wire
        self._feed: Feed | None = None
        self._sight: Sight | None = None
        self._position: int | None = None
        self._answers: deque[bytes] = deque()
        self._answers_bytes = 0
        self._close: Close | None = None
        self._woken = asyncio.Event()
        self._rests = False

    # ── what there is to send ───────────────────────────────────────────────

    def answer(self, frame: bytes) -> None:
        """A message for this peer alone."""
        self._answers.append(frame)
        self._answers_bytes += len(frame)
        if self._answers_bytes > OUTGOING_BYTES or len(self._answers) > OUTGOING_FRAMES:
            self.has_room.clear()
        self.wake()

    def follow(self, feed: Feed, sight: Sight, after_seq: int) -> None:
        """From now on the log above ``after_seq``, as the peer may see it."""
        self._feed, self._sight, self._position = feed, sight, after_seq
        self.wake()

    def close(self, close: Close) -> None:
        """End the connection when the answers that wait are out."""
        self._close = close
        self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        if self._rests and self._wire is not None:
            self._service.turn.add(self)
        else:
            self._woken.set()

    def cut(self) -> None:
        """End the connection without a word."""
        self._abort()

    # ── at once ─────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Write what there is, as long as the peer takes it; the rest is the task's."""
        wire = self._wire
        while self._rests and wire is not None and wire.has_room:
            parts: list[bytes] = []
            if self._answers:
                for answer in self._answers:
                    parts += (header(len(answer)), answer)
                self._answers.clear()
                self._answers_bytes = 0
                self.has_room.set()
            parts += self._recent_changes()
            if not parts:
                break
            wire.write(parts)
        if self._answers or self._close is not None or self._has_changes():
            self._woken.set()

    def _recent_changes(self) -> tuple[bytes, ...]:
        feed, position, sight = self._feed, self._position, self._sight
        if feed is None or position is None or sight is None or self._close is not None:
            return ()
        frame = feed.frame_after(position)
        if frame is None:
            return ()
        self._position = frame.last_seq
        return frame.parts_for(sight)

    # ── the task ────────────────────────────────────────────────────────────

    async def write(self, unreadable: Callable[[str], None]) -> None:
        """Send until the connection is closed or the peer is gone. ``unreadable`` is told, in
        words, when the log cannot be read."""
        try:
            while True:
                while self._answers:
                    frame = self._answers.popleft()
                    self._answers_bytes -= len(frame)
                    await self._put(frame)
                self.has_room.set()
                if self._close is not None:
                    reason = self._close.words.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
                    await self._asgi_send(
                        {"type": "websocket.close", "code": self._close.code, "reason": reason}
                    )
                    return
                changes = await self._next_changes(unreadable)
                if changes is not None:
                    await self._put(changes)
                elif not self._answers and self._close is None:
                    self._woken.clear()
                    if not self._has_changes():
                        self._rests = True
                        await self._woken.wait()
                        self._rests = False
        except OSError:
            logger.debug("the peer is gone")
        except Exception:
            logger.exception("a writer failed")
            self._abort()
        finally:
            self._rests = False
            # The reader must go on to hear that the connection has ended.
            self.has_room.set()

    async def _put(self, frame: bytes) -> None:
        self.since_us = self._service.now_us()
        await self._asgi_send({"type": "websocket.send", "bytes": frame})
        self.since_us = None

    def _has_changes(self) -> bool:
        position, feed = self._position, self._feed
        return position is not None and feed is not None and position < feed.head.seq

    async def _next_changes(self, unreadable: Callable[[str], None]) -> bytes | None:
        """The frame that goes on from this connection's position; None if it is up to date."""
        position, feed, sight = self._position, self._feed, self._sight
        if position is None or feed is None or sight is None:
            return None
        frame = feed.frame_after(position)
        if frame is not None:
            self._position = frame.last_seq
            return frame.seen_by(sight)
        if position >= feed.head.seq:
            return None
        store, space = self._service.store, feed.space
        try:
            page = await store.read(
                lambda connection: read_log(connection, store.sql, space, position)
            )
        except StorageError as error:
            unreadable(str(error))
            self._position = None
            return None
        self._position = position + len(page.entries)
        if not page.entries:
            return None
        return Frame(self._position, changes_frame(page.entries, len(page.entries))).seen_by(sight)


class Turn:
    """The connections that have something to send in this turn of the loop.

    One call of the loop for all of them, after a group's entries went to every reader of a
    space and its answers to their writers.
    """

    def __init__(self) -> None:
        # Ordered, so that a run repeats itself.
        self._due: dict[Sending, None] = {}

    def add(self, sending: Sending) -> None:
        """Call its ``flush`` soon, once."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._flush)
        self._due[sending] = None

    def _flush(self) -> None:
        due, self._due = self._due, {}
        for sending in due:
            try:
                sending.flush()
            except Exception:
                logger.exception("a connection could not be written to")
                sending.cut()
