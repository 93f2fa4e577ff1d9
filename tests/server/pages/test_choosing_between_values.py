"""A person chooses between the values of a conflict, in a real browser, and a replica reads it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Route, expect

from tests.server.pages.browsing import PHONE, Visitor
from tests.server.pages.paged_ward import PROBE, SPACE, Ward

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def open_conflict(visitor: Visitor, record: str, field: str) -> None:
    await visitor.open("conflict", space=SPACE, collection="patient", record=record, field=field)


async def save(visitor: Visitor) -> None:
    await visitor.page.get_by_role("dialog").get_by_role("button", name="Save").click()


async def test_a_chosen_value_is_an_ordinary_op_that_a_replica_reads(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-choose", "dose", '"5.0"', '"50.0"')
    await open_conflict(visitor, "c-choose", "dose")
    text = await visitor.text()
    assert "Value 1: by kim" in text
    assert "Value 2: by lee" in text
    assert "Lower by 45" in text
    assert "Higher by 45" in text
    assert "Keep all" not in text
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("5.0")
    await expect(dialog).to_contain_text("2 values that you saw")
    await save(visitor)
    await visitor.sees("You chose “5.0”. It is saved.")
    assert (await ward.reads("c-choose"))["dose"] == Decimal("5.0")
    await visitor.page.reload()
    await visitor.sees("This is decided.")
    await visitor.sees("kim decided.")


async def test_nothing_is_chosen_beforehand_and_going_back_changes_nothing(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-back", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-back", "plan")
    chosen = visitor.page.locator("main input:checked, main [aria-pressed=true]")
    await expect(chosen).to_have_count(0)
    opener = visitor.page.get_by_role("button", name="Choose value 2 by lee")
    await opener.click()
    await visitor.page.keyboard.press("Escape")
    await expect(opener).to_be_focused()
    assert not [url for url in visitor.asked if url.endswith("/resolve")]
    conflict = (await ward.reads("c-back"))["plan"]
    assert {one.value for one in conflict.candidates} == {"Rest", "Walk"}


async def test_the_elements_of_sets_are_sorted_into_identical_similar_and_different(
    visitor: Visitor,
) -> None:
    await open_conflict(visitor, "p-000", "allergies")
    first, second = await visitor.page.locator("li.candidate").all_inner_texts()
    assert "In both (1)\nlatex" in first
    assert "In both (1)\nlatex" in second
    assert "similar to “Penicillin V” in another value" in first
    assert "similar to “peanut butter” in another value" in second
    assert "Only here (1)\n새우\nonly here" in first
    assert "Only here (1)\niodine\nonly here" in second
    assert "ward tablet" in first
    assert "lee phone" in second
    same = visitor.page.locator(".candidate .same li")
    boxes = [await same.nth(place).bounding_box() for place in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"], "identical elements stand across from each other"


async def test_keep_all_saves_the_union(visitor: Visitor, ward: Ward) -> None:
    await ward.disagrees("c-union", "allergies", '["latex","nuts"]', '["eggs","latex"]')
    await open_conflict(visitor, "c-union", "allergies")
    await visitor.button("Keep all").click()
    elements = visitor.page.get_by_role("dialog").locator(".elements li")
    await expect(elements).to_have_text(["latex", "nuts", "eggs"])
    await save(visitor)
    await visitor.sees("It is saved.")
    assert (await ward.reads("c-union"))["allergies"] == {"latex", "nuts", "eggs"}


async def test_another_value_is_ticked_and_typed(visitor: Visitor, ward: Ward) -> None:
    await ward.disagrees("c-other", "allergies", '["latex","nuts"]', '["eggs"]')
    await open_conflict(visitor, "c-other", "allergies")
    await visitor.button("Enter another value").click()
    page = visitor.page
    await expect(page.locator(".ticks input:checked")).to_have_count(0)
    await page.get_by_role("checkbox", name="nuts").check()
    await page.get_by_label("Something else").fill("새우")
    await visitor.button("Continue").click()
    await visitor.sees("“새우” is not added yet.")
    await visitor.button("Add").click()
    await visitor.button("Continue").click()
    await save(visitor)
    await visitor.sees("It is saved.")
    assert (await ward.reads("c-other"))["allergies"] == {"nuts", "새우"}


async def test_limits_of_the_policy_are_told_at_the_field(visitor: Visitor, ward: Ward) -> None:
    await ward.disagrees("c-limits", "dose", '"5.0"', '"50.0"')
    await open_conflict(visitor, "c-limits", "dose")
    await visitor.button("Enter another value").click()
    field = visitor.page.get_by_label("Dose in mg")
    await visitor.sees("at least 0; at most 500")
    await field.fill("five")
    await field.press("Enter")
    await visitor.sees("Write a number, such as 2.5.")
    await field.fill("501")
    await field.press("Enter")
    # What the page does not check, the server refuses, in words and without losing the entry.
    if await visitor.page.get_by_role("dialog").count():
        await save(visitor)
        await visitor.sees("The server didn't accept")
        await visitor.button("Go back").click()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("501")
    await field.fill("7.25")
    await field.press("Enter")
    await save(visitor)
    await visitor.sees("You chose “7.25”. It is saved.")
    assert (await ward.reads("c-limits"))["dose"] == Decimal("7.25")


async def test_choosing_stops_when_another_value_arrived_since_the_page_was_opened(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-late", "plan", '"Rest"', '"Walk"')
    # Without the stream of changes it is the look before sending that has to notice.
    await visitor.page.route("**/v1/changes**", lambda route: route.abort())
    await open_conflict(visitor, "c-late", "plan")
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    await ward.writes("c-late", {"r/plan": '"Swim"'}, user="park")
    await save(visitor)
    await visitor.sees('Another value for "Care plan" arrived while you were choosing')
    assert not [url for url in visitor.asked if url.endswith("/resolve")]
    await visitor.button("Show the values as they are now").click()
    await visitor.sees("Value 3: by park")
    await visitor.sees("New: it has just arrived")
    await visitor.page.get_by_role("button", name="Choose value 3 by park").click()
    await save(visitor)
    await visitor.sees("You chose “Swim”. It is saved.")
    assert (await ward.reads("c-late"))["plan"] == "Swim"


async def test_a_choice_that_raced_with_another_value_says_that_the_conflict_is_still_open(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-race", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-race", "plan")

    async def race(route: Route) -> None:
        await ward.writes("c-race", {"r/plan": '"Swim"'}, user="park")
        await route.continue_()

    await visitor.page.route("**/resolve", race)
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    await save(visitor)
    await visitor.sees("another value arrived at the same moment")
    conflict = (await ward.reads("c-race"))["plan"]
    assert {one.value for one in conflict.candidates} == {"Rest", "Swim"}


async def test_a_choice_replaces_what_stands_on_the_screen_and_not_what_was_read_since(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-drawn", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-drawn", "plan")
    sent = 0

    async def race(route: Route) -> None:
        nonlocal sent
        sent += 1
        if sent == 1:
            await ward.writes("c-drawn", {"r/plan": '"Swim"'}, user="park")
        await route.continue_()

    waiting: asyncio.Queue[Route] = asyncio.Queue()
    await visitor.page.route("**/resolve", race)
    await visitor.page.route("**/v1/conflicts?*status=open&limit=2", waiting.put)
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    await save(visitor)
    next_one = await waiting.get()
    # The outcome is not drawn yet: what can be clicked are the cards of before.
    await visitor.page.get_by_role("button", name="Choose value 2 by lee").click()
    await save(visitor)
    await visitor.sees('Another value for "Care plan" arrived while you were choosing')
    assert sent == 1
    await next_one.continue_()
    await visitor.sees("another value arrived at the same moment")
    await expect(visitor.page.locator("li.candidate", has_text="by park")).to_have_count(1)
    conflict = (await ward.reads("c-drawn"))["plan"]
    assert {one.value for one in conflict.candidates} == {"Rest", "Swim"}


async def test_what_the_page_reads_while_a_choice_is_sent_does_not_take_its_outcome_away(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-slow", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-slow", "plan")
    looks: asyncio.Queue[Route] = asyncio.Queue()
    record = "**/v1/spaces/**/c-slow"

    async def answer_late(route: Route) -> None:
        answer = await route.fetch()
        look = await looks.get()
        async with visitor.page.expect_response(record):
            await look.continue_()
        await route.fulfill(response=answer)

    await visitor.page.route("**/resolve", answer_late)
    # A look beside the person begins before they save, and reads what their own choice made.
    await visitor.page.route(record, looks.put, times=1)
    async with visitor.page.expect_request(record):
        await visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    await save(visitor)
    await visitor.sees("You chose “Rest”. It is saved.")


async def test_who_was_faster_is_named(visitor: Visitor, ward: Ward, chromium: Chromium) -> None:
    await ward.disagrees("c-fast", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-fast", "plan")
    async with Visitor.of(chromium, ward.web, "yoon", size=PHONE) as faster:
        await open_conflict(faster, "c-fast", "plan")
        await faster.page.get_by_role("button", name="Choose value 2 by lee").click()
        await save(faster)
        await faster.sees("It is saved.")
    await visitor.sees("yoon chose “Walk” at")
    await visitor.button("Show the values as they are now").click()
    await visitor.sees("Decided by yoon")
    await expect(visitor.page.get_by_role("button", name="Choose value")).to_have_count(0)


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    visitor: Visitor, ward: Ward
) -> None:
    await ward.disagrees("c-lost", "plan", '"Rest"', '"Walk"')
    await open_conflict(visitor, "c-lost", "plan")
    keys: list[str | None] = []

    async def lose_the_answer(route: Route) -> None:
        keys.append(await route.request.header_value("idempotency-key"))
        if len(keys) == 1:
            await route.fetch()
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await visitor.page.route("**/resolve", lose_the_answer)
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    await save(visitor)
    await visitor.sees("It is not certain that the server has it.")
    await save(visitor)
    await visitor.sees("You chose “Rest”. It is saved.")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert (await ward.reads("c-lost"))["plan"] == "Rest"


async def test_a_keyboard_is_enough(visitor: Visitor, ward: Ward) -> None:
    await ward.disagrees("c-keys", "plan", '"Rest"', '"Walk"')
    page = visitor.page
    await visitor.open("conflicts", space=SPACE, status="open")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Patient c-keys")
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await link.evaluate("one => one === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Which is right?").wait_for()
    await expect(page.locator("h1")).to_be_focused()
    choice = page.get_by_role("button", name="Choose value 2")
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await choice.evaluate("one => one === document.activeElement"):
            break
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    await page.keyboard.press("Enter")
    await page.get_by_role("dialog").wait_for()
    await expect(page.get_by_role("dialog").locator("h2")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await visitor.sees("You chose “Walk”. It is saved.")
    await expect(page.locator("#outcome")).to_be_focused()
    assert (await ward.reads("c-keys"))["plan"] == "Walk"


async def test_a_reader_who_may_not_write_the_field_may_not_choose(
    chromium: Chromium, ward: Ward
) -> None:
    async with Visitor.of(chromium, ward.web, "park:helper") as helper:
        await open_conflict(helper, "p-000", "dose")
        await helper.sees("Your role may read this field, but not decide.")
        await expect(helper.page.get_by_role("button", name="Choose")).to_have_count(0)
        helper.check()


async def test_values_of_people_are_never_read_as_html(visitor: Visitor) -> None:
    await open_conflict(visitor, "p-001", "allergies")
    assert PROBE in await visitor.text()
    await visitor.open("conflicts", space=SPACE)
    assert PROBE in await visitor.text()
    await visitor.open("records", space=SPACE)
    assert PROBE in await visitor.text()
    await visitor.open("record", space=SPACE, collection="patient", id="p-001")
    await visitor.page.evaluate("document.querySelectorAll('details').forEach(o => o.open = true)")
    assert PROBE in await visitor.text("h1")
    await expect(visitor.page.locator("main img")).to_have_count(0)
    assert await visitor.page.evaluate("'hacked' in window") is False


async def test_a_long_name_of_a_record_does_not_fill_the_pages(
    visitor: Visitor, ward: Ward
) -> None:
    name = "Very " * 400 + "long"
    await ward.disagrees("c-long", "dose", '"5.0"', '"50.0"')
    await ward.writes("c-long", {"r/name": f'"{name}"'})
    await visitor.open("conflicts", space=SPACE)
    text = await visitor.text()
    assert name[:79] + "…" in text
    assert name[:100] not in text
    await open_conflict(visitor, "c-long", "dose")
    assert name[:100] not in await visitor.text()
    await visitor.page.get_by_role("button", name="Choose value 1 by kim").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("…")
    await expect(dialog).not_to_contain_text(name[:100])
