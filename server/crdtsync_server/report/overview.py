"""The whole overview, measured from a connection that only reads."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crdtsync.database import explain
from crdtsync.policy import Policy, Visibility
from crdtsync.version import __version__
from crdtsync_server.report.accepted_run import read_acceptance
from crdtsync_server.report.charts import charts_of
from crdtsync_server.report.failing import failures_for_people, read_failing
from crdtsync_server.report.judging import latencies_of, measures_of, recovery_of
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.present import (
    clocks_for_people,
    conflicts_for_people,
    connections_for_people,
    devices_for_people,
    read_devices,
    storage_for_people,
)
from crdtsync_server.report.reconciliation import reconcile
from crdtsync_server.report.scope import DASHBOARD, SQL, Bounds, Live, Scope, Space
from crdtsync_server.report.travel import read_travel
from crdtsync_server.report.verdict import (
    is_healthy,
    may_go,
    questions_of,
    reasons_of,
    sentence_of,
)
from crdtsync_server.report.windows import window_of
from crdtsync_server.report.words import say
from crdtsync_server.storage.reading import reading
from crdtsync_server.storage.store import connect_reader, damaged


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know, and may."""

    policy: Policy
    seen: Visibility
    space: str | None = None
    """None: every space in ``may_enter``."""
    may_enter: Collection[str] | None = None
    """None: every space that there is."""
    window: str = "7d"
    lang: str = "en"
    now_us: int = 0
    live: Live | None = None
    folder: Path | None = None
    """Of the data, for its files; None: in memory."""
    acceptance: Path | None = None
    bounds: Bounds = DASHBOARD


def measure(connection: sqlite3.Connection, asked: Asked) -> Overview:
    """Measure everything in one consistent view. Raises BadWindow; sqlite3.Error as it comes.

    A space that is not there is measured as an empty one, so that its name tells nothing.
    """
    with reading(connection):
        return _measure(connection, asked)


def measure_file(path: Path, asked: Asked) -> Overview:
    """Measure over a connection of its own. Raises StorageError in words, and BadWindow."""
    try:
        with contextlib.closing(connect_reader(path)) as connection:
            return measure(connection, asked)
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(str(path)) from error


def spaces_of(connection: sqlite3.Connection) -> list[Space]:
    """Every space of the database, by name."""
    return [Space(*row) for row in connection.execute(SQL["spaces"])]


def _measure(connection: sqlite3.Connection, asked: Asked) -> Overview:
    lang = asked.lang
    window, buckets = window_of(asked.window, asked.now_us, lang)
    spaces = tuple(space for space in spaces_of(connection) if _is_asked(space.name, asked))
    scope = Scope(
        connection=connection,
        policy=asked.policy,
        seen=asked.seen,
        spaces=spaces,
        window=window,
        buckets=buckets,
        now_us=asked.now_us,
        lang=lang,
        live=_only_of(asked.live, spaces),
        bounds=asked.bounds,
    )
    travel = read_travel(scope)
    failing = read_failing(scope, travel)
    known = read_devices(scope)
    devices = devices_for_people(scope, known)
    recovery = recovery_of(scope, travel, known)
    conflicts = conflicts_for_people(scope)
    reconciliation = reconcile(scope, known, failing.accepted)
    acceptance = read_acceptance(asked.acceptance, asked.now_us, lang)
    measures = measures_of(scope, travel, failing, recovery, conflicts)
    reasons = reasons_of(scope, measures, devices, reconciliation, acceptance, recovery)
    healthy, go = is_healthy(reasons), may_go(reasons)
    return Overview(
        lang=lang,
        server_us=asked.now_us,
        version=__version__,
        policy_version=asked.policy.version,
        space=asked.space,
        spaces=tuple(space.name for space in spaces),
        window=window,
        recorded=travel.recorded,
        recorded_words="" if travel.recorded else say("not_recorded", lang),
        healthy=healthy,
        sentence=sentence_of(lang, reasons, healthy, go),
        go=go,
        verdict=say("verdict_go" if go else "verdict_no_go", lang),
        reasons=reasons,
        questions=questions_of(scope, travel, failing, recovery, measures, devices, reconciliation),
        measures=measures,
        latency=latencies_of(scope, travel),
        failures=failures_for_people(scope, travel, failing),
        conflicts=conflicts,
        connections=connections_for_people(scope, travel),
        skew=clocks_for_people(scope, travel, known),
        storage=storage_for_people(scope, asked.folder, whole_server=asked.may_enter is None),
        devices=devices,
        charts=charts_of(scope, travel, failing),
        reconciliation=reconciliation,
        acceptance=acceptance,
    )


def _is_asked(name: str, asked: Asked) -> bool:
    if asked.space is not None:
        return name == asked.space
    return asked.may_enter is None or name in asked.may_enter


def _only_of(live: Live | None, spaces: tuple[Space, ...]) -> Live | None:
    if live is None:
        return None
    names = {space.name for space in spaces}
    return Live(frozenset(one for one in live.connected if one[0] in names), live.trace)
