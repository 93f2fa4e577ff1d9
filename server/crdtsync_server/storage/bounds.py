"""How much one space may fill: records, and graves of what has not arrived."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from crdtsync.documents.errors import InvalidOp
from crdtsync_server.storage.keys import SEQ_BITS

GRAVES_SHARE = 10
"""One user may have this part of a space's graves open, of those dug since the server's start
or its last failed group, so that nobody takes them away from everyone else. Honest ops name
a handful."""


MAX_DIGS = 50_000
"""Ops that dug, remembered with their users; beyond it everyone's share begins anew."""


class Bounds(NamedTuple):
    """The limits of each space."""

    records: int = 1_000_000
    graves: int = 200_000


class Filling:
    """How full the spaces are: counted once from the database, then kept in step.

    Belongs to the cache: equal to the committed database plus the group at hand.
    """

    def __init__(self) -> None:
        self._records: dict[int, int] = {}
        self._graves: dict[int, int] | None = None
        self._dug_by: dict[tuple[int, str], int] = {}
        self._diggers: dict[int, str] = {}

    def forget(self) -> None:
        """A group failed: count again when it is needed."""
        self._records.clear()
        self._graves = None
        self._forget_diggers()

    def check_record(
        self, connection: sqlite3.Connection, sql: Mapping[str, str], space_id: int, bounds: Bounds
    ) -> None:
        """Raises InvalidOp where the space takes no further record."""
        if space_id not in self._records:
            row = connection.execute(sql["count_records_of_space"], (space_id,)).fetchone()
            self._records[space_id] = int(row[0])
        if self._records[space_id] >= bounds.records:
            raise InvalidOp(
                "space_full",
                f"this space holds {bounds.records} records and takes no more; "
                "ask whoever runs the server",
            )

    def record_added(self, space_id: int) -> None:
        """After ``check_record``."""
        self._records[space_id] += 1

    def check_graves(
        self,
        connection: sqlite3.Connection,
        sql: Mapping[str, str],
        space_id: int,
        user: str,
        count: int,
        bounds: Bounds,
    ) -> None:
        """Raises InvalidOp where so many values that never arrived cannot be remembered.

        Forgetting older ones instead would let a value that somebody replaced come back.
        """
        if self._graves is None:
            self._graves = dict(connection.execute(sql["count_graves"]))
        dug = self._dug_by.get((space_id, user), 0)
        share = max(bounds.graves // GRAVES_SHARE, 1)
        if dug + count > share or self._graves.get(space_id, 0) + count > bounds.graves:
            raise InvalidOp(
                "too_many_unseen",
                f"it replaces {count} values that have not reached the server, and too many "
                "such are remembered already; send the changes that wrote them first",
            )

    def graves_dug(self, place: int, user: str, count: int) -> None:
        """After ``check_graves``: the op at ``place`` in the log, by ``user``, dug them."""
        assert self._graves is not None
        space_id = place >> SEQ_BITS
        self._graves[space_id] = self._graves.get(space_id, 0) + count
        if not count:
            return
        if len(self._diggers) >= MAX_DIGS:
            self._forget_diggers()
        self._diggers[place] = user
        self._dug_by[(space_id, user)] = self._dug_by.get((space_id, user), 0) + count

    def grave_closed(self, place: int) -> None:
        """What was missing has arrived; ``place`` is where the grave was dug from."""
        space_id = place >> SEQ_BITS
        if self._graves is not None:
            self._graves[space_id] = self._graves.get(space_id, 0) - 1
        user = self._diggers.get(place)
        if user is not None:
            self._dug_by[(space_id, user)] -= 1

    def _forget_diggers(self) -> None:
        self._dug_by.clear()
        self._diggers.clear()
