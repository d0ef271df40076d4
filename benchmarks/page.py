"""The player's page, with the balancer on its own thread and in a worker: make bench-page

    --rounds N    how often each plays (3)

Each round plays the same half minute twice, from two CDNs and a native peer: with the balancer in a worker, and on the
page's thread, in a browser of its own.  The page starts from the CDN by itself and is handed over.  Counted are
pictures between the start of the page and its end, tasks that held its thread for more than 50 ms, waits for data,
and every segment's hash.  Beside that, how long segments of 4 MiB hold the page's thread while they are verified on it.
Exit code 0 only if every line holds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
from pathlib import Path
from typing import Any

from browser_claims.playing import player_site
from browser_claims.pyodide import ROOT, chromium, files, missing, site
from harness import Claim, conclude

from shoal.app.demo.stream import Rendition, Stream, StreamOptions, cache_folder, make_stream

__all__ = ["claims", "main"]

STREAM = StreamOptions(seconds=30, segment_seconds=2, renditions=(Rendition("thread", 640, 360, 4_000_000),))
PLAY_S_MAX = 240.0
OVER = "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"
# A slice of 4 ms, and the longest step that may begin at its end: the copies for crypto.subtle, 2 ms for 1 MiB, where a
# piece takes 1 (transports/browser/hashing.py).  More would be work that no slice bounds.
HOLD_MS = 6
PLACES = {"worker": "1", "page": "0"}
HASHED = 50
HASHES = (("1 MiB", 1, True), ("4 MiB", 4, True), ("4 MiB without crypto.subtle", 4, False))
# How long the thread was held at once, between two messages that the page sends to itself.
HOLDS = """async ([size, isSubtleUsed]) => {
  const hashed = pyodide.globals.get("hashed");
  const { port1, port2 } = new MessageChannel();
  const holds = [];
  let last = performance.now();
  let isOver = false;
  port1.onmessage = () => {
    const now = performance.now();
    holds.push(now - last);
    last = now;
    if (!isOver) port2.postMessage(0);
  };
  port2.postMessage(0);
  await hashed(size, isSubtleUsed, HASHED);
  isOver = true;
  hashed.destroy();
  return holds.sort((a, b) => a - b);
}""".replace("HASHED", str(HASHED))
# Pictures of the page itself, not of the video: what a viewer who scrolls or types would have.
WATCH = """
globalThis.watched = { gaps: [], tasks: [], from: null };
new PerformanceObserver((list) => watched.tasks.push(...list.getEntries().map((one) => one.duration)))
  .observe({ type: "longtask", buffered: true });
requestAnimationFrame(function next(now) {
  if (watched.from !== null) watched.gaps.push(now - watched.from);
  watched.from = now;
  if (!globalThis.seen?.ended) requestAnimationFrame(next);
});
"""


async def played(url: str, place: str, picture: Path) -> dict[str, Any]:
    async with chromium() as browser:
        page = await browser.new_page()
        await page.add_init_script(WATCH)
        await page.goto(f"{url}?worker={PLACES[place]}")
        await page.wait_for_function(OVER, timeout=PLAY_S_MAX * 1000)
        await page.screenshot(path=picture)
        seen = dict(await page.evaluate("({ ...seen, watched })"))
        quality = "(({ droppedVideoFrames, totalVideoFrames }) => [droppedVideoFrames, totalVideoFrames])"
        seen["frames"] = await page.evaluate(f"{quality}(video.getVideoPlaybackQuality())")
    if seen["error"] or seen["fatal"]:
        raise RuntimeError(f"the page did not play: {seen['error'] or seen['fatal']}")
    return seen


def wrong_bytes(stream: Stream, seen: dict[str, Any]) -> int:
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stream.folder.glob("*.m*4*")}
    return sum(one["bytes"] for one in seen["segments"] if right[one["url"].rpartition("/")[2]] != one["sha256"])


def figures(seen: dict[str, Any]) -> dict[str, float]:
    gaps = sorted(seen["watched"]["gaps"])
    late = [gap for gap in gaps if gap > 50]  # three pictures were missing: what an eye sees
    return {
        "pictures_per_s": 1000 * len(gaps) / sum(gaps),
        "gap_p99_ms": gaps[int(0.99 * len(gaps))],
        "gap_max_ms": gaps[-1],
        "still_ms": sum(late),
        "tasks_ms": sum(seen["watched"]["tasks"]),
        "stalls": seen["stalls"],
        "started_ms": seen["startup"]["ms"],
        "balanced": sum(one["by"] == "balancer" for one in seen["segments"]),
    }


async def measured(rounds: int) -> tuple[dict[str, list[dict[str, float]]], int]:
    """Figures of each place and round, and wrong bytes."""
    stream = make_stream(STREAM, cache_folder())
    found: dict[str, list[dict[str, float]]] = {place: [] for place in PLACES}
    wrong = 0
    out = ROOT / "out"
    out.mkdir(exist_ok=True)
    async with player_site(stream) as player:
        for number in range(rounds):
            for place in sorted(PLACES, reverse=number % 2 == 0):
                seen = await played(player.url, place, out / f"bench-page-{place}.png")
                found[place].append(figures(seen))
                wrong += wrong_bytes(stream, seen)
                shown = ", ".join(f"{name} {value:.1f}" for name, value in found[place][-1].items())
                dropped, total = seen["frames"]
                print(f"  {place}: {shown}; {dropped} of {total} video frames dropped", flush=True)
    return found, wrong


async def hashing() -> list[Claim]:
    """How long the page's thread is held at once: the longest of all holds would be the machine's worst moment."""
    found = []
    async with chromium() as browser, site(files(Path(__file__).with_name("page_hashing.py"))) as url:
        page = await browser.new_page()
        await page.goto(url)
        await page.wait_for_function("document.title === 'ready'")
        for what, mib, is_subtle_used in HASHES:
            holds = await page.evaluate(HOLDS, [mib << 20, is_subtle_used])
            p99 = holds[int(0.99 * (len(holds) - 1))]
            print(f"  {what}: thread held {p99:.1f} ms at p99 of {len(holds)}, {holds[-1]:.1f} at most", flush=True)
            found.append(Claim(f"{what} verified: the page's thread held at once, p99", p99, HOLD_MS, False, "ms"))
    return found


async def claims(rounds: int) -> list[Claim]:
    """Of both places, for this file and for browser.py."""
    found, wrong = await measured(rounds)

    def median(place: str, name: str) -> float:
        return statistics.median(row[name] for row in found[place])

    lines = [
        Claim(f"{place}: stalls in half a minute, handed over meanwhile", max(row["stalls"] for row in rows), 0, False)
        for place, rows in found.items()
    ]
    lines += [  # in each round: without one, nothing was handed over, and no stall says nothing
        Claim(
            f"{place}: segments through the balancer, the fewest of a round",
            min(row["balanced"] for row in rows),
            1,
            True,
        )
        for place, rows in found.items()
    ]
    lines += [
        Claim("wrong bytes", wrong, 0, at_least=False, unit="bytes"),
        Claim(
            "the page stands still with a worker, of its time without",
            median("worker", "still_ms") / max(1.0, median("page", "still_ms")),
            0.5,
            at_least=False,
            unit="x",
        ),
        Claim(
            "pictures of the page with a worker, of those without",
            median("worker", "pictures_per_s") / median("page", "pictures_per_s"),
            1.0,
            at_least=True,
            unit="x",
        ),
    ]
    return lines + await hashing()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if what := missing():
        print(f"{what} is missing")
        return 3
    return conclude("page", asyncio.run(claims(options.rounds)))


if __name__ == "__main__":
    raise SystemExit(main())
