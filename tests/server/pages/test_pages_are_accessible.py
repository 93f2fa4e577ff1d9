"""axe-core finds nothing: every page, both languages, light and dark, on a phone."""

from __future__ import annotations

import os
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser as Chromium

from tests.server.pages.browsing import DESKTOP, PHONE, Visitor
from tests.server.pages.paged_ward import SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")

Scheme = Literal["light", "dark"]
CONFLICT = {"space": SPACE, "collection": "patient", "record": "p-000"}
VIEWS: list[tuple[str, dict[str, str]]] = [
    ("", {"window": "1h"}),
    ("conflicts", {"space": SPACE}),
    ("conflict", {**CONFLICT, "field": "allergies"}),
    ("conflict", {**CONFLICT, "field": "plan"}),
    ("records", {"space": SPACE}),
    ("record", {"space": SPACE, "collection": "patient", "id": "p-000"}),
    ("trace", {"space": SPACE, "q": "task/t-2"}),
    ("policy", {}),
    ("device", {"space": SPACE}),
    ("nothing", {}),
]


# Of the charts, which are all alike, one shows its table: a thousand cells more tell nothing.
OPEN_ALL = """() => {
    for (const one of document.querySelectorAll("main details")) {
        const figures = document.querySelectorAll("figure.chart");
        one.open = !one.closest("figure") || figures[0].contains(one);
    }
}"""


async def violations(visitor: Visitor, *rules: str) -> list[str]:
    """What axe finds, in one line each; ``rules``: only these."""
    page = visitor.page
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(Axe().axe_script)
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    answer = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in answer["violations"]
        for node in one["nodes"][:3]
    ]


async def look_around(visitor: Visitor, scheme: Scheme) -> list[str]:
    """Every view, and whether anything is wider than the screen."""
    found = []
    await visitor.page.emulate_media(color_scheme=scheme)
    for view, params in VIEWS:
        await visitor.open(view, **params)
        await visitor.page.evaluate(OPEN_ALL)
        found += [f"{view} {words}" for words in await violations(visitor)]
        wider = await visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            found.append(f"{view}: {wider} px wider than the screen")
    return found


# Colours are all that a scheme changes and words all that a language does, so each scheme in one
# language is enough for every day; AXE=all looks at every pair.
PAIRS: list[tuple[str, Scheme]] = [("en", "light"), ("ko", "dark")]
if os.environ.get("AXE") == "all":
    PAIRS += [("en", "dark"), ("ko", "light")]


@pytest.mark.parametrize(("lang", "scheme"), PAIRS)
async def test_axe_finds_nothing_on_any_page_on_a_phone(
    chromium: Chromium, ward: Ward, lang: str, scheme: Scheme
) -> None:
    async with Visitor.of(chromium, ward.web, lang=lang, size=PHONE) as visitor:
        assert await look_around(visitor, scheme) == []


async def test_axe_finds_nothing_where_people_sign_in_choose_and_open_the_menu(
    chromium: Chromium, ward: Ward
) -> None:
    async with Visitor.of(chromium, ward.web, None, lang="ko", size=PHONE) as visitor:
        await visitor.visit("")
        await visitor.page.get_by_label("이름", exact=True).wait_for()
        assert await violations(visitor) == []
    async with Visitor.of(chromium, ward.web, size=PHONE) as visitor:
        await visitor.open("conflict", **CONFLICT, field="allergies")
        await visitor.button("Menu").click()
        assert await violations(visitor) == []
        await visitor.button("Menu").click()
        await visitor.button("Enter another value").click()
        assert await violations(visitor) == []
        await visitor.button("Keep all").click()
        await visitor.page.get_by_role("dialog").wait_for()
        assert await violations(visitor) == []


async def test_axe_would_find_something(visitor: Visitor) -> None:
    await visitor.open("records", space=SPACE)
    await visitor.page.evaluate("document.querySelector('label[for=search-value]').remove()")
    assert [words for words in await violations(visitor, "label") if words.startswith("label")]


async def test_axe_finds_nothing_on_a_wide_screen(chromium: Chromium, ward: Ward) -> None:
    async with Visitor.of(chromium, ward.web, size=DESKTOP) as visitor:
        for view, params in VIEWS[2:5:2]:
            await visitor.open(view, **params)
            assert await violations(visitor) == [], view
