"""axe-core finds nothing: every page, both languages, light and dark, on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium

from tests.server.pages.browsing import DESKTOP, PHONE, Visitor
from tests.server.pages.paged_ward import SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFLICT = {"space": SPACE, "collection": "patient", "record": "p-000"}
VIEWS: list[tuple[str, dict[str, str]]] = [
    ("", {}),
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


async def look_around(visitor: Visitor) -> list[str]:
    """Every view, light and dark, and whether anything is wider than the screen."""
    found = []
    for view, params in VIEWS:
        await visitor.open(view, **params)
        await visitor.page.evaluate(OPEN_ALL)
        await visitor.page.emulate_media(color_scheme="light")
        found += [f"{view} light {words}" for words in await violations(visitor)]
        # The colours are all that the scheme changes.
        await visitor.page.emulate_media(color_scheme="dark")
        found += [f"{view} dark {words}" for words in await violations(visitor, "color-contrast")]
        wider = await visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            found.append(f"{view}: {wider} px wider than the screen")
    return found


@pytest.mark.parametrize("lang", ["en", "ko"])
async def test_axe_finds_nothing_on_any_page_on_a_phone(
    chromium: Chromium, ward: Ward, lang: str
) -> None:
    async with Visitor.of(chromium, ward.web, lang=lang, size=PHONE) as visitor:
        assert await look_around(visitor) == []


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
        for view, params in VIEWS[:3]:
            await visitor.open(view, **params)
            assert await violations(visitor) == [], view
