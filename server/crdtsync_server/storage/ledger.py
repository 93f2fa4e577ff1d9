"""The writing side of the store: groups of ops, decided and committed as one.

Everything here runs on the thread that owns the writing connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from time import perf_counter

from crdtsync.database import queries, transaction
from crdtsync.policy import Policy
from crdtsync_server.observing.recording import Recorder
from crdtsync_server.storage.bounds import Bounds
from crdtsync_server.storage.cache import Cache
from crdtsync_server.storage.group import Group
from crdtsync_server.work import GroupResult, Notes, Work


class Ledger:
    """Decides and commits groups under one policy."""

    def __init__(
        self,
        policy: Policy,
        bounds: Bounds = Bounds(),  # noqa: B008 - a tuple
        recorder: Recorder | None = None,
    ) -> None:
        self._policy = policy
        self._recorder = recorder
        self._bounds = bounds
        self._sql = queries("crdtsync_server.storage", "queries.sql")
        self._cache = Cache()

    def commit_group(
        self,
        connection: sqlite3.Connection,
        works: Sequence[Work],
        notes: Notes,
        now_us: int,
        *,
        traced: bool = True,
    ) -> GroupResult:
        """Decide ``works`` in order and commit them as one transaction. Without ``traced`` no
        table of the trace is touched.

        When it returns, every decision is durable (invariant 2). When it
        raises, nothing of the group happened, and nothing that was held in
        memory is trusted any more.
        """
        recording = None
        if self._recorder is not None:
            recording = self._recorder.start(connection, now_us, traced=traced)
        try:
            with transaction(connection):
                group = Group(
                    self._policy,
                    self._cache,
                    self._sql,
                    connection,
                    now_us,
                    self._bounds,
                    recording,
                )
                results = group.perform_all(works)
                decided_s = perf_counter()
                group.store_notes(notes)
                group.flush()
                if recording is not None:
                    recording.store(notes.trace)
        except BaseException:
            self._cache.forget()
            if self._recorder is not None:
                self._recorder.forget()
            raise
        published = group.published()
        self._cache.evict()
        if recording is None:
            return GroupResult(results, published)
        recording.seen.persist_s = perf_counter() - decided_s
        recording.seen.document_bytes = group.written_bytes
        return GroupResult(results, published, recording.seen)
