"""The files of the pages: complete, self-contained, and in both languages."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from crdtsync.catalogue import LANGS
from crdtsync.catalogue.vocabulary import limits_words
from crdtsync.catalogue.wording import Words, placeholders
from crdtsync_server.pages.assets import TYPES, Asset, load_assets
from crdtsync_server.pages.shell import load_shells, preferred_lang
from crdtsync_server.pages.words import OWN, SHARED, TEXTS, all_words
from tests.server.pages.paged_ward import POLICY

STATIC = Path(__file__).parents[3] / "server" / "crdtsync_server" / "pages" / "static"
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
CALL = re.compile(r"\b(?:t|parts)\(")
PARTICLE_AFTER_VARIABLE = re.compile(
    r"\}['\"’”」)]?(?:을|를|이|가|은|는|와|과|로|으로|이나|나|아|야|이에요|예요|랑|이랑)"
    r"(?=[\s.,!?…·)]|$)"
)
# Keys that scripts put together: what stands before the first variable of their template.
FAMILIES = (
    "chart_",
    "conflict_status_",
    "event_",
    "met_",
    "mood_",
    "nav_",
    "problem_",
    "advice_",
    "rank_",
    "reason_",
    "records_only_",
    "theme_",
    "trace_kind_",
    "window_",
)


def first_argument(text: str, start: int) -> str:
    """What stands in a call up to its first comma on the outer level."""
    depth = 0
    for place in range(start, len(text)):
        char = text[place]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                return text[start:place]
            depth -= 1
        elif char == "," and depth == 0:
            return text[start:place]
    raise AssertionError(text[start : start + 60])


def keys_in_scripts() -> tuple[set[str], set[str]]:
    """Keys that scripts speak by name, and the beginnings of those that they put together."""
    named: set[str] = set()
    begun: set[str] = set()
    for path in SCRIPTS:
        text = path.read_text("utf-8")
        for found in CALL.finditer(text):
            argument = first_argument(text, found.end())
            named |= set(re.findall(r'"([a-z][a-z0-9_]*)"', argument))
            begun |= {one.partition("$")[0] for one in re.findall(r"`([^`]*)`", argument)}
    return named, begun


def test_every_key_that_a_script_speaks_has_words() -> None:
    named, begun = keys_in_scripts()
    # Words in conditions inside of an argument: status === "open" ? … : …
    conditions = {"open", "manual", "all"}
    assert named - conditions - TEXTS.keys() == set()
    assert begun <= {*FAMILIES, ""}
    assert "conflict_choose" in named


def test_every_text_is_spoken_somewhere() -> None:
    everything = "".join(path.read_text("utf-8") for path in SCRIPTS)
    python = (STATIC.parent / "shell.py").read_text("utf-8")
    silent = [
        key
        for key in [*OWN, *SHARED]
        if f'"{key}"' not in everything
        and f'"{key}"' not in python
        and not key.startswith(FAMILIES)
    ]
    assert silent == []


@pytest.mark.parametrize("key", sorted(OWN))
def test_both_languages_say_the_same_with_the_same_variables(key: str) -> None:
    words = OWN[key]
    assert placeholders(words.en) >= placeholders(words.ko)
    assert words.ko
    assert not PARTICLE_AFTER_VARIABLE.search(words.ko)
    assert not re.search(r"(합니다|습니다|하세요|십시오|한다|된다)[.!?]?$", words.ko)


def test_the_words_sent_to_a_browser_hold_reasons_too() -> None:
    for lang in ("en", "ko"):
        assert {"reason_not_permitted", "reason_unknown", "keep_all"} <= all_words(lang).keys()
    assert all_words("ko")["keep_all"] == "모두 남기기"
    assert isinstance(OWN["product"], Words)


def test_a_field_without_limits_is_told_as_in_the_signed_table() -> None:
    field = POLICY.collections["patient"].fields["phone"]
    for lang in LANGS:
        assert OWN["no_limits"].in_lang(lang) == limits_words(field, lang)


def test_no_file_names_an_address_elsewhere() -> None:
    allowed = {"http://www.w3.org/2000/svg"}
    for path, asset in load_assets().items():
        if "vendor" in path:
            continue
        found = set(re.findall(r"https?://[^\s\"'`)]+", asset.body.decode()))
        assert found <= allowed, path


def test_no_script_makes_html_of_text_and_no_page_has_inline_code() -> None:
    banned = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\.style\b"
    )
    for path in SCRIPTS:
        assert not banned.search(path.read_text("utf-8")), path.name
    shell = load_shells(dev=True)["en"].body.decode()
    assert not re.search(r"<script>|<style|style=|\son\w+=|javascript:", shell)
    assert banned.search("element.innerHTML = value")


def test_every_module_that_is_imported_exists() -> None:
    assets = load_assets()
    for path in SCRIPTS:
        for name in re.findall(r'(?:from|import\()\s*"([^"]+)"', path.read_text("utf-8")):
            target = (path.parent / name).resolve().relative_to(STATIC).as_posix()
            assert target in assets, f"{path.name} imports {name}"
    for name in ("icons.svg", "style.css", "parts.css", "vendor/uplot/uPlot.iife.min.js"):
        assert name in assets
    assert "vendor/uplot/LICENSE" not in assets
    assert (STATIC / "vendor/uplot/LICENSE").exists()


def test_every_picture_that_is_shown_is_drawn() -> None:
    drawn = set(re.findall(r'id="([a-z]+)"', (STATIC / "icons.svg").read_text("utf-8")))
    shown = {
        name
        for path in SCRIPTS
        for name in re.findall(r'\bicon\("([a-z]+)"\)', path.read_text("utf-8"))
    }
    assert shown <= drawn
    assert "good" in shown


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "app": Starlette(), "headers": raw, "method": "GET", "path": "/"}
    )


def test_a_file_is_sent_packed_and_only_when_the_browser_has_no_copy() -> None:
    asset = Asset.of(b"let a = 1;\n" * 200, "js")
    plain = asset.response(request())
    assert plain.body == asset.body
    assert plain.headers["content-type"] == TYPES["js"]
    packed = asset.response(request(accept_encoding="gzip, br"))
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(packed.body)) == asset.body
    known = asset.response(request(if_none_match=f"W/{plain.headers['etag']}"))
    assert known.status_code == 304
    assert known.body == b""


@pytest.mark.parametrize(
    ("asked", "accepted", "lang"),
    [
        (None, "", "en"),
        (None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (None, "en-GB,ko;q=0.5", "en"),
        (None, "de, ko;q=0.5, en;q=0.9", "en"),
        (None, "ko;q=0, en;q=nonsense", "en"),
        ("ko", "en", "ko"),
        ("fr", "ko", "en"),
    ],
)
def test_the_first_paint_is_in_the_language_of_the_reader(
    asked: str | None, accepted: str, lang: str
) -> None:
    assert preferred_lang(asked, accepted) == lang
