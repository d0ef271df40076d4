"""Frames and timers of a page whose actors never rest, by turns with the page at rest and with Pyodide's own loop.

Of each round the busy page is held against the idle one that was watched just before it; the median of the rounds
counts, since one in which the machine did something else says nothing of either.  What JavaScript alone does to the
page's timers, at work without a rest in tasks as long as our slices, stands beside it: on a machine that others use
that is what the system costs whoever is busy.
"""

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
# As long at a time as `drivers/browser_loop.py` lets actors work.
SCRIPT = """() => {
  const { port1, port2 } = new MessageChannel();
  globalThis.rest = () => port1.close();
  port1.onmessage = () => {
    for (const end = performance.now() + 4; performance.now() < end; );
    port2.postMessage(0);
  };
  port2.postMessage(0);
}"""
START = "([kind, count]) => { const start = pyodide.globals.get('start'); start(kind, count); start.destroy(); }"
STOP = "async () => { const stop = pyodide.globals.get('stop'); await stop(); stop.destroy(); }"


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


async def watched(page: Any, kind: str, count: int) -> dict[str, Any]:
    """Frames a second, and how late each timer was, with so many at work (`idle`: none; `script`: JavaScript)."""
    if kind == "script":
        await page.evaluate(SCRIPT)
    elif kind != "idle":
        await page.evaluate(START, [kind, count])
    await page.wait_for_timeout(SETTLE_MS)
    seen: dict[str, Any] = await page.evaluate(MEASURE, WATCHED_MS)
    if kind == "script":
        await page.evaluate("rest()")
    elif kind != "idle":
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
    seen: dict[tuple[str, int], list[dict[str, Any]]] = {}  # of each round
    async with chromium() as browser, site(files(CLAIMS / "frames_page.py")) as url:
        page = await ready_page(browser, url)
        for count in COUNTS:  # once: it is not what is judged
            seen["stock", count] = [await watched_stock(url, count)]
        for _ in range(rounds):
            seen.setdefault(("script", 1), []).append(await watched(page, "script", 1))
            for count in COUNTS:
                for kind in ("idle", "actors"):
                    seen.setdefault((kind, count), []).append(await watched(page, kind, count))
    script = statistics.median(p99(one["late_ms"]) for one in seen["script", 1])
    print(f"  JavaScript alone at work: timers {script:.1f} ms late (p99)", flush=True)
    return [claim for count in COUNTS for claim in claims_of(count, seen)]


def claims_of(count: int, seen: dict[tuple[str, int], list[dict[str, Any]]]) -> list[Claim]:
    """Medians of the rounds: in each, of the busy page to the idle one before it."""
    shown = []
    for kind in ("idle", "actors", "stock"):
        rate = statistics.median(one["frames_per_s"] for one in seen[kind, count])
        lateness = statistics.median(p99(one["late_ms"]) for one in seen[kind, count])
        shown.append(f"{kind} {rate:.1f} frames/s and timers {lateness:.1f} ms late")
    print(f"  {count} busy: {', '.join(shown)}", flush=True)
    pairs = list(zip(seen["actors", count], seen["idle", count], strict=True))
    ratio = statistics.median(busy["frames_per_s"] / idle["frames_per_s"] for busy, idle in pairs)
    later = [p99(busy["late_ms"]) - p99(idle["late_ms"]) for busy, idle in pairs]
    print(f"    timers later by {', '.join(f'{ms:.1f}' for ms in later)} ms", flush=True)
    one = "actor" if count == 1 else "actors"
    return [
        Claim(f"{count} busy {one}: frames, of the idle page's", ratio, 0.93, True, "x"),
        Claim(f"{count} busy {one}: timers p99, later by", statistics.median(later), 20, False, "ms"),
    ]
