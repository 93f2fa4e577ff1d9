"""Entries that were superseded before they arrived (DESIGN.md, "What a write supersedes")."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from crdtsync.documents.ops import EntryId
from crdtsync_server.storage.keys import SEQ_BITS, in_chunks, uuid_text

Place = tuple[int, str, str]
"""(space id, collection, record): a grave holds for entries of its own record only."""

NO_GRAVES: frozenset[tuple[str, EntryId]] = frozenset()


class Graves:
    """The graves that matter to one group."""

    def __init__(self, connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql
        self._known: dict[bytes, dict[Place, dict[tuple[str, int], int]]] = {}

    def __bool__(self) -> bool:
        """Whether there is any: mostly there is none at all."""
        return bool(self._known)

    def prefetch(self, keys: Sequence[bytes]) -> None:
        """Read the graves of these ops. Mostly there is none at all."""
        if not self._connection.execute(self._sql["any_grave"]).fetchone():
            return
        for placeholders, chunk in in_chunks(keys):
            statement = self._sql["find_graves"].replace("/*ids*/", placeholders)
            for key, root, n, *place, dug_from in self._connection.execute(statement, chunk):
                self._add(key, (place[0], place[1], place[2]), root, n, dug_from)

    def of(
        self, key: bytes, space_id: int, collection: str, record: str
    ) -> frozenset[tuple[str, EntryId]]:
        """The op's own entries that were superseded already."""
        known = self._known.get(key)
        if known is None:
            return NO_GRAVES
        op_id = uuid_text(key)
        return frozenset(
            (root, EntryId(op_id, n)) for root, n in known.get((space_id, collection, record), ())
        )

    def dig(
        self, missing: Iterable[tuple[bytes, str, int]], place: int, collection: str, record: str
    ) -> int:
        """Remember superseded entries that have not arrived; ``place`` is where from.

        How many of them were not remembered yet.
        """
        space_id, new = place >> SEQ_BITS, 0
        for key, root, n in missing:
            self._add(key, (space_id, collection, record), root, n, place)
            cursor = self._connection.execute(
                self._sql["dig_grave"], (key, root, n, space_id, collection, record, place)
            )
            new += cursor.rowcount
        return new

    def close(self, key: bytes) -> list[int]:
        """The op has arrived: from now on its receipt tells what became of it.

        For each grave that was closed, the place in the log that it was dug from.
        """
        known = self._known.pop(key, None)
        if known is None:
            return []
        self._connection.execute(self._sql["close_graves"], (key,))
        return [dug_from for entries in known.values() for dug_from in entries.values()]

    def _add(self, key: bytes, place: Place, root: str, n: int, dug_from: int) -> None:
        # A grave that is there already stays its first digger's, as in the table.
        self._known.setdefault(key, {}).setdefault(place, {}).setdefault((root, n), dug_from)
