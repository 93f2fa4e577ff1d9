"""What ``crdtsync report`` does with its options."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdtsync.cli.failures import BAD_INPUT, NEEDS_PERSON, NETWORK, OK, STORAGE, Failure
from crdtsync.cli.screen import to_tell, write_utf8
from crdtsync.database import explain
from crdtsync.policy import Policy, Visibility
from crdtsync.whole_file import write_whole
from crdtsync_server.fetching import fetch
from crdtsync_server.operating.checking.structure import schema_version
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
        write_whole(wanted.out, [text], replace=True)
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
            # What a newer version keeps may mean something else; nobody may say Go of it.
            schema_version(connection, str(path))
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
    answer = fetch(
        url, "/v1/report", query, token=wanted.token, limit_s=ANSWER_LIMIT_S, lang=wanted.lang
    )
    try:
        found = msgspec.json.decode(answer, type=Overview)
    except msgspec.DecodeError as error:
        raise Failure(say("not_a_report", wanted.lang, url=url), NETWORK) from error
    if wanted.acceptance is not None:
        run = read_acceptance(wanted.acceptance, found.server_us, wanted.lang)
        return with_acceptance(found, run)
    return found
