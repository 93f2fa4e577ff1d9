"""A person with a browser: a page of their own, and what it did behind their back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser as Chromium
from playwright.async_api import ConsoleMessage, Locator, Page, Request, expect

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = (360, 740)
DESKTOP = (1280, 800)
WAIT_MS = 10_000
LOADED = ".body:not([aria-busy])"

expect.set_options(timeout=WAIT_MS)


class Visitor:
    """One page, its console errors, and every address it asked for."""

    def __init__(self, page: Page, web: str) -> None:
        self.page = page
        self.web = web
        self.errors: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._requested)

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        chromium: Chromium,
        web: str,
        token: str | None = "kim",
        *,
        lang: str = "en",
        size: tuple[int, int] = DESKTOP,
        **options: Any,
    ) -> AsyncIterator[Visitor]:
        """A new private window; ``token`` None: nobody is signed in."""
        context = await chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale={"en": "en-US", "ko": "ko-KR"}[lang],
            timezone_id="Asia/Seoul",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(WAIT_MS)
        if token is not None:
            kept = f"sessionStorage.setItem('crdtsync.token', {json.dumps(token)})"
            await context.add_init_script(f"if (sessionStorage.length === 0) {kept}")
        yield cls(await context.new_page(), web)
        await context.close()

    def _said(self, message: ConsoleMessage) -> None:
        # A status that a test provokes is told by the browser as an error of its own.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)

    def check(self) -> None:
        """No error in the console, no request to anywhere else."""
        assert self.errors == []
        assert [url for url in self.asked if not url.startswith(f"{self.web}/")] == []

    async def open(self, view: str, **params: str) -> None:
        """Go to a view and wait until it has loaded."""
        await self.visit(view, **params)
        await self.page.wait_for_selector(LOADED)

    async def visit(self, view: str, **params: str) -> None:
        """Go to a view, whatever it shows."""
        query = f"?{urlencode(params)}" if params else ""
        await self.page.goto(f"{self.web}/app/{view}{query}")

    async def text(self, selector: str = "main") -> str:
        """What a person reads there."""
        return await self.page.inner_text(selector)

    def button(self, name: str) -> Locator:
        """The button of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def sees(self, words: str) -> None:
        """Wait until these words can be read on the page."""
        await self.page.get_by_text(words).first.wait_for()
