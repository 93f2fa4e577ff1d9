"""Where ``crdtsync trace`` looks: a server, a server's data folder, or a device's file."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdtsync.catalogue import note_words
from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, NETWORK, OK, STORAGE, Failure
from crdtsync.cli.screen import print_json
from crdtsync.database import check_schema, explain
from crdtsync_server.observing.device_trace import read_device_trace
from crdtsync_server.observing.finding import Question
from crdtsync_server.observing.places import BadQuestion
from crdtsync_server.observing.telling import tell
from crdtsync_server.observing.trace import newest_policy, read_trace
from crdtsync_server.observing.trace_types import Trace
from crdtsync_server.observing.words import say
from crdtsync_server.storage.store import FILE_NAME, MIGRATIONS, connect_reader

ANSWER_LIMIT_S = 30.0

MAX_ANSWER_BYTES = 64 * 1_048_576
"""A page of 100 ops with long ways is 1 MB."""


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


def _from_server(wanted: Wanted, url: str) -> Trace:
    asked = {
        "q": wanted.query,
        "lang": wanted.lang,
        "limit": str(wanted.limit),
        "space": wanted.space,
        "after": wanted.after,
    }
    query = urllib.parse.urlencode({name: text for name, text in asked.items() if text is not None})
    request = urllib.request.Request(f"{_http_url(url, wanted.lang)}/v1/trace?{query}")
    if wanted.token:
        request.add_header("Authorization", f"Bearer {wanted.token}")
    try:
        return msgspec.json.decode(_fetch(request, url, wanted.lang), type=Trace)
    except msgspec.DecodeError as error:
        raise Failure(say("not_a_trace", wanted.lang, url=url), NETWORK) from error


def _http_url(url: str, lang: str) -> str:
    """Where HTTP is spoken: the address that replicas connect to will do as well."""
    try:
        parts = urllib.parse.urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        good = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not parts.query and not parts.fragment and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise Failure(say("bad_server", lang, url=url), BAD_INPUT)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _fetch(request: urllib.request.Request, url: str, lang: str) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S) as response:
            return bytes(response.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            why = _detail(error.read(65_536)) or str(error.reason)
        words = say("server_said", lang, url=url, status=error.code, why=why)
        raise Failure(words, BAD_INPUT if error.code in (401, 403, 422) else NETWORK) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        raise Failure(say("unreachable", lang, url=url, why=cause), NETWORK) from error


def _detail(body: bytes) -> str:
    """What a problem says in words."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    return str(found.get("detail", "")) if isinstance(found, dict) else ""
