"""The player's page on screens of any width: nothing of it ends beyond the screen, whatever the balancer reports."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import shoal

from .chromium import page_in_chromium, page_server, skip_without_chromium

pytestmark = pytest.mark.real

PLAYER = Path(shoal.__file__).resolve().parent / "app" / "page" / "player"
WIDTHS = (320, 420, 600, 800, 970, 1100, 1200, 1600)  # telephones, and beyond
# What the page shows after a while, with names and numbers as long as they become.
SHOWN = """async () => {
  const panel = await import("./panel.js");
  const source = (name, state) => ({
    name, state, used_bytes: 123_456_789, sent_bytes: 98_765_432, throughput_bytes_per_s: 12_345_678,
  });
  panel.showSources({ sources: [
    source("cdn:delivery-of-the-second-provider", "recovering"), source("cdn:a", "unavailable"),
    source("peer:-SH0100-abcdefghijkl", "connecting"),
  ] });
  const startup = { bytes: 17_000_000, movedBytes: 17_000_000, ms: 12_345, interpreterMs: 9_876, packagesMs: 1_234,
    sessionMs: 1_234, isFromSnapshot: true };
  panel.showStartup(startup, true, "?worker=0");
  const big = { name: "bytes", byte_count: 4_194_304, holders: ["list of shoal.balancer.store.Store", "dict"] };
  const kind = { name: "shoal.balancer.actors.messages.TransferData", count: 12_345, byte_count: 4_194_304 };
  panel.showMemory({ wasmBytes: 123_456_789, scriptBytes: 12_345_678,
    python: { object_count: 123_456, byte_count: 12_345_678, kinds: [kind], biggest: [big] } });
  panel.at("status").textContent = "playing from the CDN alone: the balancer did not start";
  for (const name of ["peer", "cdn", "direct"]) panel.at(`of-${name}`).textContent = "123.4 MB, 100 %";
  for (const button of ["peers", "record"]) Object.assign(panel.at(button), { hidden: false, disabled: false });
  const fragments = Array.from({ length: 300 }, (_, sn) => ({ sn }));
  panel.showSegments({ currentLevel: 0, levels: [{ details: { fragments } }] }, [], null);
  document.querySelector("details").open = true;
}"""
# What of it ends beyond the screen.
BEYOND = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
  .map((one) => `${one.tagName} ${Math.round(one.getBoundingClientRect().right)} ${one.textContent.slice(0, 40)}`)"""


async def beyond(folder: Path) -> dict[int, list[str]]:
    """By width of the screen."""
    scripts = {path.name: path for path in PLAYER.iterdir()}
    # Not the page's own script, which would load Python.
    text = (PLAYER / "index.html").read_text().replace('<script type="module" src="player.js"></script>', "")
    async with page_server(text, scripts) as url, page_in_chromium(url, folder / "profile") as page:
        await page.evaluate(SHOWN)
        found = {}
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            await page.screenshot(path=folder / f"page-{width}.png", full_page=True)
            found[width] = list(await page.evaluate(BEYOND))
        return found


def test_the_page_fits_the_screen_of_a_telephone_and_wider_ones(tmp_path: Path) -> None:
    skip_without_chromium()
    assert asyncio.run(beyond(tmp_path)) == {width: [] for width in WIDTHS}
