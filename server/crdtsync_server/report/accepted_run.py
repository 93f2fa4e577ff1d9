"""The last run of ``crdtsync acceptance``, as its JSON result tells it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from crdtsync.catalogue.wording import lang_of
from crdtsync.version import __version__
from crdtsync_server.report.measures import AcceptanceRun, Check, Mood
from crdtsync_server.report.words import age_words, say

FILE_NAME = "acceptance.json"
"""In the data folder: what ``crdtsync acceptance --json DIR/acceptance.json`` wrote."""

SCHEMA = "crdtsync-acceptance/1"
MAX_BYTES = 8 * 1_048_576
OLD_S = 30 * 86_400
"""A month: by then the system around the software is another one."""

UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, OverflowError),  # lists in lists without end, and infinite counts
)
"""What reading a file that is no result raises, whatever is in it."""

_MOODS: dict[str, Mood] = {"passed": "good", "failed": "bad", "not run": "unknown"}


def read_acceptance(path: Path | None, now_us: int, lang: str) -> AcceptanceRun:
    """What the file says. One that is not there, or that is none, is "not shown"."""
    if path is None or not path.is_file():
        return AcceptanceRun(mood="unknown", words=say("acceptance_none", lang))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        return _run(found, now_us, lang)
    except UNREADABLE as error:
        why = f"{path.name}: {error}"
        return AcceptanceRun(mood="unknown", words=say("acceptance_unreadable", lang, why=why))


def _run(found: dict[str, Any], now_us: int, lang: str) -> AcceptanceRun:
    counts = found["counts"]
    went_well = found["verdict"] == "go"
    words = [str(found["sentence"][lang_of(lang)])]
    if found["quick"]:
        words.append(say("acceptance_quick", lang))
    ran = str(found["versions"].get("crdtsync", "?"))
    if ran != __version__:
        words.append(say("acceptance_other_version", lang, ran=ran, now=__version__))
    age_s = now_us / 1e6 - datetime.fromisoformat(found["started_at"]).timestamp()
    if age_s > OLD_S:
        words.append(say("acceptance_old", lang, age=age_words(age_s, lang)))
    mood: Mood = "good" if went_well else "bad"
    if went_well and (ran != __version__ or age_s > OLD_S):
        # It shows that another version, or another time, was good.
        mood = "unknown"
    return AcceptanceRun(
        mood=mood,
        words=" ".join(words),
        at=str(found["started_at"]),
        seconds=float(found["seconds"]),
        quick=bool(found["quick"]),
        written=int(counts["written"]),
        lost=int(counts["lost"]),
        doubled=int(counts["doubled"]),
        scenarios=tuple(_scenario(one, lang) for one in found["scenarios"]),
    )


def _scenario(one: dict[str, Any], lang: str) -> Check:
    status = str(one["status"])
    why_not = one["why_not"]
    words = say(f"acceptance_{status.replace(' ', '_')}", lang)
    if why_not:
        words = f"{words}: {why_not[lang_of(lang)]}"
    return Check(
        key=str(one["name"]),
        name=str(one["title"][lang_of(lang)]),
        mood=_MOODS[status],
        words=words,
    )
