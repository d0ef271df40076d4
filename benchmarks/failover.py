"""Stall while the first of two pathways fails, through real sockets: make bench-failover

    --faults 503 hang-body ...    some of them
    --seconds N                   how long is watched (58)

hls.js in headless Chromium, with 8 s of buffer, twice for each fault and both at once: it
plays through our proxy, which knows both pathways, and from the pathways themselves, with
content steering.  The same stream (2 Mbit/s, segments of 2 s), the same player, the same fault
13 s after the start, for good; the second pathway is well.  `make bench-balancer` has these lines too.

Stall is the time since the first picture that was not played.  Wasted are, of ours, bytes
that sources sent and nobody used, by the session's own account.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from harness import Claim, conclude

from shoal.app.demo.origin import Fault, Origin
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream
from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, open_session
from shoal.app.steering import SteeringServer

__all__ = ["FAULTS", "claims_of", "watched"]

ROOT = Path(__file__).resolve().parent.parent
HLS_JS = ROOT / "build" / "npm" / "node_modules" / "hls.js" / "dist" / "hls.js"
STREAM = StreamOptions(seconds=70, segment_seconds=2, renditions=(Rendition("hd", 320, 180, 1_900_000),))
SLOW_BYTES_PER_S = 40_000.0
FAULTS = {"503": "503s", "hang-body": "hang in the body", "hang": "no headers", "slow": "40 kB/s"}
FAULT_AT_S = 13.0  # the buffer is full, and some segments have been measured
WATCHED_S = 58.0
START_LIMIT_S = 60.0  # until the first picture, on a machine that is busy
STALL_S_MAX = 0.5
WASTED_MAX = 0.05
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
PAGE = """<!doctype html><meta charset="utf-8"><title>hls.js</title><video muted></video><script src="hls.js"></script>
<script>
const seen = {began_ms: null, begin_s: 0, fatal: []};
const video = document.querySelector("video");
video.addEventListener("playing", () => {
  if (seen.began_ms === null) { seen.began_ms = performance.now(); seen.begin_s = video.currentTime; }
});
function stalled() {
  const passed_s = (performance.now() - seen.began_ms) / 1000;
  return {passed_s, stall_s: passed_s - (video.currentTime - seen.begin_s), fatal: seen.fatal, version: Hls.version};
}
const hls = new Hls({maxBufferLength: 8, maxMaxBufferLength: 8});
hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) seen.fatal.push(data.details); });
hls.on(Hls.Events.MANIFEST_PARSED, () => { video.play(); });
hls.loadSource(new URLSearchParams(location.search).get("url"));
hls.attachMedia(video);
</script>"""


@dataclass(frozen=True)
class Watched:
    """What one player saw; `wasted` is known of ours only."""

    stall_s: float
    wasted: float | None = None


def missing() -> str | None:
    """What is not installed, or None."""
    if shutil.which("chromium") is None:
        return "chromium"
    if not HLS_JS.exists():
        return str(HLS_JS)
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "playwright"
    return None


@asynccontextmanager
async def origins(stream: Stream) -> AsyncIterator[tuple[Origin, Origin]]:
    """The pathways `a`, which is to fail, and `b`."""
    async with AsyncExitStack() as stack:
        both = (Origin(stream.folder, name="a"), Origin(stream.folder, name="b"))
        for origin in both:
            await origin.start()
            stack.push_async_callback(origin.aclose)
        yield both


@asynccontextmanager
async def site(files: dict[str, str | Path]) -> AsyncIterator[str]:
    """A web server on a port of its own: the page, and what it loads."""

    async def answer(request: web.Request) -> web.StreamResponse:
        what = files.get(request.match_info["name"])
        if what is None:
            return web.Response(status=404)
        return web.FileResponse(what) if isinstance(what, Path) else web.Response(text=what, content_type="text/html")

    application = web.Application()
    application.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def played(url: str, first: Origin, kind: str, seconds: float, files: dict[str, str | Path]) -> float:
    """Stall in `seconds` of playing; FAULT_AT_S after the first picture the first pathway fails."""
    from playwright.async_api import async_playwright

    files = {"": PAGE, "hls.js": HLS_JS, **files}
    with tempfile.TemporaryDirectory(prefix="shoal-failover-", ignore_cleanup_errors=True) as profile:
        async with site(files) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch_persistent_context(
                profile, executable_path=shutil.which("chromium"), headless=True, args=list(FLAGS)
            )
            try:
                page = await browser.new_page()
                await page.goto(f"{server}?url={url}")
                await page.wait_for_function("seen.began_ms !== null", timeout=START_LIMIT_S * 1000)
                await asyncio.sleep(FAULT_AT_S)
                break_(first, kind)
                asked_before = len(first.requests)
                await asyncio.sleep(seconds - FAULT_AT_S)
                seen: dict[str, Any] = await page.evaluate("stalled()")
            finally:
                await browser.close()
    if len(first.requests) == asked_before:
        raise RuntimeError(f"{first.name} was never asked after it failed ({kind}): nothing was measured")
    if seen["fatal"]:
        print(f"  the player gave up: {', '.join(seen['fatal'])}")
    return float(seen["stall_s"])


def break_(origin: Origin, kind: str) -> None:
    if kind == "slow":
        origin.rate_bytes_per_s = SLOW_BYTES_PER_S
    else:
        origin.fault = Fault(kind, pattern="*.m4s")


async def ours(stream: Stream, kind: str, seconds: float) -> Watched:
    """Through the proxy, which prefers the pathway that fails as much as steering does."""
    async with origins(stream) as (a, b):
        options = SessionOptions(
            url=f"{a.url}/{stream.playlist}",
            cdns={origin.name: f"{origin.url}/{stream.playlist}" for origin in (a, b)},
            priorities={"a": 0, "b": 1},
            allow_private=True,
        )
        async with open_session(options) as session, Proxy(session) as proxy:
            stall_s = await played(proxy.url, a, kind, seconds, {})
            sources = (await session.report()).sources
    wasted = sum(source.wasted_bytes for source in sources)
    return Watched(stall_s, wasted / max(1, wasted + sum(source.used_bytes for source in sources)))


async def theirs(stream: Stream, kind: str, seconds: float) -> Watched:
    """From the pathways themselves; a steering server says that `a` comes first."""
    with tempfile.TemporaryDirectory(prefix="shoal-steering-") as folder:
        config = Path(folder) / "steering.toml"
        config.write_text('priority = ["a", "b"]\n')
        server = SteeringServer(config)
        async with origins(stream) as (a, b):
            try:
                steering = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/steering.json"
                playlist = with_pathways((stream.folder / stream.playlist).read_text(), steering, a, b)
                return Watched(await played("/steered.m3u8", a, kind, seconds, {"steered.m3u8": playlist}))
            finally:
                await server.aclose()


def with_pathways(text: str, steering: str, *pathways: Origin) -> str:
    """A multivariant playlist with each of its variants on each pathway (rfc8216bis, 4.4.6.6)."""
    lines = [f'#EXT-X-CONTENT-STEERING:SERVER-URI="{steering}",PATHWAY-ID="{pathways[0].name}"']
    rows = text.splitlines()
    for place, row in enumerate(rows):
        if row.startswith("#EXT-X-STREAM-INF"):
            for origin in pathways:
                lines += [f'{row},PATHWAY-ID="{origin.name}"', f"{origin.url}/{rows[place + 1]}"]
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", *lines, ""])


async def watched(kinds: Sequence[str], seconds: float = WATCHED_S) -> dict[str, tuple[Watched, Watched]]:
    """Ours and hls.js's for each fault, one fault after the other."""
    stream = await asyncio.to_thread(make_stream, STREAM, ROOT / "build" / "streams")
    found = {}
    for kind in kinds:
        mine, other = await asyncio.gather(ours(stream, kind, seconds), theirs(stream, kind, seconds))
        print(f"{FAULTS[kind]}: ours {mine.stall_s:.2f} s, hls.js {other.stall_s:.2f} s", flush=True)
        found[kind] = (mine, other)
    return found


def claims_of(kinds: Sequence[str] = tuple(FAULTS), seconds: float = WATCHED_S) -> list[Claim]:
    """A line for each fault, and one for the bytes; not measured where no browser is."""
    lacking = missing()
    if lacking is not None:
        print(f"no browser to play in: {lacking} is missing (tools/install-test-tools)")
        found = {}
    else:
        found = asyncio.run(watched(kinds, seconds))
    claims = []
    for kind in kinds:
        title = f"stall in {seconds:.0f} s, {FAULTS[kind]}"
        if kind in found:
            mine, other = found[kind]
            beside = f"{title} (hls.js with steering {other.stall_s:.1f} s)"
            # Clocks of page and element differ by some ms.
            claims.append(Claim(beside, max(0.0, mine.stall_s), STALL_S_MAX, at_least=False, unit="s"))
        else:
            claims.append(Claim(title, None, STALL_S_MAX, at_least=False, unit="s"))
    wasted = [mine.wasted for mine, _ in found.values() if mine.wasted is not None]
    claims.append(Claim("wasted bytes, the worst of them", max(wasted, default=None), WASTED_MAX, at_least=False))
    return claims


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--seconds", type=float, default=WATCHED_S)
    args = parser.parse_args()
    return conclude("failover", claims_of(args.faults, args.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
