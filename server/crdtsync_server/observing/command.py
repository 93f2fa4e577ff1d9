"""Where ``crdtsync trace`` looks: a server, a server's data folder, or a device's file."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdtsync.catalogue import note_words
from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, NETWORK, OK, STORAGE, Failure
from crdtsync.cli.screen import print_json
from crdtsync.database import check_schema, explain
from crdtsync_server.fetching import fetch
from crdtsync_server.observing.device_trace import read_device_trace
from crdtsync_server.observing.finding import Question
from crdtsync_server.observing.places import BadQuestion
from crdtsync_server.observing.telling import tell
from crdtsync_server.observing.trace import newest_policy, read_trace
from crdtsync_server.observing.trace_types import Trace
from crdtsync_server.observing.words import say
from crdtsync_server.storage.store import FILE_NAME, MIGRATIONS, connect_reader, damaged

ANSWER_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line."""

    query: str
    server: str | None
    token: str | None
    data: Path | None
    replica: Path | None
    space: str | None
    limit: int
    after: str | None
    as_json: bool
    lang: str


def run_command(wanted: Wanted) -> int:
    """Look and tell; the exit code. Raises Failure and CrdtsyncError."""
    found = _look(wanted)
    if wanted.as_json:
        print_json(msgspec.to_builtins(found))
    elif found.ops:
        tell(found, wanted.lang)
    if found.ops:
        return OK
    if not wanted.as_json:
        raise Failure(note_words("nothing_found", wanted.lang, query=found.query), NEEDS_PERSON)
    return NEEDS_PERSON


def _look(wanted: Wanted) -> Trace:
    given = [one for one in (wanted.server, wanted.data, wanted.replica) if one is not None]
    if len(given) != 1:
        raise Failure(say("one_source", wanted.lang), BAD_INPUT)
    try:
        if wanted.server is not None:
            return _from_server(wanted, wanted.server)
        if wanted.data is not None:
            return _from_data(wanted, wanted.data)
        assert wanted.replica is not None
        return asyncio.run(read_device_trace(wanted.replica, wanted.query, wanted.lang))
    except BadQuestion as error:
        raise Failure(str(error), BAD_INPUT) from error


def _from_data(wanted: Wanted, folder: Path) -> Trace:
    """Beside a running server: over a connection that cannot write."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise Failure(say("no_database", wanted.lang, path=folder), STORAGE)
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            check_schema(connection, MIGRATIONS, what=str(path))
            policy = newest_policy(connection, str(path))
            question = Question(
                query=wanted.query,
                policy=policy,
                seen=policy.visibility(None),
                space=wanted.space,
                lang=wanted.lang,
                limit=wanted.limit,
                after=wanted.after,
            )
            return read_trace(connection, question)
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(str(path)) from error


def _from_server(wanted: Wanted, url: str) -> Trace:
    asked = {
        "q": wanted.query,
        "lang": wanted.lang,
        "limit": str(wanted.limit),
        "space": wanted.space,
        "after": wanted.after,
    }
    query = {name: text for name, text in asked.items() if text is not None}
    answer = fetch(
        url, "/v1/trace", query, token=wanted.token, limit_s=ANSWER_LIMIT_S, lang=wanted.lang
    )
    try:
        return msgspec.json.decode(answer, type=Trace)
    except msgspec.DecodeError as error:
        raise Failure(say("not_a_trace", wanted.lang, url=url), NETWORK) from error
