"""Bounds of the code under test, made small in some runs so that they are met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from crdtsync.protocol import client_session
from crdtsync.replica import sync
from crdtsync_server import hub, ingest, sending
from crdtsync_server.service import Service
from crdtsync_server.storage import reading

SMALL = (
    (ingest, "GROUP_OPS", 3),
    (ingest, "QUEUE_OPS", 12),
    (ingest, "QUEUE_WORKS", 12),
    (sending, "OUTGOING_FRAMES", 3),
    (hub, "TAIL_BYTES", 1_500),
    (hub, "TAILS_BYTES", 2_000),
    (hub, "FRAME_BYTES", 500),
    (reading, "PAGE_ROWS", 1),
    (reading, "LOG_PAGE_BYTES", 600),
    (reading, "HISTORY_PAGE_ENTRIES", 3),
    (sync, "ENTRIES_PER_JOB", 2),
    (sync, "INBOX_FRAMES", 2),
    (client_session, "RECEIPTS_PER_REQUEST", 2),
)
"""Where, which, and how small."""


class LimitsInForce:
    """What the bounds are in this run, and whether they hold (invariant 9)."""

    def exceeded(self, service: Service) -> Iterator[str]:
        """Every bound that does not hold now, in words."""
        working = service.ingest
        if working._queued_ops > ingest.QUEUE_OPS and len(working._queue) > 1:
            yield f"{working._queued_ops} ops are queued, more than {ingest.QUEUE_OPS}"
        if len(working._queue) > ingest.QUEUE_WORKS:
            yield f"{len(working._queue)} works are queued, more than {ingest.QUEUE_WORKS}"
        tails = [feed.tail_bytes for feed in service.hub._feeds.values() if feed.tail_bytes]
        if len(tails) > 1 and sum(tails) > hub.TAILS_BYTES:
            yield f"feeds keep {sum(tails)} bytes, more than {hub.TAILS_BYTES}"
        for feed in service.hub._feeds.values():
            if len(feed._frames) > 1 and feed._bytes > hub.TAIL_BYTES:
                yield f"a feed keeps {feed._bytes} bytes, more than {hub.TAIL_BYTES}"
        for one in service._connections:
            # A reader stops when the queue is full; what it had read may still be answered.
            most = sending.OUTGOING_FRAMES + 2 * client_session.RECEIPTS_PER_REQUEST + 64
            if len(one._sending._answers) > most:
                yield f"{len(one._sending._answers)} frames wait for one reader"


@contextmanager
def limits(*, small: bool) -> Iterator[LimitsInForce]:
    """The bounds of a run."""
    with ExitStack() as stack:
        if small:
            for where, name, value in SMALL:
                stack.enter_context(patch.object(where, name, value))
        yield LimitsInForce()
