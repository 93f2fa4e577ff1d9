"""Signing in by token, what is kept of it, and what happens when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.service import RunningServer
from tests.server.access.signing import SECRET, token
from tests.server.pages.browsing import PHONE, Visitor
from tests.server.pages.paged_ward import POLICY, SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


def secured(folder: Path) -> RunningServer:
    """A server of the ward that asks for tokens."""
    access = AccessSettings(jwt_secret=SECRET, leeway_s=0.0)
    return RunningServer(policy=POLICY, data=folder / "data", access=access)


async def test_a_name_signs_in_where_the_server_only_tries_things_out(
    chromium: Chromium, ward: Ward
) -> None:
    async with Visitor.of(chromium, ward.web, None, size=PHONE) as visitor:
        await visitor.visit("records", space=SPACE)
        name = visitor.page.get_by_label("Your name")
        await name.press("Enter")
        await visitor.sees("This is empty. Fill it in first.")
        await name.fill("민지")
        await name.press("Enter")
        await visitor.sees("Only Latin letters")
        await name.fill("kim")
        await name.press("Enter")
        await visitor.page.get_by_role("heading", name="Records").wait_for()
        assert "/app/records" in visitor.page.url, "the place that was asked for"
        await visitor.button("Menu").click()
        await visitor.button("Sign out").click()
        await visitor.page.get_by_role("heading", name="Sign in").wait_for()
        assert await visitor.page.evaluate("sessionStorage.length") == 0
        visitor.check()


async def test_a_browser_that_opens_the_address_of_the_server_finds_the_pages(
    chromium: Chromium, ward: Ward
) -> None:
    async with Visitor.of(chromium, ward.web, None) as visitor:
        await visitor.page.goto(f"{ward.web}/?lang=ko")
        await visitor.page.get_by_role("heading", name="로그인").wait_for()
        await expect(visitor.page.locator("html")).to_have_attribute("lang", "ko")
        visitor.check()


async def test_a_token_is_kept_in_this_tab_only_and_an_ended_one_asks_again_without_losing_anything(
    chromium: Chromium, tmp_path: Path
) -> None:
    async with secured(tmp_path) as server:
        ward = Ward(tmp_path, server.url)
        await seed_conflict(ward)
        async with Visitor.of(chromium, ward.web, None) as visitor:
            page = visitor.page
            await visitor.visit(
                "conflict", space=SPACE, collection="patient", record="p-1", field="plan"
            )
            field = page.get_by_label("Token", exact=True)
            await expect(field).to_have_attribute("type", "password")
            await field.fill(token("kim", exp=1))
            await field.press("Enter")
            await visitor.sees("The server did not accept this sign-in")
            await page.get_by_text("Details").click()
            await visitor.sees("Request")
            await field.fill(token("kim", roles=["clinician"]))
            await field.press("Enter")
            await visitor.button("Enter another value").click()
            await page.get_by_label("Care plan").fill("Walk with help")
            assert await page.evaluate("localStorage.getItem('crdtsync.token')") is None

            # The sign-in ends: the server's word for it, on the next request.
            async def ended(route: Route) -> None:
                headers = route.request.headers | {"authorization": f"Bearer {token(exp=1)}"}
                await route.continue_(headers=headers)

            await page.route("**/v1/**", ended)
            await visitor.button("Continue").click()
            await page.get_by_role("button", name="Save").click()
            again = page.get_by_role("dialog", name="Please sign in again")
            await again.wait_for()
            await page.unroute("**/v1/**")
            await again.get_by_label("Token", exact=True).fill(token("kim", roles=["clinician"]))
            await again.get_by_role("button", name="Sign in", exact=True).click()
            await visitor.sees("You chose “Walk with help”. It is saved.")
            visitor.check()


async def test_what_another_person_had_begun_is_not_sent_under_a_new_name(
    chromium: Chromium, tmp_path: Path
) -> None:
    async with secured(tmp_path) as server:
        ward = Ward(tmp_path, server.url)
        await seed_conflict(ward)
        kim = token("kim", roles=["clinician"])
        async with Visitor.of(chromium, ward.web, kim) as visitor:
            page = visitor.page
            await visitor.open(
                "conflict", space=SPACE, collection="patient", record="p-1", field="plan"
            )
            sent: list[str] = []

            async def ended(route: Route) -> None:
                sent.append(route.request.url)
                await route.fulfill(status=401, json={"code": "unauthorized", "detail": "ended"})

            await page.route("**/resolve", ended)
            await page.get_by_role("button", name="Choose value 1").click()
            await page.get_by_role("button", name="Save").click()
            again = page.get_by_role("dialog", name="Please sign in again")
            await again.get_by_label("Token", exact=True).fill(token("lee", roles=["clinician"]))
            await again.get_by_role("button", name="Sign in", exact=True).click()
            await page.get_by_text("lee", exact=True).first.wait_for()
            await page.get_by_role("heading", name="Which is right?").wait_for()
            await expect(page.get_by_role("dialog")).to_have_count(0)
            assert len(sent) == 1
            visitor.check()


async def seed_conflict(ward: Ward) -> None:
    """Two values of kim's and lee's care plan for p-1, written with tokens."""
    for user, plan in (("kim", "Rest"), ("lee", "Walk")):
        async with ward.device(f"{user} phone", user) as phone:
            await phone.collection("patient").update("p-1", plan=plan)
            phone.connect(ward.url, token=token(user, roles=["clinician"]))
            await phone.synced(timeout=30)
