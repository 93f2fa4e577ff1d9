"""A server that is away, busy or says no: in words, with a way on."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from tests.server.pages.browsing import LOADED, Visitor
from tests.server.pages.paged_ward import SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")

TICKING: Final = re.compile(r"Trying (again in \d|now)")
REQUEST_ID = "6a3d1a43-3cdf-4bf3-8873-3fd95d8389bc"


def problem(status: int, code: str, **extra: Any) -> dict[str, Any]:
    """An answer of the server that is none."""
    return {
        "status": status,
        "content_type": "application/problem+json",
        "json": {"status": status, "code": code, "detail": "…", "request_id": REQUEST_ID, **extra},
    }


async def test_a_server_that_is_away_is_tried_again_and_the_page_goes_on(visitor: Visitor) -> None:
    away = True

    async def cut(route: Route) -> None:
        await (route.abort("connectionrefused") if away else route.continue_())

    await visitor.page.route("**/v1/conflicts**", cut)
    await visitor.visit("conflicts", space=SPACE)
    await visitor.sees("The server cannot be reached.")
    away = False
    await visitor.button("Try now").click()
    await visitor.page.wait_for_selector(LOADED)
    await visitor.sees("wait for a decision")
    await expect(visitor.page.locator("#trouble")).to_be_empty()
    said = visitor.page.locator("#announce")
    await said.get_by_text("The server answers again.").wait_for(state="attached")


async def test_the_seconds_of_a_countdown_are_not_announced(visitor: Visitor) -> None:
    await visitor.page.route("**/v1/policy**", lambda route: route.abort("connectionrefused"))
    await visitor.visit("policy")
    # "Trying again in 2 s." and "Trying now…" take turns, so the place is looked for, not a word.
    await expect(visitor.page.locator("#trouble span[aria-hidden=true]")).to_have_text(TICKING)
    await expect(visitor.page.locator("#trouble [role=status], #trouble[aria-live]")).to_have_count(
        0
    )
    said = visitor.page.locator("#announce")
    words = "The server cannot be reached. This page tries again by itself."
    await said.get_by_text(words, exact=True).wait_for(state="attached")


@pytest.mark.parametrize(
    ("status", "code", "lang", "words"),
    [
        (403, "no_access", "en", "Your sign-in does not open this."),
        (403, "no_access", "ko", "지금 로그인으로는 열 수 없어요."),
        (429, "too_many_requests", "en", "The server gets too many requests at once."),
        (
            503,
            "disk_full",
            "ko",
            "지금은 서버에서 할 수 없어요. 이유: 서버의 저장 공간이 부족해요.",
        ),
        (500, "server_error", "en", "The server had a problem of its own."),
    ],
)
async def test_a_refusal_is_told_in_words_with_the_request_id_under_details(
    chromium: Chromium, ward: Ward, status: int, code: str, lang: str, words: str
) -> None:
    async with Visitor.of(chromium, ward.web, lang=lang) as visitor:
        await visitor.page.route(
            "**/v1/devices**", lambda route: route.fulfill(**problem(status, code))
        )
        await visitor.visit("device", space=SPACE)
        await visitor.sees(words)
        shown = visitor.page.get_by_text(REQUEST_ID).first
        await expect(shown).to_be_hidden()
        summary = visitor.page.locator("summary", has_text="Details" if lang == "en" else "자세히")
        await summary.first.click()
        await shown.wait_for()
        visitor.check()
