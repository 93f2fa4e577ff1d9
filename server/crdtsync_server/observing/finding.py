"""Finding the ops that a question is about: by op_id, request_id, user or record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crdtsync.database import queries
from crdtsync.documents.ops import is_op_id
from crdtsync.policy import Policy, Visibility
from crdtsync_server.observing.trace_types import KINDS, Kind
from crdtsync_server.storage.keys import SEQ_BITS, position, seq_of, uuid_bytes
from crdtsync_server.storage.receipts import ENTRY_DECODER

SQL = queries("crdtsync_server.observing", "trace.sql")

MAX_LIMIT = 100
"""Ops of one page."""

SCANNED_REQUESTS = 5_000
"""Pushes that one page of a user's ops looks at; then it ends, perhaps empty, with a
``next``: the ops may all be in spaces that the reader may not enter."""

BLOCK_BITS = 8
"""Rows of ``requests`` are indexed in blocks of so many bits (migration 0003)."""

MAX_QUERY_CHARS = 600
LARGEST_ID = 1 << 62


class BadQuestion(ValueError):
    """A question that has no answer; the message says how to ask."""


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
    """Looks for ops in one consistent view of the database."""

    def __init__(self, connection: sqlite3.Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._spaces: dict[int, str | None] = {}

    def find(self) -> Page:
        """The page that was asked for. Raises BadQuestion."""
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
        known = (
            self._run("place_of_op", key).fetchone()
            or self._run("attempts_of_op", key, 1).fetchone()
        )
        return Page("op", [key] if known else [])

    def _request(self, text: str) -> Page:
        key = uuid_bytes(text)
        found: dict[bytes, None] = {}
        for request, space_id, first_seq, last_seq in self._run("requests_by_request_id", key):
            if self.space_name(space_id) is not None:
                found |= dict.fromkeys(self._ops_of(request, space_id, first_seq, last_seq))
        for op_key, space_id in self._run("told_ops_of_request", key, MAX_LIMIT):
            if self.space_name(space_id) is not None:
                found[op_key] = None
        start = 0 if self._question.after is None else _number(self._question.after)
        keys = list(found)
        end = start + self._limit
        return Page("request", keys[start:end], str(end) if len(keys) > end else None)

    def _ops_of(
        self, request: int, space_id: int, first_seq: int | None, last_seq: int | None
    ) -> Iterator[bytes]:
        """The ops of a push: those that it brought into the log, newest first, then the others."""
        if first_seq is not None and last_seq is not None:
            bounds = (position(space_id, first_seq), position(space_id, last_seq))
            for _, entry in self._run("op_ids_of_log", *bounds):
                yield uuid_bytes(ENTRY_DECODER.decode(entry).op_id)
        for (op_key,) in self._run("ops_of_request", request):
            yield op_key

    def _user(self, text: str) -> Page:
        from_id, skip = _place_in_requests(self._question.after)
        found: dict[bytes, None] = {}
        scanned = 0
        for request, space_id, first_seq, last_seq in self._requests_of(text, from_id):
            scanned += 1
            if scanned > SCANNED_REQUESTS:
                return Page("user", list(found), f"{request}.0")
            if self.space_name(space_id) is None:
                continue
            start = skip if request == from_id else 0
            ops = list(self._ops_of(request, space_id, first_seq, last_seq))
            for number, op_key in enumerate(ops[start:], start=start):
                if len(found) >= self._limit:
                    return Page("user", list(found), f"{request}.{number}")
                found[op_key] = None
        return Page("user", list(found))

    def _requests_of(self, user: str, from_id: int) -> Iterator[tuple[int, int, int, int]]:
        """Pushes of a user, newest first, block by block of the index."""
        first, last = self._run("request_ids").fetchone()
        for block in range(min(last, from_id) >> BLOCK_BITS, (first >> BLOCK_BITS) - 1, -1):
            yield from self._run("requests_of_user", block, user, from_id).fetchall()

    def _record(self, text: str) -> Page:
        collection, _, record = text.partition("/")
        if not self._question.seen.sees_collection(collection):
            return Page("record", [])
        keys: dict[bytes, None] = {}
        from_space, from_seq = _place_in_record(self._question.after)
        for space_id, name in self._run("spaces").fetchall():
            if space_id < from_space or not self._reaches(name):
                continue
            going_on = space_id == from_space and from_seq > 0
            if not going_on:
                asked = (collection, record, space_id, self._limit)
                keys |= dict.fromkeys(key for (key,) in self._run("unaccepted_of_record", *asked))
            row = self._run("newest_of_record", space_id, collection, record).fetchone()
            newest = 0 if row is None else seq_of(row[0])
            for seq, key in self._entries(space_id, (collection, record), from_seq or newest):
                if len(keys) >= self._limit:
                    return Page("record", list(keys), f"{space_id}.{seq}")
                keys[key] = None
            from_seq = 0
        return Page("record", list(keys))

    def _entries(
        self, space_id: int, record: tuple[str, str], seq: int
    ) -> Iterator[tuple[int, bytes]]:
        """The record's log entries from ``seq`` on, newest first."""
        while seq:
            found = self._run("log_row", position(space_id, seq)).fetchone()
            entry = None if found is None else ENTRY_DECODER.decode(found[0])
            if entry is None or (entry.collection, entry.record) != record:
                return  # `after` was made up
            yield seq, uuid_bytes(entry.op_id)
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


def _number(after: str) -> int:
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise BadQuestion(f"{after[:64]!r} is no place to go on from; leave `after` out")
    return int(after)


def _place_in_requests(after: str | None) -> tuple[int, int]:
    """(id of the push to go on from, how many of its ops were told already)."""
    if after is None:
        return LARGEST_ID, 0
    request, _, number = after.partition(".")
    return _number(request), _number(number)


def _place_in_record(after: str | None) -> tuple[int, int]:
    """(space id, seq to go on from)."""
    if after is None:
        return 0, 0
    space_id, _, seq = after.partition(".")
    return _number(space_id), _number(seq)
