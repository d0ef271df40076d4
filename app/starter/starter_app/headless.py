"""The page in a headless browser, for the tests and the benchmark."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from typing import Any

from shoal.balancer.errors import ConfigurationError

from .server import files, serving

__all__ = ["open_page", "what_is_missing"]

TIMEOUT_MS = 120_000  # seconds where nobody else computes
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def what_is_missing() -> str | None:
    """Why there can be no page here."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "no playwright; pip install playwright"
    if CHROMIUM is None:
        return "no chromium; install it (Debian: apt-get install chromium)"
    try:
        files()
    except ConfigurationError as error:
        return str(error)
    return None


@contextlib.asynccontextmanager
async def open_page(address: str | None = None) -> AsyncIterator[Any]:
    """The page (playwright's), loaded and connected to its actors: `page.evaluate("app.ask(...)")`.

    It is served meanwhile, unless its address is given.
    """
    from playwright.async_api import async_playwright

    with tempfile.TemporaryDirectory(prefix="starter-app-", ignore_cleanup_errors=True) as profile:
        served = serving() if address is None else contextlib.nullcontext(address)
        async with served as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch_persistent_context(
                profile, executable_path=CHROMIUM, headless=True, args=list(FLAGS), timeout=TIMEOUT_MS
            )
            try:
                page = await browser.new_page()
                page.set_default_timeout(TIMEOUT_MS)
                await page.goto(url)
                await page.wait_for_function("globalThis.app?.state !== undefined")
                state = await page.evaluate("app.state")
                if state != "ready":
                    raise RuntimeError(f"the page did not start: {state}")
                yield page
            finally:
                await browser.close()
