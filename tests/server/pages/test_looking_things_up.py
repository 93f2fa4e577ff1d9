"""Dashboard, records with their history, trace, policy and devices, as a person uses them."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from tests.server.pages.browsing import PHONE, Visitor
from tests.server.pages.paged_ward import LONG, POLICY, RIGHT_TO_LEFT, SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_dashboard_begins_with_its_verdict_and_has_every_panel(visitor: Visitor) -> None:
    await visitor.open("")
    page = visitor.page
    headings = await page.locator("main h2").all_inner_texts()
    verdict = await page.locator("#verdict").inner_text()
    assert headings[0] == verdict
    assert verdict
    for title in (
        "Figures and targets",
        "This week's questions",
        "Conflicts",
        "Failures by reason",
        "Retries, and what waits on devices",
        "How long it takes",
        "Connections",
        "Refused by a rule",
        "Follow one change",
        "Clocks of devices",
        "Storage",
    ):
        assert title in headings
    assert await page.get_by_text("How it is counted").count() >= 5
    charts = page.locator("figure.chart")
    assert await charts.count() >= 5
    assert await charts.locator("table").count() == await charts.count()
    await page.locator(".uplot canvas").first.wait_for()
    await page.get_by_label("7 days").check()
    await page.wait_for_url("**window=7d")


async def test_the_dashboard_follows_what_happens_and_keeps_what_is_open(
    visitor: Visitor, ward: Ward
) -> None:
    await visitor.open("", space=SPACE)
    page = visitor.page
    formula = page.locator(".tile details").first
    await formula.locator("summary").click()
    before = await page.locator("#panel-conflicts").evaluate("h => h.closest('section').innerText")
    await ward.disagrees("d-live", "plan", '"Rest"', '"Walk"')
    await page.wait_for_function(
        "before => document.getElementById('panel-conflicts').closest('section').innerText"
        " !== before",
        arg=before,
    )
    await expect(formula).to_have_attribute("open", "")


async def test_records_are_searched_paged_and_filtered(visitor: Visitor) -> None:
    await visitor.open("records", space=SPACE)
    page = visitor.page
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(25)
    await page.get_by_role("link", name="Next").click()
    await page.wait_for_url("**after=**")
    await page.get_by_text("Page 2").wait_for()
    await visitor.button("Previous").click()
    await page.get_by_text("Page 1").wait_for()
    await page.get_by_label("is exactly").fill("Kim Minji 8")
    await visitor.button("Search").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("p-008")
    await page.get_by_label("is exactly").fill("nobody")
    await visitor.button("Search").click()
    await visitor.sees("No record fits.")
    await page.get_by_role("link", name="Show all").click()
    await page.get_by_label("Which").select_option("deleted")
    await visitor.button("Search").click()
    await visitor.sees("p-029")


async def test_a_past_value_is_restored_as_an_ordinary_write(visitor: Visitor, ward: Ward) -> None:
    await ward.writes("r-back", {"r/phone": '"010-1"'})
    await ward.writes("r-back", {"r/phone": '"010-2"'}, user="lee")
    await visitor.open("record", space=SPACE, collection="patient", id="r-back")
    phone = visitor.page.get_by_role("region", name="Phone")
    await expect(phone.locator("> .current")).to_contain_text("010-2")
    await phone.locator("summary").click()
    await expect(phone.get_by_text("stands").first).to_be_visible()
    await phone.get_by_role("button", name="Restore this value").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("010-1")
    await dialog.get_by_role("button", name="Save").click()
    await phone.locator("> .current", has_text="010-1").wait_for()
    assert (await ward.reads("r-back"))["phone"] == "010-1"


async def test_what_came_while_a_person_was_asked_is_not_overwritten(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.writes("r-asked", {"r/phone": '"010-1"'})
    await ward.writes("r-asked", {"r/phone": '"010-2"'}, user="lee")
    await visitor.open("record", space=SPACE, collection="patient", id="r-asked")
    phone = visitor.page.get_by_role("region", name="Phone")
    await phone.locator("summary").click()
    await phone.get_by_role("button", name="Restore this value").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("010-1")
    await ward.writes("r-asked", {"r/phone": '"010-3"'}, user="park")
    await phone.locator("> .current", has_text="010-3").wait_for()
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_contain_text("someone changed it since you opened it")
    assert (await ward.reads("r-asked"))["phone"] == "010-3"
    # It has been read again, and the person was told: now it is their decision.
    await dialog.get_by_role("button", name="Save").click()
    await phone.locator("> .current", has_text="010-1").wait_for()
    assert (await ward.reads("r-asked"))["phone"] == "010-1"


async def test_a_wish_on_another_state_is_another_write_even_after_a_lost_answer(
    visitor: Visitor, ward: Ward
) -> None:
    async def delete() -> None:
        async with ward.device("deleting again", "kim") as device:
            device.connect(ward.url)
            await device.synced(timeout=30)
            await device.collection("patient").delete("r-twice")
            await device.synced(timeout=30)

    async def lose_the_answer(route: Route) -> None:
        await route.fetch()
        await route.abort()

    async def bring_back() -> None:
        await visitor.sees("This record is deleted. Its values are kept.")
        await visitor.button("Restore this record").click()
        await dialog.get_by_role("button", name="Save").click()

    dialog = visitor.page.get_by_role("dialog")
    await ward.writes("r-twice", {"r/name": '"Gone"'})
    await delete()
    await visitor.open("record", space=SPACE, collection="patient", id="r-twice")
    await visitor.page.route("**/restore", lose_the_answer)
    await bring_back()
    await expect(dialog).to_contain_text("Save again: the same choice counts once.")
    await dialog.get_by_role("button", name="Go back").click()
    await visitor.page.get_by_text("This record is deleted").wait_for(state="detached")
    await visitor.page.unroute("**/restore")
    await delete()
    await bring_back()
    await visitor.page.get_by_text("This record is deleted").wait_for(state="detached")
    assert (await ward.reads("r-twice"))["name"] == "Gone"


async def test_a_deleted_record_shows_its_values_and_is_brought_back(
    visitor: Visitor, ward: Ward
) -> None:
    async with ward.device("deleting", "kim") as device:
        await device.collection("patient").update("r-gone", name="Gone")
        await device.collection("patient").delete("r-gone")
        device.connect(ward.url)
        await device.synced(timeout=30)
    await visitor.open("record", space=SPACE, collection="patient", id="r-gone")
    await visitor.sees("This record is deleted. Its values are kept.")
    await visitor.button("Restore this record").click()
    await visitor.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await visitor.page.get_by_text("This record is deleted").wait_for(state="detached")
    assert (await ward.reads("r-gone"))["name"] == "Gone"


async def test_a_record_in_conflict_shows_every_value_and_none_as_the_value(
    visitor: Visitor,
) -> None:
    await visitor.open("record", space=SPACE, collection="patient", id="p-000")
    dose = visitor.page.get_by_role("region", name="Dose in mg")
    text = await dose.inner_text()
    assert "5.0" in text
    assert "50.0" in text
    await expect(dose.locator("> .current")).to_have_count(0)
    await dose.get_by_role("link", name="Choose between them").click()
    await visitor.page.get_by_role("heading", name="Which is right?").wait_for()


async def test_an_op_that_failed_twice_is_one_timeline(visitor: Visitor) -> None:
    await visitor.open("trace", space=SPACE)
    await visitor.sees("What do you want to follow?")
    await visitor.page.get_by_label("Number, person or record").fill("task/t-2")
    await visitor.button("Search").click()
    steps = visitor.page.locator("ol.timeline > li")
    await steps.first.wait_for()
    story = await visitor.text(".op")
    assert story.count("did not arrive") == 2
    assert "attempt 3" in story
    request = visitor.page.locator("ol.timeline a").first
    await request.click()
    await visitor.page.wait_for_url("**/trace?**q=*-*-4*")
    await visitor.page.locator(".op").first.wait_for()
    await visitor.open("trace", space=SPACE, q="nobody at all")
    await visitor.sees("Nothing is known under this.")


async def test_the_policy_is_the_table_that_people_sign(chromium: Chromium, ward: Ward) -> None:
    async with Visitor.of(chromium, ward.web, lang="ko") as visitor:
        await visitor.open("policy")
        text = await visitor.text()
        assert POLICY.hash in text
        assert "버전 4" in text
        assert "두 사람이 서로 다른 값을 쓰면 모두 남겨서 보여 주고, 사람이 골라서 정해요." in text
        await expect(visitor.page.locator("table")).to_have_count(2)
        visitor.check()


async def test_my_device_says_what_waits_and_why(chromium: Chromium, ward: Ward) -> None:
    async with Visitor.of(chromium, ward.web, "park:helper", size=PHONE) as visitor:
        await visitor.open("device", space=SPACE)
        mine = visitor.page.get_by_role("article", name="night desk")
        text = await mine.inner_text()
        assert "2 changes were not accepted" in text
        assert 'The server didn\'t accept "Allergies": your role may not change it.' in text
        assert "old scanner" in await visitor.text("table")
        visitor.check()


async def test_the_language_is_switched_and_remembered(visitor: Visitor) -> None:
    await visitor.open("policy")
    await visitor.button("한국어").click()
    await visitor.page.get_by_role("heading", name="규칙", exact=True).wait_for()
    await expect(visitor.page.locator("html")).to_have_attribute("lang", "ko")
    await expect(visitor.page).to_have_title(re.compile("규칙"))
    await visitor.open("device", space=SPACE)
    await expect(visitor.page.locator("h1")).to_have_text("내 기기")
    await visitor.open("policy", lang="en")
    await expect(visitor.page.locator("h1")).to_have_text("Policy")


async def test_the_theme_is_switched_and_remembered(visitor: Visitor) -> None:
    await visitor.open("policy")
    body = visitor.page.locator("body")
    paper = "body => getComputedStyle(body).backgroundColor"
    light = await body.evaluate(paper)
    await visitor.page.get_by_label("Colours", exact=True).select_option("dark")
    await expect(body).not_to_have_css("background-color", light)
    dark = await body.evaluate(paper)
    await visitor.page.reload()
    await expect(body).to_have_css("background-color", dark)


async def test_long_and_right_to_left_text_stays_in_its_place(
    chromium: Chromium, ward: Ward
) -> None:
    many = [f"{'x' * 70}-{n}" for n in range(3)]
    for n, value in enumerate(many):
        await ward.writes("l-many", {"r/plan": f'"{value} {"y" * 150}"'}, user=f"user{n}")
    async with Visitor.of(chromium, ward.web, size=PHONE) as visitor:
        for view, params in (
            ("record", {"collection": "patient", "id": "p-002"}),
            ("conflict", {"collection": "patient", "record": "l-many", "field": "plan"}),
            ("conflicts", {}),
        ):
            await visitor.open(view, space=SPACE, **params)
            wider = "document.documentElement.scrollWidth - innerWidth"
            assert await visitor.page.evaluate(wider) <= 0, view
        await visitor.open("record", space=SPACE, collection="patient", id="p-002")
        text = await visitor.text()
        assert RIGHT_TO_LEFT in text
        assert LONG.strip() in text


async def test_an_unknown_address_says_so(visitor: Visitor) -> None:
    await visitor.open("nowhere")
    await visitor.sees("There is no such page")
