"""What ``crdtsync report`` does with its options."""

from __future__ import annotations

import contextlib
import http.client
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, NETWORK, OK, STORAGE, Failure
from crdtsync.cli.screen import to_tell, write_utf8
from crdtsync.database import explain
from crdtsync.policy import Policy, Visibility
from crdtsync_server.report.accepted_run import FILE_NAME as ACCEPTANCE_FILE
from crdtsync_server.report.accepted_run import read_acceptance
from crdtsync_server.report.markdown import as_markdown
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.overview import Asked, measure_file, spaces_of
from crdtsync_server.report.page import as_html
from crdtsync_server.report.scope import SQL, THOROUGH
from crdtsync_server.report.verdict import with_acceptance
from crdtsync_server.report.windows import BadWindow, parse_window
from crdtsync_server.report.words import say
from crdtsync_server.storage.store import FILE_NAME, connect_reader

ANSWER_LIMIT_S = 120
"""A thorough report reads a whole log; beyond it the server is in trouble."""

MAX_ANSWER_BYTES = 64 * 1_048_576


def as_json(overview: Overview) -> str:
    """The report for machines: the answer of ``GET /v1/report``."""
    return msgspec.json.format(msgspec.json.encode(overview).decode(), indent=2) + "\n"


RENDERERS: dict[str, Callable[[Overview], str]] = {
    ".html": as_html,
    ".md": as_markdown,
    ".json": as_json,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line."""

    server: str | None
    token: str | None
    data: Path | None
    space: str | None
    since: str
    out: Path | None
    acceptance: Path | None
    lang: str


def run_command(wanted: Wanted) -> int:
    """Make the report; the exit code says go or no-go. Raises Failure in words."""
    render = _checked(wanted)
    if wanted.data is not None:
        found = _from_folder(wanted, wanted.data)
    else:
        found = _from_server(wanted, wanted.server or "")
    text = render(found)
    if wanted.out is None:
        write_utf8(text)
    else:
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
        wanted.out.write_text(text, encoding="utf-8")
        to_tell().print(say("written", wanted.lang, path=wanted.out), soft_wrap=True)
        to_tell().print(f"{found.verdict}: {found.sentence}", soft_wrap=True)
    return OK if found.go else NEEDS_PERSON


def _checked(wanted: Wanted) -> Callable[[Overview], str]:
    """Everything about the options that can be known before the work; how to write it down."""
    lang = wanted.lang
    if (wanted.server is None) == (wanted.data is None):
        raise Failure(say("need_one", lang), BAD_INPUT)
    try:
        parse_window(wanted.since)
    except BadWindow as error:
        raise Failure(say("bad_window", lang, text=wanted.since), BAD_INPUT) from error
    if wanted.acceptance is not None and not wanted.acceptance.is_file():
        raise Failure(say("no_acceptance_file", lang, path=wanted.acceptance), BAD_INPUT)
    if wanted.out is None:
        return as_markdown
    render = RENDERERS.get(wanted.out.suffix)
    if render is None:
        raise Failure(say("bad_out", lang, name=wanted.out.name), BAD_INPUT)
    return render


# ── from a data folder ──────────────────────────────────────────────────────


def _from_folder(wanted: Wanted, folder: Path) -> Overview:
    path = folder / FILE_NAME
    if not path.is_file():
        raise Failure(say("no_database", wanted.lang, path=folder), STORAGE)
    policy = _check_database(wanted, path)
    everything = Visibility(policy.collections, frozenset(), frozenset())
    asked = Asked(
        policy=policy,
        # Whoever may read the database file may read all of it.
        seen=everything,
        space=wanted.space,
        window=wanted.since,
        lang=wanted.lang,
        now_us=time.time_ns() // 1_000,
        folder=folder,
        acceptance=wanted.acceptance or folder / ACCEPTANCE_FILE,
        bounds=THOROUGH,
    )
    return measure_file(path, asked)


def _check_database(wanted: Wanted, path: Path) -> Policy:
    """The policy that the server went by last; the space has to be there."""
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            tables = {name for (name,) in connection.execute(SQL["tables"])}
            if not {"spaces", "log", "policies"} <= tables:
                raise Failure(say("no_database", wanted.lang, path=path.parent), STORAGE)
            row = connection.execute(SQL["newest_policy"]).fetchone()
            names = [space.name for space in spaces_of(connection)]
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    if row is None:
        raise Failure(say("no_policy", wanted.lang, path=path.parent), STORAGE)
    if wanted.space is not None and wanted.space not in names:
        known = ", ".join(names[:20]) or "–"
        raise Failure(say("no_space", wanted.lang, name=wanted.space, names=known), BAD_INPUT)
    return Policy.parse(str(row[0]), source=f"{path} (policy)")


# ── from a running server ───────────────────────────────────────────────────


def _from_server(wanted: Wanted, url: str) -> Overview:
    query = {"window": wanted.since, "lang": wanted.lang}
    if wanted.space is not None:
        query["space"] = wanted.space
    address = f"{_http_url(url, wanted.lang)}/v1/report?{urllib.parse.urlencode(query)}"
    headers = {"Accept": "application/json"}
    if wanted.token:
        headers["Authorization"] = f"Bearer {wanted.token}"
    answer = _fetch(urllib.request.Request(address, headers=headers), url, wanted.lang)
    try:
        found = msgspec.json.decode(answer, type=Overview)
    except msgspec.DecodeError as error:
        raise Failure(say("not_a_report", wanted.lang, url=url), NETWORK) from error
    if wanted.acceptance is not None:
        run = read_acceptance(wanted.acceptance, found.server_us, wanted.lang)
        return with_acceptance(found, run)
    return found


def _http_url(url: str, lang: str) -> str:
    """Where HTTP is spoken: the address that replicas connect to will do as well."""
    try:
        parts = urllib.parse.urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        good = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not parts.query and not parts.fragment
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
            detail = _detail(error.read(65_536)) or str(error.reason)
        words = say("server_said", lang, url=url, status=error.code, why=detail)
        raise Failure(words, BAD_INPUT if error.code in (401, 403, 422) else NETWORK) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise Failure(say("unreachable", lang, url=url, why=why), NETWORK) from error


def _detail(body: bytes) -> str:
    """What a problem says in words."""
    try:
        found = msgspec.json.decode(body)
        return str(found["detail"]) if isinstance(found, dict) and "detail" in found else ""
    except msgspec.DecodeError:
        return ""
