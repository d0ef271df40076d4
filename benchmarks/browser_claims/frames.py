"""Frames and timers of a page whose actors never rest, by turns with the page at rest and with Pyodide's own loop.

Of each round the busy page is held against the idle one that was watched just before it; the median of the rounds
counts, since one in which the machine did something else says nothing of either.  What JavaScript alone does to the
page's timers, at work without a rest in tasks as long as our slices, stands beside it: on a machine that others use
that is what the system costs whoever is busy.

Then the same with the actors in a module worker: the page's frames, of which the worker must not cost any, and the
timers of the worker itself.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from harness import Claim

from .pyodide import CLAIMS, MSGSPEC, chromium, files, site, wheel

__all__ = ["claims", "p99"]

COUNTS = (1, 10, 100, 500)
WORKER_COUNTS = (1, 500)
WATCHED_MS = 3_000
SETTLE_MS = 500
STOCK_S_MAX = 30.0  # for three seconds' watching
KEY_S = 0.05  # between keys that are pressed
TIMER_MS = 20  # as a player's; the platform's clamp is 4
MEASURE = """(milliseconds) => new Promise((done) => {
  const began = performance.now();
  const late = [];
  const input = [];
  const key = ({ timeStamp }) => input.push(performance.now() - timeStamp);
  let frames = 0;
  let due = 0;
  let isOver = false;
  // Whichever comes first after the time: Pyodide's own loop may let no timer through for a minute.
  const end = () => {
    const now = performance.now();
    if (isOver || now - began < milliseconds) return isOver;
    if (now > due) late.push(now - due); // the one that is awaited
    removeEventListener("keydown", key);
    done({ frames_per_s: (1000 * frames) / (now - began), late_ms: late, input_ms: input });
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
  addEventListener("keydown", key);
  requestAnimationFrame(frame);
  set();
})""".replace("TIMER_MS", str(TIMER_MS))
SLICE_MS = 4  # as long at a time as `drivers/browser_loop.py` lets actors work
# A key finds a slice under way, half of one on average, and goes before the next: half of them wait for less than a
# slice longer than on the idle page, or input is starved.  What a key does is seen with the next frame, so that of a
# hundred one may wait for a frame longer, as it does where painting or Chromium's own work goes first.
KEY_LATER_MS = SLICE_MS
KEY_P99_LATER_MS = 1000 / 60
SCRIPT = """() => {
  const { port1, port2 } = new MessageChannel();
  globalThis.rest = () => port1.close();
  port1.onmessage = () => {
    for (const end = performance.now() + SLICE_MS; performance.now() < end; );
    port2.postMessage(0);
  };
  port2.postMessage(0);
}""".replace("SLICE_MS", str(SLICE_MS))
START = "([kind, count]) => { const start = pyodide.globals.get('start'); start(kind, count); start.destroy(); }"
STOP = "async () => { const stop = pyodide.globals.get('stop'); await stop(); stop.destroy(); }"

# Gives the page `ask(...)`: one call of frames_worker.js at a time.
WORKER = """async (wheels) => {
  const worker = new Worker("./frames_worker.js", { type: "module" });
  globalThis.ask = (...words) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(words);
  });
  await ask("load", wheels);
}"""
ASK = "(words) => ask(...words)"
MEASURE_WORKER = f"""async (milliseconds) => {{
  const [seen, late_ms] = await Promise.all([({MEASURE})(milliseconds), ask("timers", milliseconds, {TIMER_MS})]);
  return {{ ...seen, late_ms }};
}}"""


def p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


async def watched(page: Any, kind: str, count: int) -> dict[str, Any]:
    """Frames a second, how late each timer was, and how long each key waited, with so many at work.

    `idle`: none; `script`: JavaScript.
    """
    if kind == "script":
        await page.evaluate(SCRIPT)
    elif kind != "idle":
        await page.evaluate(START, [kind, count])
    await page.wait_for_timeout(SETTLE_MS)
    watching = asyncio.ensure_future(page.evaluate(MEASURE, WATCHED_MS))
    while not watching.done() and kind != "stock":  # which may never take a key
        await page.keyboard.press("a")
        await asyncio.wait([watching], timeout=KEY_S)
    seen: dict[str, Any] = await watching
    if kind == "script":
        await page.evaluate("rest()")
    elif kind != "idle":
        await page.evaluate(STOP)
    return seen


async def watched_worker(page: Any, kind: str, count: int = 0) -> dict[str, Any]:
    """The page's frames a second, and how late the worker's timers were, with so many at work there; kinds as above."""
    start = {"script": ["startScript", SLICE_MS], "actors": ["start", "actors", count]}.get(kind)
    stop = {"script": ["stopScript"], "actors": ["stop"]}.get(kind)
    if start is not None:
        await page.evaluate(ASK, start)
    await page.wait_for_timeout(SETTLE_MS)
    seen: dict[str, Any] = await page.evaluate(MEASURE_WORKER, WATCHED_MS)
    if stop is not None:
        await page.evaluate(ASK, stop)
    return seen


async def in_worker(page: Any, rounds: int) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """What each round of it saw."""
    found = wheel("compiled")
    assert found is not None
    await page.evaluate(WORKER, [MSGSPEC.name, found.name])
    seen: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for _ in range(rounds):
        seen.setdefault(("worker's script", 1), []).append(await watched_worker(page, "script"))
        for count in WORKER_COUNTS:
            for kind, shown in (("idle", "worker at rest"), ("actors", "worker")):
                seen.setdefault((shown, count), []).append(await watched_worker(page, kind, count))
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
    served = files(CLAIMS / "frames_page.py") | {"frames_worker.js": CLAIMS / "frames_worker.js"}
    seen: dict[tuple[str, int], list[dict[str, Any]]] = {}  # of each round
    async with chromium() as browser, site(served) as url:
        page = await ready_page(browser, url)
        for count in COUNTS:  # once: it is not what is judged
            seen["stock", count] = [await watched_stock(url, count)]
        for _ in range(rounds):
            seen.setdefault(("script", 1), []).append(await watched(page, "script", 1))
            for count in COUNTS:
                for kind in ("idle", "actors"):
                    seen.setdefault((kind, count), []).append(await watched(page, kind, count))
        seen |= await in_worker(page, rounds)
    for who, kind in (("JavaScript alone", "script"), ("JavaScript alone in a worker", "worker's script")):
        lateness = statistics.median(p99(one["late_ms"]) for one in seen[kind, 1])
        print(f"  {who} at work: timers {lateness:.1f} ms late (p99)", flush=True)
    on_page = [claim for count in COUNTS for claim in claims_of(count, seen)]
    return on_page + [claim for count in WORKER_COUNTS for claim in claims_of(count, seen, in_worker=True)]


def claims_of(count: int, seen: dict[tuple[str, int], list[dict[str, Any]]], *, in_worker: bool = False) -> list[Claim]:
    """Medians of the rounds: in each, of the busy page to the idle one before it."""
    rest, work, others = ("worker at rest", "worker", ()) if in_worker else ("idle", "actors", ("stock",))
    shown = []
    for kind in (rest, work, *others):
        rate = statistics.median(one["frames_per_s"] for one in seen[kind, count])
        lateness = statistics.median(p99(one["late_ms"]) for one in seen[kind, count])
        shown.append(f"{kind} {rate:.1f} frames/s and timers {lateness:.1f} ms late")
        if keys := keys_of(seen[kind, count]):
            shown[-1] += f", keys taken after {statistics.median(keys):.1f} ms ({p99(keys):.1f} at p99)"
    print(f"  {count} busy: {', '.join(shown)}", flush=True)
    pairs = list(zip(seen[work, count], seen[rest, count], strict=True))
    ratio = statistics.median(busy["frames_per_s"] / idle["frames_per_s"] for busy, idle in pairs)
    later = [p99(busy["late_ms"]) - p99(idle["late_ms"]) for busy, idle in pairs]
    print(f"    timers later by {', '.join(f'{ms:.1f}' for ms in later)} ms", flush=True)
    one = ("actor" if count == 1 else "actors") + (" in a worker" if in_worker else "")
    found = [
        Claim(f"{count} busy {one}: frames, of the idle page's", ratio, 0.93, True, "x"),
        Claim(f"{count} busy {one}: timers p99, later by", statistics.median(later), 20, False, "ms"),
    ]
    busy, idle = keys_of(seen[work, count]), keys_of(seen[rest, count])
    if busy:
        median, longest = statistics.median(busy) - statistics.median(idle), p99(busy) - p99(idle)
        found.append(Claim(f"{count} busy {one}: pressed keys, later by", median, KEY_LATER_MS, False, "ms"))
        found.append(Claim(f"{count} busy {one}: pressed keys p99, later by", longest, KEY_P99_LATER_MS, False, "ms"))
    return found


def keys_of(rounds: list[dict[str, Any]]) -> list[float]:
    """How long each key waited, of all rounds: one round has some fifty."""
    return [ms for one in rounds for ms in one.get("input_ms", ())]
