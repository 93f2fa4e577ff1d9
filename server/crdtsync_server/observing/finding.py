"""Finding the ops that a question is about: by op_id, request_id, user or record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from crdtsync.database import queries
from crdtsync.documents.ops import is_op_id
from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, Visibility
from crdtsync_server.observing.places import (
    BadQuestion,
    InRecord,
    InRequests,
    place_in_record,
    place_in_request,
    place_in_requests,
)
from crdtsync_server.observing.trace_types import KINDS, Kind
from crdtsync_server.storage.keys import SEQ_BITS, position, seq_of, uuid_bytes, uuid_text
from crdtsync_server.storage.receipts import ENTRY_DECODER

SQL = queries("crdtsync_server.observing", "trace.sql")

MAX_LIMIT = 100
"""Ops of one page."""

SCANNED_REQUESTS = 5_000
"""Pushes that one page of a user's ops looks at; then it ends, perhaps empty, with a
``next``: the ops may all be in spaces that the reader may not enter."""

SCANNED_OPS = 5_000
"""Ops that one page looks at, with the same end: the reader may know nothing of them. Some
20 µs each."""

BLOCK_BITS = 8
"""Rows of ``requests`` are indexed in blocks of so many bits (migration 0003)."""

MAX_QUERY_CHARS = 600


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know, and what they may."""

    query: str
    policy: Policy
    seen: Visibility
    may_enter: Callable[[str], bool] = lambda space: True
    user: str | None = None
    """Who asks; None for the people who run the server, who read the database itself."""
    space: str | None = None
    """One space; None: every one that they may enter."""
    lang: str = "en"
    limit: int = 20
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Keys of ops (16 bytes each), in the order of the answer."""

    kind: Kind
    keys: list[bytes]
    next: str | None = None


class Finder:
    """Looks for ops in one consistent view of the database.

    Ops of which the reader may know nothing are passed over before anything is counted:
    neither the length of a page nor where it ends tells of them.
    """

    def __init__(self, connection: sqlite3.Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._spaces: dict[int, str | None] = {}
        self._is_known: Callable[[bytes], bool] = lambda key: True

    def find(self, is_known: Callable[[bytes], bool]) -> Page:
        """The page that was asked for; ``is_known`` says whether the reader may know of an
        op. Raises BadQuestion."""
        self._is_known = is_known
        kind, text = _kind_of(self._question)
        if kind == "op":
            page = self._op(text)
            # A bare UUID may be either.
            return page if page.keys or ":" in self._question.query else self._request(text)
        return {"request": self._request, "user": self._user, "record": self._record}[kind](text)

    def space_name(self, space_id: int) -> str | None:
        """The name of a space that the question reaches; None for any other."""
        if space_id not in self._spaces:
            row = self._run("space_name", space_id).fetchone()
            self._spaces[space_id] = row[0] if row and self._reaches(row[0]) else None
        return self._spaces[space_id]

    def _reaches(self, name: str) -> bool:
        asked = self._question
        return asked.may_enter(name) and asked.space in (None, name)

    def _run(self, name: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(SQL[name], values)

    def _op(self, text: str) -> Page:
        key = uuid_bytes(text)
        return Page("op", [key] if self._is_known(key) else [])

    def _request(self, text: str) -> Page:
        after = self._question.after
        known = self._known_once(self._all_of_request(uuid_bytes(text)))
        if after is not None:
            known = _behind(known, place_in_request(after, after))
        return self._page("request", ((key, uuid_text(key)) for key in known))

    def _page(self, kind: Kind, walk: Iterable[tuple[bytes | None, str]]) -> Page:
        """The first ops of a walk over (an op that the reader may know of, the place behind
        it); (None, a place) where enough was looked at."""
        keys: dict[bytes, None] = {}
        last = ""
        for key, place in walk:
            if key is None:
                return Page(kind, list(keys), last or place)
            if key in keys:
                continue
            if len(keys) >= self._limit:
                return Page(kind, list(keys), last)
            keys[key] = None
            last = place
        return Page(kind, list(keys))

    def _all_of_request(self, key: bytes) -> Iterator[bytes]:
        """The ops that came in pushes of this number, and those whose devices told of it."""
        for row in self._run("requests_by_request_id", key).fetchall():
            yield from self._ops_of(*row)
        for op_key, space_id in self._run("told_ops_of_request", key, SCANNED_OPS).fetchall():
            if self.space_name(space_id) is not None:
                yield op_key

    def _known_once(self, keys: Iterable[bytes]) -> Iterator[bytes]:
        """Those that the reader may know of, each once."""
        told: set[bytes] = set()
        for key in keys:
            if key not in told and self._is_known(key):
                told.add(key)
                yield key

    def _ops_of(
        self, request: int, space_id: int, first_seq: int | None, last_seq: int | None
    ) -> Iterator[bytes]:
        """The ops of a push: those that it brought into the log, newest first, then the others;
        none where the space is not reached."""
        if self.space_name(space_id) is None:
            return
        if first_seq is not None and last_seq is not None:
            bounds = (position(space_id, first_seq), position(space_id, last_seq))
            for _, entry in self._run("op_ids_of_log", *bounds):
                yield uuid_bytes(ENTRY_DECODER.decode(entry).op_id)
        for (op_key,) in self._run("ops_of_request", request):
            yield op_key

    def _user(self, text: str) -> Page:
        place = place_in_requests(self._question.after)
        return self._page("user", self._of_user(text, place))

    def _of_user(self, text: str, start: InRequests) -> Iterator[tuple[bytes | None, str]]:
        looked_at = 0
        for scanned, (request, *push) in enumerate(self._requests_of(text, start.request)):
            if scanned >= SCANNED_REQUESTS or looked_at >= SCANNED_OPS:
                yield None, str(InRequests(request))
            keys = list(self._ops_of(request, *push))
            looked_at += len(keys)
            known = self._known_once(keys)
            if request == start.request and start.key is not None:
                known = _behind(known, start.key)
            for key in known:
                yield key, str(InRequests(request, key))

    def _requests_of(self, user: str, from_id: int) -> Iterator[tuple[int, int, int, int]]:
        """Pushes of a user, newest first, block by block of the index."""
        first, last = self._run("request_ids").fetchone()
        for block in range(min(last, from_id) >> BLOCK_BITS, (first >> BLOCK_BITS) - 1, -1):
            yield from self._run("requests_of_user", block, user, from_id).fetchall()

    def _record(self, text: str) -> Page:
        collection, _, record = text.partition("/")
        place = place_in_record(self._question.after)
        if not self._question.seen.sees_collection(collection):
            return Page("record", [])
        return self._page("record", self._of_record((collection, record), place))

    def _of_record(
        self, record: tuple[str, str], start: InRecord
    ) -> Iterator[tuple[bytes | None, str]]:
        looked_at = 0
        for space_id, name in self._run("spaces").fetchall():
            if space_id < start.space_id or not self._reaches(name):
                continue
            place = start if space_id == start.space_id else InRecord(space_id)
            if not place.seq:
                asked = (*record, space_id, SCANNED_OPS)
                rows = self._run("unaccepted_of_record", *asked).fetchall()
                looked_at += len(rows)
                known = self._known_once(key for (key,) in rows)
                for key in known if place.refused is None else _behind(known, place.refused):
                    yield key, str(InRecord(space_id, key))
            for entry in self._entries(space_id, record, self._newest(space_id, record, place)):
                if looked_at >= SCANNED_OPS:
                    yield None, str(InRecord(space_id, seq=entry.seq, hidden=True))
                key = uuid_bytes(entry.op_id)
                looked_at += 1
                if self._is_known(key):
                    yield key, str(InRecord(space_id, seq=entry.seq))

    def _newest(self, space_id: int, record: tuple[str, str], place: InRecord) -> int:
        """Of the record's log entries the one to begin with."""
        if not place.seq:
            row = self._run("newest_of_record", space_id, *record).fetchone()
            return 0 if row is None else seq_of(row[0])
        entry = next(self._entries(space_id, record, place.seq), None)
        # Only what was shown is a place to go on from: a place that somebody made up must
        # not tell whether something hidden is there.
        if entry is None or not (place.hidden or self._is_known(uuid_bytes(entry.op_id))):
            return 0
        return entry.seq if place.hidden else entry.prev_seq

    def _entries(self, space_id: int, record: tuple[str, str], seq: int) -> Iterator[LogEntry]:
        """The record's log entries from ``seq`` on, newest first."""
        while seq:
            found = self._run("log_row", position(space_id, seq)).fetchone()
            entry = None if found is None else ENTRY_DECODER.decode(found[0])
            if entry is None or (entry.collection, entry.record) != record:
                return  # `after` was made up
            yield entry
            seq = entry.prev_seq

    @property
    def _limit(self) -> int:
        return min(max(self._question.limit, 1), MAX_LIMIT)


def space_of(place: int) -> int:
    """The space of a position."""
    return place >> SEQ_BITS


def _kind_of(question: Question) -> tuple[Kind, str]:
    """What is asked for: a UUID, collection/record, else a user; ``user:…`` and so on say it."""
    query = question.query.strip()
    if not query or len(query) > MAX_QUERY_CHARS:
        raise BadQuestion(
            "say what to look for: the number of a change or of a request, the name of a user, "
            "or collection/record"
        )
    for kind in KINDS:
        if query.startswith(f"{kind}:"):
            text = query.removeprefix(f"{kind}:")
            _check(kind, text)
            return kind, text.lower() if kind in ("op", "request") else text
    if is_op_id(query.lower()):
        return "op", query.lower()
    collection, slash, record = query.partition("/")
    if slash and record and collection in question.policy.collections:
        return "record", query
    return "user", query


def _check(kind: Kind, text: str) -> None:
    if kind in ("op", "request") and not is_op_id(text.lower()):
        raise BadQuestion(
            f"{text[:64]!r} is no whole number (a UUID); each {kind} is found by all of it"
        )
    if kind == "record" and "/" not in text:
        raise BadQuestion(f"{text[:64]!r} is not a record; write it as collection/record")


def _behind(keys: Iterator[bytes], key: bytes) -> Iterator[bytes]:
    """Those that come after ``key``; none where it is not among them."""
    for one in keys:
        if one == key:
            break
    return keys
