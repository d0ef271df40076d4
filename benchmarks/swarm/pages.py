"""Viewers of a swarm that are pages: hls.js with p2p-media-loader, unmodified, in headless Chromium.

    async with pages() as opened:
        await opened.open("page-0")
        await opened.go("page-0", url, tracker)
        found = await opened.seen("page-0", count, deadline_s)

All are tabs of one browser, as they are with somebody who watches; each plays from its start, as soon as it can.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from failover import FLAGS, site
from tests.p2pml.counterparts import bundled_page

__all__ = ["Pages", "missing_for_pages", "pages"]

PAGE = (
    """<!doctype html><meta charset="utf-8"><title>peers</title><video muted></video><script src="page.mjs"></script>"""
)
# A tab that nobody looks at plays on all the same, and its timers are those of one that is looked at.
AWAKE = (
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)
START_MS = 60_000  # until a page is there, on a machine that is busy


def missing_for_pages() -> str | None:
    """What is not installed, or None."""
    if shutil.which("chromium") is None:
        return "chromium"
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "playwright"
    return None


class Pages:
    def __init__(self, browser: Any, server: str) -> None:
        self._browser = browser
        self._server = server
        self._open: dict[str, Any] = {}
        self.arrived_s: dict[str, float] = {}  # seconds since 1970

    @property
    def names(self) -> list[str]:
        return list(self._open)

    async def open(self, name: str) -> None:
        """A tab where the page is to be, in a process that knows the site: the first visit may take seconds."""
        page = await self._browser.new_page()
        page.set_default_timeout(START_MS)
        await page.goto(f"{self._server}page.mjs")  # a script, shown as text
        self._open[name] = page

    async def go(self, name: str, url: str, tracker: str) -> None:
        page = self._open[name]
        await page.goto(f"{self._server}?{urlencode({'url': url, 'tracker': tracker})}")
        self.arrived_s[name] = await page.evaluate("performance.timeOrigin") / 1000

    async def seen(self, name: str, count: int, deadline_s: float) -> dict[str, Any]:
        """What it saw, once its player has been given so many segments; page.mjs says what that is."""
        page = self._open[name]
        # A name with `m4s`: the init section is given too, and is no segment.
        given = "new Set(seen.given.map((one) => one.url).filter((url) => url.endsWith('.m4s'))).size"
        left_ms = max(1.0, deadline_s - time.monotonic()) * 1000
        await page.wait_for_function(f"seen.fatal.length || {given} >= {count}", timeout=left_ms)
        found: dict[str, Any] = await page.evaluate("seen")
        if found["fatal"]:
            raise RuntimeError(f"the player of {name} gave up: {', '.join(found['fatal'])}")
        return found


@asynccontextmanager
async def pages() -> AsyncIterator[Pages]:
    from playwright.async_api import async_playwright

    files = {"": PAGE, "page.mjs": bundled_page()}
    with tempfile.TemporaryDirectory(prefix="shoal-pages-", ignore_cleanup_errors=True) as profile:
        async with site(files) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch_persistent_context(
                profile, executable_path=shutil.which("chromium"), headless=True, args=[*FLAGS, *AWAKE]
            )
            try:
                yield Pages(browser, server)
            finally:
                await browser.close()
