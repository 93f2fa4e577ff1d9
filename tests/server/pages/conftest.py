"""One browser and one server for all tests of the pages."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser as Chromium
from playwright.async_api import async_playwright

from crdtsync_server.service import RunningServer
from tests.server.pages.browsing import ARGUMENTS, CHROMIUM, Visitor
from tests.server.pages.paged_ward import POLICY, Ward

LOOP: Final = "session"


@pytest_asyncio.fixture(scope="session", loop_scope=LOOP)
async def chromium() -> AsyncIterator[Chromium]:
    """Debian's chromium; skips where there is none."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"no browser: {CHROMIUM} is missing (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope=LOOP)
async def ward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ward]:
    """A served ward with everything that the pages can show."""
    folder = tmp_path_factory.mktemp("ward")
    async with RunningServer(policy=POLICY, data=folder / "data", dev=True) as server:
        ward = Ward(folder, server.url)
        await ward.seed(patients=30)
        async with ward.device("reader", "lee") as ward.reader:
            ward.reader.connect(ward.url)
            yield ward


@pytest_asyncio.fixture(loop_scope=LOOP)
async def visitor(chromium: Chromium, ward: Ward) -> AsyncIterator[Visitor]:
    """Kim, signed in, on a desktop, in English."""
    async with Visitor.of(chromium, ward.web) as visitor:
        yield visitor
        visitor.check()
