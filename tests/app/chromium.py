"""A page in headless Chromium, from a web server of its own: what the tests with real browsers share.

`tools/install-test-tools` installs the browser and what drives it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

async_api = pytest.importorskip("playwright.async_api", reason="no playwright; run: tools/install-test-tools")

CHROMIUM = shutil.which("chromium")
TIMEOUT_MS = 120_000  # a start takes one second where nobody else computes; playwright's own limit is 30 s
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)


def skip_without_chromium() -> None:
    if CHROMIUM is None:
        pytest.skip("no chromium; run: tools/install-test-tools")


@asynccontextmanager
async def page_server(text: str, scripts: dict[str, Path]) -> AsyncIterator[str]:
    """A web server on loopback, of another port and so of another origin than whatever the page fetches from."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    async def script(request: web.Request) -> web.StreamResponse:
        path = scripts.get(request.match_info["name"])
        return web.Response(status=404) if path is None else web.FileResponse(path)

    application = web.Application()
    application.router.add_get("/", page)
    application.router.add_get("/{name}", script)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def page_in_chromium(url: str, profile: Path, *, before: str = "") -> AsyncIterator[Any]:
    """The page at `url`, loaded, in a browser of its own; the script `before` runs ahead of the page's."""
    async with async_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=list(FLAGS), timeout=TIMEOUT_MS
        )
        try:
            page = await browser.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            await page.add_init_script(before)
            await page.goto(url)
            yield page
        finally:
            await browser.close()
