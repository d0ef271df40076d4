"""Frames and timers of a page whose actors never rest, by turns with the page at rest and with Pyodide's own loop."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from harness import Claim

from .pyodide import CLAIMS, chromium, files, site

__all__ = ["claims", "p99"]

COUNTS = (1, 10, 100, 500)
WATCHED_MS = 3_000
SETTLE_MS = 500
STOCK_S_MAX = 30.0  # for three seconds' watching
TIMER_MS = 20  # as a player's; the platform's clamp is 4
MEASURE = """(milliseconds) => new Promise((done) => {
  const began = performance.now();
  const late = [];
  let frames = 0;
  let due = 0;
  let isOver = false;
  // Whichever comes first after the time: Pyodide's own loop may let no timer through for a minute.
  const end = () => {
    const now = performance.now();
    if (isOver || now - began < milliseconds) return isOver;
    if (now > due) late.push(now - due); // the one that is awaited
    done({ frames_per_s: (1000 * frames) / (now - began), late_ms: late });
    return (isOver = true);
  };
  const frame = () => { frames += 1; if (!end()) requestAnimationFrame(frame); };
  const set = () => {
    due = performance.now() + TIMER_MS;
    setTimeout(() => {
      if (isOver) return;
      late.push(performance.now() - due);
      due = Infinity;
      if (!end()) set();
    }, TIMER_MS);
  };
  requestAnimationFrame(frame);
  set();
})""".replace("TIMER_MS", str(TIMER_MS))
START = "([kind, count]) => { const start = pyodide.globals.get('start'); start(kind, count); start.destroy(); }"
STOP = "async () => { const stop = pyodide.globals.get('stop'); await stop(); stop.destroy(); }"


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


async def watched(page: Any, kind: str, count: int) -> dict[str, Any]:
    """Frames a second, and how late each timer was, with so many at work (`idle`: none)."""
    if kind != "idle":
        await page.evaluate(START, [kind, count])
    await page.wait_for_timeout(SETTLE_MS)
    seen: dict[str, Any] = await page.evaluate(MEASURE, WATCHED_MS)
    if kind != "idle":
        await page.evaluate(STOP)
    return seen


async def ready_page(browser: Any, url: str) -> Any:
    page = await browser.new_page()
    await page.goto(url)
    await page.wait_for_function("document.title === 'ready'")
    return page


async def watched_stock(url: str, count: int) -> dict[str, Any]:
    """The same with Pyodide's own loop, in a browser of its own: it may never let anybody in again."""
    async with chromium() as browser:
        page = await ready_page(browser, url)
        try:
            async with asyncio.timeout(STOCK_S_MAX):
                return await watched(page, "stock", count)
        except TimeoutError:
            return {"frames_per_s": 0.0, "late_ms": [1000 * STOCK_S_MAX]}


async def claims(rounds: int) -> list[Claim]:
    ratios: dict[int, list[float]] = {}
    late: dict[tuple[str, int], list[float]] = {}
    frames: dict[tuple[str, int], list[float]] = {}
    async with chromium() as browser, site(files(CLAIMS / "frames_page.py")) as url:
        page = await ready_page(browser, url)
        for count in COUNTS:  # once: it is not what is judged
            stock = await watched_stock(url, count)
            frames["stock", count], late["stock", count] = [stock["frames_per_s"]], stock["late_ms"]
        for _ in range(rounds):
            for count in COUNTS:
                idle = await watched(page, "idle", 0)
                late.setdefault(("idle", count), []).extend(idle["late_ms"])
                busy = await watched(page, "actors", count)
                ratios.setdefault(count, []).append(busy["frames_per_s"] / idle["frames_per_s"])
                frames.setdefault(("actors", count), []).append(busy["frames_per_s"])
                late.setdefault(("actors", count), []).extend(busy["late_ms"])
                frames.setdefault(("idle", count), []).append(idle["frames_per_s"])
    found = []
    for count in COUNTS:
        rate = {kind: statistics.median(frames[kind, count]) for kind in ("idle", "actors", "stock")}
        lateness = {kind: p99(late[kind, count]) for kind in ("idle", "actors", "stock")}
        print(
            f"  {count} busy: "
            + ", ".join(f"{kind} {rate[kind]:.1f} frames/s and timers {lateness[kind]:.1f} ms late" for kind in rate),
            flush=True,
        )
        one = "actor" if count == 1 else "actors"
        ratio = statistics.median(ratios[count])
        found += [
            Claim(f"{count} busy {one}: frames, of the idle page's", ratio, 0.93, True, "x"),
            Claim(f"{count} busy {one}: timers p99, later by", lateness["actors"] - lateness["idle"], 20, False, "ms"),
        ]
    return found
