"""Who is connected to each space, and what they have to be told.

A group's log entries become frames once and are shared by all readers. Each
reader pulls from its own position: from the recent frames while it keeps up,
from the log where it does not. Nothing is buffered per reader.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from crdtsync.documents.redaction import redact_entry
from crdtsync.documents.state import LogEntry, Stub
from crdtsync.policy import Visibility
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import Changes, Landmark
from crdtsync_server.framing import header
from crdtsync_server.sight import Sight
from crdtsync_server.work import Published

TAIL_BYTES = 4 * 1_048_576
"""Recent frames of a space that stay in memory for its readers."""

TAILS_BYTES = 64 * 1_048_576
"""And of all spaces together. Beyond it the spaces that were silent for longest have none:
their readers took them long ago, or read the log."""

FRAME_BYTES = 262_144
"""About the size of a frame of changes; a larger group becomes several."""


WAYS_OF_SEEING = 16
"""Redacted copies of a recent frame that are kept, one for each set of hidden fields."""


class Frame:
    """An encoded ``Changes`` message; for those who may not read all of it, redacted once
    for each way of seeing."""

    __slots__ = ("_redacted", "data", "head", "last_seq")

    def __init__(self, last_seq: int, data: bytes) -> None:
        self.last_seq = last_seq
        self.data = data
        self.head = header(len(data))
        """What goes before it on a WebSocket."""
        self._redacted: dict[str, tuple[bytes, frozenset[str]]] = {}

    def parts_for(self, sight: Sight) -> tuple[bytes, bytes]:
        """Head and message of the WebSocket's frame as this reader may have it."""
        if sight.seen.is_full:
            return self.head, self.data
        data = self.seen_by(sight)
        return header(len(data)), data

    def seen_by(self, sight: Sight) -> bytes:
        """The frame as this reader may have it."""
        if sight.seen.is_full:
            return self.data
        known = self._redacted.get(sight.seen.mark)
        if known is None:
            known = _redacted(_entries(self.data), sight.seen)
            if len(self._redacted) < WAYS_OF_SEEING:
                self._redacted[sight.seen.mark] = known
        shared, hidden_from_authors = known
        if sight.user in hidden_from_authors:
            # A stub names an op to its own author. Whoever writes a field may read it, so
            # this is somebody whose role was withdrawn just then.
            seen, user = sight.seen, sight.user
            return encode(
                Changes(tuple(redact_entry(one, seen, user) for one in _entries(self.data)))
            )
        return shared


class Reader(Protocol):
    """A connection, as its space sees it."""

    replica_id: str

    def wake(self) -> None:
        """There is something new. Must not block and must not raise."""
        ...

    def fence(self) -> None:
        """A newer connection of the same replica was accepted."""
        ...


def changes_frame(entries: Iterable[bytes], count: int) -> bytes:
    """``Changes`` around entries that are encoded already."""
    return b"\x92\xa7changes\xdd" + count.to_bytes(4, "big") + b"".join(entries)


def _redacted(entries: Iterable[LogEntry], seen: Visibility) -> tuple[bytes, frozenset[str]]:
    """``Changes`` as all with this view may have it, and the authors of its stubs."""
    shown: list[LogEntry | Stub] = []
    authors: set[str] = set()
    for entry in entries:
        redacted = redact_entry(entry, seen, "")
        shown.append(redacted)
        if isinstance(redacted, Stub):
            authors.add(entry.user)
    return encode(Changes(tuple(shown))), frozenset(authors)


def _entries(frame: bytes) -> list[LogEntry]:
    message = decode_server(frame)
    assert isinstance(message, Changes)
    return [entry for entry in message.entries if isinstance(entry, LogEntry)]


class Feed:
    """One space: its committed head, its recent frames, its readers."""

    def __init__(self, space: str, head: Landmark) -> None:
        self.space = space
        self.head = head
        # Ordered, so that a simulated run repeats itself.
        self.readers: dict[Reader, None] = {}
        self._frames: dict[int, Frame] = {}
        self._bytes = 0

    @property
    def tail_bytes(self) -> int:
        """Of the recent frames, as everything of them is seen."""
        return self._bytes

    def drop_tail(self) -> None:
        """Keep no recent frames; who has not taken them yet reads the log."""
        self._frames.clear()
        self._bytes = 0

    def frame_after(self, seq: int) -> Frame | None:
        """The frame that goes on right after ``seq``, if it is still held."""
        return self._frames.get(seq + 1)

    def publish(self, published: Published) -> None:
        """A group was committed: keep its entries as frames and wake everyone."""
        self.head = published.head
        first_seq = published.first_seq
        for part in _parts(published.entries):
            frame = Frame(first_seq + len(part) - 1, changes_frame(part, len(part)))
            self._frames[first_seq] = frame
            self._bytes += len(frame.data)
            first_seq = frame.last_seq + 1
        while self._bytes > TAIL_BYTES and len(self._frames) > 1:
            oldest = next(iter(self._frames))
            self._bytes -= len(self._frames.pop(oldest).data)
        for reader in self.readers:
            reader.wake()


def _parts(entries: list[bytes]) -> Iterable[list[bytes]]:
    part: list[bytes] = []
    size_bytes = 0
    for entry in entries:
        if part and size_bytes + len(entry) > FRAME_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(entry)
        size_bytes += len(entry)
    if part:
        yield part


class Hub:
    """The spaces that have readers now."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._tails: dict[Feed, None] = {}
        """Those that hold recent frames, the longest silent first."""
        self._tails_bytes = 0

    def publish(self, published: Published) -> None:
        """Pass committed entries on to the readers of their space."""
        feed = self._feeds.get(published.space)
        if feed is None:
            return
        self._forget_tail(feed)
        feed.publish(published)
        self._tails[feed] = None
        self._tails_bytes += feed.tail_bytes
        while self._tails_bytes > TAILS_BYTES and len(self._tails) > 1:
            silent = next(iter(self._tails))
            self._forget_tail(silent)
            silent.drop_tail()

    def _forget_tail(self, feed: Feed) -> None:
        if feed in self._tails:
            del self._tails[feed]
            self._tails_bytes -= feed.tail_bytes

    def join(self, space: str, reader: Reader, head: Landmark) -> Feed:
        """A replica was admitted at ``head``."""
        feed = self._feeds.get(space)
        if feed is None:
            feed = self._feeds[space] = Feed(space, head)
        elif head.seq > feed.head.seq:
            feed.head = head
        feed.readers[reader] = None
        return feed

    def fence(self, space: str, replica_id: str) -> None:
        """A hello of this replica was accepted: close its connections up to now."""
        feed = self._feeds.get(space)
        if feed is not None:
            for reader in [one for one in feed.readers if one.replica_id == replica_id]:
                feed.readers.pop(reader, None)
                reader.fence()

    def leave(self, space: str, reader: Reader) -> None:
        """A connection has ended. May be called twice."""
        feed = self._feeds.get(space)
        if feed is not None:
            feed.readers.pop(reader, None)
            if not feed.readers:
                self._forget_tail(feed)
                del self._feeds[space]

    def connected(self, space: str) -> frozenset[str]:
        """The replicas that are connected to a space now."""
        feed = self._feeds.get(space)
        return frozenset() if feed is None else frozenset(one.replica_id for one in feed.readers)

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that have readers now."""
        return tuple(self._feeds)

    def wake_all(self) -> None:
        """Let every reader look around: the server is about to stop."""
        for feed in self._feeds.values():
            for reader in feed.readers:
                reader.wake()
