"""The HTML page and the words: whole in both languages, well-formed, readable by all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import crdtsync_server.acceptance
from crdtsync.catalogue.wording import Words, placeholders
from crdtsync_server.acceptance.outcome import Check, Counts, RunResult, Said, ScenarioResult
from crdtsync_server.acceptance.page import page
from crdtsync_server.acceptance.results_json import as_json
from crdtsync_server.acceptance.scenarios import NAMES
from crdtsync_server.acceptance.telling import print_result
from crdtsync_server.acceptance.words import TEXTS
from tests.acceptance.schema import assert_schema
from tests.cli.test_cli_texts import PARTICLE_AFTER_VARIABLE

HOSTILE = "<script>alert('\u202e')</script> & {n} \x1b[31m"


@pytest.mark.parametrize(("key", "words"), TEXTS.items(), ids=list(TEXTS))
def test_both_languages_say_the_same_things(key: str, words: Words) -> None:
    assert placeholders(words.en) == placeholders(words.ko)
    assert not PARTICLE_AFTER_VARIABLE.search(words.ko)
    assert not re.search("[가-힣]", words.en)
    if key not in ("progress", "progress_ended", "reason_failed"):
        assert re.search("[가-힣]", words.ko)
        assert not re.search("니다|니까|십시오", words.ko), "the report speaks 해요체"


def sources() -> Iterator[str]:
    """The package's code without its texts."""
    for file in Path(str(crdtsync_server.acceptance.__file__)).parent.rglob("*.py"):
        if not file.name.startswith("words"):
            yield file.read_text(encoding="utf-8")


def test_every_text_is_used_and_every_key_has_its_text() -> None:
    code = "\n".join(sources())
    steps = {f"did_{key}" for key in re.findall(r'\.step\(\s*"(\w+)"', code)}
    checks = set(re.findall(r'\.check\(\s*"(\w+)"', code))
    titles = {f"title_{name.replace('-', '_')}" for name in NAMES}
    judged = {f"{part}_{key}" for key in checks for part in ("expect", "saw")}
    composed = steps | titles | judged
    own = {key for key in TEXTS if not re.match("(did|title|expect|saw)_", key)}
    assert composed == TEXTS.keys() - own
    spoken = set(re.findall(r"[\"'](\w+)[\"']", code))
    prefixes = ("status_", "column_", "mean_", "proof_", "device_", "mode_")
    assert {key for key in own - spoken if not key.startswith(prefixes)} == set()


def params_of(*keys: str) -> dict[str, Any]:
    """Something for every placeholder."""
    names = set().union(*(placeholders(TEXTS[key].en) for key in keys))
    given: dict[str, Any] = dict.fromkeys(names, 3)
    if "device" in names:
        given["device"] = "tablet"
    for name in names & {"message", "error", "examples", "ops", "why"}:
        given[name] = HOSTILE
    return given


def a_result(*, broken: bool) -> RunResult:
    """A run in which every text is told."""
    keys = sorted(key.removeprefix("saw_") for key in TEXTS if key.startswith("saw_"))
    checks = tuple(Check(key, not broken, params_of(f"saw_{key}", f"expect_{key}")) for key in keys)
    steps = tuple(Said(key, params_of(key)) for key in TEXTS if key.startswith("did_"))
    told = ScenarioResult(
        name=NAMES[0],
        status="failed" if broken else "passed",
        seconds=4.2,
        steps=steps,
        checks=checks,
        counts=Counts(5_028, 5_027, int(broken), 0, 2, 3.3),
        proof="file",
        lost_ops=("op-1",) if broken else (),
        logs="/tmp/<logs>" if broken else None,
    )
    others = [ScenarioResult(name, "not run", why_not=Said("why_not_quick")) for name in NAMES[1:]]
    machine = {"system": "Linux", "release": "6", "architecture": "x", "processors": 2}
    versions = dict.fromkeys(
        ("crdtsync", "protocol", "python", "sqlite", "pycrdt", "websockets"), "1"
    )
    return RunResult(
        seed=1,
        quick=True,
        server="ws://127.0.0.1:1",
        started_at="2026-01-01T00:00:00+00:00",
        seconds=9.9,
        machine=machine,
        versions=versions,
        scenarios=(told, *others),
        spaces=("acceptance-1",),
    )


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("broken", [False, True], ids=["go", "no-go"])
def test_the_page_is_well_formed_whole_and_loads_nothing(lang: str, broken: bool) -> None:
    text = page(a_result(broken=broken), lang)
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))
    assert root.tag == "html"
    assert root.attrib["lang"] == lang
    for outside in ("http://", "https://", "<script", "@import", "url("):
        assert outside not in text
    shown = " ".join(root.itertext())
    assert not re.search(r"\b(did|title|expect|saw|why_not|status|column|heading)_\w+", shown)
    unfilled = re.findall(r"\{\w+[^}]*\}", shown)
    assert set(unfilled) == {"{n}"}, "braces of values stay, those of texts are filled in"
    assert "<script>alert" in shown, "as text"
    headings = [one.tag for one in root.iter() if re.fullmatch("h[1-6]", one.tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    tables = list(root.iter("table"))
    assert len(tables) == 2
    for table in tables:
        assert {one.attrib["scope"] for one in table.iterfind("thead/tr/th")} == {"col"}
        assert {one.attrib["scope"] for one in table.iterfind("tbody/tr/th")} <= {"row"}
        columns = len(list(table.iterfind("thead/tr/th")))
        assert [len(row) for row in table.iterfind("tbody/tr")].count(columns) == len(
            list(table.iterfind("tbody/tr"))
        )
    ids = [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
    assert len(ids) == len(set(ids))
    links = {one.attrib["href"].removeprefix("#") for one in root.iter("a")}
    assert links == set(NAMES) <= set(ids)
    verdict = "".join(next(root.iter("p")).itertext())
    words = {"en": ("Go:", "No-Go:"), "ko": ("진행:", "중단:")}[lang][broken]
    assert verdict.split(" ", 1)[1].startswith(words)
    assert ("op-1" in shown) is broken
    opened = [one for one in root.iter("details") if "open" in one.attrib]
    assert len(opened) == int(broken), "what failed is open"


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_whole_tables_and_obeys_nothing_that_stands_in_a_value(
    lang: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_result(a_result(broken=True), lang)
    shown = capsys.readouterr().out
    assert "5,028" in shown
    last = {80: ("Doubled", "중복"), 120: ("9.9", "9.9")}[width][lang == "ko"]
    assert last in shown, "no column is cut off"
    assert ("5,027" in shown) is (width == 120)
    assert "conflict-chosen-while-edited" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_the_result_for_machines_has_its_shape_and_says_why() -> None:
    go, no_go = as_json(a_result(broken=False)), as_json(a_result(broken=True))
    for result in (go, no_go):
        assert_schema(result)
    assert (go["verdict"], no_go["verdict"]) == ("go", "no-go")
    assert go["counts"]["passed"] == no_go["counts"]["failed"] == 1
    assert go["counts"]["not_run"] == len(NAMES) - 1, "never counted as passed"
    assert any("Written offline" in reason["en"] for reason in no_go["reasons"])
